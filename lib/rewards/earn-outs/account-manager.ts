import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { violatedConstraint } from '../../database/driver-errors';
import { sql } from '../../database/named-parameters';
import { timeInResult } from '../../database/result-types';
import { overtaken } from '../../database/retry';
import { nowIn, timeOf } from '../../database/statement-time';
import { ReferralAccount } from '../../entities/referral-account';
import { invalid, referralError } from '../../errors';
import { emailOf, objectOf, someUserIdOf } from '../../input';
import type { Settings } from '../../options';
import { isBaseUrl } from '../../tracking/redirect';
import type { ReferralCreation, ReferralPlan } from '../../tracking/referral-creation';
import type { UserRef, WithManager } from '../../types/common';
import type { AccountChanges, AccountInput, AccountTotals, BlockedEarnings, EarningMode } from '../../types/earn-outs';
import type { Totals } from '../commissions/totals';
import { flatCommission } from '../records/commission-terms';
import { RecordManager } from '../records/record-manager';
import { modes, payableFrom } from './payable-from';
import { periodEnd, periodStart } from './schedule';
import { termsOf } from './terms';
import { Waiting } from './waiting';

/** `referrals.accounts`: the referral settings and totals of users. A plan is null if the user has a referral to use. */
export class AccountManager extends RecordManager<ReferralAccount, AccountInput, AccountChanges, ReferralPlan | null> {
  readonly #clock: Clock;
  readonly #creation: ReferralCreation;
  readonly #settings: Settings;
  readonly #totals: Totals;
  readonly #waiting: Waiting;

  /** @internal */
  constructor(database: Database, clock: Clock, creation: ReferralCreation, settings: Settings, totals: Totals) {
    super(database, { record: ReferralAccount, word: 'account', inUse: {} });
    this.#clock = clock;
    this.#creation = creation;
    this.#settings = settings;
    this.#totals = totals;
    this.#waiting = new Waiting(database, clock);
  }

  /**
   * Returns a user's account. The first call for a user creates it. The account's referral is the user's first one to
   * `baseUrl` that is neither expired nor a channel; if there is none, the call creates it.
   *
   * @throws ReferralError `INVALID_INPUT`; `DATABASE_UNAVAILABLE`.
   */
  async of(user: UserRef, options: WithManager = {}): Promise<ReferralAccount> {
    const { manager } = objectOf('accounts.of', options, { manager: true });
    const userId = someUserIdOf('user', user);
    const { accounts } = this.database.tables;
    const columns = this.database.columns(ReferralAccount);
    const [known] = await this.database.query<object>(
      sql(
        { user: userId },
        ($) => `SELECT ${columns} FROM ${accounts} WHERE user_id = ${$.user} AND referral_id IS NOT NULL`,
      ),
      manager,
    );
    if (known) return this.database.entity(ReferralAccount, known);
    return this.create({ user }, { manager });
  }

  /**
   * Returns what a user's account has earned, without reading all of its commissions. Creates the account if there is
   * none.
   *
   * @throws ReferralError `INVALID_INPUT`; `DATABASE_UNAVAILABLE`.
   */
  async totals(user: UserRef, options: WithManager = {}): Promise<AccountTotals> {
    const { manager } = objectOf('accounts.totals', options, { manager: true });
    const account = await this.of(user, { manager });
    return this.database.nextStep(() => this.totalsOf(account, manager), manager); // the account may be new
  }

