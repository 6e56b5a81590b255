import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { type Statement, statement } from '../../database/named-parameters';
import { timeInResult } from '../../database/result-types';
import { timeOf } from '../../database/statement-time';
import type { ReferralAccount } from '../../entities/referral-account';
import type { Settings } from '../../options';
import type { AccountTotals, BlockedEarnings, EarningMode } from '../../types/earn-outs';
import type { Totals } from '../commissions/totals';
import { modes, payableFrom } from './payable-from';
import { periodEnd, periodStart } from './schedule';
import { type EarnOutTerms, termNames, termsOf } from './terms';

/** Reads what an account has earned, what is due and when, and what is blocked and why. */
export class AccountTotalsReader {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #earnOuts: Settings['earnOuts'];
  readonly #totals: Totals;
  readonly #statement: Statement<TotalsParameters>;

  constructor(database: Database, clock: Clock, settings: Settings, totals: Totals) {
    this.#database = database;
    this.#clock = clock;
    this.#earnOuts = settings.earnOuts;
    this.#totals = totals;
    this.#statement = database.prepared(totalsStatement(database, totals));
  }

  async of({ userId }: Pick<ReferralAccount, 'userId'>, manager: EntityManager | undefined): Promise<AccountTotals> {
    const parameters = { user: userId, ...termsOf(this.#earnOuts, this.#clock.parameter()) };
    const [row] = await this.#database.query<AccountTotalsRow>(this.#statement.with(parameters), manager);
    const { walked, blockedReason: reason, blockedAmount, ...totals } = row!;
    if (!manager) await this.#totals.noteWalked(userId, Number(walked));
    return {
      ...totals,
      creditsEarned: this.#database.shown(totals.creditsEarned),
      payoutsEarned: this.#database.shown(totals.payoutsEarned),
      totalCreditsEarned: this.#database.shown(totals.totalCreditsEarned),
      totalPayoutsEarned: this.#database.shown(totals.totalPayoutsEarned),
      blocked: reason === null ? null : { amount: this.#database.shown(blockedAmount), reason },
    };
  }
}

interface TotalsParameters extends EarnOutTerms {
  user: string;
}

/** The totals, with amounts in the format of PostgreSQL. */
interface AccountTotalsRow extends Omit<AccountTotals, 'blocked'> {
  blockedReason: BlockedEarnings['reason'] | null;
  blockedAmount: string;
  /** How many commissions became available between `matured_until` of the totals and now. */
  walked: string;
}

function totalsStatement(database: Database, totals: Totals): Statement<TotalsParameters> {
  const { accounts } = database.tables;
  const sum = (mode: EarningMode, column: string): string =>
    `coalesce(sum(t."${column}"::numeric) FILTER (WHERE t.mode = '${mode}'), 0)`;
  return statement<TotalsParameters>(
    { user: true, ...termNames },
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
          FROM ${accounts} a LEFT JOIN (${totals.currentSql($)}) AS t ON true WHERE a.user_id = ${$.user}
          GROUP BY a.user_id
        ),
        -- The same as rows, with the time from which on each mode can be paid.
        by_mode AS (
          SELECT m.mode, earned.amount, ${payableFrom(database, 'at.now', $)} AS from_time
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
          ${timeInResult(`CASE WHEN due.amount >= coalesce(a.minimum, ${$.minimum}::numeric)
            THEN greatest(${periodStart('a', 'at.now', $.period)}, due.since)
            ELSE coalesce(due.next_time, ${periodEnd('a', 'at.now', $.period)}) END`)} AS "nextEarnOutAt",
          summed.credits::text AS "creditsEarned", summed.payout::text AS "payoutsEarned",
          summed.total_credits::text AS "totalCreditsEarned", summed.total_payouts::text AS "totalPayoutsEarned",
          CASE WHEN a.suspended_at IS NOT NULL THEN greatest(summed.credits, 0) + greatest(summed.payout, 0)
            ELSE summed.payout END::text AS "blockedAmount",
          CASE WHEN a.suspended_at IS NOT NULL AND (summed.credits > 0 OR summed.payout > 0) THEN 'suspended'
            WHEN summed.payout > 0 AND NOT ${$.isPayoutOffered}::boolean THEN 'no-payout-option'
            WHEN summed.payout > 0 AND a.payout_email IS NULL THEN 'no-payout-address'
            WHEN summed.payout > 0 AND a.held_for <> '{}' THEN 'review' END AS "blockedReason"
        FROM ${accounts} a CROSS JOIN at CROSS JOIN summed CROSS JOIN due WHERE a.user_id = ${$.user}`,
  );
}
