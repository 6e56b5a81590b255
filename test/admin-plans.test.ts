import type { DataSource } from 'typeorm';
import { wireRewards } from '../lib/rewards/rewards';
import type { Condition } from '../lib/rewards/stories/conditions';
import type { ListName } from '../lib/rewards/stories/lists';
import type { Stories } from '../lib/rewards/stories/stories';
import { settingsOf } from '../lib/options';
import { wireTracking } from '../lib/tracking/tracking';
import { baseUrl, closeAll, openDataSource, patient, secret, StatementLog } from './support/host';

/** Keeps each statement with its parameters. */
class ExplainableLog extends StatementLog {
  sent: { text: string; parameters: unknown[] }[] = [];
  override logQuery(text: string, parameters: unknown[] = []): void {
    this.sent.push({ text, parameters });
  }
}

const log = new ExplainableLog();
let dataSource: DataSource;
let stories: Stories;
const closing: (() => Promise<unknown>)[] = [];

const crowd = 40_000;

/** Large tables, of whose rows each search below finds a few. */
beforeAll(async () => {
  dataSource = await openDataSource({ logger: log });
  const settings = settingsOf({ dataSource, baseUrl, secret, user: () => null, ...patient() });
  const tracking = wireTracking(settings);
  const rewards = wireRewards(settings, tracking);
  stories = rewards.stories;
  closing.push(
    () => rewards.close(),
    () => tracking.close(),
  );
  const { schema } = dataSource.options as { schema: string };
  const sql = (text: string): Promise<unknown> => dataSource.query(text.replaceAll('@', `"${schema}".`));
  const rows = `FROM generate_series(1, ${crowd}) n`;
  const at = `now() - (${crowd} - n) * interval '10 minutes'`;
  const atFifth = `now() - (${crowd * 5} - n) * interval '2 minutes'`;
  await sql(`INSERT INTO @referrals (user_id, label, code, redirect_to, created_at)
    SELECT 'owner ' || n / 4, 'Label ' || n, 'Code-' || n, '/', ${at} ${rows}`);
  await sql(`INSERT INTO @referral_responses (referral_id, visitor_id, user_id, ip_address, action, created_at, touched_at)
    SELECT 1 + n % 20000, gen_random_uuid(), CASE WHEN n % 20 = 0 THEN 'user ' || n END, '10.0.' || n % 200 || '.0',
      'RESPONDED', ${atFifth}, ${atFifth} FROM generate_series(1, ${crowd * 5}) n`);
  await sql(`INSERT INTO @referral_daily_counts (referral_id, day, clicks, visitors)
    SELECT 1 + n % 200, date '2020-01-01' + n / 200, 1, 1 ${rows}`);
  await sql(`INSERT INTO @referral_signups (user_id, referral_id, referrer_id, source, weighed, ip_address, created_at)
    SELECT 'user ' || n, n, 'owner ' || n / 4, 'code', '{}', '10.' || n / 200 || '.' || n % 200 || '.0', ${at} ${rows}`);
  await sql(`INSERT INTO @referral_purchases (user_id, reference, amount, purchased_at, referrer_id, created_at)
    SELECT 'user ' || n, 'order ' || n, 1, now(), 'owner ' || n / 4, ${at} ${rows}`);
  await sql(`INSERT INTO @referral_refunds (user_id, reference, purchase, amount)
    SELECT 'user ' || n, 'refund ' || n, 'order ' || n, 1 ${rows}`);
  await sql(`INSERT INTO @referral_usages (user_id, reference, amount, is_counted)
    SELECT 'user ' || n, 'usage ' || n, 1, true ${rows}`);
  await sql(`INSERT INTO @referral_commissions (user_id, referee_id, purchase, referral_id, mode, rate, earned, amount,
      available_at, rejected_at, reverted_at, created_at)
    SELECT 'owner ' || n / 4, 'user ' || n, 'order ' || n, n, 'credits', 0.5, 1, CASE WHEN n % 5000 = 1 THEN 0 ELSE 1 END, ${at},
      CASE WHEN n % 10000 = 1 THEN now() END, CASE WHEN n % 5000 = 1 THEN now() END, ${at} ${rows}`);
  await sql(`INSERT INTO @referral_credit_types (name) VALUES ('any')`);
  await sql(`INSERT INTO @referral_credits (user_id, kind, name, type_id, initial_balance, current_balance, start_date,
      expiry_date, reference)
    SELECT 'user ' || n, 'grant', 'credit', 1, 10, 10, now(), now() + interval '1 day', 'grant ' || n ${rows}`);
  await sql(`INSERT INTO @referral_credit_spends (user_id, reference, kind, amount, covered)
    SELECT 'user ' || n, 'spend ' || n, 'spend', 1, 1 ${rows}`);
  await sql(`INSERT INTO @referral_earn_outs (user_id, mode, amount, commissions, status, settled_at, idempotency_key, reference)
    SELECT 'owner ' || n, 'credits', 1, 1, 'completed', now(), 'key ' || n, 'transfer ' || n ${rows}`);
  await sql(`INSERT INTO @referral_accounts (user_id, payout_email, suspended_at, suspensions)
    SELECT 'owner ' || n, 'Mail' || n || chr(64) || 'shop.example', CASE WHEN n % 10000 = 0 THEN now() END, 1 ${rows}`);
  await sql(`INSERT INTO @referral_adjustments (user_id, reference, mode, amount, reason)
    SELECT 'owner ' || n, 'bonus ' || n, 'credits', 1, 'thanks' ${rows}`);
  await sql(`INSERT INTO @referral_reviews (rule, subject, user_id, referee_id, referral_id, evidence, is_holding, status, decided_at)
    SELECT 'rule', 'subject ' || n, 'owner ' || n, 'user ' || n, n, '{}', false, 'allowed', now() ${rows}`);
  await sql(`INSERT INTO @referral_audit (call, subject, subject_id, user_id, actor, by)
    SELECT CASE WHEN n % 10000 = 0 THEN 'programs.update' ELSE 'commissions.hold' END, 'commission', n, 'owner ' || n, 'staff',
      'staff ' || n / 100 ${rows}`);
  for (const table of await dataSource.query<{ name: string }[]>(
    `SELECT format('%I.%I', table_schema, table_name) AS name FROM information_schema.tables WHERE table_schema = $1`,
    [schema],
  ))
    await dataSource.query(`VACUUM ANALYZE ${table.name}`);
});

