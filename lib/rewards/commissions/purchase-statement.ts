import type { Database } from '../../database/database';
import { type Placeholders, type Statement, statement } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import { ReferralCommission } from '../../entities/referral-commission';
import { ReferralPurchase } from '../../entities/referral-purchase';
import { type GivenAmount, inProgramsCurrency } from '../records/exchange';
import { sharesAddress } from '../reviews/fraud-rules';
import { holdsOfPair } from '../reviews/holds-of-pair';
import { availableColumns, availableFrom } from './available-from';
import { isUsedUp } from './channel-terms';
import { optionTermNames, type OptionTerms } from './chosen-terms';
import { commissionAmount } from './commission-amount';

export interface PurchaseParameters extends GivenAmount, OptionTerms {
  buyer: string;
  reference: string;
  /** The price before the discount of a coupon; null if it is not known. */
  price: string | null;
  /** What is bought, for coupons that are for some products only. */
  product: string | null;
  /** The time of the payment; null for now. */
  paidAt: Date | null;
  /** The time of the injected clock; null for that of the statement. */
  now: Date | null;
  /** The referral that the buyer is attributed to. It ranks after a sign-up with a referrer. */
  attributedReferral: number | null;
  /** The owner of that referral when it was looked up. */
  attributedOwner: string | null;
  /** Whether the owner of that referral is the buyer, and self-referrals are refused. */
  isOwnReferral: boolean;
  /** Whether the owner of that referral is the buyer, and self-referrals are flagged. */
  isSelfReferral: boolean;
  pendingDays: number;
  /** Whether the attribution has been looked up. If it has not and the buyer has no sign-up, nothing is written. */
  isAttributionKnown: boolean;
}

/** The result, one row: the columns of the purchase and of its commission, or nulls if there is none. */
export interface PurchaseRow {
  'isNew': boolean;
  /** Whether the purchase has the amount and currency of this call; null if there is no purchase. */
  'isSame': boolean | null;
  /**
   * Whether nothing was written because the buyer has no sign-up and the attribution is not known, or because the owner
   * of the attributed referral has changed.
   */
  'isOutdated': boolean;
  /**
   * Whether it is the first payment that is credited to the buyer's sign-up or attribution, and the buyer has bought
   * before: then a purchase may wait that has just missed the referrer.
   */
  'isFirstCredited': boolean;
  /** Whether the purchase redeems the buyer's coupon. The statement for other purchases has then written nothing. */
  'isRedeeming': boolean;
  /** Whether the purchase makes a pair of referrer and referee with one payout address, if that is asked. */
  'sharesAddress': boolean;
  /** Whether a limit for the referrer counts. The statement without it has then written nothing. */
  'isLimited': boolean;
  'purchase.userId': string | null;
  'commission.id': string | null;
}

/** What a variant of the statement can write besides purchase and commission. */
export interface PurchaseVariant {
  /** The redemption of a coupon. */
  redeems: boolean;
  /** What a limit for the referrer counts. */
  isLimited: boolean;
}

type Tables = Database['tables'];
type Parameters = Placeholders<PurchaseParameters>;

