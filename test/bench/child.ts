import { type ChildProcess, fork } from 'node:child_process';
import path from 'node:path';

/** A file of this folder in a process of its own. */
export class Child {
  readonly #process: ChildProcess;

  private constructor(process: ChildProcess) {
    this.#process = process;
  }

  /**
   * Starts a file, to which `options` go as the environment's `BENCH`, on the Node that runs or another one.
   *
   * @param profile a folder that gets a CPU profile of the process when it ends.
   */
  static start(file: string, options: object, profile: string | null = null, node = process.execPath): Child {
    const execArgv = ['--import', 'tsx', ...(profile ? ['--cpu-prof', `--cpu-prof-dir=${profile}`] : [])];
    const env = { ...process.env, NODE_ENV: 'production', BENCH: JSON.stringify(options) };
    return new Child(fork(path.join(__dirname, file), { execPath: node, execArgv, env }));
  }

  get pid(): number {
    return this.#process.pid!;
  }

  /** What the process says next; an error if it ends before. */
  next<T>(): Promise<T> {
    return new Promise((resolve, reject) => {
      const ended = (code: number | null): void => {
        this.#process.off('message', told);
        reject(new Error(`a process of the benchmark ended with ${code}: ${this.#process.spawnargs.join(' ')}`));
      };
      const told = (message: unknown): void => {
        this.#process.off('exit', ended);
        resolve(message as T);
      };
      this.#process.once('exit', ended);
      this.#process.once('message', told);
    });
  }

  ask<T>(question: object): Promise<T> {
    const answer = this.next<T>();
    this.#process.send(question);
    return answer;
  }

  stop(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#process.exitCode !== null || this.#process.signalCode !== null) return resolve();
      this.#process.once('exit', () => resolve());
      this.#process.kill();
    });
  }
}

/** In a started process: what it was started with. From here on it ends with the process that started it, however that ends. */
export function given<T>(): T {
  process.once('disconnect', () => process.exit());
  return JSON.parse(process.env['BENCH']!) as T;
}

/** In a started process: tells something to the one that started it. */
export function tell(message: object): void {
  process.send!(message);
}

/** In a started process: answers questions until it is stopped. */
export function answerQuestions<Question>(answer: (question: Question) => Promise<object> | object): void {
  // Not by the signal's default, which would leave no CPU profile.
  process.once('SIGTERM', () => process.exit());
  process.on('message', (question: Question) => {
    void (async () => tell(await answer(question)))();
  });
}
