import type { Database } from '../../database/database';
import type { Placeholders } from '../../database/named-parameters';
import { isEnough, isEnoughPaid, isForProduct, isOn } from './channel-terms';
import { limitOfReferrer, monthsLater, programTermNames, programTerms, termsOfPurchase } from './chosen-terms';
import type { PurchaseParameters } from './purchase-statement';

type Tables = Database['tables'];
type Parameters = Placeholders<PurchaseParameters>;

/**
 * The CTEs of a purchase that compute its commission: who earns it (`choice`), on which terms (`priced`), and how much
 * (`earning`). They only read. They need the CTEs `at` (the time of the purchase) and `buyer` (the buyer's row).
 *
 * @param isLimited whether they read what the referrer has earned in the period of a limit.
 */
export function commissionAmount(database: Database, $: Parameters, isLimited: boolean): string {
  const { tables } = database;
  return [candidates(database, $), choice(tables), amount(database, $, isLimited)].join(',');
}

const candidates = ({ tables, currency }: Database, $: Parameters): string => `
    -- The referrals that the purchase can be credited to, best first, with the terms of the program or the sign-up.
    candidates (rank, source, referral_id, referrer_id, is_self_referral, ${programTermNames}) AS (
      SELECT 1, 'coupon', c.id, NULL, b.is_own_channel, ${programTerms(null)}
      FROM buyer b JOIN ${tables.channels} c ON c.id = b.channel_id JOIN ${tables.referrals} r ON r.id = c.id CROSS JOIN at
      WHERE ${isOn('at.purchased_at')} AND ${isForProduct($.product)} AND CASE WHEN ${$.price}::numeric IS NULL
        THEN ${isEnoughPaid(`${$.amount}::numeric`, currency.digits)} ELSE ${isEnough(`${$.price}::numeric`)} END
      UNION ALL SELECT 2, 'sign-up', s.referral_id, s.referrer_id, s.is_self_referral, ${programTerms('s')}
      FROM ${tables.signups} s WHERE s.user_id = ${$.buyer} AND s.referrer_id IS NOT NULL
      UNION ALL SELECT 3, 'attribution', r.id, NULL, ${$.isSelfReferral}::boolean, ${programTerms('program')}
      FROM ${tables.referrals} r LEFT JOIN ${tables.programs} program ON program.id = r.program_id
      WHERE r.id = ${$.attributedReferral}::bigint
      UNION ALL SELECT 4, 'earlier-coupon', last_channel_id, NULL, is_own_last_channel, ${programTerms(null)}
      FROM buyer WHERE last_channel_id IS NOT NULL
    )`;

const choice = (tables: Tables): string => `
    -- The best candidate with a referrer.
    choice AS (
      SELECT k.source, k.referral_id, k.is_self_referral, coalesce(k.referrer_id, r.user_id) AS referrer_id,
        ${programTerms('k')}
      FROM candidates k JOIN ${tables.referrals} r ON r.id = k.referral_id
      WHERE coalesce(k.referrer_id, r.user_id) IS NOT NULL ORDER BY k.rank LIMIT 1
    )`;

const places = { account: 'a', channel: 'c', program: 'k' };

/** SQL: the rate of the channel `c` at the time of the purchase; null without a channel. */
const channelRate = `CASE
            WHEN at.purchased_at
              < least(b.first_purchase_at, at.purchased_at) + c.initial_rate_period_days * interval '24 hours'
            THEN c.initial_rate ELSE c.ongoing_rate
          END`;

