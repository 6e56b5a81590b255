import type { Verification, VerifyProgress } from '../verify/verify';

/** A check of all invariants that staff have started in this process. */
export interface VerificationRun {
  readonly startedAt: Date;
  /** Who has started it. */
  readonly by: string;
  progress: VerifyProgress;
  /** Null while it runs. */
  endedAt: Date | null;
  /** Null while it runs, and if it failed. */
  result: Verification | null;
  /** Why it failed; null if it did not. */
  error: unknown;
  /** Ends with the run, whatever became of it. */
  readonly ended: Promise<void>;
}

type Check = (onProgress: (progress: VerifyProgress) => void) => Promise<Verification>;

/**
 * Runs checks, one at a time in a process: each reads every row, so that a second one would only make both slower. A run goes on
 * when nobody watches it any more, and its result stays in memory until the next one.
 */
export class VerificationRuns {
  readonly #check: Check;
  readonly #now: () => Date;
  #last: VerificationRun | null = null;

  constructor(check: Check, now: () => Date) {
    this.#check = check;
    this.#now = now;
  }

  /** The run under way, else the last one; null if there was none since the process started. */
  get last(): VerificationRun | null {
    return this.#last;
  }

  /** Starts a run, or returns the one that is under way. */
  start(by: string): VerificationRun {
    if (this.#last?.endedAt === null) return this.#last;
    const run: VerificationRun = {
      ...{ startedAt: this.#now(), by, endedAt: null, result: null, error: null },
      progress: { done: 0, of: 1 },
      ended: this.#check((progress) => (run.progress = progress)).then(
        (result) => void Object.assign(run, { endedAt: this.#now(), result }),
        (error: unknown) => void Object.assign(run, { endedAt: this.#now(), error }),
      ),
    };
    return (this.#last = run);
  }
}
