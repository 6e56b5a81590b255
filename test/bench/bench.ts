import { Child } from './child';
import { type Cores, cpuOfPostgres, pin, type Role } from './machine';
import type { Options } from './options';
import { Scores } from './scores';

/** What a run gives to its processes, one for each Node. */
export interface Setting {
  options: Options;
  databaseUrl: string;
  /** The process that started the others of PostgreSQL. */
  postmaster: number;
  cores: Cores | null;
}

/** The measurements on one Node. */
export class Bench {
  readonly scores = new Scores();
  readonly options: Options;
  readonly databaseUrl: string;
  readonly #setting: Setting;

  constructor(setting: Setting) {
    this.options = setting.options;
    this.databaseUrl = setting.databaseUrl;
    this.#setting = setting;
  }

  /** This process is a client that loads other ones, or runs the package itself. */
  become(role: Exclude<Role, 'database'>): void {
    pin(process.pid, role, this.#setting.cores);
  }

  /** Starts a file of this folder in a process that runs the package. */
  start(file: string, given: object): Child {
    const child = Child.start(file, given, this.options.profile);
    pin(child.pid, 'app', this.#setting.cores);
    return child;
  }

  /** The CPU time of PostgreSQL so far, in microseconds; NaN where the system does not tell it. */
  postgresCpu(): number {
    return cpuOfPostgres(this.#setting.postmaster) ?? NaN;
  }

  /** Calls a function for each round, with the contenders in turn in one order and the other. */
  async eachRound<T>(contenders: readonly T[], measure: (contender: T) => Promise<void>): Promise<void> {
    const { rounds } = this.options;
    for (let round = 0; round < rounds; round++) {
      // So that nobody always follows the same neighbour.
      for (const contender of round % 2 === 0 ? contenders : [...contenders].reverse()) await measure(contender);
      console.log(`  round ${round + 1} of ${rounds}`);
    }
  }
}