/**
 * Records a purchase and its commission in one statement. Few purchases redeem a coupon, or have a limit for the
 * referrer, and PostgreSQL prepares each table that a statement may write each time it is executed, so what these
 * write is left out of the statement for the others. If the purchase turns out to need it, that statement writes nothing.
 *
 * @param comparesAddresses whether it compares the payout addresses of a new pair.
 *
 * Locks, in this order, all held until the transaction ends:
 *
 * 1. `referral_buyers`, the row of the buyer (`updated` or `inserted`): one call at a time for each buyer.
 * 2. `referrals`, the row of the coupon (`taken`): only for the purchase that redeems it. Before lock 4, as in a sign-up.
 * 3. Rows that belong to this buyer: purchase, redemption, commission, and the referee row of buyer and referrer. Their
 *    order does not matter, because the other calls that change them hold lock 1. Only a sign-up of the buyer can
 *    insert the referee row at the same time; the unique key makes one of the two wait.
 * 4. `referral_accounts`, the row of the referrer (`account`): only if it is new, counts one more user, or gets its first
 *    commission of a channel and mode.
 * 5. `referral_referrer_periods`, the row of referrer and period (`limited`): only with a limit for the referrer.
 * 6. `referral_account_totals`, the row of referrer, channel and mode (`added`).
 * 7. The referral of the commission and the channel of the redemption: their foreign keys take a lock that prevents the
 *    deletion (`FOR KEY SHARE`).
 *
 * Purchases of many buyers lock the same rows of 2, 4, 5 and 6, always in this order.
 *
 * The column `version` of the buyer's row is an optimistic lock. If another call has changed the row since the snapshot
 * of this statement, nothing is written: the result has no purchase, and the caller retries. If other buyers have used
 * up the coupon, or the limit for the referrer, since the snapshot, the statement fails, and the caller retries too.
 *
 * It also fails if the referrer's account was suspended since the snapshot: by the constraint of the row of totals, on which
 * the suspension has written how many commissions it may have. A row that is not in the snapshot may be one that the
 * suspension did not find, so that the account is locked and tested as well (lock 4).
 */
export function purchaseStatement(
  database: Database,
  variant: PurchaseVariant,
  comparesAddresses: boolean,
): Statement<PurchaseParameters> {
  const { tables, currency } = database;
  const { redeems, isLimited } = variant;
  return statement<PurchaseParameters>(
    {
      buyer: true,
      reference: true,
      amount: true,
      currency: true,
      rate: true,
      price: true,
      product: true,
      paidAt: true,
      now: true,
      attributedReferral: true,
      attributedOwner: true,
      isOwnReferral: true,
      isSelfReferral: true,
      pendingDays: true,
      isAttributionKnown: true,
      ...optionTermNames,
    },
    (given) => {
      const $ = {
        ...given,
        amount: inProgramsCurrency(given, currency.digits),
        price: inProgramsCurrency({ ...given, amount: given.price }, currency.digits),
      };
      return `
    WITH
    ${[
      guard(tables, $),
      buyersRow(tables, $),
      commissionAmount(database, $, isLimited),
      buyersTurn(tables, $, variant),
      ...(redeems ? [redemptionCount(tables)] : []),
      purchase(tables, $, given, redeems),
      ...(redeems ? [redemption(tables, $)] : []),
      refereeAndCommission(tables, $),
      sharedRows(tables, $, { isLimited }),
    ].join(',')}
    ${result(database, given, comparesAddresses)}`;
    },
  );
}

/** The columns of a purchase, and of a second look, for the terms that decided it. */
export const decidedTerms = 'rate, flat_amount, terms_from, room, referrer_room, purchases_left, term_until';

const guard = (tables: Tables, $: Parameters): string => `
    -- An earlier purchase with this reference. If there is one, the statement returns it and writes nothing.
    recorded AS (
      SELECT * FROM ${tables.purchases} WHERE user_id = ${$.buyer} AND reference = ${$.reference}
    ),
    -- Whether the buyer has no sign-up and the attribution is not known, or the attributed referral does not have the
    -- owner about whom the option isSamePerson was called.
    attribution AS (
      SELECT CASE
        WHEN NOT ${$.isAttributionKnown}::boolean
          THEN NOT EXISTS (SELECT FROM ${tables.signups} WHERE user_id = ${$.buyer})
        WHEN ${$.attributedReferral}::bigint IS NOT NULL
          THEN NOT EXISTS (SELECT FROM ${tables.referrals}
            WHERE id = ${$.attributedReferral}::bigint AND user_id = ${$.attributedOwner})
        ELSE false END AS is_outdated
    ),
    -- The time, and the guard of all writes: no row if the purchase is recorded, or if the attribution is outdated.
    at AS (
      SELECT ${timeOf($.now)} AS now, coalesce(${$.paidAt}::timestamptz, ${timeOf($.now)}) AS purchased_at
      FROM attribution WHERE NOT is_outdated AND NOT EXISTS (SELECT FROM recorded)
    )`;

