import { couponOf, type EarningsHost, fresh, refer, seedCommissions, startEarnings } from './support/earnings';
import { closeAll, openDataSource, StatementLog } from './support/host';

afterAll(closeAll);

/** Keeps each statement with its parameters. */
class ExplainableLog extends StatementLog {
  readonly sent: { text: string; parameters: unknown[] }[] = [];
  override logQuery(text: string, parameters?: unknown[]): void {
    this.sent.push({ text, parameters: parameters ?? [] });
  }
}

const log = new ExplainableLog();
let host: EarningsHost;

beforeAll(async () => {
  host = await startEarnings({ dataSource: await openDataSource({ logger: log }) });
  await seedCommissions(host, { prefix: 'r', referrers: 500, each: 40 });
  for (const table of ['commissions', 'purchases'])
    await host.dataSource.query(`ANALYZE ${host.schema}.referral_${table}`);
});

interface Node {
  'Node Type': string;
  'Relation Name'?: string;
  'Index Cond'?: string;
  'Plans'?: Node[];
}

const nodesOf = (node: Node): Node[] => [node, ...(node.Plans ?? []).flatMap(nodesOf)];

/** What the scans of a call's last SELECT look up in an index: the conditions, or the type of a scan without one. */
async function lookUpsOf(call: () => Promise<unknown[]>): Promise<string[]> {
  log.sent.length = 0;
  expect((await call()).length).toBeGreaterThan(0);
  const { text, parameters } = log.sent.filter((one) => one.text.startsWith('SELECT')).at(-1)!;
  const [row] = await host.dataSource.query<{ 'QUERY PLAN': [{ Plan: Node }] }[]>(
    `EXPLAIN (FORMAT JSON) ${text}`,
    parameters,
  );
  // The scan of a bitmap reads the rows that an index scan below it has found.
  const scans = nodesOf(row!['QUERY PLAN'][0].Plan).filter((node) => node['Node Type'].endsWith('Scan'));
  return scans
    .filter((node) => node['Node Type'] !== 'Bitmap Heap Scan')
    .map((node) => node['Index Cond'] ?? node['Node Type']);
}

const commissions = (where: object, page = {}) => host.referrals.commissions.search({ where, ...page });
const purchases = (where: object, page = {}) => host.referrals.purchases.search({ where, ...page });

test.each([
  ['commissions by refereeId', 'referee_id', () => commissions({ refereeId: 'r buyer 7' })],
  ['a page of them', 'referee_id', () => commissions({ refereeId: 'r buyer 7' }, { take: 5, skip: 5 })],
  ['purchases by referrerId', 'referrer_id', () => purchases({ referrerId: 'r 7' })],
  ['a page of them', 'referrer_id', () => purchases({ referrerId: 'r 7' }, { take: 5, skip: 5 })],
  ['commissions of a referrer', 'user_id', () => commissions({ userId: 'r 7' })],
  ['purchases of a buyer', 'user_id', () => purchases({ userId: 'r buyer 7' })],
])('%s are found by an index on %s', async (_what, column, search) => {
  const lookUps = await lookUpsOf(search);
  expect(lookUps.length).toBeGreaterThan(0);
  for (const condition of lookUps) expect(condition).toContain(column);
});

test('purchases and refunds change the rows of buyers, referees, accounts, totals and purchases in place (HOT)', async () => {
  const [referrer, buyer] = [fresh('referrer'), fresh('buyer')];
  await refer(host, referrer, buyer);
  const { code } = await couponOf(host, referrer, { isRecurring: true });
  await host.referrals.coupons.apply(buyer, code);
  await host.referrals.recordPurchase(buyer, { amount: 10, reference: '1' });
  await host.dataSource.transaction(async (manager) => {
    // How many updates of each table this connection has made, and how many of them were HOT.
    const counted = async (): Promise<Map<string, [number, number]>> => {
      const rows = await manager.query<{ table: string; all: string; hot: string }[]>(
        `SELECT relname AS table, n_tup_upd AS all, n_tup_hot_upd AS hot FROM pg_stat_xact_user_tables
         WHERE schemaname = $1`,
        [host.schema.replaceAll('"', '')],
      );
      return new Map(rows.map(({ table, all, hot }) => [table, [Number(all), Number(hot)]]));
    };
    const before = await counted();
    await host.referrals.recordPurchase(buyer, { amount: 10, reference: '2', manager });
    await host.referrals.recordRefund(buyer, { purchase: '1', reference: 're', amount: 5, manager });
    const updates = [...(await counted())].map(([table, [all, hot]]) => {
      const [allBefore, hotBefore] = before.get(table) ?? [0, 0];
      return [table, all - allBefore, hot - hotBefore];
    });
    expect(updates.filter(([, all]) => all !== 0).sort()).toEqual([
      ['referral_account_totals', 2, 2],
      ['referral_buyers', 2, 2],
      ['referral_commissions', 1, 0], // its amount is indexed
      ['referral_purchases', 1, 1],
      ['referral_referees', 2, 2],
    ]);
  });
});
