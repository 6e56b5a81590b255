import type { EntityManager } from 'typeorm';
import type { Database } from '../../database/database';
import type { ReferralAdjustment } from '../../entities/referral-adjustment';
import { ReferralCommission } from '../../entities/referral-commission';
import { referralError } from '../../errors';
import { listOf, objectOf, recordIdOf } from '../../input';
import type { ReasonedOptions, StaffOptions } from '../../types/audit';
import type { AdjustmentInput } from '../../types/commissions';
import type { RecordRef, UserRef } from '../../types/common';
import { type Audit, type Author, type Change, reasonedStaffOf, staffFields, staffOf } from '../records/audit';
import { KeptRecordManager } from '../records/kept-record-manager';
import type { CheckedSearch } from '../records/record-manager';
import type { AdjustmentManager } from './adjustment-manager';
import type { CommissionHolds } from './commission-holds';
import type { CommissionRejections } from './commission-rejections';
import { setPaidAt } from './paid-at';

/** The parts that change commissions. */
interface Parts {
  holds: CommissionHolds;
  rejections: CommissionRejections;
  adjustments: AdjustmentManager;
  audit: Audit;
}

/** What a change of some commissions does, in its transaction. */
type Work = (ids: readonly number[], within: EntityManager) => Promise<unknown>;

/** The cause of the holds by `commissions.hold`. */
const byStaff = 'staff';

/**
 * `referrals.commissions`: what purchases have earned their referrers. Purchases create commissions, refunds lower them,
 * and staff hold, release and reject them.
 */
export class CommissionManager extends KeptRecordManager<ReferralCommission, object> {
  readonly #parts: Parts;

  /** @internal */
  constructor(database: Database, parts: Parts) {
    const times = ['availableAt', 'revertedAt', 'rejectedAt'];
    const keys = [
      ...times,
      'movedAt',
      'movedFrom',
      'channelId',
      'earnOutId',
      'refereeId',
      'kind',
      'purchase',
      'signupId',
    ];
    super(
      database,
      {
        record: ReferralCommission,
        word: 'commission',
        inUse: {},
        keys,
        computed: { status: times, paidAt: ['earnOutId'] },
      },
      'commissions are permanent; call recordRefund or commissions.reject to take one back',
    );
    this.#parts = parts;
  }

