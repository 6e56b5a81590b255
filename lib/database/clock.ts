/**
 * The one source of time. With the option `clock` it is that; without, it is the database's: statements use `now()`, and
 * what a process compares on its own (the age of a cookie) uses the database's time as last seen, carried on by the
 * monotonic timer, so that machines with wrong clocks agree.
 */
export class Clock {
  readonly #injected: (() => Date) | null;
  #seen: { database: number; timer: number } | null = null;

  constructor(injected: (() => Date) | null) {
    this.#injected = injected;
  }

  /** For SQL, as in `coalesce($1::timestamptz, now())`: the injected time, or null for the database's own. */
  parameter(): Date | null {
    return this.#injected ? this.#injected() : null;
  }

  /** The time in this process; before the database was first heard, the machine's. */
  now(): Date {
    if (this.#injected) return this.#injected();
    if (!this.#seen) return new Date();
    return new Date(Math.floor(this.#seen.database + (performance.now() - this.#seen.timer)));
  }

  /** Takes note of a `now()` that a statement answered. */
  learn(database: Date): void {
    this.#seen = { database: database.getTime(), timer: performance.now() };
  }
}
