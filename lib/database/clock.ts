import { isDate } from '../input';
import { refused } from '../option-checks';

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
   *
   * @throws ReferralError `INVALID_OPTION` if the option returns something else; what it throws itself.
   */
  parameter(): Date | null {
    if (!this.#injected) return null;
    const time: unknown = this.#injected();
    if (isDate(time)) return new Date(time); // a copy: a host's clock may be one Date that moves
    Promise.resolve(time).catch(() => undefined); // a promise may reject
    throw refused('clock', 'a function that returns a valid Date of the years 1 to 9999, without a promise', time);
  }

  /**
   * Returns the current time in this process.
   *
   * @throws as {@link parameter}.
   */
  now(): Date {
    return this.parameter() ?? this.ofDatabase();
  }

  /** Returns the database's time. Until a statement has returned one, it is the machine's. */
  ofDatabase(): Date {
    if (!this.#seen) return new Date();
    return new Date(Math.floor(this.#seen.database + (performance.now() - this.#seen.timer)));
  }

  /** Stores a database time that a statement has returned. */
  learn(database: Date): void {
    this.#seen = { database: database.getTime(), timer: performance.now() };
  }
}

/**
 * The time for what visitors do, which goes on if the option `clock` fails: its error is reported, and the database's
 * time counts.
 */
export class VisitorClock {
  readonly #clock: Clock;
  readonly #onError: (error: unknown) => void;

  constructor(clock: Clock, onError: (error: unknown) => void) {
    this.#clock = clock;
    this.#onError = onError;
  }

  /** As {@link Clock.parameter}. */
  parameter(): Date | null {
    try {
      return this.#clock.parameter();
    } catch (error) {
      this.#onError(error);
      return null;
    }
  }

  /** As {@link Clock.now}. */
  now(): Date {
    return this.parameter() ?? this.#clock.ofDatabase();
  }

  /** As {@link Clock.ofDatabase}. */
  ofDatabase(): Date {
    return this.#clock.ofDatabase();
  }
}