const buyersRow = (tables: Tables, $: Parameters): string => `
    -- The buyer's row in the snapshot, or one row of nulls. It is read without a lock: updated compares its version.
    buyer AS (
      SELECT b.* FROM (SELECT) AS always LEFT JOIN ${tables.buyers} b ON b.user_id = ${$.buyer}
    )`;

const buyersTurn = (tables: Tables, $: Parameters, { redeems, isLimited }: PurchaseVariant): string => `
    -- Lock 1 for a known buyer. No row if the version is not that of the snapshot, or if the purchase redeems a coupon
    -- or has a limit and this is not the statement for that: then nothing below is written.
    updated AS (
      UPDATE ${tables.buyers} b SET version = b.version + 1,
        purchase_count = b.purchase_count + 1, purchased = b.purchased + ${$.amount}::numeric,
        first_purchase_at = least(b.first_purchase_at, CASE WHEN ${$.amount}::numeric > 0 THEN at.purchased_at END),
        last_channel_id = CASE WHEN earning.is_redeeming THEN earning.channel_id ELSE b.last_channel_id END,
        is_own_last_channel = CASE WHEN earning.is_redeeming THEN b.is_own_channel ELSE b.is_own_last_channel END,
        is_redeemed = b.is_redeemed OR (earning.is_redeeming AND earning.is_recurring),
        channel_id = CASE WHEN earning.is_redeeming AND NOT earning.is_recurring THEN NULL ELSE b.channel_id END
      FROM earning CROSS JOIN at CROSS JOIN buyer WHERE b.user_id = ${$.buyer} AND b.version = buyer.version
        ${redeems ? '' : 'AND NOT earning.is_redeeming'} ${isLimited ? '' : 'AND NOT earning.is_limited'}
      RETURNING b.user_id
    ),
    -- Lock 1 for a new buyer. No row if a concurrent call has inserted it: then nothing below is written.
    inserted AS (
      INSERT INTO ${tables.buyers} (user_id, purchase_count, purchased, first_purchase_at)
      SELECT ${$.buyer}, 1, ${$.amount}::numeric, CASE WHEN ${$.amount}::numeric > 0 THEN at.purchased_at END
      FROM earning CROSS JOIN at CROSS JOIN buyer b
      WHERE b.user_id IS NULL ${isLimited ? '' : 'AND NOT earning.is_limited'}
      ON CONFLICT DO NOTHING
      RETURNING user_id
    )`;

const redemptionCount = (tables: Tables): string => `
    -- Lock 2: counts the redemption. After a wait for the lock, PostgreSQL tests the newest version of the row. No row
    -- if the coupon is used up by then: redeemed fails.
    taken AS (
      UPDATE ${tables.referrals} r SET redemptions = r.redemptions + 1
      FROM updated CROSS JOIN earning
      WHERE earning.is_redeeming AND r.id = earning.channel_id AND NOT ${isUsedUp}
      RETURNING r.id
    )`;

