import type { Referrals } from 'express-referrals';
import type { Pool } from 'pg';
import type { DataSource } from 'typeorm';
import { pendingDays, rate, storePast } from './purchased';
import type { Work } from './rates';

/** Purchases to be measured: first ones or renewals; of buyers with referrers of their own, or with one that all share. */
export type PurchaseKind = 'first' | 'first, hot' | 'renewal' | 'renewal, hot';

export type PurchaseWork = Record<PurchaseKind, Work>;

/** Who have bought before. */
const customers = 20_000;
const price = '29.00';
const commission = '7.25';

/** Sign-ups that have not bought yet, `fresh` of each kind, and customers with five purchases each. */
export async function storeBuyers(dataSource: DataSource, schema: string, fresh: number): Promise<void> {
  const newcomers = (who: string, referrer: string): string =>
    `SELECT ${referrer} AS referrer, '${who}-' || n AS referee, NULL AS reference, NULL::numeric AS paid, NULL::timestamptz AS at,
       NULL::bigint AS channel_id, 'credits' AS mode, NULL::numeric AS refund FROM generate_series(0, ${fresh - 1}) n`;
  const renewals = (who: string, referrer: string): string =>
    `SELECT ${referrer}, '${who}-' || n % ${customers}, 'past-' || n, ${price}::numeric,
       now() - interval '200 days' + n * interval '2 minutes', NULL, 'credits', 0
     FROM generate_series(0, ${5 * customers - 1}) n`;
  await storePast(
    dataSource,
    schema,
    [
      newcomers('new', `'referrer-' || n`),
      newcomers('new hot', `'hot'`),
      renewals('customer', `'referrer-' || n % ${customers}`),
      renewals('customer hot', `'hot'`),
    ].join(' UNION ALL '),
  );
}

/** Whose purchase comes next: `call` counts those of this kind. */
function buyerOf(kind: PurchaseKind, call: number, fresh: number): { buyer: string; referrer: string } {
  const isNew = kind.startsWith('first');
  if (isNew && call >= fresh) throw new Error(`the ${fresh} users who have not bought yet are used up`);
  const n = isNew ? call : call % customers;
  const who = isNew ? 'new' : 'customer';
  return kind.endsWith('hot')
    ? { buyer: `${who} hot-${n}`, referrer: 'hot' }
    : { buyer: `${who}-${n}`, referrer: `referrer-${n}` };
}

/** The same calls on each side, whoever makes them. */
function workOf(
  fresh: number,
  record: (buyer: string, referrer: string, reference: string, isNew: boolean) => Promise<void>,
): PurchaseWork {
  const of = (kind: PurchaseKind): Work => {
    let calls = 0;
    return () => {
      const call = calls++;
      const { buyer, referrer } = buyerOf(kind, call, fresh);
      return record(buyer, referrer, `invoice-${call}`, kind.startsWith('first'));
    };
  };
  return {
    'first': of('first'),
    'first, hot': of('first, hot'),
    'renewal': of('renewal'),
    'renewal, hot': of('renewal, hot'),
  };
}

export function ourPurchases(referrals: Referrals, fresh: number): PurchaseWork {
  return workOf(fresh, async (buyer, _referrer, reference) => {
    const { commission: made } = await referrals.recordPurchase(buyer, { amount: price, reference });
    if (made?.earned !== commission) throw new Error(`${buyer} earned ${made?.earned}, not ${commission}`);
  });
}

/**
 * A host that knows its buyers, and does what our call does by a statement a table, each planned once a connection: the
 * buyer is first here too, what many buyers share is last. It looks nothing up.
 */
export async function barePurchases(
  dataSource: DataSource,
  pool: Pool,
  schema: string,
  fresh: number,
): Promise<PurchaseWork> {
  const referrals = await dataSource.query<{ user_id: string; id: string }[]>(
    `SELECT user_id, id FROM "${schema}".referrals`,
  );
  const referralOf = new Map(referrals.map(({ user_id, id }) => [user_id, id]));
  const texts = {
    newBuyer: 'INSERT INTO @referral_buyers (user_id, first_purchase_at) VALUES ($1, now())',
    knownBuyer: 'SELECT FROM @referral_buyers WHERE user_id = $1 FOR NO KEY UPDATE',
    purchase: `INSERT INTO @referral_purchases
        (user_id, reference, amount, purchased_at, source, referral_id, referrer_id, mode, created_at)
      VALUES ($1, $2, $3, now(), 'sign-up', $4, $5, 'credits', now())`,
    referee: `UPDATE @referral_referees SET earned = earned + $3, upgraded_at = coalesce(upgraded_at, now())
      WHERE user_id = $1 AND referee_id = $2`,
    commission: `INSERT INTO @referral_commissions (user_id, referee_id, purchase, referral_id, mode, rate, earned, amount,
        available_at, created_at, updated_at)
      VALUES ($1, $2, $3, $4, 'credits', ${rate}, $5, $5, now() + interval '${pendingDays * 24} hours', now(), now())`,
    account: 'UPDATE @referral_accounts SET users_upgraded = users_upgraded + 1 WHERE user_id = $1',
    total: `INSERT INTO @referral_account_totals AS t (user_id, channel_id, mode, commissions, amount, matured_until)
      VALUES ($1, 0, 'credits', 1, $2, now())
      ON CONFLICT (user_id, channel_id, mode) DO UPDATE SET commissions = t.commissions + 1, amount = t.amount + excluded.amount`,
  };
  const prepared = Object.fromEntries(
    Object.entries(texts).map(([name, text]) => [name, { name, text: text.replaceAll('@', `"${schema}".`) }]),
  ) as Record<keyof typeof texts, { name: string; text: string }>;
  return workOf(fresh, async (buyer, referrer, reference, isNew) => {
    const referral = referralOf.get(referrer);
    const statements: [name: keyof typeof texts, values: unknown[]][] = [
      [isNew ? 'newBuyer' : 'knownBuyer', [buyer]],
      ['purchase', [buyer, reference, price, referral, referrer]],
      ['referee', [referrer, buyer, commission]],
      ['commission', [referrer, buyer, reference, referral, commission]],
      ...(isNew ? ([['account', [referrer]]] as [keyof typeof texts, unknown[]][]) : []),
      ['total', [referrer, commission]],
    ];
    const client = await pool.connect();
    try {
      await client.query('BEGIN');
      for (const [name, values] of statements) await client.query({ ...prepared[name], values });
      await client.query('COMMIT');
    } finally {
      client.release();
    }
  });
}
