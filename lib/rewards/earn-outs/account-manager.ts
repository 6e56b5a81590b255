import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { violatedConstraint } from '../../database/driver-errors';
import { nowIn, timeOf } from '../../database/statement-time';
import { shownAmount } from '../../entities/columns';
import { ReferralAccount } from '../../entities/referral-account';
import { invalid, referralError } from '../../errors';
import { emailOf, objectOf, someUserIdOf } from '../../input';
import type { Settings } from '../../options';
import type { Links } from '../../tracking/links';
import type { UserRef, WithManager } from '../../types/common';
import type { AccountChanges, AccountInput, AccountTotals } from '../../types/earn-outs';
import type { Totals } from '../commissions/totals';
import { RecordManager } from '../records/record-manager';
import { periodStart } from './schedule';

/** `referrals.accounts`: users' own referral settings. */
export class AccountManager extends RecordManager<ReferralAccount, AccountInput, AccountChanges> {
  readonly #clock: Clock;
  readonly #links: Links;
  readonly #settings: Settings;
  readonly #totals: Totals;

  /** @internal */
  constructor(database: Database, clock: Clock, links: Links, settings: Settings, totals: Totals) {
    super(database, { record: ReferralAccount, word: 'account', inUse: {} });
    this.#clock = clock;
    this.#links = links;
    this.#settings = settings;
    this.#totals = totals;
  }

  /** A user's account: made on first use, with a referral and code of the user's own. */
  async of(user: UserRef, options: WithManager = {}): Promise<ReferralAccount> {
    const { manager } = objectOf('accounts.of', options, ['manager']);
    const userId = someUserIdOf('user', user);
    const { accounts } = this.database.tables;
    const columns = this.database.columns(ReferralAccount);
    const sql = `SELECT ${columns} FROM ${accounts} WHERE user_id = $1 AND referral_id IS NOT NULL`;
    const [known] = await this.database.query<object>(sql, [userId], manager);
    if (known) return this.database.entity(ReferralAccount, known);
    return this.database.transaction((within) => this.make({ user }, within), manager);
  }

  /** What an account adds up to, without reading all of its commissions. */
  async totals(user: UserRef, options: WithManager = {}): Promise<AccountTotals> {
    const { manager } = objectOf('accounts.totals', options, ['manager']);
    return this.totalsOf(await this.of(user, { manager }), manager);
  }

  /** @internal */
  async totalsOf(account: ReferralAccount, manager: EntityManager | undefined): Promise<AccountTotals> {
    const { accounts } = this.database.tables;
    const sum = (mode: string, column: string): string =>
      `coalesce(sum(t."${column}"::numeric) FILTER (WHERE t.mode = '${mode}'), 0)`;
    const [row] = await this.database.query<AccountTotals & { walked: string }>(
      `SELECT a.users_referred AS "usersReferred", a.users_upgraded AS "usersUpgraded", coalesce(sum(t.walked), 0) AS walked,
         ${periodStart('a', timeOf('$2'), '$3')} + $3::float8 * interval '1 millisecond' AS "nextEarnOutAt",
         (${sum('credits', 'availableAmount')} - a.credits_paid)::text AS "creditsEarned",
         (${sum('payout', 'availableAmount')} - a.payouts_paid)::text AS "payoutsEarned",
         ${sum('credits', 'amount')}::text AS "totalCreditsEarned", ${sum('payout', 'amount')}::text AS "totalPayoutsEarned"
       FROM ${accounts} a LEFT JOIN (${this.#totals.currentSql()}) AS t ON true WHERE a.user_id = $1
       GROUP BY a.user_id`,
      [account.userId, this.#clock.parameter(), this.#settings.earnOuts.everyMs],
      manager,
    );
    const { walked, ...totals } = row!;
    if (!manager) await this.#totals.walked(account.userId, Number(walked));
    return {
      ...totals,
      creditsEarned: shownAmount(totals.creditsEarned),
      payoutsEarned: shownAmount(totals.payoutsEarned),
      totalCreditsEarned: shownAmount(totals.totalCreditsEarned),
      totalPayoutsEarned: shownAmount(totals.totalPayoutsEarned),
    };
  }

  protected async make(input: AccountInput, manager: EntityManager): Promise<ReferralAccount> {
    const { user } = objectOf('accounts.create', input, ['user']);
    const userId = someUserIdOf('user', user);
    const { referral } = await this.#links.create({ user: userId, redirectTo: '/' }, { manager });
    const { accounts } = this.database.tables;
    const [row] = await this.database.query<object>(
      `INSERT INTO ${accounts} AS a (user_id, referral_id, created_at, updated_at) SELECT $1, $2, now, now FROM (SELECT ${timeOf('$3')} AS now) AS at
       ON CONFLICT (user_id) DO UPDATE SET referral_id = coalesce(a.referral_id, excluded.referral_id)
       RETURNING ${this.database.columns(ReferralAccount)}`,
      [userId, referral.id, this.#clock.parameter()],
      manager,
    );
    return this.database.entity(ReferralAccount, row!);
  }

  protected async change(id: number, changes: AccountChanges, manager: EntityManager): Promise<void> {
    const { mode, payoutEmail } = objectOf('accounts.update', changes, ['mode', 'payoutEmail']);
    if (mode !== undefined && mode !== 'credits' && mode !== 'payout')
      throw invalid('mode', "'credits' or 'payout'", mode);
    if (mode === 'payout' && !this.#settings.earnOuts.payout)
      throw invalid('mode', "'credits': this site pays nothing out, as its option earnOuts.payout is not set", mode);
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

  /** An account counts and pays; it stays. */
  protected async remove(id: number, manager: EntityManager): Promise<never> {
    await this.get(id, { manager });
    throw referralError('IN_USE', this.kind.word, id, 'it keeps what the user has earned and was paid');
  }
}
