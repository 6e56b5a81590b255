import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import type { Events } from '../../database/events';
import { sql } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import { ReferralReview } from '../../entities/referral-review';
import type { FraudMode, ReviewRule } from '../../types/reviews';
import { lockedAccount } from '../earn-outs/locked-account';
import { type Audit, theProgram } from '../records/audit';
import type { ReviewHolds } from './review-holds';

/** What a review is about. */
export type Subject =
  | { readonly account: string }
  | { readonly referrer: string | null; readonly referee: string; readonly referralId?: number };

/** What a rule has found about a subject. */
export interface Finding {
  readonly rule: ReviewRule;
  readonly mode: FraudMode;
  readonly subject: Subject;
  readonly evidence: object;
}

/** Opens reviews, and holds what they are about where the rule says so. */
export class Findings {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #events: Events;
  readonly #holds: ReviewHolds;
  readonly #audit: Audit;

  constructor(database: Database, clock: Clock, events: Events, holds: ReviewHolds, audit: Audit) {
    this.#database = database;
    this.#clock = clock;
    this.#events = events;
    this.#holds = holds;
    this.#audit = audit;
  }

  /**
   * Opens a review for each finding, in one transaction, but for a subject and rule that have one, decided or not. A review
   * that holds must be opened in the transaction that makes what is held.
   *
   * @returns the reviews that it has opened.
   */
  async open(findings: readonly Finding[], manager: EntityManager | undefined): Promise<ReferralReview[]> {
    const wanted = findings.filter(({ mode }) => mode !== 'off');
    if (wanted.length === 0) return [];
    return this.#database.transaction(async (within) => {
      const opened: ReferralReview[] = [];
      for (const finding of wanted) {
        const review = await this.#insert(finding, within);
        if (!review) {
          await this.#holdAgain(finding, within);
          continue;
        }
        opened.push(review);
        if (review.isHolding) await this.#hold(review, within);
        this.#events.emit(within, 'reviewOpened', review);
      }
      return opened;
    }, manager);
  }

  async #hold(review: ReferralReview, within: EntityManager): Promise<void> {
    // There may be no account yet: what it earns is held too.
    if (review.refereeId === null) await lockedAccount(this.#database, this.#clock, review.userId!, within);
    await this.#holds.hold(review, within);
    const { id, userId, rule, refereeId } = review;
    const change = { call: `fraud.${rule}`, subject: 'review', subjectId: id, userId, before: null };
    await this.#audit.record([{ ...change, after: { isHolding: true, refereeId } }], theProgram, within);
  }

  /** Holds what was made since the review of this subject and rule, if that holds. Waits for staff who decide it. */
  async #holdAgain({ rule, subject }: Finding, within: EntityManager): Promise<void> {
    const query = sql(
      { rule, subject: columnsOf(subject).subject },
      ($) => `SELECT ${this.#database.columns(ReferralReview)} FROM ${this.#database.tables.reviews}
        WHERE subject = ${$.subject} AND rule = ${$.rule} AND is_holding FOR SHARE`,
    );
    const [row] = await this.#database.query<object>(query, within);
    if (row) await this.#holds.hold(this.#database.entity(ReferralReview, row), within);
  }

  /** Inserts a review; null if there is one about this subject and rule. */
  async #insert({ rule, mode, subject, evidence }: Finding, within: EntityManager): Promise<ReferralReview | null> {
    const parameters = {
      rule,
      ...columnsOf(subject),
      evidence: JSON.stringify(evidence),
      isHolding: mode === 'hold',
      now: this.#clock.parameter(),
    };
    const query = sql(
      parameters,
      ($) => `
      INSERT INTO ${this.#database.tables.reviews}
        (rule, subject, user_id, referee_id, referral_id, evidence, is_holding, created_at)
      SELECT ${$.rule}, ${$.subject}, ${$.userId}, ${$.refereeId}, ${$.referralId}::bigint, ${$.evidence}::jsonb,
        ${$.isHolding}::boolean, ${timeOf($.now)}
      ON CONFLICT (subject, rule) DO NOTHING
      RETURNING ${this.#database.columns(ReferralReview)}`,
    );
    const [row] = await this.#database.query<object>(query, within);
    return row ? this.#database.entity(ReferralReview, row) : null;
  }
}

/** The columns of a subject, and its key. */
function columnsOf(subject: Subject) {
  if ('account' in subject) {
    const { account } = subject;
    return { subject: `account ${account}`, userId: account, refereeId: null, referralId: null };
  }
  const { referrer, referee, referralId = null } = subject;
  return { subject: `pair ${JSON.stringify([referrer, referee])}`, userId: referrer, refereeId: referee, referralId };
}
