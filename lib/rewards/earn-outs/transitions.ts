import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import type { Events } from '../../database/events';
import { type Query, sql } from '../../database/named-parameters';
import { retryConflicts } from '../../database/retry';
import { ReferralEarnOut } from '../../entities/referral-earn-out';
import type { Settings } from '../../options';
import type { AdjustmentRejections } from '../commissions/adjustment-rejections';
import type { CommissionRejections } from '../commissions/commission-rejections';
import { theProgram } from '../records/audit';
import type { ReviewHolds } from '../reviews/review-holds';
import { bookStatement, lockUnboundStatement } from './book-statement';
import { type ClaimParameters, type ClaimPlace, claimStatement } from './claim-statement';
import { completePayoutsStatement, submitStatement, unclearStatement } from './outcome-statements';
import { type RefuseParameters, refuseStatement } from './refuse-statement';
import { unpaidCommissions } from './unpaid-commissions';

export type Key = Pick<ReferralEarnOut, 'userId' | 'id'>;

/** What is known of a payment. */
export interface Paid {
  /** The claim that must hold the earn-out; null if that makes no difference. */
  claim: string | null;
  /** The provider's reference, if it is known now. */
  reference: string | null;
  /** When it was paid; null for now. */
  paidAt: Date | null;
}

/** A payout that this process has claimed: it must ask the provider about it. */
export interface Claimed {
  earnOut: ReferralEarnOut;
  claim: string;
}

/** Payouts that were claimed together. */
export interface Claims {
  claimed: Claimed[];
  /** Those that wait for the host's staff from now on, because a process died in the last attempt. */
  givenUp: ReferralEarnOut[];
  /** The place of the last one in the order of claims; null if there was none. */
  last: ClaimPlace | null;
}

/**
 * Changes the status of earn-outs, and emits the event `earnOut`. Each method returns null, and changes nothing, if the
 * earn-out is not in the status or not under the claim that the change needs.
 */
export class Transitions {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #events: Events;
  readonly #period: number;
  readonly #rejections: CommissionRejections;
  readonly #adjustments: AdjustmentRejections;
  readonly #holds: ReviewHolds;

  constructor(
    database: Database,
    clock: Clock,
    events: Events,
    { earnOuts }: Settings,
    rejections: CommissionRejections,
    adjustments: AdjustmentRejections,
    holds: ReviewHolds,
  ) {
    this.#database = database;
    this.#clock = clock;
    this.#events = events;
    this.#period = earnOuts.everyMs;
    this.#rejections = rejections;
    this.#adjustments = adjustments;
    this.#holds = holds;
  }

