import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import { ReferralReview } from '../../entities/referral-review';
import { ReferralSignup } from '../../entities/referral-signup';
import { referralError } from '../../errors';
import type { CommissionRejections } from '../commissions/commission-rejections';
import { wakeStatement } from '../earn-outs/due-accounts';
import type { Suspensions } from '../earn-outs/suspensions';
import type { Author } from '../records/audit';
import type { ReviewHolds } from '../reviews/review-holds';
import { departedRewardStatement } from '../signups/departed-reward';
import { signupRemoval } from '../signups/signup-removal';
import { undoneGrants } from '../signups/undone-grants';
import { accountState } from './account-state';
import { bookTables } from './lock-books';
import { mergeStatements, settleStatements } from './merge-statements';
import { renameRows } from './rename-statement';

/** How many of the references that two users share an error names. */
const maxNamed = 10;

/** Adds the books of one user to those of another. The caller has locked the books. */
export class Merges {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #rejections: CommissionRejections;
  readonly #suspensions: Suspensions;
  readonly #holds: ReviewHolds;

  constructor(
    database: Database,
    clock: Clock,
    rejections: CommissionRejections,
    suspensions: Suspensions,
    holds: ReviewHolds,
  ) {
    this.#database = database;
    this.#clock = clock;
    this.#rejections = rejections;
    this.#suspensions = suspensions;
    this.#holds = holds;
  }

