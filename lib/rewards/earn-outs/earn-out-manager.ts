import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { nowIn } from '../../database/statement-time';
import { ReferralEarnOut } from '../../entities/referral-earn-out';
import { referralError } from '../../errors';
import { objectOf, recordIdOf } from '../../input';
import type { ReasonedOptions, StaffOptions } from '../../types/audit';
import type { RecordRef } from '../../types/common';
import type { EarnOutReport, ProviderPayment, Reconciliation as Result } from '../../types/earn-outs';
import { type Audit, changedFields, reasonedStaffOf, staffFields, staffOf } from '../records/audit';
import { KeptRecordManager } from '../records/kept-record-manager';
import { Reconciliation } from './reconciliation';
import type { Reports } from './reports';
import type { Transitions } from './transitions';
import { Waiting } from './waiting';

/**
 * `referrals.earnOuts`: commissions that were paid out or turned into credit. `runEarnOuts` creates and pays earn-outs;
 * the calls here are for what happens outside of it.
 */
export class EarnOutManager extends KeptRecordManager<ReferralEarnOut, object> {
  readonly #transitions: Transitions;
  readonly #reports: Reports;
  readonly #waiting: Waiting;
  readonly #reconciliation: Reconciliation;
  readonly #clock: Clock;
  readonly #audit: Audit;

  /** @internal */
  constructor(database: Database, clock: Clock, transitions: Transitions, reports: Reports, audit: Audit) {
    const kind = { record: ReferralEarnOut, word: 'earn-out', inUse: {} };
    super(database, kind, 'it is the record of a payment, which settle and retry change');
    this.#transitions = transitions;
    this.#reports = reports;
    this.#waiting = new Waiting(database, clock);
    this.#reconciliation = new Reconciliation(database, clock, transitions, audit);
    this.#clock = clock;
    this.#audit = audit;
  }

  /**
   * Stores what the payment provider reports about a payout, for example in a webhook, hours or days later. Idempotent.
   *
   * Reports may contradict each other. `failed` after `completed` means `returned`. `completed` after `failed` or
   * `returned` takes the freed amount again, and what of it is not available any more becomes a debt, which later
   * earn-outs subtract. The option `onError` is told about each contradiction.
   *
   * @returns the earn-out with its new status.
   * @throws ReferralError `INVALID_INPUT` naming the field; `NOT_FOUND` if no earn-out has the key or reference;
   * `AMBIGUOUS` if several have the reference; `NOT_CHANGEABLE` for an earn-out of the mode `credits`;
   * `DATABASE_UNAVAILABLE`.
   */
  async settle(report: EarnOutReport): Promise<ReferralEarnOut> {
    return this.#reports.settle(report);
  }

  /**
   * Approves a payout that waits for that: the next run asks the provider for it. `earnOuts.search` with
   * `where: { awaitsApproval: true }` finds those that wait; {@link reject} refuses one. A payout that does not wait stays as
   * it is.
   *
   * @throws ReferralError `NOT_FOUND`; `NOT_CHANGEABLE` if it failed or was returned; `INVALID_INPUT`;
   * `DATABASE_UNAVAILABLE`.
   */
  async approve(earnOut: RecordRef, options: StaffOptions = {}): Promise<ReferralEarnOut> {
    const id = recordIdOf('id', earnOut);
    const { manager, ...given } = objectOf('earnOuts.approve', options, staffFields);
    const author = staffOf(given);
    return this.database.transaction(async (within) => {
      const { userId } = await this.get(id, { manager: within });
      if (await this.#waiting.approve(userId, id, within)) {
        const change = { before: { awaitsApproval: true }, after: { awaitsApproval: false } };
        const subject = { call: 'earnOuts.approve', subject: this.kind.word, subjectId: id, userId };
        await this.#audit.record([{ ...subject, ...change }], author, within);
      }
      const approved = await this.get(id, { manager: within });
      if (approved.status === 'failed' || approved.status === 'returned')
        throw referralError(
          'NOT_CHANGEABLE',
          this.kind.word,
          id,
          `it is ${approved.status}: a later one pays its amount`,
        );
      return approved;
    }, manager);
  }

