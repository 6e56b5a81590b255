import { shownRatio } from '../../currency';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import { timeInResult } from '../../database/result-types';
import { timeOf } from '../../database/statement-time';
import type { Settings } from '../../options';
import type { LimitPeriod } from '../../types/commissions';
import type { OfferedTerms, OwnLink } from '../../types/figures';
import { limitOfReferrer, optionTerms, termsOfPurchase, termsOfSignup } from '../commissions/chosen-terms';
import { closedUntil, nothingClosed } from './day-closing';
import { linkColumns, linkOf, type LinkRow } from './links';

/** A link, and what it offers at a time. */
export interface OfferingLink {
  now: Date;
  link: OwnLink;
  terms: OfferedTerms;
  /** Until when the user's days are closed. */
  closed: string;
}

interface OfferRow extends LinkRow {
  now: Date;
  closed: string;
  friendAmount: string | null;
  friendDays: number | null;
  rewardAmount: string | null;
  rewardDays: number | null;
  threshold: string | null;
  limitCount: number | null;
  limitPeriod: LimitPeriod | null;
  signupAmount: string | null;
  isLater: boolean | null;
  rate: string | null;
  flatAmount: string | null;
  months: number | null;
  purchases: number | null;
  max: string | null;
  maxPerReferrer: string | null;
  period: LimitPeriod | null;
}

/**
 * Reads a link of a user's with the terms that apply to somebody who comes through it now: those of the account, else of the program,
 * else of the option `commission`, as a purchase and a sign-up choose them.
 */
export class OfferedTermsReader {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #settings: Settings;

  constructor(database: Database, clock: Clock, settings: Settings) {
    this.#database = database;
    this.#clock = clock;
    this.#settings = settings;
  }

  /** Returns the link; null if it was deleted meanwhile. */
  async of(user: string, referral: number): Promise<OfferingLink | null> {
    const { referrals, programs, channels, accounts } = this.#database.tables;
    const places = { account: 'a', channel: 'c', program: 'p' };
    const [row] = await this.#database.query<OfferRow>(
      sql(
        { user, referral, now: this.#clock.parameter(), ...optionTerms(this.#settings) },
        ($) => `
        SELECT ${timeInResult(timeOf($.now))} AS now, ${linkColumns(timeOf($.now))},
          coalesce(${closedUntil(this.#database.tables, $.user, timeOf($.now))}, '${nothingClosed}') AS closed,
          p.referral_credit_amount AS "friendAmount", p.referral_credit_duration AS "friendDays",
          p.reward_credit_amount AS "rewardAmount", p.reward_credit_duration AS "rewardDays",
          p.before_reward_usage_threshold AS threshold, p.reward_limit_count AS "limitCount",
          p.reward_limit_period AS "limitPeriod", s.flat_amount AS "signupAmount", s.is_later AS "isLater", b.rate,
          b.flat_amount AS "flatAmount", b.months, b.purchases, b.max, m.max_per_referrer AS "maxPerReferrer",
          m.period_kind AS period
        FROM ${referrals} r LEFT JOIN ${programs} p ON p.id = r.program_id LEFT JOIN ${channels} c ON c.id = r.id
        LEFT JOIN ${accounts} a ON a.user_id = ${$.user}
        LEFT JOIN LATERAL ${termsOfPurchase(places, 'c.initial_rate', $)} AS b ON true
        LEFT JOIN LATERAL ${termsOfSignup(places, this.#settings)} AS s ON true
        LEFT JOIN LATERAL ${limitOfReferrer(places, timeOf($.now), $)} AS m ON true
        WHERE r.id = ${$.referral} AND r.user_id = ${$.user}`,
      ),
    );
    return row ? { now: row.now, link: linkOf(row), terms: this.#termsOf(row), closed: row.closed } : null;
  }

  #termsOf(row: OfferRow): OfferedTerms {
    const shown = (amount: string): string => this.#database.shown(amount);
    const isZero = (amount: string | null): boolean => amount === null || Number(amount) === 0;
    const { friendAmount, friendDays, rewardAmount, rewardDays, limitCount, limitPeriod } = row;
    const { rate, flatAmount, months, purchases, max, signupAmount, maxPerReferrer } = row;
    const purchase = {
      ratio: rate === null ? null : shownRatio(rate),
      amount: flatAmount === null ? null : shown(flatAmount),
      ...{ months, purchases, maxPerReferee: max === null ? null : shown(max) },
    };
    return {
      friend: friendAmount === null ? null : { amount: shown(friendAmount), durationDays: friendDays! },
      reward:
        rewardAmount === null
          ? null
          : {
              ...{ amount: shown(rewardAmount), durationDays: rewardDays!, afterUsage: shown(row.threshold!) },
              limit: limitCount === null ? null : { count: limitCount, period: limitPeriod! },
            },
      signup: isZero(signupAmount) ? null : { amount: shown(signupAmount!), isLater: row.isLater! },
      purchase: isZero(rate) && isZero(flatAmount) ? null : purchase,
      limit: maxPerReferrer === null ? null : { amount: shown(maxPerReferrer), period: row.period! },
    };
  }
}