const purchase = (tables: Tables, $: Parameters, given: Parameters, redeems: boolean): string => `
    -- Inserts the purchase, if lock 1 is held. It guards the writes below: each depends on its row. count(*) >= 0 is
    -- always true: it makes PostgreSQL execute taken first, so that lock 2 precedes the locks below.
    purchased AS (
      INSERT INTO ${tables.purchases} (user_id, reference, amount, currency, original_amount, original_refunded,
        exchange_rate, purchased_at, source, referral_id, channel_id, referrer_id, mode, ${decidedTerms}, is_revenue,
        no_commission, created_at)
      SELECT ${$.buyer}, ${$.reference}, ${$.amount}, ${$.currency}::varchar,
        CASE WHEN ${$.currency}::varchar IS NOT NULL THEN ${given.amount}::numeric END,
        CASE WHEN ${$.currency}::varchar IS NOT NULL THEN 0 END, ${$.rate}::numeric, at.purchased_at, source, referral_id,
        channel_id, referrer_id, mode, ${decidedTerms}, is_revenue, no_commission, at.now
      FROM earning CROSS JOIN at CROSS JOIN (SELECT FROM updated UNION ALL SELECT FROM inserted) AS turn
      ${redeems ? 'WHERE (SELECT count(*) FROM taken) >= 0' : ''}
      RETURNING *
    )`;

const redemption = (tables: Tables, $: Parameters): string => `
    -- Inserts the first use of the applied coupon. One that was given back takes over its row; NOT NULL refuses a second
    -- use. 0 is no channel: if the coupon is used up, the foreign key refuses it. PostgreSQL then undoes the whole
    -- statement.
    redeemed AS (
      INSERT INTO ${tables.redemptions} AS d (user_id, channel_id, reference, is_kept, created_at)
      SELECT ${$.buyer}, coalesce((SELECT id FROM taken), 0), ${$.reference}, earning.is_recurring, at.now
      FROM earning CROSS JOIN at CROSS JOIN purchased WHERE earning.is_redeeming
      ON CONFLICT (user_id, channel_id) DO UPDATE SET
        reference = CASE WHEN d.given_back_at IS NOT NULL THEN excluded.reference END,
        is_kept = excluded.is_kept, created_at = excluded.created_at, given_back_at = NULL, is_restored = false
    )`;

/**
 * The CTEs that write the commission. They need `earning` and `at`, and write nothing without a row of `purchased`.
 *
 * @param net what refunds have left of the commission, as SQL: a second look comes after some.
 */
export const refereeAndCommission = (tables: Tables, $: Parameters, net = 'earning.earned'): string => `
    -- Adds to the sum that this referee has earned the referrer. A new pair is held if a review holds the two. met_by: whether a purchase or a sign-up inserted it.
    counted AS (
      INSERT INTO ${tables.referees} AS e (user_id, referee_id, met_by, earned, purchases, first_purchase_at, upgraded_at,
        held_for, created_at)
      SELECT earning.referrer_id, ${$.buyer}, 'purchase', ${net}, (${$.amount}::numeric > 0)::integer,
        CASE WHEN ${$.amount}::numeric > 0 THEN at.purchased_at END,
        CASE WHEN ${$.amount}::numeric > 0 THEN at.now END,
        CASE WHEN earning.is_new THEN ${holdsOfPair(tables, 'earning.referrer_id', $.buyer)} ELSE '{}' END, at.now
      FROM earning CROSS JOIN at CROSS JOIN purchased
      WHERE earning.referrer_id IS NOT NULL AND NOT earning.is_own AND NOT earning.is_suspended
      ON CONFLICT (user_id, referee_id) DO UPDATE SET earned = e.earned + excluded.earned,
        purchases = e.purchases + excluded.purchases,
        first_purchase_at = least(e.first_purchase_at, excluded.first_purchase_at),
        upgraded_at = coalesce(e.upgraded_at, excluded.upgraded_at)
      RETURNING met_by, held_for
    ),
    -- Inserts the commission with the current terms. It is available a number of days after the purchase, and held if
    -- a review holds what the referee earns the referrer.
    commission AS (
      INSERT INTO ${tables.commissions} (user_id, referee_id, purchase, referral_id, channel_id, mode, rate, flat_amount,
        terms_from, months, purchases, max_per_referee, room, max_per_referrer, period, referrer_room, pending_days,
        earned, amount, is_self_referral, ${availableColumns}, created_at, updated_at)
      SELECT earning.referrer_id, ${$.buyer}, ${$.reference}, earning.referral_id, earning.channel_id, earning.mode,
        earning.rate, earning.flat_amount, earning.terms_from, earning.months, earning.purchases, earning.max, earning.room,
        earning.max_per_referrer, earning.period, earning.referrer_room, ${$.pendingDays}::integer, earning.earned, ${net},
        earning.is_self_referral,
        ${availableFrom(`at.purchased_at + ${$.pendingDays}::integer * interval '24 hours'`)}, at.now, at.now
      FROM earning CROSS JOIN at CROSS JOIN purchased WHERE earning.no_commission IS NULL
      RETURNING *
    )`;