  /** @internal */
  async totalsOf(account: ReferralAccount, manager: EntityManager | undefined): Promise<AccountTotals> {
    const { accounts } = this.database.tables;
    const sum = (mode: EarningMode, column: string): string =>
      `coalesce(sum(t."${column}"::numeric) FILTER (WHERE t.mode = '${mode}'), 0)`;
    const [row] = await this.database.query<AccountTotalsRow>(
      sql(
        { user: account.userId, ...termsOf(this.#settings.earnOuts, this.#clock.parameter()) },
        ($) => `
        WITH
        at AS MATERIALIZED (
          SELECT ${timeOf($.now)} AS now
        ),
        -- What the account has earned. earned: what is available and not paid, by mode.
        summed AS (
          SELECT a.user_id, coalesce(sum(t.walked), 0) AS walked,
            ${sum('credits', 'availableAmount')} - a.credits_paid AS credits,
            ${sum('payout', 'availableAmount')} - a.payouts_paid AS payout,
            ${sum('credits', 'amount')} AS total_credits, ${sum('payout', 'amount')} AS total_payouts
          FROM ${accounts} a LEFT JOIN (${this.#totals.currentSql($)}) AS t ON true WHERE a.user_id = ${$.user}
          GROUP BY a.user_id
        ),
        -- The same as rows, with the time from which on each mode can be paid.
        by_mode AS (
          SELECT m.mode, earned.amount, ${payableFrom(this.database, 'at.now', $.period)} AS from_time
          FROM ${accounts} a CROSS JOIN at CROSS JOIN summed CROSS JOIN ${modes($.isPayoutOffered)}
          JOIN LATERAL (VALUES ('credits', summed.credits), ('payout', summed.payout)) AS earned (mode, amount)
            ON earned.mode = m.mode
          WHERE a.user_id = ${$.user}
        ),
        -- What is due, and since when: modes that can be paid now, and debts, which count in any case. Otherwise, when
        -- the next mode with an amount can be paid: within the period, if it waits after a refusal.
        due AS (
          SELECT sum(amount) FILTER (WHERE from_time <= at.now OR amount < 0) AS amount,
            min(from_time) FILTER (WHERE from_time <= at.now AND amount > 0) AS since,
            min(from_time) FILTER (WHERE from_time > at.now AND amount > 0) AS next_time
          FROM by_mode CROSS JOIN at
        )
        SELECT a.users_referred AS "usersReferred", a.users_upgraded AS "usersUpgraded", summed.walked,
          ${timeInResult(`CASE WHEN due.amount >= ${$.minimum}::numeric
            THEN greatest(${periodStart('a', 'at.now', $.period)}, due.since)
            ELSE coalesce(due.next_time, ${periodEnd('a', 'at.now', $.period)}) END`)} AS "nextEarnOutAt",
          summed.credits::text AS "creditsEarned", summed.payout::text AS "payoutsEarned",
          summed.total_credits::text AS "totalCreditsEarned", summed.total_payouts::text AS "totalPayoutsEarned",
          CASE WHEN summed.payout > 0 AND NOT ${$.isPayoutOffered}::boolean THEN 'no-payout-option'
            WHEN summed.payout > 0 AND a.payout_email IS NULL THEN 'no-payout-address' END AS "blockedReason"
        FROM ${accounts} a CROSS JOIN at CROSS JOIN summed CROSS JOIN due WHERE a.user_id = ${$.user}`,
      ),
      manager,
    );
    const { walked, blockedReason: reason, ...totals } = row!;
    if (!manager) await this.#totals.noteWalked(account.userId, Number(walked));
    const payoutsEarned = this.database.shown(totals.payoutsEarned);
    return {
      ...totals,
      creditsEarned: this.database.shown(totals.creditsEarned),
      payoutsEarned,
      totalCreditsEarned: this.database.shown(totals.totalCreditsEarned),
      totalPayoutsEarned: this.database.shown(totals.totalPayoutsEarned),
      blocked: reason === null ? null : { amount: payoutsEarned, reason },
    };
  }

  protected override async plan(
    input: AccountInput,
    manager: EntityManager | undefined,
    before?: ReferralPlan | null,
  ): Promise<ReferralPlan | null> {
    const user = someUserIdOf('user', objectOf('accounts.create', input, { user: true }).user);
    if ((await this.#ownReferral(user, manager)) !== null) return null;
    return this.#creation.plan({ user, redirectTo: this.#creation.home }, before ?? undefined);
  }

  protected async make(
    { user }: AccountInput,
    manager: EntityManager,
    plan: ReferralPlan | null,
  ): Promise<ReferralAccount | typeof overtaken> {
    const userId = someUserIdOf('user', user);
    // Looked up again, because another call may have created or deleted it since the plan.
    const own = await this.#ownReferral(userId, manager);
    if (own !== null) return (await this.#accountWith(own, userId, manager)) ?? overtaken;
    if (plan === null) return overtaken;
    const created = await this.#creation.make(plan, manager);
    if (created === overtaken) return overtaken;
    const account = await this.#accountWith(created.referral.id, userId, manager);
    // Another call has given the account a referral in the meantime. The one that was created here is rolled back.
    return account?.referralId === created.referral.id ? account : overtaken;
  }

  /** Returns the user's account, with a referral if it has none yet; null if that referral was deleted. */
  async #accountWith(referral: number, user: string, manager: EntityManager): Promise<ReferralAccount | null> {
    const { accounts, referrals } = this.database.tables;
    const [row] = await this.database.query<object>(
      sql(
        { user, referral, now: this.#clock.parameter() },
        ($) => `
        INSERT INTO ${accounts} AS a (user_id, referral_id, created_at, updated_at)
        SELECT ${$.user}, r.id, now, now
        FROM (SELECT id FROM ${referrals} WHERE id = ${$.referral} FOR KEY SHARE) AS r
        CROSS JOIN (SELECT ${timeOf($.now)} AS now) AS at
        ON CONFLICT (user_id) DO UPDATE SET referral_id = coalesce(a.referral_id, excluded.referral_id)
        RETURNING ${this.database.columns(ReferralAccount)}`,
      ),
      manager,
    );
    const account = row ? this.database.entity(ReferralAccount, row) : null;
    if (account) this.known.add(account); // it has no terms yet, and a user's first look makes it: no row of the audit
    return account;
  }

  /**
   * Returns the id of the referral that the user's account has; else of the first one to `baseUrl` that is neither
   * expired nor a channel; null if there is none. It reads each destination once, because a user may have many referrals.
   */
  async #ownReferral(user: string, manager: EntityManager | undefined): Promise<number | null> {
    const { accounts, referrals, channels } = this.database.tables;
    const rows = await this.database.query<{ id: string; redirectTo: string | null }>(
      sql(
        { user, now: this.#clock.parameter() },
        ($) => `
        WITH
        -- The referral of the account.
        known AS (
          SELECT referral_id FROM ${accounts} WHERE user_id = ${$.user} AND referral_id IS NOT NULL
        ),
        -- The first referral to each destination.
        candidates AS (
          SELECT min(r.id) AS id, r.redirect_to FROM ${referrals} r
          WHERE r.user_id = ${$.user} AND (r.expired_at > ${timeOf($.now)}) IS NOT FALSE
            AND NOT EXISTS (SELECT FROM ${channels} c WHERE c.id = r.id) AND NOT EXISTS (SELECT FROM known)
          GROUP BY r.redirect_to
        )
        SELECT referral_id AS id, NULL AS "redirectTo" FROM known UNION ALL SELECT * FROM candidates ORDER BY id`,
      ),
      manager,
    );
    const own = rows.find(({ redirectTo }) => redirectTo === null || isBaseUrl(redirectTo, this.#settings));
    return own ? Number(own.id) : null;
  }

  protected async change(id: number, changes: AccountChanges, manager: EntityManager): Promise<void> {
    const fields = { mode: true, payoutEmail: true, commission: true } as const;
    const { mode, payoutEmail, commission } = objectOf('accounts.update', changes, fields);
    if (mode !== undefined && mode !== 'credits' && mode !== 'payout')
      throw invalid('mode', "'credits' or 'payout'", mode);
    if (mode === 'payout' && !this.#settings.earnOuts.payout)
      throw invalid('mode', "'credits' only, because the option earnOuts.payout is not set", mode);
    const values = {
      ...(mode !== undefined && { mode }),
      ...(payoutEmail !== undefined && {
        payoutEmail: payoutEmail === null ? null : emailOf('payoutEmail', payoutEmail),
      }),
      ...(commission !== undefined && flatCommission(commission, this.database.currency)),
    };
    if (Object.keys(values).length === 0) return;
    const before = await this.get(id, { manager });
    try {
      const updatedAt = await nowIn(this.database, this.#clock, manager);
      await this.write(id, { ...values, updatedAt }, manager);
    } catch (error) {
      if (violatedConstraint(error) !== 'ck_referral_accounts_mode') throw error;
      throw invalid('payoutEmail', 'an e-mail address for payouts in the mode "payout"', payoutEmail ?? null);
    }
    if (values.payoutEmail !== undefined && values.payoutEmail !== before.payoutEmail)
      await this.#waiting.end(before.userId, 'payout', manager);
  }

  /** Always refused: the account keeps what the user has earned and was paid. */
  protected async remove(id: number, manager: EntityManager): Promise<never> {
    await this.get(id, { manager });
    throw referralError('IN_USE', this.kind.word, id, 'it keeps what the user has earned and was paid');
  }
}

/** The totals, with amounts in the format of PostgreSQL. */
interface AccountTotalsRow extends Omit<AccountTotals, 'blocked'> {
  blockedReason: BlockedEarnings['reason'] | null;
  /** How many commissions became available between `matured_until` of the totals and now. */
  walked: string;
}
