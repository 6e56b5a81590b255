import { IsNull, type QueryRunner } from 'typeorm';
import { ReferralCreditSpend } from '../lib';
import { closeAll, type Host, openDataSource, startHost, StatementLog } from './support/host';

afterAll(closeAll);

/** Keeps each statement with its parameters. */
class ParameterLog extends StatementLog {
  sent: { text: string; values: unknown[] }[] = [];
  override logQuery(text: string, values: unknown[] = []): void {
    this.sent.push({ text, values });
  }
}

interface Node {
  'Node Type': string;
  'Relation Name'?: string;
  'Index Name'?: string;
  'Shared Hit Blocks': number;
  'Shared Read Blocks': number;
  'Plans'?: Node[];
}

const planModes = ['force_custom_plan', 'force_generic_plan'] as const;
type PlanMode = (typeof planModes)[number];

let host: Host;
let log: ParameterLog;

const crowd = 20_000;

/** `rich` has 12,000 credits, of which 3 have balance. `poor` has 3 credits. */
beforeAll(async () => {
  log = new ParameterLog();
  host = await startHost({ dataSource: await openDataSource({ logger: log }) });
  const { dataSource } = host;
  const sql = (text: string): Promise<unknown> => {
    const { schema } = dataSource.options as { schema: string };
    return dataSource.query(text.replaceAll('@', `"${schema}".`));
  };
  const credits = (user: string, balance: string, range: string): Promise<unknown> =>
    sql(`INSERT INTO @referral_credits (user_id, kind, name, type_id, initial_balance, current_balance, is_used_up, start_date,
        expiry_date, referee_id)
      SELECT ${user}, 'reward', 'reward ' || ${user} || n, 1, 10, ${balance}, ${balance} = 0, now() - interval '1 day',
        now() + interval '1 year' + n * interval '1 minute', ${user} || n
      FROM generate_series(${range}) n`);
  await sql(`INSERT INTO @referral_credit_types (name, refundable) VALUES ('any', true)`);
  await credits(`'rich'`, 'CASE WHEN n % 4000 = 0 THEN 10 ELSE 0 END', '1, 12000');
  await credits(`'poor'`, '10', '1, 3');
  await credits(`'user' || n / 3`, '10', `1, ${crowd}`);
  await sql(`INSERT INTO @referrals (user_id, code, redirect_to) VALUES ('anna', 'ANNA', '/')`);
  await sql(`INSERT INTO @referral_signups (user_id, referral_id, referrer_id, source, weighed)
    SELECT 'user' || n, 1, 'user' || n / 3, 'code', '{}' FROM generate_series(1, ${crowd}) n`);
  await sql(`INSERT INTO @referral_credit_spends (user_id, reference, kind, amount, covered, captured)
    SELECT 'user' || n / 3, n, 'hold', 1, 1, CASE WHEN n % 4000 > 0 THEN 1 END FROM generate_series(1, ${crowd}) n`);
  for (const name of ['credits', 'signups', 'credit_spends', 'credit_types'])
    await sql(`VACUUM ANALYZE @referral_${name}`);
});

/** Runs a call, rolls it back, and returns the plan of the statement that it sent to a table. */
async function planOf(
  call: (manager: QueryRunner['manager']) => Promise<unknown>,
  table: string,
  mode: PlanMode,
): Promise<Node> {
  const runner = host.dataSource.createQueryRunner();
  try {
    await runner.startTransaction();
    log.sent = [];
    await call(runner.manager);
    const { text, values } = log.sent.find((sent) => sent.text.includes(table))!;
    await runner.rollbackTransaction();
    await runner.startTransaction();
    await runner.query(`SET LOCAL plan_cache_mode = ${mode}`);
    await runner.query(`PREPARE sent AS ${text}`);
    const literals = values.map((value) => (value === null ? 'NULL' : `'${value as string}'`));
    const given = literals.length > 0 ? `(${literals.join(', ')})` : '';
    const [row] = (await runner.query(`EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE sent${given}`)) as {
      'QUERY PLAN': [{ Plan: Node }];
    }[];
    await runner.query('DEALLOCATE sent');
    return row!['QUERY PLAN'][0].Plan;
  } finally {
    await runner.rollbackTransaction();
    await runner.release();
  }
}

const nodesOf = (node: Node): Node[] => [node, ...(node.Plans ?? []).flatMap(nodesOf)];
const pagesOf = (plan: Node): number => plan['Shared Hit Blocks'] + plan['Shared Read Blocks'];

