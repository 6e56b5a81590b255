import type { Database } from '../../database/database';
import { type Placeholders, type Statement, statement } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import { ReferralCommission } from '../../entities/referral-commission';
import type { Settings } from '../../options';
import { waitingPurchases } from '../records/second-look';
import { optionTermNames, type OptionTerms } from './chosen-terms';
import { commissionAmount } from './commission-amount';
import {
  decidedTerms,
  newPairSharesAddress,
  type PurchaseParameters,
  refereeAndCommission,
  sharedRows,
} from './purchase-statement';
import { refundedShares } from './refunded-shares';

/** Those of a purchase that do not come from its row, and its reference. */
export type LateParameters = Pick<
  PurchaseParameters,
  | 'buyer'
  | 'reference'
  | 'now'
  | 'attributedReferral'
  | 'attributedOwner'
  | 'isOwnReferral'
  | 'isSelfReferral'
  | keyof OptionTerms
  | 'pendingDays'
>;

/** The result, one row: the columns of the commission, or nulls if there is none. */
export interface LateRow {
  /** Whether the purchase has a referrer now. If not, the buyer has none. */
  'isDecided': boolean;
  /** Whether it makes a pair of referrer and referee with one payout address, if that is asked. */
  'sharesAddress': boolean;
  'referrerId': string | null;
  'commission.id': string | null;
}

/**
 * Decides a waiting purchase of a buyer as `purchaseStatement` would have with the referrer known, and applies
 * the refunds since then. Coupons do not count: without a referrer, none was applied at the time of the purchase.
 *
 * The caller holds the lock on the buyer's row (`takeTurn`), so that the calls for one buyer run one at a time. The
 * other locks, and their order, are those of a purchase.
 */
export function lateStatement(
  database: Database,
  settings: Settings,
  comparesAddresses: boolean,
): Statement<LateParameters> {
  const { tables } = database;
  return statement<LateParameters>(
    {
      ...{
        buyer: true,
        reference: true,
        now: true,
        attributedReferral: true,
        attributedOwner: true,
        isOwnReferral: true,
        isSelfReferral: true,
      },
      ...{ pendingDays: true, ...optionTermNames },
    },
    ($) => {
      const ofPurchase: Placeholders<PurchaseParameters> = {
        ...$,
        amount: '(SELECT amount FROM wanted)',
        // As for a purchase, only the attribution of a buyer without a sign-up counts, and only while the referral has
        // the owner about whom the option isSamePerson was called. Otherwise the purchase goes on waiting.
        attributedReferral: `(SELECT id FROM ${tables.referrals}
          WHERE id = ${$.attributedReferral}::bigint AND user_id = ${$.attributedOwner}
            AND NOT EXISTS (SELECT FROM ${tables.signups} WHERE user_id = ${$.buyer}))`,
        ...{
          price: 'NULL',
          product: 'NULL',
          paidAt: 'NULL',
          isAttributionKnown: 'true',
          currency: 'NULL',
          rate: 'NULL',
        },
      };
      const net = '(SELECT net FROM netted)';
      return `
    WITH
    -- The purchase, if it waits.
    wanted AS (
      ${waitingPurchases(tables, settings, $.buyer, timeOf($.now))} AND p.reference = ${$.reference}
    ),
    -- The time of the statement and that of the purchase; no row if it does not wait. Another machine, whose option clock
    -- is ahead, may have recorded the purchase and its refunds.
    at AS (
      SELECT greatest(${timeOf($.now)}, w.created_at, (
        SELECT max(created_at) FROM ${tables.refunds} WHERE user_id = w.user_id AND purchase = w.reference
      )) AS now, w.purchased_at FROM wanted w
    ),
    -- The buyer's row, without coupons.
    buyer AS (
      SELECT first_purchase_at, NULL::bigint AS channel_id, false AS is_own_channel, false AS is_redeemed,
        NULL::bigint AS last_channel_id, false AS is_own_last_channel
      FROM ${tables.buyers} WHERE user_id = ${$.buyer}
    ),
    ${commissionAmount(database, ofPurchase, true)},
    -- The refunds so far that are not undone, each with what it takes back of the commission.
    refunds AS (
      SELECT r.reference, r.back FROM earning CROSS JOIN (SELECT amount AS paid FROM wanted) AS w
      CROSS JOIN LATERAL ${refundedShares(database, { buyer: $.buyer, purchase: $.reference, earned: 'earning.earned', paid: 'w.paid' })} AS r
    ),
    -- What they have left of it.
    netted AS (
      SELECT earned - coalesce((SELECT sum(back) FROM refunds), 0) AS net FROM earning
    ),
    -- Inserts what is decided, if there is a referrer. The buyer's own link decides nothing, because somebody else's may
    -- still arrive. It guards the writes below: each depends on its row.
    purchased AS (
      INSERT INTO ${tables.lateAttributions} (user_id, purchase, source, referral_id, channel_id, referrer_id, mode,
        ${decidedTerms}, is_revenue, no_commission, decided_at)
      SELECT ${$.buyer}, ${$.reference}, source, referral_id, channel_id, referrer_id, mode, ${decidedTerms},
        is_revenue, no_commission, at.now
      FROM earning CROSS JOIN at WHERE referrer_id IS NOT NULL AND NOT is_own
      RETURNING *
    ),
    ${refereeAndCommission(tables, ofPurchase, net)},
    -- Inserts the entries of the refunds.
    entered AS (
      INSERT INTO ${tables.commissionEntries} (user_id, commission_id, amount, refund, created_at)
      SELECT m.user_id, m.id, -refunds.back, refunds.reference, at.now
      FROM commission m CROSS JOIN refunds CROSS JOIN at WHERE refunds.back > 0
    ),
    ${sharedRows(tables, ofPurchase, { isLimited: true, net, revenue: '(SELECT amount - refunded FROM wanted)' })}
    SELECT EXISTS (SELECT FROM purchased) AS "isDecided",
      ${comparesAddresses ? newPairSharesAddress(tables, $.buyer) : 'false'} AS "sharesAddress",
      (SELECT referrer_id FROM purchased) AS "referrerId", ${database.columns(ReferralCommission, 'm', 'commission.')}
    FROM (SELECT) AS always LEFT JOIN commission m ON true`;
    },
  );
}