afterAll(async () => {
  for (const close of closing) await close();
  await closeAll();
});

/** How many pages the statements of a call read. */
async function pagesOf(call: () => Promise<unknown>): Promise<number> {
  log.sent = [];
  await call();
  let pages = 0;
  for (const { text, parameters } of [...log.sent]) {
    if (!/^\s*(SELECT|WITH|\(SELECT)/.test(text)) continue;
    const [row] = await dataSource.query<{ 'QUERY PLAN': [{ Plan: Record<string, number> }] }[]>(
      `EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) ${text}`,
      parameters,
    );
    const plan = row!['QUERY PLAN'][0].Plan;
    pages += plan['Shared Hit Blocks']! + plan['Shared Read Blocks']!;
  }
  return pages;
}

/** Each table has more pages than this. */
const few = 400;

/** An index of block ranges is read as a whole, and so are the ranges of some windows of time. */
const someWindows = 1200;

test.each([
  ['a code', 'code-700', 'referral'],
  ['a label', 'LABEL 700', 'referral'],
  ['a user', 'owner 700', 'user'],
  ['a payout address', 'mail700@', 'account'],
  ['an address of a sign-up', '10.3.100.77', 'signup'],
  ['a purchase', 'order 700', 'purchase'],
  ['a refund', 'refund 700', 'refund'],
  ['a usage', 'usage 700', 'usage'],
  ['a credit', 'grant 700', 'credit'],
  ['a spend', 'spend 700', 'spend'],
  ['a payout by its reference', 'transfer 700', 'earnOut'],
  ['a payout by its key', 'key 700', 'earnOut'],
  ['an adjustment', 'bonus 700', 'adjustment'],
  ['nothing', 'nobody has this', null],
])('the search finds %s by indexes alone', async (_what, text, kind) => {
  expect((await stories.find(text)).map((found) => found.kind)).toEqual(
    kind === null ? [] : expect.arrayContaining([kind]),
  );
  expect(await pagesOf(() => stories.find(text))).toBeLessThanOrEqual(few);
});

const equal = (field: string, value: string | number | boolean): Condition => ({ field, is: 'equal', value });
const at = (days: number): Date => new Date(Date.now() - days * 86_400_000);

test.each<[ListName, Condition[]]>([
  ['referralCodes', []],
  ['referralCodes', [{ field: 'code', is: 'beginning', value: 'code-700' }]],
  ['referralCodes', [{ field: 'label', is: 'beginning', value: 'label 700' }]],
  ['referralCodes', [equal('userId', 'owner 700')]],
  ['signups', [equal('referralId', 700)]],
  ['signups', [equal('referrerId', 'owner 700')]],
  ['purchases', [equal('referrerId', 'owner 700')]],
  ['commissions', []],
  ['commissions', [{ field: 'rejectedAt', is: 'present' }]],
  ['commissions', [equal('referralId', 700)]],
  ['accounts', [{ field: 'suspendedAt', is: 'present' }]],
  ['accounts', [{ field: 'payoutEmail', is: 'beginning', value: 'mail700@' }]],
  ['reviews', [equal('referralId', 700)]],
  ['audit', [equal('call', 'programs.update')]],
  ['audit', [equal('subject', 'commission'), equal('subjectId', '700')]],
  ['responses', [equal('referralId', 700)]],
  ['responses', [equal('userId', 'user 700')]],
])('the list %s with %j is read without the rest of the table', async (list, conditions) => {
  const page = () => stories.lists.page(list, conditions, { take: 25, after: null });
  expect((await page()).records.length).toBeGreaterThan(0);
  expect(await pagesOf(page)).toBeLessThanOrEqual(few);
});

test('a page of all responses is read without the rest of the table, also one of days ago, and far from the first one', async () => {
  const { table } = (
    await dataSource.query<{ table: number }[]>(`SELECT relpages AS table FROM pg_class WHERE oid = $1::regclass`, [
      `"${(dataSource.options as { schema: string }).schema}".referral_responses`,
    ])
  )[0]!;
  expect(table).toBeGreaterThan(2 * someWindows);
  const old: Condition = { field: 'createdAt', is: 'below', value: at(200) };
  for (const conditions of [[], [old]])
    expect(
      await pagesOf(() => stories.lists.page('responses', conditions, { take: 25, after: null })),
    ).toBeLessThanOrEqual(someWindows);
  let after: string | null = null;
  for (let page = 0; page < 20; page++) after = (await stories.lists.page('responses', [], { take: 1000, after })).next;
  expect(await pagesOf(() => stories.lists.page('responses', [], { take: 25, after }))).toBeLessThanOrEqual(
    someWindows,
  );
});

test('the figures of some days are read without the days before', async () => {
  const { signups, purchases } = await stories.activity(7);
  expect(signups).toBeGreaterThanOrEqual(1000); // one every 10 minutes
  expect(signups).toBeLessThanOrEqual(1009);
  expect(purchases).toBe(signups);
  expect(await pagesOf(() => stories.activity(7))).toBeLessThanOrEqual(few * 2);
});