  /** Claims the next payouts that are due. */
  async claim(parameters: Omit<ClaimParameters, 'now'>): Promise<Claims> {
    const query = claimStatement(this.#database).with({ ...parameters, now: this.#clock.parameter() });
    return this.step(async (within) => {
      const rows = await this.#database.query<{ claimPlace: string }>(query, within);
      const earnOuts = rows.map((row) => this.#database.entity(ReferralEarnOut, row));
      const givenUp = earnOuts.filter(({ nextAttemptAt }) => nextAttemptAt === null);
      for (const earnOut of givenUp) this.#events.emit(within, 'earnOut', earnOut);
      const [row, last] = [rows.at(-1), earnOuts.at(-1)];
      return {
        claimed: earnOuts
          .filter(({ nextAttemptAt }) => nextAttemptAt !== null)
          .map((earnOut) => ({ earnOut, claim: parameters.claim })),
        givenUp,
        last: row && last ? { nextAttemptAt: row.claimPlace, userId: last.userId, id: String(last.id) } : null,
      };
    });
  }

  /** The provider has paid an earn-out in progress. */
  async complete(key: Key, change: Paid, manager: EntityManager): Promise<ReferralEarnOut | null> {
    const [completed] = await this.completeAll([{ ...key, ...change }], manager);
    return completed!;
  }

  /** The provider has paid earn-outs in progress. Returns them in their order, with null for those that were not. */
  async completeAll(paid: readonly (Key & Paid)[], manager?: EntityManager): Promise<(ReferralEarnOut | null)[]> {
    const query = completePayoutsStatement(this.#database).with({
      users: paid.map(({ userId }) => userId),
      ids: paid.map(({ id }) => id),
      claims: paid.map(({ claim }) => claim),
      references: paid.map(({ reference }) => reference),
      paidAt: paid.map(({ paidAt }) => paidAt),
      now: this.#clock.parameter(),
      period: this.#period,
    });
    return this.step(async (within) => {
      const rows = await this.#database.query<object>(query, within);
      const completed = rows.map((row) => this.#database.entity(ReferralEarnOut, row));
      for (const earnOut of completed) this.#events.emit(within, 'earnOut', earnOut);
      return paid.map(({ id }) => completed.find((earnOut) => earnOut.id === id) ?? null);
    }, manager);
  }

  /** The provider has accepted an earn-out in progress, and tells its result later. Emits no event. */
  async submit(key: Key, { claim, reference }: { claim: string; reference: string }): Promise<ReferralEarnOut | null> {
    const query = submitStatement(this.#database).with({ ...this.#parameters(key), claim, reference });
    return this.step((within) => this.#changed(query, within));
  }

  /** Nobody knows whether an earn-out in progress is paid. Emits an event if it waits for the host's staff now. */
  async unclear(key: Key, claim: string): Promise<ReferralEarnOut | null> {
    const query = unclearStatement(this.#database).with({ ...this.#parameters(key), claim });
    return this.step(async (within) => {
      const earnOut = await this.#changed(query, within);
      if (earnOut?.nextAttemptAt === null) this.#events.emit(within, 'earnOut', earnOut);
      return earnOut;
    });
  }

  /** An earn-out was not paid, or its money came back. That of a banned account is rejected. */
  refuse(
    key: Key,
    change: Pick<RefuseParameters, 'status' | 'before' | 'claim' | 'reason' | 'reference'> & { isByStaff?: boolean },
    manager?: EntityManager,
  ): Promise<ReferralEarnOut | null> {
    const query = refuseStatement(this.#database).with({ isByStaff: false, ...this.#parameters(key), ...change });
    return this.step(async (within) => {
      const { isBanned } = await this.lockAccount(key.userId, within); // before the commissions, as in bindStatement
      const earnOut = await this.#changed(query, within);
      if (!earnOut) return null;
      if (isBanned) await this.#rejectUnpaid(key.userId, within);
      else await this.#holds.holdFreed(key.userId, within);
      this.#events.emit(within, 'earnOut', earnOut);
      return earnOut;
    }, manager);
  }

  /** An earn-out that failed or was returned is paid after all. The caller has locked the account. */
  async book(
    key: Key,
    { paidAt, reference }: { paidAt: Date | null; reference: string | null },
    manager: EntityManager,
  ): Promise<{ earnOut: ReferralEarnOut; debt: string }> {
    // A statement of its own, so that the snapshot of the next one has what was held or bound before these locks.
    const lock = lockUnboundStatement(this.#database).with({ user: key.userId });
    await this.#database.query(lock, manager);
    const query = bookStatement(this.#database).with({ ...this.#parameters(key), paidAt, reference });
    const [row] = await this.#database.query<{ debt: string }>(query, manager);
    const earnOut = this.#database.entity(ReferralEarnOut, row!);
    this.#events.emit(manager, 'earnOut', earnOut);
    return { earnOut, debt: row!.debt };
  }

  async #rejectUnpaid(userId: string, manager: EntityManager): Promise<void> {
    const ids = (await unpaidCommissions(this.#database, userId, manager)).map(({ id }) => id);
    const author = { ...theProgram, reason: 'The account is banned.' };
    await this.#rejections.reject({ ids }, author, manager);
    await this.#adjustments.takeBack(userId, author, manager);
  }

  /** Locks an account, and returns its state. */
  async lockAccount(userId: string, manager: EntityManager): Promise<{ isSuspended: boolean; isBanned: boolean }> {
    const { accounts } = this.#database.tables;
    const lock = sql(
      { user: userId },
      ($) => `
      SELECT suspended_at IS NOT NULL AS "isSuspended", banned_at IS NOT NULL AS "isBanned" FROM ${accounts}
      WHERE user_id = ${$.user} FOR NO KEY UPDATE`,
    );
    const [row] = await this.#database.query<{ isSuspended: boolean; isBanned: boolean }>(lock, manager);
    return row ?? { isSuspended: false, isBanned: false };
  }

  /**
   * Does work in the manager's transaction. Without a manager, the work is a step of a run: a transaction of its own,
   * which no limit of the host's for statements stops.
   */
  step<T>(work: (manager: EntityManager) => Promise<T>, manager?: EntityManager): Promise<T> {
    return manager ? work(manager) : retryConflicts(() => this.#database.unlimited('ordinary', work));
  }

  async #changed(query: Query, manager: EntityManager): Promise<ReferralEarnOut | null> {
    const [row] = await this.#database.query<object>(query, manager);
    return row ? this.#database.entity(ReferralEarnOut, row) : null;
  }

  #parameters({ userId, id }: Key): { user: string; id: number; now: Date | null } {
    return { user: userId, id, now: this.#clock.parameter() };
  }
}
