import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import { ReferralReview } from '../../entities/referral-review';
import { referralError } from '../../errors';
import { objectOf, recordIdOf } from '../../input';
import type { StaffOptions } from '../../types/audit';
import type { RecordRef } from '../../types/common';
import type { CommissionRejections } from '../commissions/commission-rejections';
import { type Audit, type Author, staffFields, staffOf } from '../records/audit';
import { takeTurn } from '../records/buyer-turn';
import { KeptRecordManager } from '../records/kept-record-manager';
import type { DueGrants } from '../signups/due-grants';
import type { ReviewHolds } from './review-holds';

interface Parts {
  readonly clock: Clock;
  readonly holds: ReviewHolds;
  readonly rejections: CommissionRejections;
  readonly grants: DueGrants;
  readonly audit: Audit;
}

/** `referrals.reviews`: what the rules of the option `fraud` have flagged, and what staff decide about it. */
export class ReviewManager extends KeptRecordManager<ReferralReview, object> {
  readonly #parts: Parts;

  /** @internal */
  constructor(database: Database, parts: Parts) {
    const keys = ['userId', 'refereeId', 'status', 'isHolding'];
    super(
      database,
      { record: ReferralReview, word: 'review', inUse: {}, keys },
      'call reviews.allow or reviews.refuse',
    );
    this.#parts = parts;
  }

  /**
   * Allows what was flagged: its commissions are released and its payouts continue, as if they had never been held, and
   * the credits that have waited are granted. Each has its whole duration, which begins now. What another review, or
   * `commissions.hold`, holds too stays held. This rule does not flag the subject again. A repeated call changes nothing.
   *
   * @throws ReferralError `REVIEW_DECIDED` if it is refused; `NOT_FOUND`, `INVALID_INPUT`, `DATABASE_UNAVAILABLE`.
   */
  allow(review: RecordRef, options: StaffOptions = {}): Promise<ReferralReview> {
    return this.#decide('allow', review, options, async (decided, _author, within) => {
      await this.#parts.holds.release(decided, within);
      if (decided.refereeId !== null) await this.#parts.grants.grant(decided.refereeId, within);
    });
  }

  /**
   * Refuses what was flagged, for good: rejects the commissions of the pair or of the account, as `commissions.reject`
   * does. Credits that have waited are never granted; those that were granted before stay. What the pair earns later is
   * held, and so are payouts of the account. A repeated call changes nothing.
   *
   * @throws ReferralError `REVIEW_DECIDED` if it is allowed; `NOT_FOUND`, `INVALID_INPUT`, `DATABASE_UNAVAILABLE`.
   */
  refuse(review: RecordRef, options: StaffOptions = {}): Promise<ReferralReview> {
    return this.#decide('refuse', review, options, async (decided, author, within) => {
      const { userId, refereeId } = decided;
      const whose = refereeId === null ? { referrer: userId! } : { referrer: userId!, referee: refereeId };
      // First, because it locks the account before the pair and the commissions, as a purchase does.
      if (userId !== null) await this.#parts.rejections.reject(whose, author, within);
      await this.#parts.holds.hold(decided, within);
    });
  }

  async #decide(
    call: 'allow' | 'refuse',
    given: RecordRef,
    options: StaffOptions,
    effect: (review: ReferralReview, author: Author, within: EntityManager) => Promise<void>,
  ): Promise<ReferralReview> {
    const id = recordIdOf('id', given);
    const { manager } = objectOf(`reviews.${call}`, options, staffFields);
    const author = staffOf(options);
    const status = call === 'allow' ? 'allowed' : 'refused';
    return this.database.transaction(async (within) => {
      const { refereeId, isHolding } = await this.get(id, { manager: within });
      // A purchase of the referee that is under way would add a commission that is not held, or not released.
      if (refereeId !== null) await takeTurn(this.database, refereeId, within);
      const review = await this.#close(id, status, author, within);
      if (!review) return this.#decided(id, status, within);
      await effect(review, author, within);
      const change = { call: `reviews.${call}`, subject: 'review', subjectId: id, userId: review.userId };
      const before = { status: 'open', isHolding };
      const after = { status, isHolding: review.isHolding };
      await this.#parts.audit.record([{ ...change, before, after }], author, within);
      return review;
    }, manager);
  }

  /** Closes an open review; null if it is not open. Of two calls at once, the second waits here for the first. */
  async #close(
    id: number,
    status: 'allowed' | 'refused',
    { by, reason }: Author,
    within: EntityManager,
  ): Promise<ReferralReview | null> {
    const parameters = { id, status, by, reason, isRefused: status === 'refused', now: this.#parts.clock.parameter() };
    const query = sql(
      parameters,
      ($) => `
      UPDATE ${this.database.tables.reviews} SET status = ${$.status}, is_holding = ${$.isRefused}::boolean,
        decided_by = ${$.by}, decided_reason = ${$.reason}, decided_at = ${timeOf($.now)}
      WHERE id = ${$.id} AND status = 'open'
      RETURNING ${this.database.columns(ReferralReview)}`,
    );
    const [row] = await this.database.query<object>(query, within);
    return row ? this.database.entity(ReferralReview, row) : null;
  }

  async #decided(id: number, wanted: ReferralReview['status'], within: EntityManager): Promise<ReferralReview> {
    const review = await this.get(id, { manager: within });
    if (review.status === wanted) return review;
    throw referralError('REVIEW_DECIDED', id, review.status);
  }

  protected make(): Promise<never> {
    return Promise.reject(referralError('NOT_CREATABLE', this.kind.word, 'the rules of the option fraud open it'));
  }
}
