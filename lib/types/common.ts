import type { EntityManager } from 'typeorm';

/** A user of the host's: the id itself, or any object that has one as `id`. Kept as text. */
export type UserRef = string | number | bigint | { readonly id: string | number | bigint };

/** A record of ours: its id, or the record itself. */
export type RecordRef = number | { readonly id: number };

/**
 * An amount of the host's currency: a decimal string such as `'12.50'`, or a finite number. Within `numeric(20,4)`: at most 16
 * digits before the point and 4 after it. Amounts that we answer are strings with 2 to 4 decimals.
 */
export type Amount = string | number;

export interface WithManager {
  /**
   * The host's transaction: what the call writes commits or rolls back with it, and its events are emitted after the
   * commit. Default: the call is a transaction of its own.
   */
  manager?: EntityManager;
}

export interface ListOptions extends WithManager {
  /** At most so many. Default: all. */
  take?: number;
  /** So many of the newest are left out. Default 0. */
  skip?: number;
}