interface SharedAmounts {
  isLimited: boolean;
  net?: string;
  revenue?: string;
}

/**
 * The CTEs that write what the purchases of many buyers share, after those of {@link refereeAndCommission}.
 *
 * @param isLimited whether to count what a limit for the referrer counts.
 * @param net the same as there.
 * @param revenue what refunds have left of the amount of the purchase, as SQL.
 */
export const sharedRows = (
  tables: Tables,
  $: Pick<Parameters, 'amount'>,
  { isLimited, net = 'earning.earned', revenue = `${$.amount}::numeric` }: SharedAmounts,
): string => `
    -- Lock 4. PostgreSQL checks the constraints on the values to insert even if it updates. So users_upgraded must not
    -- exceed users_referred in these values. No account can have -1 users: if it was suspended since the snapshot, its
    -- constraint refuses that, and PostgreSQL undoes the whole statement.
    account AS (
      INSERT INTO ${tables.accounts} AS a (user_id, users_referred, users_upgraded, created_at, updated_at)
      SELECT earning.referrer_id, (earning.is_new AND counted.met_by = 'purchase')::integer,
        (earning.is_new AND counted.met_by = 'purchase' AND earning.is_upgrade)::integer, at.now, at.now
      FROM earning CROSS JOIN at CROSS JOIN counted
      WHERE earning.is_first_use OR earning.is_new OR earning.is_upgrade
        OR (earning.no_commission IS NULL AND NOT EXISTS (
          SELECT FROM ${tables.totals} t WHERE t.user_id = earning.referrer_id
            AND t.channel_id = coalesce(earning.channel_id, 0) AND t.mode = earning.mode
        ))
      ON CONFLICT (user_id) DO UPDATE
        SET users_referred = CASE WHEN a.suspended_at IS NULL THEN a.users_referred + excluded.users_referred ELSE -1 END,
        users_upgraded = a.users_upgraded + (SELECT is_upgrade::integer FROM earning)
      RETURNING user_id
    ),
    ${isLimited ? periodOfReferrer(tables, net) : ''}
    -- Lock 6. Also tells the next run when the commission can be paid (due_at, with the terms 1 for a new row).
    -- count(*) >= 0 is always true. It makes PostgreSQL execute account first, so that lock 4 precedes lock 6.
    added AS (
      INSERT INTO ${tables.totals} AS t (user_id, channel_id, mode, commissions, amount, matured, matured_amount,
        matured_until, redemptions, revenue, due_at, due_terms)
      SELECT earning.referrer_id, coalesce(earning.channel_id, 0), earning.mode, (m.id IS NOT NULL)::integer,
        ${net},
        coalesce((m.available_at <= at.now)::integer, 0),
        CASE WHEN m.available_at <= at.now THEN m.amount ELSE 0 END, at.now,
        earning.is_redeeming::integer, CASE WHEN earning.is_revenue THEN ${revenue} ELSE 0 END,
        coalesce(m.held_from, m.available_at), 1
      FROM earning CROSS JOIN at CROSS JOIN purchased LEFT JOIN commission m ON true
      WHERE (m.id IS NOT NULL OR (earning.channel_id IS NOT NULL AND NOT earning.is_own))
        AND (SELECT count(*) FROM ${isLimited ? 'limited' : 'account'}) >= 0
      ON CONFLICT (user_id, channel_id, mode) DO UPDATE SET commissions = t.commissions + excluded.commissions,
        amount = t.amount + excluded.amount, redemptions = t.redemptions + excluded.redemptions,
        revenue = t.revenue + excluded.revenue, due_at = least(t.due_at, excluded.due_at),
        matured = t.matured + CASE WHEN ${isMatured} THEN excluded.commissions ELSE 0 END,
        matured_amount = t.matured_amount + CASE WHEN ${isMatured} THEN excluded.amount ELSE 0 END
    )`;