  /**
   * Holds a commission, or several, whatever their age: no earn-out pays them until they are released. A repeated call
   * changes nothing.
   *
   * @returns the commissions as they are now, in the order of the ids.
   * @throws ReferralError `COMMISSION_BOUND` if an earn-out pays it already; `COMMISSION_REJECTED`; `COMMISSION_MOVED`;
   * `NOT_FOUND`; `INVALID_INPUT`; `DATABASE_UNAVAILABLE`. If one is refused, none is held.
   */
  hold(id: RecordRef, options: ReasonedOptions): Promise<ReferralCommission>;
  hold(ids: readonly RecordRef[], options: ReasonedOptions): Promise<ReferralCommission[]>;
  async hold(
    ids: RecordRef | readonly RecordRef[],
    options: ReasonedOptions,
  ): Promise<ReferralCommission | ReferralCommission[]> {
    const author = reasonedStaffOf(objectOf('commissions.hold', options, staffFields));
    return this.#change(ids, options, async (some, within) => {
      const held = await this.#parts.holds.hold({ ids: some }, byStaff, within);
      const changes = held.map((commission) => {
        const others = commission.heldFor.filter((cause) => cause !== byStaff);
        const before = { heldFor: others, availableAt: others.length > 0 ? null : commission.heldFrom };
        return changeOf('commissions.hold', commission, before);
      });
      await this.#parts.audit.record(changes, author, within);
    });
  }

  /**
   * Ends the hold of `commissions.hold` on a commission, or on several: it is as if they had never been held, and the next
   * run pays those whose time has come. One that a review holds too stays held. One that is not held stays as it is.
   *
   * @returns the commissions as they are now, in the order of the ids.
   * @throws ReferralError `COMMISSION_REJECTED`, `COMMISSION_MOVED`, `NOT_FOUND`, `INVALID_INPUT`, `DATABASE_UNAVAILABLE`.
   */
  release(id: RecordRef, options?: StaffOptions): Promise<ReferralCommission>;
  release(ids: readonly RecordRef[], options?: StaffOptions): Promise<ReferralCommission[]>;
  async release(
    ids: RecordRef | readonly RecordRef[],
    options: StaffOptions = {},
  ): Promise<ReferralCommission | ReferralCommission[]> {
    const author = staffOf(objectOf('commissions.release', options, staffFields));
    return this.#change(ids, options, async (some, within) => {
      const released = await this.#parts.holds.release({ ids: some }, byStaff, within);
      const changes = released.map((commission) =>
        changeOf('commissions.release', commission, { heldFor: [...commission.heldFor, byStaff], availableAt: null }),
      );
      await this.#parts.audit.record(changes, author, within);
    });
  }

  /**
   * Rejects a commission, or several, for good: takes back what refunds have left of it, by an entry. What is paid already
   * becomes a debt, which later earn-outs subtract. A refund after that takes nothing more, and an undone refund gives
   * nothing back. A repeated call changes nothing. Emits `commissionRejected`.
   *
   * @returns the commissions as they are now, in the order of the ids.
   * @throws ReferralError `COMMISSION_MOVED`, `NOT_FOUND`, `INVALID_INPUT`, `DATABASE_UNAVAILABLE`.
   */
  reject(id: RecordRef, options: ReasonedOptions): Promise<ReferralCommission>;
  reject(ids: readonly RecordRef[], options: ReasonedOptions): Promise<ReferralCommission[]>;
  async reject(
    ids: RecordRef | readonly RecordRef[],
    options: ReasonedOptions,
  ): Promise<ReferralCommission | ReferralCommission[]> {
    const author: Author = reasonedStaffOf(objectOf('commissions.reject', options, staffFields));
    return this.#change(ids, options, (some, within) => this.#parts.rejections.reject({ ids: some }, author, within));
  }

  /**
   * Adds an amount to a user's earnings, as a bonus, or takes one from them: an entry of its own, available at once. The next
   * earn-out includes it. A deduction above what is available is a debt, which later earn-outs subtract. Creates the
   * user's account if there is none. Idempotent by (user, reference), for good. `referrals.adjustments` finds them.
   *
   * @throws ReferralError `REFERENCE_REUSED` if the reference stands for another amount or mode; `INVALID_INPUT` naming the
   * field; `DATABASE_UNAVAILABLE`.
   */
  adjust(user: UserRef, input: AdjustmentInput): Promise<ReferralAdjustment> {
    return this.#parts.adjustments.adjust(user, input);
  }

  /** Changes one commission or several in one transaction, and returns what they have become. */
  async #change(
    given: RecordRef | readonly RecordRef[],
    { manager }: StaffOptions,
    work: Work,
  ): Promise<ReferralCommission | ReferralCommission[]> {
    const isOne = !Array.isArray(given);
    const ids = isOne
      ? [recordIdOf('id', given as RecordRef)]
      : listOf('ids', given as readonly RecordRef[], 'an array of ids').map((id) => recordIdOf('id', id));
    const commissions = await this.database.transaction(async (within) => {
      const moved = (await this.list(ids, { manager: within })).find(({ movedAt }) => movedAt !== null); // refuses missing ones
      if (moved) throw referralError('COMMISSION_MOVED', moved.id);
      await work(ids, within);
      return this.list(ids, { manager: within });
    }, manager);
    return isOne ? commissions[0]! : commissions;
  }

  protected override async load(search: CheckedSearch, manager?: EntityManager): Promise<ReferralCommission[]> {
    const commissions = await super.load(search, manager);
    if (search.fields?.includes('paidAt') ?? true) await setPaidAt(this.database, commissions, manager);
    return commissions;
  }

  protected make(): Promise<never> {
    return Promise.reject(referralError('NOT_CREATABLE', this.kind.word, 'call recordPurchase, which creates it'));
  }
}

/** The audited change of a commission whose hold has begun or ended. */
function changeOf(call: string, { id, userId, heldFor, availableAt }: ReferralCommission, before: object): Change {
  return { call, subject: 'commission', subjectId: id, userId, before, after: { heldFor, availableAt } };
}
