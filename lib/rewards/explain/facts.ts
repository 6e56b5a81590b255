import { type EntityManager, IsNull } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { type Placeholders, sql } from '../../database/named-parameters';
import { timeInResult } from '../../database/result-types';
import { ReferralAccount } from '../../entities/referral-account';
import { ReferralCommission } from '../../entities/referral-commission';
import { ReferralCredit } from '../../entities/referral-credit';
import { ReferralReview } from '../../entities/referral-review';
import type { Settings } from '../../options';
import type { MovedPast } from '../../types/signups';
import { decidedPurchases } from '../commissions/decided-purchases';
import { currentFields } from '../credits/overdue-holds';
import type { AccountManager } from '../earn-outs/account-manager';
import { explainSignup } from '../signups/signup-explanation';
import type { ExplainedPurchase, ExplainedTouch, RefereeFacts, ReferrerFacts } from './explanation';

/** How many touches and purchases are listed. */
const most = 100;

/** Reads the facts of an explanation, each by an index and at most {@link most} of a kind, with one manager. */
export class ExplanationFacts {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #settings: Settings;
  readonly #accounts: AccountManager;

  constructor(database: Database, clock: Clock, settings: Settings, accounts: AccountManager) {
    this.#database = database;
    this.#clock = clock;
    this.#settings = settings;
    this.#accounts = accounts;
  }

