import type { Database } from '../../database/database';
import { type Statement, statement } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import { ReferralCommission } from '../../entities/referral-commission';
import { ReferralSignup } from '../../entities/referral-signup';
import type { Settings } from '../../options';
import { availableColumns, availableFrom } from './available-from';
import { limitOfReferrer, optionTermNames, type OptionTerms, termsOfPurchase, termsOfSignup } from './chosen-terms';
import { sharedRows } from './purchase-statement';

export interface SignupCommissionParameters extends OptionTerms {
  /** The referee. */
  user: string;
  /** The reference of `qualify`; `''` at the sign-up. */
  reference: string;
  /** The time of the injected clock; null for that of the statement. */
  now: Date | null;
  pendingDays: number;
}

/** The result, one row: the columns of the sign-up as it is now, and of its commission, or nulls if there is none. */
export interface SignupCommissionRow {
  /** Whether this call has decided what the sign-up earns. */
  'isNew': boolean;
  'signup.id': string | null;
  'commission.id': string | null;
}

/**
 * Decides once what a sign-up itself earns the referrer, and makes the commission. At the sign-up (with the reference `''`) it does
 * nothing if the terms wait for `qualify`.
 *
 * The caller holds the lock on the referee's row as a buyer (`takeTurn`), so that the room of the limit for the referee is
 * what it reads. The other locks, and their order, are those of a purchase.
 */
export function signupCommissionStatement(
  database: Database,
  settings: Settings,
): Statement<SignupCommissionParameters> {
  const { tables } = database;
  const { digits } = database.currency;
  const places = { account: 'a', channel: 'c', program: 's' };
  return statement<SignupCommissionParameters>(
    { user: true, reference: true, now: true, pendingDays: true, ...optionTermNames },
    ($) => `
    WITH
    -- The sign-up.
    wanted AS (
      SELECT * FROM ${tables.signups} WHERE user_id = ${$.user}
    ),
    -- The time; not before the sign-up, which another machine may have made, whose option clock is ahead.
    at AS (
      SELECT greatest(${timeOf($.now)}, (SELECT created_at FROM wanted)) AS now
    ),
    -- What the sign-up earns without the limits (whole), and what they leave. No row if it is decided, or if it is not due yet.
    priced AS (
      SELECT s.id AS signup_id, s.referral_id, s.referrer_id, s.is_self_referral, c.id AS channel_id,
        coalesce(a.mode, 'credits') AS mode, a.suspended_at IS NOT NULL AS is_suspended, t.terms_from, t.flat_amount, p.max, l.max_per_referrer, l.period,
        round(t.flat_amount, ${digits}) AS whole, trunc(p.max - coalesce(e.earned, 0), ${digits}) AS room,
        trunc(l.max_per_referrer - coalesce(period.earned, 0), ${digits}) AS referrer_room
      FROM wanted s CROSS JOIN at
      LEFT JOIN ${tables.channels} c ON c.id = s.referral_id
      LEFT JOIN ${tables.accounts} a ON a.user_id = s.referrer_id
      LEFT JOIN ${tables.referees} e ON e.user_id = s.referrer_id AND e.referee_id = s.user_id
      CROSS JOIN LATERAL ${termsOfSignup(places, settings)} AS t
      CROSS JOIN LATERAL ${termsOfPurchase(places, 'c.initial_rate', $)} AS p
      LEFT JOIN LATERAL ${limitOfReferrer(places, 'at.now', $)} AS l ON true
      LEFT JOIN ${tables.referrerPeriods} period ON period.user_id = s.referrer_id AND period.period = l.period
      WHERE s.qualified_at IS NULL AND (${$.reference} <> '' OR NOT t.is_later)
    ),
    -- Why there is no commission.
    judged AS (
      SELECT *, CASE WHEN referrer_id IS NULL THEN 'no-referrer' WHEN is_self_referral THEN 'self-referral'
          WHEN is_suspended THEN 'suspended'
          WHEN flat_amount = 0 THEN 'no-rate' WHEN whole = 0 THEN 'too-small' WHEN room <= 0 THEN 'limit-reached'
          WHEN referrer_room <= 0 THEN 'referrer-limit' END AS no_commission
      FROM priced
    ),
    -- The amount of the commission, and what sharedRows reads of a purchase.
    earning AS (
      SELECT *, CASE WHEN no_commission IS NULL THEN least(whole, room, referrer_room) ELSE 0 END AS earned,
        no_commission IS NULL AND max_per_referrer IS NOT NULL AS is_limited, false AS is_first_use, false AS is_new,
        false AS is_upgrade, false AS is_own, false AS is_redeeming, false AS is_revenue
      FROM judged
    ),
    -- Keeps that it is decided. It guards the writes below: no row if another call has decided it meanwhile.
    purchased AS (
      UPDATE ${tables.signups} s SET qualified_at = at.now, qualification = ${$.reference},
        no_commission = earning.no_commission
      FROM earning CROSS JOIN at WHERE s.user_id = ${$.user} AND s.qualified_at IS NULL
      RETURNING s.*
    ),
    -- Adds to the sum that this referee has earned the referrer.
    counted AS (
      UPDATE ${tables.referees} e SET earned = e.earned + earning.earned
      FROM earning CROSS JOIN purchased
      WHERE e.user_id = earning.referrer_id AND e.referee_id = ${$.user} AND earning.no_commission IS NULL
      RETURNING e.met_by, e.held_for
    ),
    -- Inserts the commission with the current terms. It is available a number of days later.
    commission AS (
      INSERT INTO ${tables.commissions} (user_id, referee_id, kind, purchase, signup_id, referral_id, channel_id, mode,
        flat_amount, terms_from, max_per_referee, room, max_per_referrer, period, referrer_room, pending_days, earned,
        amount, ${availableColumns}, created_at, updated_at)
      SELECT earning.referrer_id, ${$.user}, 'sign-up', ${$.reference}, earning.signup_id, earning.referral_id,
        earning.channel_id, earning.mode, earning.flat_amount, earning.terms_from, earning.max, earning.room,
        earning.max_per_referrer, earning.period, earning.referrer_room, ${$.pendingDays}::integer, earning.earned,
        earning.earned, ${availableFrom(`at.now + ${$.pendingDays}::integer * interval '24 hours'`)}, at.now, at.now
      FROM earning CROSS JOIN at CROSS JOIN purchased WHERE earning.no_commission IS NULL
      RETURNING *
    ),
    ${sharedRows(tables, { amount: '0' }, { isLimited: true })}
    SELECT EXISTS (SELECT FROM purchased) AS "isNew", ${database.columns(ReferralSignup, 's', 'signup.')},
      ${database.columns(ReferralCommission, 'm', 'commission.')}
    FROM (SELECT) AS always
    LEFT JOIN (
      SELECT * FROM purchased UNION ALL SELECT * FROM wanted WHERE NOT EXISTS (SELECT FROM purchased)
    ) AS s ON true
    LEFT JOIN (
      SELECT * FROM commission
      UNION ALL SELECT m.* FROM wanted s JOIN ${tables.commissions} m
        ON m.referee_id = ${$.user} AND m.kind = 'sign-up' AND m.signup_id = s.id AND m.moved_at IS NULL
    ) AS m ON true`,
  );
}
