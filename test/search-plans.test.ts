import type { Referrals } from '../lib';
import { type EarningsHost, seedCommissions, startEarnings } from './support/earnings';
import { closeAll, openDataSource, StatementLog } from './support/host';

afterAll(closeAll);

/** Keeps each statement with its parameters. */
class ExplainableLog extends StatementLog {
  sent: { text: string; parameters: unknown[] }[] = [];
  override logQuery(text: string, parameters: unknown[] = []): void {
    this.sent.push({ text, parameters });
  }
}

const log = new ExplainableLog();
let host: EarningsHost;

const crowd = 20_000;

/** In each table a crowd of records, of which every search below finds a few. */
beforeAll(async () => {
  host = await startEarnings({ dataSource: await openDataSource({ logger: log }) });
  await seedCommissions(host, { prefix: 'r', referrers: crowd / 40, each: 40 });
  const sql = (text: string): Promise<unknown> => host.dataSource.query(text.replaceAll('@', `${host.schema}.`));
  await sql(`INSERT INTO @referral_credit_types (name) VALUES ('any')`);
  await sql(`INSERT INTO @referrals (user_id, label, code, redirect_to)
    SELECT 'owner ' || n / 4, n, 'Code-' || n, '/' FROM generate_series(1, ${crowd}) n`);
  await sql(`INSERT INTO @referral_channels (id, promo_type, promo_value, start_date, initial_rate, ongoing_rate,
      initial_rate_period_days)
    SELECT id, 'value_off', 1, now(), 0, 0, 0 FROM @referrals WHERE code LIKE 'Code-%' AND id % 4 = 0`);
  await sql(`INSERT INTO @referral_signups (user_id, referral_id, referrer_id, source, weighed)
    SELECT 'user ' || id, id, user_id, 'code', '{}' FROM @referrals`);
  await sql(`INSERT INTO @referral_credits (user_id, kind, name, type_id, initial_balance, current_balance, start_date,
      expiry_date, referee_id, reference)
    SELECT user_id, 'referral', 'credit ' || id, 1, 10, 10, now(), now() + interval '1 day', user_id, 'grant ' || id
    FROM @referral_signups`);
  await sql(`INSERT INTO @referral_credit_transactions (user_id, credit_id, kind, value, reference)
    SELECT user_id, id, 'opening', 10, 'opening ' || id FROM @referral_credits`);
  await sql(`INSERT INTO @referral_earn_outs (user_id, mode, amount, commissions, status, settled_at, idempotency_key,
      reference)
    SELECT 'r ' || n % 500, 'credits', 1, 1, CASE WHEN n % 7000 = 0 THEN 'failed' ELSE 'completed' END, now(), 'key ' || n,
      'transfer ' || n
    FROM generate_series(1, ${crowd}) n`);
  await sql(`UPDATE @referral_commissions SET earn_out_id = 1 + (id - 1) / 40 WHERE id % 10 = 0`);
  await sql(`INSERT INTO @referral_purchases (user_id, reference, amount, purchased_at)
    SELECT 'buyer', 'order ' || n, 1, now() FROM generate_series(1, ${crowd}) n`);
  await sql(`INSERT INTO @referral_accounts (user_id) SELECT 'account ' || n FROM generate_series(1, ${crowd}) n`);
  await sql(`UPDATE @referral_accounts SET referral_id = id`);
  await sql('ANALYZE');
});

/** How many pages the statements of a call read. */
async function pagesOf(call: () => Promise<unknown>): Promise<number> {
  log.sent = [];
  await call();
  let pages = 0;
  for (const { text, parameters } of [...log.sent]) {
    const [row] = await host.dataSource.query<{ 'QUERY PLAN': [{ Plan: Record<string, number> }] }[]>(
      `EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) ${text}`,
      parameters,
    );
    const plan = row!['QUERY PLAN'][0].Plan;
    pages += plan['Shared Hit Blocks']! + plan['Shared Read Blocks']!;
  }
  return pages;
}

type Manager =
  | 'referralCodes'
  | 'channels'
  | 'signups'
  | 'credits'
  | 'creditTransactions'
  | 'accounts'
  | 'purchases'
  | 'commissions'
  | 'earnOuts';

/** The most pages that a search reads: at most 40 records are found, and each table has more pages. */
const few = 200;

test.each<[Manager, object]>([
  ['referralCodes', { id: 700 }],
  ['referralCodes', { code: 'Code-700' }],
  ['referralCodes', { userId: 'owner 700' }],
  ['channels', { id: 700 }],
  ['channels', { code: 'Code-700' }],
  ['channels', { userId: 'owner 700' }],
  ['signups', { id: 700 }],
  ['signups', { userId: 'user 700' }],
  ['signups', { referralId: 700 }],
  ['signups', { referrerId: 'owner 100' }],
  ['credits', { id: 700 }],
  ['credits', { userId: 'user 700' }],
  ['credits', { name: 'credit 700' }],
  ['credits', { refereeId: 'user 700' }],
  ['credits', { userId: 'user 700', reference: 'grant 700' }],
  ['creditTransactions', { id: 700 }],
  ['creditTransactions', { userId: 'user 700' }],
  ['creditTransactions', { userId: 'user 700', creditId: 700 }],
  ['creditTransactions', { userId: 'user 700', reference: 'opening 700' }],
  ['accounts', { id: 70 }],
  ['accounts', { userId: 'r 70' }],
  ['accounts', { referralId: 70 }],
  ['purchases', { id: 700 }],
  ['purchases', { userId: 'r buyer 70' }],
  ['purchases', { reference: 'order 700' }],
  ['purchases', { referrerId: 'r 70' }],
  ['commissions', { id: 700 }],
  ['commissions', { userId: 'r 70' }],
  ['commissions', { refereeId: 'r buyer 70' }],
  ['commissions', { referralId: 70 }],
  ['commissions', { earnOutId: 70 }],
  ['earnOuts', { id: 700 }],
  ['earnOuts', { userId: 'r 70' }],
  ['earnOuts', { status: 'failed' }],
  ['earnOuts', { reference: 'transfer 700' }],
  ['earnOuts', { idempotencyKey: 'key 700' }],
])('%s are searched and counted by %j without reading the others', async (name, where) => {
  const manager = host.referrals[name] as unknown as Referrals['earnOuts'];
  expect(await manager.count({ where })).toBeLessThanOrEqual(100);
  for (const order of [undefined, { id: 'DESC' } as const]) {
    const search = () => manager.search({ where, ...(order && { order }) });
    expect((await search()).length).toBeGreaterThan(0);
    expect(await pagesOf(search)).toBeLessThanOrEqual(few);
  }
  expect(await pagesOf(() => manager.count({ where }))).toBeLessThanOrEqual(few);
});

test('an equal code is equal in case too, as before', async () => {
  const { referralCodes, channels } = host.referrals;
  const [channel] = await channels.search({ where: { code: 'Code-700' } });
  expect(await referralCodes.count({ where: { code: 'Code-700' } })).toBe(1);
  expect(await referralCodes.count({ where: { code: 'CODE-700' } })).toBe(0);
  expect(await channels.search({ where: [{ code: 'code-700' }, { code: 'Code-700' }] })).toEqual([channel]);
});