  async asReferee(user: string, manager: EntityManager): Promise<RefereeFacts> {
    const { signup, reason, weighed, decidedAt } = await explainSignup(this.#database, user, { manager });
    const { referrals, programs, purchases, audit } = this.#database.tables;
    const query = sql(
      { user, signup: signup?.id ?? null, referral: signup?.referralId ?? null, program: signup?.programId ?? null },
      ($) => `
      SELECT (SELECT code FROM ${referrals} WHERE id = ${$.referral}::bigint) AS code,
        (SELECT name FROM ${programs} WHERE id = ${$.program}::bigint) AS program,
        (SELECT count(*) FROM ${purchases} WHERE user_id = ${$.user}) AS "purchaseCount",
        ${timeInResult('u.created_at')} AS "reassignedAt", u."by", u.reason, u.past
      FROM (SELECT) AS always LEFT JOIN LATERAL (
        SELECT created_at, "by", reason, "after" -> 'past' AS past FROM ${audit}
        WHERE subject = 'sign-up' AND subject_id = ${$.signup}::bigint::text AND "call" = 'signups.reassign'
        ORDER BY id DESC LIMIT 1
      ) AS u ON true`,
    );
    const [row] = await this.#database.query<RefereeRow>(query, manager);
    const { code, program, purchaseCount, reassignedAt, by, reason: said, past } = row!;
    const usage = signup?.rewardCreditAmount
      ? {
          ...{ recorded: signup.recordedUsage, threshold: signup.beforeRewardUsageThreshold },
          ...{ reward: signup.rewardCreditAmount, reachedAt: signup.thresholdReachedAt, noReward: signup.noReward },
        }
      : null;
    return {
      ...{ signup, weighed, code, program, usage },
      reassigned: reassignedAt && { at: reassignedAt, by, reason: said, past },
      refusal: signup || !decidedAt ? null : { reason, at: decidedAt },
      touches: await this.#touches(user, manager),
      credits: await this.#database.find(
        ReferralCredit,
        {
          ...{ where: { refereeId: user }, order: { id: 'DESC' }, take: most },
          computed: currentFields(this.#database, this.#clock),
        },
        manager,
      ),
      purchases: await this.#purchases(
        { user },
        ($) => `FROM ${decidedPurchases(this.#database.tables)} p WHERE p.user_id = ${$.user}`,
        manager,
      ),
      purchaseCount: Number(purchaseCount),
      signupCommission: signup && (await this.#signupCommission(signup.id, manager)),
      reviews: await this.#reviews({ refereeId: user }, manager),
    };
  }

  async asReferrer(user: string, manager: EntityManager): Promise<ReferrerFacts> {
    const { accounts, signups, audit, purchases, commissions, lateAttributions } = this.#database.tables;
    const query = sql(
      { user },
      ($) => `
      SELECT ${this.#database.columns(ReferralAccount, 'a', 'account.')}, u.reason, u."by",
        (SELECT count(*) FROM ${signups} WHERE referrer_id = ${$.user}) AS "signupCount"
      FROM (SELECT) AS always LEFT JOIN ${accounts} a ON a.user_id = ${$.user}
      LEFT JOIN LATERAL (
        -- The row says since when. So it is that of an account that was merged into this one, where that one's state goes on.
        SELECT reason, "by" FROM ${audit}
        WHERE subject = 'account' AND "call" IN ('accounts.suspend', 'accounts.ban') AND subject_id IN (
          SELECT a.id::text UNION ALL
          SELECT "before" #>> '{account,id}' FROM ${audit} WHERE user_id = a.user_id AND "call" = 'mergeUsers'
        ) AND CASE WHEN a.banned_at IS NULL THEN ("after" ->> 'suspendedAt')::timestamptz = a.suspended_at
          ELSE ("after" ->> 'bannedAt')::timestamptz = a.banned_at END
        ORDER BY id DESC LIMIT 1
      ) AS u ON a.suspended_at IS NOT NULL`,
    );
    const [row] = await this.#database.query<ReferrerRow>(query, manager);
    const account = row!['account.id'] === null ? null : this.#database.entity(ReferralAccount, row!, 'account.');
    // Two lists by an index each: purchases name their referrer, and commissions are stored by theirs. What a second look has
    // credited did earn something.
    const unearned = await this.#purchases(
      { user },
      ($) => `FROM ${purchases} p WHERE p.referrer_id = ${$.user} AND p.no_commission IS NOT NULL
          AND NOT EXISTS (SELECT FROM ${lateAttributions} l WHERE l.user_id = p.user_id AND l.purchase = p.reference)`,
      manager,
    );
    const moved = await this.#purchases(
      { user },
      ($) => `FROM (
          SELECT q.*, c.id AS commission_id FROM ${commissions} c
          JOIN ${purchases} q ON q.user_id = c.referee_id AND q.reference = c.purchase
          WHERE c.user_id = ${$.user} AND c.kind = 'purchase' AND c.moved_at IS NOT NULL
        ) p`,
      manager,
      'p.commission_id',
    );
    const stopped = await this.#purchases(
      { user },
      ($) => `FROM ${commissions} c JOIN ${decidedPurchases(this.#database.tables)} p
          ON p.user_id = c.referee_id AND p.reference = c.purchase AND p.referrer_id = c.user_id
        WHERE c.user_id = ${$.user} AND c.kind = 'purchase' AND (c.held_for <> '{}' OR c.rejected_at IS NOT NULL)`,
      manager,
    );
    return {
      account,
      totals: account && (await this.#accounts.totalsOf(account, manager)),
      suspension: account && suspensionOf(account, row!),
      addressHeldUntil: account && this.#addressHeldUntil(account),
      signupCount: Number(row!.signupCount),
      purchases: [...unearned, ...stopped, ...moved]
        .sort((a, b) => b.purchasedAt.getTime() - a.purchasedAt.getTime())
        .slice(0, most),
      reviews: await this.#reviews({ userId: user }, manager),
    };
  }

  #addressHeldUntil({ payoutEmailChangedAt, payoutEmail }: ReferralAccount): Date | null {
    if (payoutEmailChangedAt === null || payoutEmail === null) return null;
    const until = new Date(payoutEmailChangedAt.getTime() + this.#settings.earnOuts.addressHoldMs);
    return until > this.#clock.now() ? until : null;
  }

  async #signupCommission(signupId: number, manager: EntityManager): Promise<ReferralCommission | null> {
    const where = { signupId, kind: 'sign-up' as const, movedAt: IsNull() };
    const [found] = await this.#database.find(ReferralCommission, { where }, manager);
    return found ?? null;
  }

  #reviews(where: object, manager: EntityManager): Promise<ReferralReview[]> {
    return this.#database.find(ReferralReview, { where, order: { id: 'DESC' }, take: most }, manager);
  }

  /** The newest responses of a user. Their referrals are read apart, because responses may be distributed. */
  async #touches(user: string, manager: EntityManager): Promise<ExplainedTouch[]> {
    const { responses, referrals } = this.#database.tables;
    const touches = await this.#database.query<{ referralId: string; action: string; touchedAt: Date }>(
      sql(
        { user, most },
        ($) => `
        SELECT referral_id::text AS "referralId", action, ${timeInResult('touched_at')} AS "touchedAt" FROM ${responses}
        WHERE user_id = ${$.user} ORDER BY touched_at DESC, id DESC LIMIT ${$.most}::integer`,
      ),
      manager,
    );
    const rows = await this.#database.query<{ id: string; code: string; owner: string | null }>(
      sql(
        { ids: touches.map(({ referralId }) => Number(referralId)) },
        ($) => `SELECT id::text AS id, code, user_id AS owner FROM ${referrals} WHERE id = ANY(${$.ids}::bigint[])`,
      ),
      manager,
    );
    const byId = new Map(rows.map((row) => [row.id, row]));
    return touches.map(({ referralId, action, touchedAt }) => {
      const { code = null, owner = null } = byId.get(referralId) ?? {};
      return { referralId: Number(referralId), code, owner, action, touchedAt };
    });
  }

  /** The newest purchases of a query, which has them as `p`, with the commissions that count, or others of its choice. */
  async #purchases<P extends object>(
    parameters: P,
    from: ($: Placeholders<P>) => string,
    manager: EntityManager,
    ofCommission = 'NULL',
  ): Promise<ExplainedPurchase[]> {
    const { lateAttributions, referrals, commissions } = this.#database.tables;
    const query = sql({ ...parameters, most }, ($) => {
      return `
      SELECT p.buyer, p.reference, p.amount::text AS amount, ${timeInResult('p.purchased_at')} AS "purchasedAt", p.source,
        r.code, p.referrer_id AS referrer, p.no_commission AS "noCommission", l.user_id IS NOT NULL AND NOT l.is_moved AS "isLate",
        coalesce(l.is_moved, false) AS "isMoved",
        ${this.#database.columns(ReferralCommission, 'm', 'commission.')}
      FROM (
        SELECT p.id, p.user_id AS buyer, p.reference, p.amount, p.purchased_at, p.source, p.referral_id, p.referrer_id,
          p.no_commission, ${ofCommission}::bigint AS commission_id
        ${from($)} ORDER BY p.id DESC LIMIT ${$.most}::integer
      ) AS p
      LEFT JOIN ${lateAttributions} l ON l.user_id = p.buyer AND l.purchase = p.reference
      LEFT JOIN ${referrals} r ON r.id = p.referral_id
      LEFT JOIN ${commissions} m ON CASE WHEN p.commission_id IS NULL THEN m.moved_at IS NULL ELSE m.id = p.commission_id END
        AND m.user_id = p.referrer_id AND m.referee_id = p.buyer AND m.purchase = p.reference AND m.kind = 'purchase'
      ORDER BY p.id DESC`;
    });
    const rows = await this.#database.query<PurchaseRow>(query, manager);
    return rows.map((row) => ({
      ...{
        buyer: row.buyer,
        reference: row.reference,
        amount: this.#database.shown(row.amount),
        purchasedAt: row.purchasedAt,
      },
      ...{ source: row.source, code: row.code, referrer: row.referrer, noCommission: row.noCommission },
      isLate: row.isLate,
      isMoved: row.isMoved,
      commission: row['commission.id'] === null ? null : this.#database.entity(ReferralCommission, row, 'commission.'),
    }));
  }
}

interface RefereeRow {
  code: string | null;
  program: string | null;
  purchaseCount: string;
  reassignedAt: Date | null;
  past: MovedPast | null;
  by: string | null;
  reason: string | null;
}

interface ReferrerRow {
  'account.id': string | null;
  'reason': string | null;
  'by': string | null;
  'signupCount': string;
}

interface PurchaseRow extends Omit<ExplainedPurchase, 'commission'> {
  'commission.id': string | null;
}

function suspensionOf(
  { suspendedAt, bannedAt }: ReferralAccount,
  { reason, by }: Pick<ReferrerRow, 'reason' | 'by'>,
): ReferrerFacts['suspension'] {
  return suspendedAt && { at: bannedAt ?? suspendedAt, isBan: bannedAt !== null, reason, by };
}