  /** Returns how many rows of the user who goes there were in the books, at most. */
  async merge(from: string, into: string, author: Author, manager: EntityManager): Promise<number> {
    await refuseInProgress(this.#database, from, manager);
    await this.#refuseClashes(from, into, manager);
    await this.#banBoth(from, into, author, manager);
    await this.#takeBack(from, into, author, manager);
    await this.#dropSignups(from, into, author, manager);
    const now = this.#clock.parameter();
    const users = { from, into };
    for (const query of mergeStatements(this.#database, users, now)) await this.#database.query(query, manager);
    const rows = await renameRows(this.#database, { from, to: into }, bookTables, manager);
    for (const query of settleStatements(this.#database, users, now)) await this.#database.query(query, manager);
    await this.#holdAgain(into, manager);
    await this.#database.query(wakeStatement(this.#database).with({ user: into, now }), manager);
    return rows;
  }

  /** Throws if both have used a reference for the same kind of call: a repeated call must find the one that it means. */
  async #refuseClashes(from: string, into: string, manager: EntityManager): Promise<void> {
    const { purchases, refunds, usages, spends, credits, adjustments, transactions } = this.#database.tables;
    const kinds = {
      ...{ purchase: purchases, refund: refunds, usage: usages, spend: spends, credit: credits },
      ...{ 'adjustment': adjustments, 'credit adjustment': creditAdjustments(transactions) },
    };
    const query = sql({ from, into, limit: maxNamed + 1 }, ($) => {
      const clashes = Object.entries(kinds).map(
        ([kind, table]) => `SELECT '${kind}' AS kind, f.reference FROM ${table} f JOIN ${table} i USING (reference)
          WHERE f.user_id = ${$.from} AND i.user_id = ${$.into}`,
      );
      return `${clashes.join(' UNION ALL ')} LIMIT ${$.limit}`;
    });
    const clashes = await this.#database.query<{ kind: string; reference: string }>(query, manager);
    if (clashes.length > 0)
      throw referralError('REFERENCES_CLASH', into, clashes.slice(0, maxNamed), clashes.length > maxNamed);
  }

  /** Bans the account of one if that of the other is banned, because the two become one account. */
  async #banBoth(from: string, into: string, author: Author, manager: EntityManager): Promise<void> {
    const one = await accountState(this.#database, from, manager);
    const other = await accountState(this.#database, into, manager);
    if (!one || !other || (one.bannedAt === null) === (other.bannedAt === null)) return;
    const { by, reason, requestId } = author;
    await this.#suspensions.change('ban', one.bannedAt === null ? from : into, { by, reason, requestId, manager });
  }

  /** Holds for each review what both have: the rows of one of the two were held for none of the other's. */
  async #holdAgain(user: string, manager: EntityManager): Promise<void> {
    const query = sql(
      { user },
      ($) => `SELECT ${this.#database.columns(ReferralReview)} FROM ${this.#database.tables.reviews}
        WHERE is_holding AND ${$.user} IN (user_id, referee_id) ORDER BY id`,
    );
    for (const row of await this.#database.query<object>(query, manager))
      await this.#holds.hold(this.#database.entity(ReferralReview, row), manager);
  }

  /** Rejects what the two have earned of each other, as far as it is not paid. */
  async #takeBack(from: string, into: string, author: Author, manager: EntityManager): Promise<void> {
    const { commissions } = this.#database.tables;
    const between = sql(
      { from, into },
      (
        $,
      ) => `SELECT id FROM ${commissions} WHERE user_id IN (${$.from}, ${$.into}) AND referee_id IN (${$.from}, ${$.into})
        AND earn_out_id IS NULL AND rejected_at IS NULL AND moved_at IS NULL AND NOT is_self_referral`,
    );
    const ids = (await this.#database.query<{ id: string }>(between, manager)).map(({ id }) => Number(id));
    if (ids.length > 0) await this.#rejections.reject({ ids }, author, manager);
  }

  /**
   * Deletes the sign-ups of the two but the first one, and each with one of the two as the referrer. Their credits stay with
   * those who have them.
   */
  async #dropSignups(from: string, into: string, author: Author, manager: EntityManager): Promise<void> {
    const { signups } = this.#database.tables;
    const query = sql(
      { from, into },
      ($) => `SELECT ${this.#database.columns(ReferralSignup)} FROM ${signups} WHERE user_id IN (${$.from}, ${$.into})
        ORDER BY created_at, user_id = ${$.from}`,
    );
    const found = await this.#database.query<object>(query, manager);
    const both = found.map((row) => this.#database.entity(ReferralSignup, row));
    const isOwn = ({ referrerId, isSelfReferral }: ReferralSignup): boolean =>
      (referrerId === from || referrerId === into) && !isSelfReferral;
    const kept = both.find((signup) => !isOwn(signup));
    const dropped = both.filter((signup) => signup !== kept);
    if (kept) await this.#rewardOnce(kept, dropped, manager);
    for (const signup of dropped) {
      await this.#database.query(departedRewardStatement(this.#database).with({ user: signup.userId }), manager);
      const grants = sql(
        { user: signup.userId },
        ($) => `WITH ${undoneGrants(this.#database, `c.referee_id = ${$.user}`)} SELECT`,
      );
      await this.#database.query(grants, manager);
      await this.#rejectUnpaid(signup, author, manager);
      await this.#database.query(signupRemoval(this.#database, signup), manager);
    }
  }

  /** The reward is granted once for a user: if that of a dropped sign-up was, the one that stays has none to grant. */
  async #rewardOnce(
    { userId: kept }: ReferralSignup,
    dropped: readonly ReferralSignup[],
    manager: EntityManager,
  ): Promise<void> {
    const { signups, credits } = this.#database.tables;
    const users = dropped.map(({ userId }) => userId);
    const query = sql(
      { kept, users },
      ($) => `
      SELECT FROM ${signups} s WHERE s.user_id = ANY (${$.users}::varchar[])
        AND (s.was_rewarded OR EXISTS (SELECT FROM ${credits} WHERE referee_id = s.user_id AND kind = 'reward'))
        AND NOT EXISTS (SELECT FROM ${credits} WHERE referee_id = ${$.kept} AND kind = 'reward')`,
    );
    if ((await this.#database.query(query, manager)).length === 0) return;
    await this.#database.query(departedRewardStatement(this.#database).with({ user: kept }), manager);
    const none = ['amount', 'duration', 'type_id'].map((part) => `reward_credit_${part} = NULL`).join(', ');
    const rewarded = sql(
      { kept },
      ($) => `UPDATE ${signups} SET was_rewarded = true, no_reward = NULL, reward_limit_count = NULL,
          reward_limit_period = NULL, ${none}
        WHERE user_id = ${$.kept}`,
    );
    await this.#database.query(rewarded, manager);
  }

  /** Takes back what a sign-up has earned by itself, as far as it is not paid: one person signs up once. */
  async #rejectUnpaid({ id }: ReferralSignup, author: Author, manager: EntityManager): Promise<void> {
    const { commissions } = this.#database.tables;
    const query = sql(
      { id },
      ($) => `SELECT id FROM ${commissions}
        WHERE kind = 'sign-up' AND signup_id = ${$.id} AND earn_out_id IS NULL AND rejected_at IS NULL
          AND moved_at IS NULL`,
    );
    const ids = (await this.#database.query<{ id: string }>(query, manager)).map(({ id: found }) => Number(found));
    if (ids.length > 0) await this.#rejections.reject({ ids }, author, manager);
  }
}

/** SQL: a subquery with one row for each call of `credits.adjust`, which can have several entries. */
const creditAdjustments = (transactions: string): string =>
  `(SELECT DISTINCT user_id, reference FROM ${transactions} WHERE kind = 'adjustment')`;

/** Throws if a payment to a user is under way: what becomes of it is reported for the id that the provider knows. */
export async function refuseInProgress(database: Database, user: string, manager: EntityManager): Promise<void> {
  const query = sql(
    { user },
    ($) => `SELECT id FROM ${database.tables.earnOuts} WHERE user_id = ${$.user} AND status = 'processing'`,
  );
  const [found] = await database.query<{ id: string }>(query, manager);
  if (found) throw referralError('EARN_OUT_IN_PROGRESS', Number(found.id));
}
