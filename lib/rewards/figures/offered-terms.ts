import { shownRatio } from '../../currency';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { type Statement, statement } from '../../database/named-parameters';
import { timeInResult } from '../../database/result-types';
import { timeOf } from '../../database/statement-time';
import type { Settings } from '../../options';
import type { LimitPeriod } from '../../types/commissions';
import type { OfferedTerms, OwnLink } from '../../types/figures';
import {
  limitOfReferrer,
  optionTermNames,
  type OptionTerms,
  optionTerms,
  termsOfPurchase,
  termsOfSignup,
} from '../commissions/chosen-terms';
import { linkColumns, linkOf, type LinkRow } from './links';

/** The link of an account, and what it offers at a time. */
export interface OfferingLink {
  now: Date;
  link: OwnLink;
  terms: OfferedTerms;
  isSuspended: boolean;
}

interface OfferParameters extends OptionTerms {
  user: string;
  now: Date | null;
}

interface OfferRow extends LinkRow {
  now: Date;
  isSuspended: boolean;
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
 * Reads the link of a user's account with the terms that apply to somebody who comes through it now: those of the account, else
 * of the program, else of the option `commission`, as a purchase and a sign-up choose them.
 */
export class OfferedTermsReader {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #optionTerms: OptionTerms;
  readonly #statement: Statement<OfferParameters>;

  constructor(database: Database, clock: Clock, settings: Settings) {
    this.#database = database;
    this.#clock = clock;
    this.#optionTerms = optionTerms(settings);
    this.#statement = database.prepared(offerStatement(database, settings));
  }

  /** Returns the link of a user's account; null if the user has none yet. */
  async of(user: string): Promise<OfferingLink | null> {
    const parameters = { user, now: this.#clock.parameter(), ...this.#optionTerms };
    const [row] = await this.#database.query<OfferRow>(this.#statement.with(parameters));
    return row ? { now: row.now, link: linkOf(row), terms: this.#termsOf(row), isSuspended: row.isSuspended } : null;
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

function offerStatement({ tables }: Database, settings: Settings): Statement<OfferParameters> {
  const { referrals, programs, channels, accounts } = tables;
  const places = { account: 'a', channel: 'c', program: 'p' };
  return statement<OfferParameters>(
    { user: true, now: true, ...optionTermNames },
    ($) => `
        SELECT ${timeInResult(timeOf($.now))} AS now, ${linkColumns(timeOf($.now))},
          a.suspended_at IS NOT NULL AS "isSuspended",
          p.referral_credit_amount AS "friendAmount", p.referral_credit_duration AS "friendDays",
          p.reward_credit_amount AS "rewardAmount", p.reward_credit_duration AS "rewardDays",
          p.before_reward_usage_threshold AS threshold, p.reward_limit_count AS "limitCount",
          p.reward_limit_period AS "limitPeriod", s.flat_amount AS "signupAmount", s.is_later AS "isLater", b.rate,
          b.flat_amount AS "flatAmount", b.months, b.purchases, b.max, m.max_per_referrer AS "maxPerReferrer",
          m.period_kind AS period
        FROM ${accounts} a JOIN ${referrals} r ON r.id = a.referral_id AND r.user_id = a.user_id
        LEFT JOIN ${programs} p ON p.id = r.program_id LEFT JOIN ${channels} c ON c.id = r.id
        LEFT JOIN LATERAL ${termsOfPurchase(places, 'c.initial_rate', $)} AS b ON true
        LEFT JOIN LATERAL ${termsOfSignup(places, settings)} AS s ON true
        LEFT JOIN LATERAL ${limitOfReferrer(places, timeOf($.now), $)} AS m ON true
        WHERE a.user_id = ${$.user}`,
  );
}