const amount = ({ tables, currency: { digits } }: Database, $: Parameters, isLimited: boolean): string => `
    -- The commission without the limits (whole), and what they leave: for this referee (room), for the referrer in the
    -- period (referrer_room), in purchases and in time. Also what else changes.
    priced AS (
      SELECT k.source, k.referral_id, k.is_self_referral, k.referrer_id, c.id AS channel_id, c.is_recurring,
        t.terms_from, t.rate, t.flat_amount, t.months, t.purchases, t.max, l.max_per_referrer, l.period,
        CASE WHEN k.referrer_id IS NOT NULL THEN coalesce(a.mode, 'credits') END AS mode,
        a.user_id IS NULL AS is_first_use, a.suspended_at IS NOT NULL AS is_suspended,
        e.user_id IS NULL AS is_new, e.upgraded_at IS NULL AND ${$.amount}::numeric > 0 AS is_upgrade,
        k.source IS NOT DISTINCT FROM 'attribution' AND ${$.isOwnReferral}::boolean AS is_own,
        k.source IS NOT DISTINCT FROM 'coupon' AND NOT b.is_redeemed AS is_redeeming,
        CASE WHEN t.flat_amount IS NULL THEN round(${$.amount}::numeric * t.rate, ${digits})
          WHEN ${$.amount}::numeric > 0 THEN round(t.flat_amount, ${digits}) ELSE 0 END AS whole,
        trunc(t.max - coalesce(e.earned, 0), ${digits}) AS room,
        ${isLimited ? `trunc(l.max_per_referrer - coalesce(period.earned, 0), ${digits})` : 'NULL::numeric'} AS referrer_room,
        t.purchases - coalesce(e.purchases, 0) AS purchases_left,
        ${monthsLater('least(e.first_purchase_at, at.purchased_at)', 't.months')} AS term_until
      FROM at CROSS JOIN buyer b LEFT JOIN choice k ON true
      LEFT JOIN ${tables.channels} c ON c.id = k.referral_id
      LEFT JOIN ${tables.accounts} a ON a.user_id = k.referrer_id
      LEFT JOIN ${tables.referees} e ON e.user_id = k.referrer_id AND e.referee_id = ${$.buyer}
      LEFT JOIN LATERAL ${termsOfPurchase(places, channelRate, $)} AS t ON k.referrer_id IS NOT NULL
      LEFT JOIN LATERAL ${limitOfReferrer(places, 'at.purchased_at', $)} AS l ON k.referrer_id IS NOT NULL
      ${isLimited ? `LEFT JOIN ${tables.referrerPeriods} period ON period.user_id = k.referrer_id AND period.period = l.period` : ''}
    ),
    -- Why there is no commission. is_revenue: there is a channel, and no sign-up or attribution to another referrer.
    judged AS (
      SELECT *, coalesce(channel_id IS NOT NULL AND NOT is_own AND NOT EXISTS (
          SELECT FROM ${tables.signups} s WHERE s.user_id = ${$.buyer} AND s.referrer_id <> priced.referrer_id
          UNION ALL SELECT FROM ${tables.referrals} r
          WHERE r.id = ${$.attributedReferral}::bigint AND r.user_id <> priced.referrer_id AND NOT EXISTS (
            SELECT FROM ${tables.signups} WHERE user_id = ${$.buyer} AND referrer_id IS NOT NULL
          )
        ), false) AS is_revenue,
        CASE WHEN referrer_id IS NULL THEN 'no-referrer' WHEN is_own THEN 'own-referral'
          WHEN is_suspended THEN 'suspended' WHEN rate = 0 THEN 'no-rate'
          WHEN (SELECT purchased_at FROM at) >= term_until THEN 'term-ended'
          WHEN purchases_left <= 0 THEN 'purchases-used' WHEN whole = 0 THEN 'too-small'
          WHEN room <= 0 THEN 'limit-reached' WHEN referrer_room <= 0 THEN 'referrer-limit' END AS no_commission
      FROM priced
    ),
    -- The amount of the commission: the whole, or what the limits leave. is_limited: a limit for the referrer counts.
    earning AS (
      SELECT *, CASE WHEN no_commission IS NULL THEN least(whole, room, referrer_room) ELSE 0 END AS earned,
        no_commission IS NULL AND max_per_referrer IS NOT NULL AS is_limited
      FROM judged
    )`;
