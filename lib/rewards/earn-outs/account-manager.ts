import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { violatedConstraint } from '../../database/driver-errors';
import { sql } from '../../database/named-parameters';
import { nowIn, timeOf } from '../../database/statement-time';
import { shownAmount } from '../../entities/columns';
import { ReferralAccount } from '../../entities/referral-account';
import { invalid, referralError } from '../../errors';
import { emailOf, objectOf, someUserIdOf } from '../../input';
import type { Settings } from '../../options';
import type { ReferralCreation } from '../../tracking/referral-creation';
import type { UserRef, WithManager } from '../../types/common';
import type { AccountChanges, AccountInput, AccountTotals, EarningMode } from '../../types/earn-outs';
import type { Totals } from '../commissions/totals';
import { RecordManager } from '../records/record-manager';
import { periodStart } from './schedule';

/** `referrals.accounts`: the referral settings and totals of users. */
export class AccountManager extends RecordManager<ReferralAccount, AccountInput, AccountChanges> {
  readonly #clock: Clock;
  readonly #creation: ReferralCreation;
  readonly #settings: Settings;
  readonly #totals: Totals;

  /** @internal */
  constructor(database: Database, clock: Clock, creation: ReferralCreation, settings: Settings, totals: Totals) {
    super(database, { record: ReferralAccount, word: 'account', inUse: {} });
    this.#clock = clock;
    this.#creation = creation;
    this.#settings = settings;
    this.#totals = totals;
  }

  /**
   * Returns a user's account. The first call for a user creates it, together with a referral that has a code.
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
    return this.database.transaction((within) => this.make({ user }, within), manager);
  }

  /**
   * Returns what a user's account has earned, without reading all of its commissions. Creates the account if there is
   * none.
   *
   * @throws ReferralError `INVALID_INPUT`; `DATABASE_UNAVAILABLE`.
   */
  async totals(user: UserRef, options: WithManager = {}): Promise<AccountTotals> {
    const { manager } = objectOf('accounts.totals', options, { manager: true });
    return this.totalsOf(await this.of(user, { manager }), manager);
  }

  /** @internal */
  async totalsOf(account: ReferralAccount, manager: EntityManager | undefined): Promise<AccountTotals> {
    const { accounts } = this.database.tables;
    const sum = (mode: EarningMode, column: string): string =>
      `coalesce(sum(t."${column}"::numeric) FILTER (WHERE t.mode = '${mode}'), 0)`;
    const parameters = {
      user: account.userId,
      now: this.#clock.parameter(),
      period: this.#settings.earnOuts.everyMs,
    };
    const [row] = await this.database.query<AccountTotalsRow>(
      sql(
        parameters,
        ($) => `
        SELECT a.users_referred AS "usersReferred", a.users_upgraded AS "usersUpgraded",
          coalesce(sum(t.walked), 0) AS walked,
          ${periodStart('a', timeOf($.now), $.period)}
            + ${$.period}::float8 * interval '1 millisecond' AS "nextEarnOutAt",
          (${sum('credits', 'availableAmount')} - a.credits_paid)::text AS "creditsEarned",
          (${sum('payout', 'availableAmount')} - a.payouts_paid)::text AS "payoutsEarned",
          ${sum('credits', 'amount')}::text AS "totalCreditsEarned",
          ${sum('payout', 'amount')}::text AS "totalPayoutsEarned"
        FROM ${accounts} a LEFT JOIN (${this.#totals.currentSql($)}) AS t ON true WHERE a.user_id = ${$.user}
        GROUP BY a.user_id`,
      ),
      manager,
    );
    const { walked, ...totals } = row!;
    if (!manager) await this.#totals.noteWalked(account.userId, Number(walked));
    return {
      ...totals,
      creditsEarned: shownAmount(totals.creditsEarned),
      payoutsEarned: shownAmount(totals.payoutsEarned),
      totalCreditsEarned: shownAmount(totals.totalCreditsEarned),
      totalPayoutsEarned: shownAmount(totals.totalPayoutsEarned),
    };
  }

  protected async make(input: AccountInput, manager: EntityManager): Promise<ReferralAccount> {
    const { user } = objectOf('accounts.create', input, { user: true });
    const userId = someUserIdOf('user', user);
    const { referral } = await this.#creation.create({ user: userId, redirectTo: '/' }, { manager });
    const { accounts } = this.database.tables;
    const [row] = await this.database.query<object>(
      sql(
        { user: userId, referral: referral.id, now: this.#clock.parameter() },
        ($) => `
        INSERT INTO ${accounts} AS a (user_id, referral_id, created_at, updated_at)
        SELECT ${$.user}, ${$.referral}, now, now FROM (SELECT ${timeOf($.now)} AS now) AS at
        ON CONFLICT (user_id) DO UPDATE SET referral_id = coalesce(a.referral_id, excluded.referral_id)
        RETURNING ${this.database.columns(ReferralAccount)}`,
      ),
      manager,
    );
    return this.database.entity(ReferralAccount, row!);
  }

  protected async change(id: number, changes: AccountChanges, manager: EntityManager): Promise<void> {
    const { mode, payoutEmail } = objectOf('accounts.update', changes, { mode: true, payoutEmail: true });
    if (mode !== undefined && mode !== 'credits' && mode !== 'payout')
      throw invalid('mode', "'credits' or 'payout'", mode);
    if (mode === 'payout' && !this.#settings.earnOuts.payout)
      throw invalid('mode', "'credits' only, because the option earnOuts.payout is not set", mode);
    const values = {
      ...(mode !== undefined && { mode }),
      ...(payoutEmail !== undefined && {
        payoutEmail: payoutEmail === null ? null : emailOf('payoutEmail', payoutEmail),
      }),
    };
    if (Object.keys(values).length === 0) return;
    try {
      const updatedAt = await nowIn(this.database, this.#clock, manager);
      await this.write(id, { ...values, updatedAt }, manager);
    } catch (error) {
      if (violatedConstraint(error) !== 'ck_referral_accounts_mode') throw error;
      throw invalid('payoutEmail', 'an e-mail address for payouts in the mode "payout"', payoutEmail ?? null);
    }
  }

  /** Always refused: the account keeps what the user has earned and was paid. */
  protected async remove(id: number, manager: EntityManager): Promise<never> {
    await this.get(id, { manager });
    throw referralError('IN_USE', this.kind.word, id, 'it keeps what the user has earned and was paid');
  }
}

/** The totals, with amounts in the format of PostgreSQL. */
interface AccountTotalsRow extends AccountTotals {
  /** How many commissions became available between `matured_until` of the totals and now. */
  walked: string;
}
