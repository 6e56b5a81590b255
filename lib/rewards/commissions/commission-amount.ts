import type { Database } from '../../database/database';
import type { Placeholders } from '../../database/named-parameters';
import { isEnough, isEnoughPaid, isForProduct, isOn } from './channel-terms';
import type { PurchaseParameters } from './purchase-statement';

type Tables = Database['tables'];
type Parameters = Placeholders<PurchaseParameters>;

/**
 * The CTEs of a purchase that compute its commission: who earns it, at which rate and limit (`choice`), and how much
 * (`earning`). They only read. They need the CTEs `at` (the time of the purchase) and `buyer` (the buyer's row).
 */
export function commissionAmount(tables: Tables, $: Parameters): string {
  return [candidates(tables, $), choice(tables, $), amount(tables, $)].join(',');
}

const candidates = (tables: Tables, $: Parameters): string => `
    -- The referrals that the purchase can be credited to, best first.
    candidates (rank, source, referral_id, referrer_id, ratio, max, is_self_referral) AS (
      SELECT 1, 'coupon', c.id, NULL, NULL::numeric, NULL::numeric, b.is_own_channel
      FROM buyer b JOIN ${tables.channels} c ON c.id = b.channel_id JOIN ${tables.referrals} r ON r.id = c.id CROSS JOIN at
      WHERE ${isOn('at.purchased_at')} AND ${isForProduct($.product)} AND CASE WHEN ${$.price}::numeric IS NULL
        THEN ${isEnoughPaid(`${$.amount}::numeric`)} ELSE ${isEnough(`${$.price}::numeric`)} END
      UNION ALL SELECT 2, 'sign-up', referral_id, referrer_id, commission_ratio, commission_max_per_referee,
        is_self_referral
      FROM ${tables.signups} WHERE user_id = ${$.buyer} AND referrer_id IS NOT NULL
      UNION ALL SELECT 3, 'attribution', r.id, NULL, program.commission_ratio, program.commission_max_per_referee,
        ${$.isSelfReferral}::boolean
      FROM ${tables.referrals} r LEFT JOIN ${tables.programs} program ON program.id = r.program_id
      WHERE r.id = ${$.attributedReferral}::bigint
      UNION ALL SELECT 4, 'earlier-coupon', last_channel_id, NULL, NULL, NULL, is_own_last_channel
      FROM buyer WHERE last_channel_id IS NOT NULL
    )`;

const choice = (tables: Tables, $: Parameters): string => `
    -- The best candidate with a referrer. Rate and limit come from its channel, else its program, else the options.
    choice AS (
      SELECT k.source, k.referral_id, k.is_self_referral, c.id AS channel_id, c.is_recurring,
        coalesce(k.referrer_id, r.user_id) AS referrer_id,
        coalesce(CASE
          WHEN at.purchased_at
            < least(b.first_purchase_at, at.purchased_at) + c.initial_rate_period_days * interval '24 hours'
          THEN c.initial_rate ELSE c.ongoing_rate
        END, k.ratio, ${$.defaultRate}::numeric) AS rate,
        CASE WHEN c.id IS NOT NULL THEN c.max_earnings_per_referred
          WHEN k.ratio IS NOT NULL THEN k.max ELSE ${$.defaultLimit}::numeric END AS max
      FROM candidates k JOIN ${tables.referrals} r ON r.id = k.referral_id
      LEFT JOIN ${tables.channels} c ON c.id = r.id
      CROSS JOIN at CROSS JOIN buyer b
      WHERE coalesce(k.referrer_id, r.user_id) IS NOT NULL ORDER BY k.rank LIMIT 1
    )`;

const amount = (tables: Tables, $: Parameters): string => `
    -- The commission without the limit (whole), what the limit leaves for this referee (room), and what else changes.
    priced AS (
      SELECT choice.*, CASE WHEN choice.referrer_id IS NOT NULL THEN coalesce(a.mode, 'credits') END AS mode,
        a.user_id IS NULL AS is_first_use,
        e.user_id IS NULL AS is_new, e.upgraded_at IS NULL AND ${$.amount}::numeric > 0 AS is_upgrade,
        choice.source IS NOT DISTINCT FROM 'attribution' AND ${$.isOwnReferral}::boolean AS is_own,
        choice.source IS NOT DISTINCT FROM 'coupon' AND NOT b.is_redeemed AS is_redeeming,
        round(${$.amount}::numeric * choice.rate, 2) AS whole, trunc(choice.max - coalesce(e.earned, 0), 2) AS room
      FROM at CROSS JOIN buyer b LEFT JOIN choice ON true
      LEFT JOIN ${tables.accounts} a ON a.user_id = choice.referrer_id
      LEFT JOIN ${tables.referees} e ON e.user_id = choice.referrer_id AND e.referee_id = ${$.buyer}
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
        CASE WHEN referrer_id IS NULL THEN 'no-referrer' WHEN is_own THEN 'own-referral' WHEN rate = 0 THEN 'no-rate'
          WHEN whole = 0 THEN 'too-small' WHEN room <= 0 THEN 'limit-reached' END AS no_commission
      FROM priced
    ),
    -- The amount of the commission: the whole, or what the limit leaves.
    earning AS (
      SELECT *, CASE WHEN no_commission IS NULL THEN least(whole, room) ELSE 0 END AS earned FROM judged
    )`;