/**
 * The limit was tested with what the snapshot had. If others have earned so much since then that the commission does not
 * fit any more, the CHECK constraint refuses it, PostgreSQL undoes the whole statement, and the caller retries.
 */
const periodOfReferrer = (tables: Tables, net: string): string => `
    -- Lock 5. Counts the commission in the period of the limit. -1, which the CHECK constraint refuses, if it does not
    -- fit any more. count(*) >= 0, which is always true, makes PostgreSQL execute account first.
    limited AS (
      INSERT INTO ${tables.referrerPeriods} AS o (user_id, period, earned)
      SELECT earning.referrer_id, earning.period, ${net}
      FROM earning CROSS JOIN commission
      WHERE earning.is_limited AND (SELECT count(*) FROM account) >= 0
      ON CONFLICT (user_id, period) DO UPDATE SET earned = CASE
        WHEN o.earned + (SELECT earned FROM earning) <= (SELECT max_per_referrer FROM earning)
        THEN o.earned + excluded.earned ELSE -1 END
      RETURNING user_id
    ),`;

/** SQL: whether the new commission is among those that a row `t` of the totals counts as available. */
const isMatured = `(SELECT available_at FROM commission) <= t.matured_until`;

/** SQL: whether the statement makes a pair of referrer and referee with one payout address. */
export const newPairSharesAddress = (tables: Tables, buyer: string): string =>
  sharesAddress(
    tables,
    `(SELECT earning.referrer_id FROM earning CROSS JOIN purchased
        WHERE earning.is_new AND NOT earning.is_own AND NOT earning.is_suspended)`,
    buyer,
  );

const result = (database: Database, $: Parameters, comparesAddresses: boolean): string => `
    SELECT EXISTS (SELECT FROM purchased) AS "isNew",
      coalesce(p.original_amount, p.amount) = ${$.amount}::numeric
        AND p.currency IS NOT DISTINCT FROM ${$.currency}::varchar AS "isSame",
      (SELECT is_outdated FROM attribution) AS "isOutdated",
      coalesce((SELECT is_upgrade AND NOT is_own AND source IN ('sign-up', 'attribution') FROM earning)
        AND (SELECT purchase_count FROM buyer) > 0, false) AS "isFirstCredited",
      coalesce((SELECT is_redeeming FROM earning), false) AS "isRedeeming",
      coalesce((SELECT is_limited FROM earning), false) AS "isLimited",
      ${comparesAddresses ? newPairSharesAddress(database.tables, $.buyer) : 'false'} AS "sharesAddress",
      ${database.columns(ReferralPurchase, 'p', 'purchase.')},
      ${database.columns(ReferralCommission, 'm', 'commission.')}
    FROM (SELECT) AS always LEFT JOIN (SELECT * FROM purchased UNION ALL SELECT * FROM recorded) AS p ON true
    LEFT JOIN (
      SELECT * FROM commission
      UNION ALL SELECT m.* FROM recorded JOIN ${database.tables.commissions} m
        ON m.user_id = recorded.referrer_id AND m.referee_id = ${$.buyer} AND m.purchase = ${$.reference}
          AND m.kind = 'purchase' AND m.moved_at IS NULL
    ) AS m ON true`;
