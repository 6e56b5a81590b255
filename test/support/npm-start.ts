import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';

/** The command `npm start` of this repository, and all that it starts, in a process group of its own as in a terminal. */
export class NpmStart {
  output = '';
  /** Its exit code; null if a signal ended it. */
  readonly ended: Promise<number | null>;
  readonly #process: ChildProcess;
  #hasEnded = false;
  #heard: () => void = () => undefined;

  /** With these variables beside those of the environment; undefined leaves one out. */
  constructor(variables: Record<string, string | undefined>) {
    this.#process = spawn('npm', ['start'], {
      cwd: path.join(__dirname, '..', '..'),
      env: { ...process.env, DATABASE_URL: undefined, NODE_ENV: undefined, ...variables },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    for (const stream of [this.#process.stdout!, this.#process.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.output += text;
        this.#heard();
      });
    }
    this.ended = new Promise((resolve) => {
      this.#process.once('close', (code) => {
        this.#hasEnded = true;
        this.#heard();
        resolve(code);
      });
    });
  }

  /** Waits until it has said this; throws if it ends without. */
  async says(what: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = what.exec(this.output);
      if (found) return found;
      if (this.#hasEnded) throw new Error(`npm start ended without saying ${what}:\n${this.output}`);
      await new Promise<void>((resolve) => (this.#heard = resolve));
    }
  }

  /** Sends the signal to all its processes, as Ctrl-C does, unless they have ended. */
  signal(name: 'SIGINT' | 'SIGKILL'): void {
    if (this.#hasEnded) return;
    try {
      process.kill(-this.#process.pid!, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}
