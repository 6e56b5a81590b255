import type { EntityManager } from 'typeorm';
import type { Database } from '../../database/database';
import { isLockTimeout } from '../../database/driver-errors';
import type { Events } from '../../database/events';
import { sql } from '../../database/named-parameters';
import { retryConflicts } from '../../database/retry';
import { clickTables, dayTables, userColumns } from '../../entities/user-columns';
import { invalid, referralError } from '../../errors';
import { objectOf, someUserIdOf } from '../../input';
import type { ReferralLookup } from '../../tracking/referral-lookup';
import type { StaffOptions } from '../../types/audit';
import type { UserRef } from '../../types/common';
import type { UserChange } from '../../types/users';
import { type Audit, reasonedStaffOf, staffFields } from '../records/audit';
import { type AccountState, accountState } from './account-state';
import { bookTables, lockBooks } from './lock-books';
import { type Merges, refuseInProgress } from './merges';
import { hasRowsStatement, type RenameParameters, renameRows } from './rename-statement';
import { reviewSubjects } from './review-subjects';

type Table = keyof typeof userColumns;

/** The tables whose rows make somebody a user, and the books among them. */
const isOfUsers = (name: Table): boolean => !(dayTables as readonly string[]).includes(name);
const userTables = (Object.keys(userColumns) as Table[]).filter(isOfUsers);
const userBooks = bookTables.filter(isOfUsers);

/** Changes the ids of users, where the host has changed them. */
export class UserChanges {
  readonly #database: Database;
  readonly #lookup: ReferralLookup;
  readonly #audit: Audit;
  readonly #merges: Merges;
  readonly #events: Events;

  constructor(database: Database, events: Events, lookup: ReferralLookup, audit: Audit, merges: Merges) {
    this.#database = database;
    this.#events = events;
    this.#lookup = lookup;
    this.#audit = audit;
    this.#merges = merges;
  }

  /** Gives all rows of a user another id, which must have none. Does nothing for a user without rows. */
  async rename(from: UserRef, to: UserRef, options: StaffOptions): Promise<UserChange> {
    const { manager, ...said } = objectOf('renameUser', options, staffFields);
    const author = reasonedStaffOf(said);
    const users = { from: someUserIdOf('from', from), to: someUserIdOf('to', to) };
    if (users.from === users.to) throw invalid('to', 'another id than from', to);
    return this.#inTurn(async (within) => {
      if (!(await this.#hasRows(users.from, userTables, within))) return { rows: 0 };
      if (await this.#hasRows(users.to, userTables, within)) throw referralError('USER_EXISTS', users.to);
      const clicks = await this.#rename(users, clickTables, within);
      await lockBooks(this.#database, within);
      if (await this.#hasRows(users.to, userBooks, within)) throw referralError('USER_EXISTS', users.to);
      for (const name of dayTables) await this.#deleteRows(users.to, name, within);
      await refuseInProgress(this.#database, users.from, within);
      const rows = clicks + (await this.#rename(users, bookTables, within));
      await this.#nameReviews(users.to, within);
      await this.#forgetReferrals(users.to, within);
      const change = { call: 'renameUser', subject: 'user', subjectId: users.from, userId: users.to };
      await this.#audit.record(
        [{ ...change, before: { userId: users.from }, after: { userId: users.to, rows } }],
        author,
        within,
      );
      return { rows };
    }, manager);
  }

  /**
   * Makes everything of a user that of another one: the host has found that both are one person. Does nothing for a user
   * without rows.
   */
  async merge(from: UserRef, into: UserRef, options: StaffOptions): Promise<UserChange> {
    const { manager, ...said } = objectOf('mergeUsers', options, staffFields);
    const author = reasonedStaffOf(said);
    const users = { from: someUserIdOf('from', from), to: someUserIdOf('into', into) };
    if (users.from === users.to) throw invalid('into', 'another id than from', into);
    return this.#inTurn(async (within) => {
      if (!(await this.#hasRows(users.from, userTables, within))) return { rows: 0 };
      const clicks = await this.#rename(users, clickTables, within);
      await lockBooks(this.#database, within);
      const stateOf = (user: string): Promise<AccountState | null> => accountState(this.#database, user, within);
      const before = {
        userId: users.from,
        account: await stateOf(users.from),
        intoAccount: await stateOf(users.to),
      };
      const rows = clicks + (await this.#merges.merge(users.from, users.to, author, within));
      await this.#forgetReferrals(users.to, within);
      const change = { call: 'mergeUsers', subject: 'user', subjectId: users.from, userId: users.to };
      const after = { userId: users.to, rows, account: null, intoAccount: await stateOf(users.to) };
      await this.#audit.record([{ ...change, before, after }], author, within);
      this.#events.emit(within, 'usersMerged', { from: users.from, into: users.to, rows });
      return { rows };
    }, manager);
  }

  /** Runs a transaction, and again if the books are busy. */
  async #inTurn(work: (manager: EntityManager) => Promise<UserChange>, manager?: EntityManager): Promise<UserChange> {
    if (manager?.queryRunner) return this.#database.transaction(work, manager);
    return retryConflicts(() => this.#database.unlimited('ordinary', work), isLockTimeout);
  }

  async #hasRows(user: string, tables: readonly Table[], manager: EntityManager): Promise<boolean> {
    const query = hasRowsStatement(this.#database, tables).with({ user });
    const [row] = await this.#database.query<{ hasRows: boolean }>(query, manager);
    return row!.hasRows;
  }

  async #deleteRows(user: string, name: (typeof dayTables)[number], manager: EntityManager): Promise<void> {
    const { tables } = this.#database;
    await this.#database.query(
      sql({ user }, ($) => `DELETE FROM ${tables[name]} WHERE user_id = ${$.user}`),
      manager,
    );
  }

  #rename(users: RenameParameters, tables: readonly Table[], manager: EntityManager): Promise<number> {
    return renameRows(this.#database, users, tables, manager);
  }

  async #nameReviews(into: string, manager: EntityManager): Promise<void> {
    await this.#database.query(sql({ into }, reviewSubjects(this.#database.tables)), manager);
  }

  /** Removes the referrals of a user from the cache of this process, which has their owner before. */
  async #forgetReferrals(user: string, manager: EntityManager): Promise<void> {
    const query = sql({ user }, ($) => `SELECT id FROM ${this.#database.tables.referrals} WHERE user_id = ${$.user}`);
    for (const { id } of await this.#database.query<{ id: string }>(query, manager)) this.#lookup.forget(Number(id));
  }
}
