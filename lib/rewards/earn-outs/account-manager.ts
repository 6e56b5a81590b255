import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { violatedConstraint } from '../../database/driver-errors';
import type { Events } from '../../database/events';
import { sql } from '../../database/named-parameters';
import { overtaken } from '../../database/retry';
import { nowIn, timeOf } from '../../database/statement-time';
import { ReferralAccount } from '../../entities/referral-account';
import { invalid, referralError } from '../../errors';
import { amountOf, emailOf, objectOf, someUserIdOf } from '../../input';
import type { Settings } from '../../options';
import { masked } from '../../shown';
import { isBaseUrl } from '../../tracking/redirect';
import type { ReferralCreation, ReferralPlan } from '../../tracking/referral-creation';
import type { StaffOptions } from '../../types/audit';
import type { UserRef, WithManager } from '../../types/common';
import type { AccountChanges, AccountInput, AccountTotals } from '../../types/earn-outs';
import type { Totals } from '../commissions/totals';
import { flatCommission } from '../records/commission-terms';
import { RecordManager } from '../records/record-manager';
import type { FraudRules } from '../reviews/fraud-rules';
import { AccountTotalsReader } from './account-totals';
import type { Suspensions } from './suspensions';
import { Waiting } from './waiting';

/** `referrals.accounts`: the referral settings and totals of users. A plan is null if the user has a referral to use. */
export class AccountManager extends RecordManager<ReferralAccount, AccountInput, AccountChanges, ReferralPlan | null> {
  readonly #clock: Clock;
  readonly #events: Events;
  readonly #creation: ReferralCreation;
  readonly #settings: Settings;
  readonly #accountTotals: AccountTotalsReader;
  readonly #fraud: FraudRules;
  readonly #waiting: Waiting;
  readonly #suspensions: Suspensions;

  /** @internal */
  constructor(
    database: Database,
    clock: Clock,
    events: Events,
    creation: ReferralCreation,
    settings: Settings,
    totals: Totals,
    suspensions: Suspensions,
    fraud: FraudRules,
  ) {
    super(database, { record: ReferralAccount, word: 'account', inUse: {} });
    this.#clock = clock;
    this.#events = events;
    this.#creation = creation;
    this.#settings = settings;
    this.#accountTotals = new AccountTotalsReader(database, clock, settings, totals);
    this.#fraud = fraud;
    this.#waiting = new Waiting(database, clock);
    this.#suspensions = suspensions;
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
  totalsOf(account: Pick<ReferralAccount, 'userId'>, manager: EntityManager | undefined): Promise<AccountTotals> {
    return this.#accountTotals.of(account, manager);
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
    const known = { mode: true, payoutEmail: true, minimum: true, commission: true } as const;
    const { mode, payoutEmail, minimum, commission } = objectOf('accounts.update', changes, known);
    if (mode !== undefined && mode !== 'credits' && mode !== 'payout')
      throw invalid('mode', "'credits' or 'payout'", mode);
    if (mode === 'payout' && !this.#settings.earnOuts.payout)
      throw invalid('mode', "'credits' only, because the option earnOuts.payout is not set", mode);
    const values = {
      ...(mode !== undefined && { mode }),
      ...(payoutEmail !== undefined && {
        payoutEmail: payoutEmail === null ? null : emailOf('payoutEmail', payoutEmail),
      }),
      ...(minimum !== undefined && {
        minimum: minimum === null ? null : amountOf('minimum', minimum, 'positive', this.database.currency),
      }),
      ...(commission !== undefined && flatCommission(commission, this.database.currency)),
    };
    if (Object.keys(values).length === 0) return;
    const before = await this.get(id, { manager });
    if (values.payoutEmail) await this.#fraud.takeAddress(values.payoutEmail, manager);
    const isOther = values.payoutEmail !== undefined && values.payoutEmail !== before.payoutEmail;
    // The first address holds nothing: nothing could be earned for payout before it.
    const isHeld = isOther && (before.payoutEmail !== null || before.payoutEmailChangedAt !== null);
    try {
      const now = await nowIn(this.database, this.#clock, manager);
      const held = isHeld ? { payoutEmailChangedAt: now } : {};
      await this.write(id, { ...values, ...held, updatedAt: now }, manager);
    } catch (error) {
      if (violatedConstraint(error) !== 'ck_referral_accounts_mode') throw error;
      throw invalid('payoutEmail', 'an e-mail address for payouts in the mode "payout"', payoutEmail ?? null);
    }
    if (isOther) await this.#addressChanged(before, manager);
    else if (minimum !== undefined) await this.#waiting.wake(before.userId, manager);
  }

  async #addressChanged({ id, userId, payoutEmail }: ReferralAccount, manager: EntityManager): Promise<void> {
    await this.#waiting.end(userId, 'payout', manager);
    await this.#fraud.lookAtAddress(userId, manager);
    const account = await this.get(id, { manager });
    this.#events.emit(manager, 'payoutAddressChanged', account, payoutEmail === null ? null : masked(payoutEmail));
  }

  /**
   * Suspends the account of a user. Links of the user go on redirecting, without a cookie and without a response. Nobody
   * can sign up with them, and purchases of referees earn nothing. What waits is not paid before `reinstate`; a payout that
   * the provider may have been asked for goes on. Rewards that would become due meanwhile are not given later either.
   * Credit that the user has can be spent. Creates the account if there is none. Idempotent: an account that is suspended or
   * banned stays as it is.
   *
   * @throws ReferralError `INVALID_INPUT`, also without a `reason`; `DATABASE_UNAVAILABLE`.
   */
  async suspend(user: UserRef, options: StaffOptions): Promise<ReferralAccount> {
    return this.#suspensions.change('suspend', user, options);
  }

  /**
   * Suspends the account of a user for good, and rejects all commissions that are not paid. What staff have added by
   * `commissions.adjust`, and is not paid, is taken back by adjustments. Earn-outs in progress that the provider was not
   * asked for are `failed`. Idempotent.
   *
   * @throws ReferralError as {@link suspend}.
   */
  async ban(user: UserRef, options: StaffOptions): Promise<ReferralAccount> {
    return this.#suspensions.change('ban', user, options);
  }

  /**
   * Ends a suspension, or takes back a ban. What waited can be paid as if there had been none. What was bought meanwhile has
   * earned nothing, and what a ban has rejected stays so. Idempotent.
   *
   * @throws ReferralError `INVALID_INPUT`; `DATABASE_UNAVAILABLE`.
   */
  async reinstate(user: UserRef, options: StaffOptions = {}): Promise<ReferralAccount> {
    return this.#suspensions.change('reinstate', user, options);
  }

  /** Always refused: the account keeps what the user has earned and was paid. */
  protected async remove(id: number, manager: EntityManager): Promise<never> {
    await this.get(id, { manager });
    throw referralError('IN_USE', this.kind.word, id, 'it keeps what the user has earned and was paid');
  }
}
