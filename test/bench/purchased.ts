import type { DataSource } from 'typeorm';
import { quotientInCents } from '../../lib/rewards/commissions/quotient';

/** Where a process finds what it measures. */
export interface Place {
  databaseUrl: string;
  schema: string;
}

/** A share of the price, as the options and channels of the benchmarks have it. */
export const rate = '0.25';
export const pendingDays = 30;

/** In SQL: what one of a few plans costs, so that amounts repeat a lot. */
export const price = (n: string): string =>
  `(ARRAY[5, 9.99, 19, 29, 49, 49, 99, 199]::numeric[])[1 + mod(hashint8(${n})::bigint & 2147483647, 8)]`;

/**
 * Stores a past of purchases, none earned out, with all that belongs to it, so that `verify()` finds nothing wrong.
 *
 * `given` is SQL that answers `referrer, referee, reference, paid, at, channel_id, mode, refund`, one row a purchase:
 * `paid` is null for one who has signed up only; `at` differs among one's purchases; a referee keeps to one referrer
 * and channel; `refund` is up to `paid`. `modeOf` is SQL for the mode that the account of `referrer` has now.
 */
export async function storePast(
  dataSource: DataSource,
  schema: string,
  given: string,
  modeOf = `'credits'`,
): Promise<void> {
  await dataSource.transaction(async (manager) => {
    const sql = (text: string): Promise<unknown> => manager.query(text.replaceAll('@', `"${schema}".`));
    // The foreign keys are not checked, because a look-up for each row would take most of the time. All rows refer to
    // stored ones.
    await sql('SET LOCAL session_replication_role = replica');
    await sql(`SET LOCAL work_mem = '256MB'`);
    await sql(`CREATE TEMP TABLE given ON COMMIT DROP AS ${given}`);
    await sql(`INSERT INTO @referrals (user_id, code, redirect_to)
      SELECT referrer, 'OF-' || referrer, '/' FROM (SELECT DISTINCT referrer FROM given ORDER BY 1) AS users`);
    await sql('ANALYZE given');
    await sql(`CREATE TEMP TABLE past ON COMMIT DROP AS
      SELECT g.*, coalesce(g.channel_id, r.id) AS referral_id, round(paid * ${rate}, 2) AS earned,
        ${quotientInCents(`round(paid * ${rate}, 2) * refund`, 'paid', 2)} AS back, refund = paid AS is_whole,
        row_number() OVER (PARTITION BY referee ORDER BY at) = 1 AS is_first
      FROM given g JOIN @referrals r ON r.user_id = g.referrer AND r.code = 'OF-' || g.referrer`);
    await sql('ANALYZE past');

    await sql(`INSERT INTO @referral_signups
        (user_id, referral_id, referrer_id, source, weighed, before_reward_usage_threshold, threshold_reached_at, created_at)
      SELECT referee, referral_id, referrer, 'code', '{"rule":"typed-code"}', 0, coalesce(at, now()), coalesce(at, now())
      FROM past WHERE channel_id IS NULL AND is_first ORDER BY at`);
    await sql(`UPDATE @referrals r SET uses = s.count
      FROM (SELECT referral_id, count(*) FROM @referral_signups GROUP BY 1) s WHERE s.referral_id = r.id`);
    await sql(`INSERT INTO @referral_referees (user_id, referee_id, met_by, earned, purchases, first_purchase_at, upgraded_at, created_at)
      SELECT referrer, referee, CASE WHEN min(channel_id) IS NULL THEN 'sign-up' ELSE 'purchase' END, coalesce(sum(earned - back), 0),
        count(*) FILTER (WHERE paid > 0), min(at), min(at), coalesce(min(at), now()) FROM past GROUP BY 1, 2`);
    await sql(`INSERT INTO @referral_accounts
        (user_id, mode, payout_email, referral_id, users_referred, users_upgraded, created_at, updated_at)
      SELECT r.*, now(), now() FROM (
        SELECT referrer, ${modeOf}, 'payouts@example.com', r.id, count(DISTINCT referee), count(DISTINCT referee) FILTER (WHERE paid > 0)
        FROM past JOIN @referrals r ON r.code = 'OF-' || referrer GROUP BY referrer, r.id ORDER BY r.id
      ) r`);
    await sql(`UPDATE @referral_accounts SET created_at = now() - interval '3 years'`);

    await sql('DELETE FROM past WHERE paid IS NULL');
    await sql(`INSERT INTO @referral_buyers (user_id, first_purchase_at, last_channel_id, purchase_count, purchased)
      SELECT referee, min(at), min(channel_id), count(*), sum(paid) FROM past GROUP BY referee ORDER BY 2`);
    await sql(`INSERT INTO @referral_redemptions (user_id, channel_id, reference, created_at)
      SELECT referee, channel_id, reference, at FROM past WHERE is_first AND channel_id IS NOT NULL ORDER BY at`);
    await sql(`UPDATE @referrals r SET redemptions = r.redemptions + d.count
      FROM (SELECT channel_id, count(*) FROM past WHERE is_first AND channel_id IS NOT NULL GROUP BY 1) d WHERE d.channel_id = r.id`);
    await sql(`INSERT INTO @referral_purchases (user_id, reference, amount, refunded, refund_count, purchased_at, source, referral_id,
        channel_id, referrer_id, mode, rate, is_revenue, created_at)
      SELECT referee, reference, paid, refund, (refund > 0)::integer, at, CASE WHEN channel_id IS NULL THEN 'sign-up' WHEN is_first THEN 'coupon'
        ELSE 'earlier-coupon' END, referral_id, channel_id, referrer, mode, ${rate}, channel_id IS NOT NULL, at FROM past ORDER BY at`);
    await sql(`INSERT INTO @referral_refunds (user_id, reference, purchase, amount, created_at)
      SELECT referee, 're-' || reference, reference, refund, at FROM past WHERE refund > 0 ORDER BY at`);
    await sql(`INSERT INTO @referral_commissions (user_id, referee_id, purchase, referral_id, channel_id, mode, rate, pending_days, earned, amount,
        available_at, reverted_at, created_at, updated_at)
      SELECT referrer, referee, reference, referral_id, channel_id, mode, ${rate}, ${pendingDays}, earned, earned - back,
        at + ${pendingDays} * interval '24 hours', CASE WHEN is_whole THEN at END, at, at FROM past ORDER BY at`);
    await sql(`INSERT INTO @referral_commission_entries (user_id, commission_id, amount, refund, created_at)
      SELECT c.user_id, c.id, -back, 're-' || reference, at FROM past
      JOIN @referral_commissions c ON c.user_id = referrer AND c.referee_id = referee AND c.purchase = reference
      WHERE back > 0 ORDER BY at`);
    await sql(`INSERT INTO @referral_account_totals
        (user_id, channel_id, mode, commissions, reverted, amount, matured_until, redemptions, revenue)
      SELECT referrer, coalesce(channel_id, 0), mode, count(*), count(*) FILTER (WHERE is_whole), sum(earned - back), min(at),
        count(*) FILTER (WHERE is_first AND channel_id IS NOT NULL),
        coalesce(sum(paid - refund) FILTER (WHERE channel_id IS NOT NULL), 0)
      FROM past GROUP BY 1, 2, 3`);
  });
}
