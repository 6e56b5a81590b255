/**
 * The only source of time. With the option `clock`, that function decides. Without it, the database's clock does:
 * statements use the database's time, and comparisons in this process (the age of a cookie) use the last database time
 * that the process has seen, advanced by the monotonic timer. So a wrong clock of a machine makes no difference.
 */
export class Clock {
  readonly #injected: (() => Date) | null;
  #seen: { database: number; timer: number } | null = null;

  constructor(injected: (() => Date) | null) {
    this.#injected = injected;
  }

  /**
   * Returns the time parameter of a statement: the time of the option `clock`, or null. For null, the SQL uses the
   * database's time, as in `coalesce($1, now())`.
   */
  parameter(): Date | null {
    return this.#injected ? this.#injected() : null;
  }

  /** Returns the current time in this process. Until a statement has returned a database time, it is the machine's. */
  now(): Date {
    if (this.#injected) return this.#injected();
    if (!this.#seen) return new Date();
    return new Date(Math.floor(this.#seen.database + (performance.now() - this.#seen.timer)));
  }

  /** Stores a database time that a statement has returned. */
  learn(database: Date): void {
    this.#seen = { database: database.getTime(), timer: performance.now() };
  }
}
