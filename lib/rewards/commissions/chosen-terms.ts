import type { Placeholders } from '../../database/named-parameters';
import type { Settings } from '../../options';
import { periodAt } from '../records/calendar-period';

/** The option `commission`, as parameters of a statement. */
export interface OptionTerms {
  optionRatio: string | null;
  optionAmount: string | null;
  optionMonths: number | null;
  optionPurchases: number | null;
  optionMaxPerReferee: string | null;
  optionMaxPerReferrer: string | null;
  optionPeriod: string | null;
}

export const optionTermNames: Record<keyof OptionTerms, true> = {
  ...{ optionRatio: true, optionAmount: true, optionMonths: true, optionPurchases: true, optionMaxPerReferee: true },
  ...{ optionMaxPerReferrer: true, optionPeriod: true },
};

export function optionTerms({ commission }: Settings): OptionTerms {
  return {
    optionRatio: commission.ratio,
    optionAmount: commission.amount,
    optionMonths: commission.months,
    optionPurchases: commission.purchases,
    optionMaxPerReferee: commission.maxPerReferee,
    optionMaxPerReferrer: commission.maxPerReferrer,
    optionPeriod: commission.period,
  };
}

/** The columns of a program, as a sign-up copies them, that say what a purchase earns and how much a referrer can. */
const ofProgram = [
  ...['commission_ratio numeric', 'commission_amount numeric', 'commission_months integer'],
  ...['commission_purchases integer', 'commission_max_per_referee numeric'],
  ...['commission_max_per_referrer numeric', 'commission_period varchar'],
].map((column) => column.split(' ') as [name: string, type: string]);

/** SQL: the columns of a program's terms, of the alias of a program or a sign-up, or nulls. */
export const programTerms = (alias: string | null): string =>
  ofProgram.map(([name, type]) => (alias === null ? `NULL::${type}` : `${alias}.${name}`)).join(', ');

/** SQL: the names of those columns. */
export const programTermNames = ofProgram.map(([name]) => name).join(', ');

/** The aliases of the rows that have terms: of an account, a channel, and a program or its copy in a sign-up. */
interface Places {
  account: string;
  channel: string;
  program: string;
}

/**
 * SQL: a subquery for what a purchase earns, with the columns `terms_from`, `rate`, `flat_amount`, `months`, `purchases` and
 * `max`. The terms are those of the most particular place that has a ratio or an amount.
 *
 * @param channelRate the rate of the channel at the time; null without a channel.
 */
export function termsOfPurchase(
  { account: a, channel: c, program: p }: Places,
  channelRate: string,
  $: Placeholders<OptionTerms>,
): string {
  const columns = (t: string): string => `${t}.commission_amount, ${t}.commission_months, ${t}.commission_purchases`;
  return `(
        SELECT terms_from, rate, flat_amount, months, purchases, max FROM (VALUES
          (1, 'account', ${a}.commission_ratio, ${columns(a)}, ${a}.commission_max_per_referee),
          (2, 'channel', CASE WHEN ${c}.commission_amount IS NULL THEN ${channelRate} END, ${columns(c)},
            ${c}.max_earnings_per_referred),
          (3, 'program', ${p}.commission_ratio, ${columns(p)}, ${p}.commission_max_per_referee),
          (4, 'option', ${$.optionRatio}::numeric, ${$.optionAmount}::numeric, ${$.optionMonths}::integer,
            ${$.optionPurchases}::integer, ${$.optionMaxPerReferee}::numeric)
        ) AS place (rank, terms_from, rate, flat_amount, months, purchases, max)
        WHERE num_nonnulls(rate, flat_amount) > 0 ORDER BY rank LIMIT 1
      )`;
}

/**
 * SQL: a subquery for the limit of a referrer, with the columns `max_per_referrer`, `period_kind` and `period`: that of the
 * most particular place that has one, the kind of its period, and the period's name at a time. No row without a limit.
 */
export function limitOfReferrer(
  { account: a, channel: c, program: p }: Places,
  at: string,
  $: Placeholders<Pick<OptionTerms, 'optionMaxPerReferrer' | 'optionPeriod'>>,
): string {
  return `(
        SELECT max_per_referrer, kind AS period_kind, ${periodAt('kind', at)} AS period FROM (VALUES
          (1, ${a}.commission_max_per_referrer, ${a}.commission_period),
          (2, ${c}.commission_max_per_referrer, ${c}.commission_period),
          (3, ${p}.commission_max_per_referrer, ${p}.commission_period),
          (4, ${$.optionMaxPerReferrer}::numeric, ${$.optionPeriod}::varchar)
        ) AS place (rank, max_per_referrer, kind)
        WHERE max_per_referrer IS NOT NULL ORDER BY rank LIMIT 1
      )`;
}

/** SQL: the names of the periods of all kinds at a time, as a list. */
export const periodsAt = (at: string): string =>
  ['month', 'quarter', 'year', 'all'].map((kind) => periodAt(`'${kind}'`, at)).join(', ');

/** SQL: the time some calendar months later, in UTC whatever the time zone of the session is; null for null months. */
export const monthsLater = (time: string, months: string): string =>
  `((${time} AT TIME ZONE 'UTC' + ${months} * interval '1 month') AT TIME ZONE 'UTC')`;

/**
 * SQL: a subquery for what a sign-up earns, with the columns `terms_from`, `flat_amount` and `is_later`: whether only once
 * `qualify` is called. It is what the most particular place says that says anything about sign-ups.
 */
export function termsOfSignup(
  { account, channel, program }: Places,
  { commission: { signup, qualify } }: Pick<Settings, 'commission'>,
): string {
  const columns = (t: string): string => `${t}.commission_signup, ${t}.commission_qualify`;
  return `(
        SELECT terms_from, flat_amount, coalesce(qualify, false) AS is_later FROM (VALUES
          (1, 'account', ${columns(account)}), (2, 'channel', ${columns(channel)}), (3, 'program', ${columns(program)}),
          (4, 'option', ${signup}::numeric, ${qualify})
        ) AS place (rank, terms_from, flat_amount, qualify)
        WHERE flat_amount IS NOT NULL ORDER BY rank LIMIT 1
      )`;
}