describe.each(planModes)('with %s', (mode) => {
  const credits = 'referral_credits';

  test.each<[string, (user: string, manager: QueryRunner['manager']) => Promise<unknown>]>([
    ['spend', (user, manager) => host.referrals.credits.spend(user, { amount: '15', reference: 'new', manager })],
    ['hold', (user, manager) => host.referrals.credits.hold(user, { amount: '15', reference: 'new', manager })],
    [
      'partial spend',
      (user, manager) =>
        host.referrals.credits.spend(user, { amount: '100', reference: 'new', partial: true, manager }),
    ],
    ['balance', (user, manager) => host.referrals.credits.balance(user, { manager })],
  ])('%s reads no credit that is used up', async (_name, call) => {
    await planOf((manager) => call('poor', manager), credits, mode); // what is read for the first time only
    const few = pagesOf(await planOf((manager) => call('poor', manager), credits, mode));
    const many = pagesOf(await planOf((manager) => call('rich', manager), credits, mode));
    expect(many).toBeLessThanOrEqual(2 * few);
  });

  test.each<['capture' | 'refund', (user: string, manager: QueryRunner['manager']) => Promise<unknown>]>([
    ['capture', (user, manager) => host.referrals.credits.capture({ user, reference: 'held', amount: '1', manager })],
    ['refund', (user, manager) => host.referrals.credits.refund({ user, reference: 'spent', manager })],
  ])('%s gives back without reading the other credits', async (_name, call) => {
    for (const user of ['poor', 'rich']) {
      await host.referrals.credits.hold(user, { amount: '2', reference: 'held' });
      await host.referrals.credits.spend(user, { amount: '2', reference: 'spent' });
    }
    await planOf((manager) => call('poor', manager), credits, mode);
    const few = pagesOf(await planOf((manager) => call('poor', manager), credits, mode));
    const many = pagesOf(await planOf((manager) => call('rich', manager), credits, mode));
    expect(many).toBeLessThanOrEqual(2 * few);
  });

  test.each<[string, string, string | string[], (manager: QueryRunner['manager']) => Promise<unknown>]>([
    [
      'sign-ups of a referrer',
      ...(['referral_signups', 'ix_referral_signups_referrer'] as const),
      (manager) => host.referrals.signups.search({ where: { referrerId: 'user7' }, take: 2, manager }),
    ],
    [
      'a count of sign-ups of a referrer',
      'referral_signups',
      // Both begin with the referrer.
      ['ix_referral_signups_referrer', 'ix_referral_signups_referrer_day'],
      (manager) => host.referrals.signups.count({ where: { referrerId: 'user7' }, manager }),
    ],
    [
      'a credit by name',
      ...([credits, 'ix_referral_credits_name'] as const),
      (manager) => host.referrals.credits.getByName('reward user240721', { manager }),
    ],
    [
      'credits of a sign-up',
      ...([credits, 'uq_referral_credits_side'] as const),
      (manager) => host.referrals.credits.search({ where: { refereeId: 'user240721' }, manager }),
    ],
    [
      'open holds',
      ...(['referral_credit_spends', 'ix_referral_credit_spends_open'] as const),
      (manager) => manager.getRepository(ReferralCreditSpend).findBy({ captured: IsNull() }),
    ],
    [
      'open holds of a user',
      ...(['referral_credit_spends', 'ix_referral_credit_spends_open'] as const),
      (manager) => manager.getRepository(ReferralCreditSpend).findBy({ userId: 'user1333', captured: IsNull() }),
    ],
  ])('finds %s by an index', async (_name, table, index, call) => {
    const nodes = nodesOf(await planOf(call, table, mode));
    expect(nodes.filter((node) => node['Node Type'] === 'Seq Scan')).toEqual([]);
    const used = nodes.map((node) => node['Index Name']);
    expect(used.filter((name) => [index].flat().includes(name as string))).not.toEqual([]);
  });
});

test('a spend updates the balance in place; a credit that is used up leaves the index, and comes back', async () => {
  const { referrals, dataSource } = host;
  const { credits } = referrals;
  const table = `"${(dataSource.options as { schema: string }).schema}".referral_credits`;
  const { id } = await credits.create({ user: 'hot', creditType: 1, initialBalance: '9', durationDays: 1 });
  const adjust = (value: string): Promise<unknown> => referrals.creditTransactions.create({ credit: id, value });
  const steps: [() => Promise<unknown>, balance: string][] = [
    [() => credits.spend('hot', { amount: '4', reference: 'one' }), '5.0000'],
    [() => credits.spend('hot', { amount: '5', reference: 'two' }), '0.0000'],
    [() => credits.refund({ reference: 'two' }), '5.0000'],
    [() => adjust('-5'), '0.0000'],
    [() => adjust('1'), '1.0000'],
    [() => credits.hold('hot', { amount: '1', reference: 'three' }), '0.0000'],
    [() => credits.release({ reference: 'three' }), '1.0000'],
  ];
  for (const [step, balance] of steps) {
    await step();
    const rows = await dataSource.query(`SELECT current_balance AS balance, is_used_up FROM ${table} WHERE id = $1`, [
      id,
    ]);
    expect(rows).toEqual([{ balance, is_used_up: Number(balance) === 0 }]);
  }
  expect(await credits.balance('hot')).toBe('1.00');

  // PostgreSQL updates a row in place (HOT) unless a column of an index changes, also one of an index's condition.
  const columns = await dataSource.query<{ name: string }[]>(
    `SELECT DISTINCT a.attname AS name FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND (
       a.attnum = ANY (i.indkey) OR pg_get_expr(i.indpred, i.indrelid) LIKE '%' || a.attname || '%')
     WHERE i.indrelid = $1::regclass AND a.attnum > 0`,
    [table],
  );
  const names = columns.map(({ name }) => name);
  expect(names).toContain('is_used_up');
  expect(names.filter((name) => ['current_balance', 'entries'].includes(name))).toEqual([]);
});