  /**
   * Refuses a payout that waits for {@link approve}: it becomes `failed` with the reason. Its amount is free again, and the
   * account waits for {@link retry}, whose next run makes a new earn-out of it, or for a new payout address. To take the
   * amount back, call `commissions.reject` or `accounts.ban`. A payout that has failed or was returned stays as it is.
   *
   * @throws ReferralError `NOT_FOUND`; `NOT_CHANGEABLE` if it does not wait for an approval, because it may be paid or is;
   * `INVALID_INPUT`, also without a `reason`; `DATABASE_UNAVAILABLE`.
   */
  async reject(earnOut: RecordRef, options: ReasonedOptions): Promise<ReferralEarnOut> {
    const id = recordIdOf('id', earnOut);
    const { manager, ...given } = objectOf<StaffOptions>('earnOuts.reject', options, staffFields);
    const author = reasonedStaffOf(given);
    return this.database.transaction(async (within) => {
      const { userId } = await this.get(id, { manager: within });
      await this.#transitions.lockAccount(userId, within);
      await this.lock(id, within);
      const current = await this.get(id, { manager: within });
      if (current.status === 'failed' || current.status === 'returned') return current;
      if (!current.awaitsApproval)
        throw referralError('NOT_CHANGEABLE', this.kind.word, id, 'it does not wait for an approval');
      const change = { status: 'failed', before: 'processing', claim: null, reference: null, isByStaff: true } as const;
      const rejected = await this.#transitions.refuse(current, { ...change, reason: author.reason! }, within);
      const subject = { call: 'earnOuts.reject', subject: this.kind.word, subjectId: id, userId };
      const before = { status: 'processing', awaitsApproval: true };
      const after = { status: 'failed', awaitsApproval: false };
      await this.#audit.record([{ ...subject, before, after }], author, within);
      return rejected!;
    }, manager);
  }

  /**
   * Makes a payout due again, by hand. If it is in progress, the next run asks the provider again under the same key. If
   * it failed or was returned, the account does not wait any longer, and the next run pays its amount by a new earn-out.
   * In both cases attempts and refusals begin to count anew.
   *
   * @throws ReferralError `NOT_FOUND`; `NOT_CHANGEABLE` if it is completed, if it waits for `approve`, if a process is paying
   * it at this moment, or if the account is suspended.
   */
  async retry(earnOut: RecordRef, options: StaffOptions = {}): Promise<ReferralEarnOut> {
    const id = recordIdOf('id', earnOut);
    const { manager, ...given } = objectOf('earnOuts.retry', options, staffFields);
    const author = staffOf(given);
    return this.database.transaction(async (within) => {
      const { userId } = await this.get(id, { manager: within });
      const { isSuspended } = await this.#transitions.lockAccount(userId, within);
      if (isSuspended)
        throw referralError('NOT_CHANGEABLE', this.kind.word, id, 'its account is suspended: reinstate it');
      await this.lock(id, within);
      const current = await this.get(id, { manager: within });
      await this.#makeDue(current, within);
      const due = await this.get(id, { manager: within });
      const change = changedFields(this.valuesOf(current), this.valuesOf(due));
      const subject = { call: 'earnOuts.retry', subject: this.kind.word, subjectId: id, userId };
      if (change) await this.#audit.record([{ ...subject, ...change }], author, within);
      return due;
    }, manager);
  }

  /**
   * Compares the provider's list of payments with the database, after it was restored from a backup and before earn-outs
   * run again. A payment that the database has forgotten becomes a completed earn-out over the user's oldest available
   * commissions of the mode `payout`. The part of it for which nothing is available is a debt, which later earn-outs
   * subtract. Idempotent by the keys: a payment that is known as completed, or as returned, changes nothing but a missing
   * reference.
   *
   * @throws ReferralError `INVALID_INPUT` naming the payment, before anything is written, also if an earn-out with the
   * key has another user or amount; `DATABASE_UNAVAILABLE`: then call it again with the same list.
   */
  async reconcile(payments: readonly ProviderPayment[], options: StaffOptions = {}): Promise<Result> {
    const { manager, ...given } = objectOf('earnOuts.reconcile', options, staffFields);
    return this.#reconciliation.reconcile(payments, staffOf(given), manager);
  }

  protected make(): Promise<never> {
    const instead = 'call runEarnOuts, which creates those that are due';
    return Promise.reject(referralError('NOT_CREATABLE', this.kind.word, instead));
  }

  async #makeDue(earnOut: ReferralEarnOut, manager: EntityManager): Promise<void> {
    const { id, userId, mode, status, awaitsApproval, claimedUntil } = earnOut;
    if (status === 'completed') throw referralError('NOT_CHANGEABLE', this.kind.word, id, 'it is completed');
    if (status !== 'processing') return this.#waiting.end(userId, mode, manager);
    if (mode !== 'payout') return; // each run gives the credit of all of them
    if (awaitsApproval)
      throw referralError('NOT_CHANGEABLE', this.kind.word, id, 'it waits for earnOuts.approve or earnOuts.reject');
    if (claimedUntil !== null && claimedUntil > (await nowIn(this.database, this.#clock, manager)))
      throw referralError('NOT_CHANGEABLE', this.kind.word, id, 'a process is paying it at this moment');
    return this.#waiting.askAgain(userId, id, manager);
  }
}
