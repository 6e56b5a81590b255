import type { EntityManager } from 'typeorm';

/** A user of the host's: the id, or any object with an `id`. Stored as text, 1–128 characters. */
export type UserRef = string | number | bigint | { readonly id: string | number | bigint };

/** A record of the package: its id, or the record itself. */
export type RecordRef = number | bigint | { readonly id: number };

/**
 * An amount of the program's currency: a decimal string such as `'12.50'`, a finite number or a bigint. At most 16 digits
 * before the point, and no more decimals than the currency has (4 if the option `currency` is not set). Returned amounts are
 * always strings, with the decimals of the currency: `'12.50'` of US dollars, `'12'` of yen.
 */
export type Amount = string | number | bigint;

/** The options of a call that can run in the host's transaction. */
export interface WithManager {
  /**
   * The EntityManager of the host's transaction. What the call writes is committed or rolled back with the transaction,
   * and events are emitted after the commit. Default: the call is a transaction of its own.
   */
  manager?: EntityManager;
}

/** The options of a call that lists records, newest first. */
export interface ListOptions extends WithManager {
  /** How many to return at most, from 0. Default: all. */
  take?: number;
  /** How many of the newest to skip, from 0. Default 0. PostgreSQL reads what is skipped: a page far back takes longer. */
  skip?: number;
}
