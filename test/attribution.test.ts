import { Referral } from '../lib';
import { clusterUrl } from './support/cluster';
import { closeAll, databaseUrl, type Host, openDataSource, startHost, StatementLog, TestClock } from './support/host';

afterAll(closeAll);

/** On a cluster, touches are read from the shards first, by a statement more. */
const isOnCluster = databaseUrl() === clusterUrl;
const log = new StatementLog();
const clock = new TestClock();
let dataSource: Awaited<ReturnType<typeof openDataSource>>;
let a: Referral;
let b: Referral;
let host: Host;

beforeAll(async () => {
  dataSource = await openDataSource({ logger: log });
  host = await start({});
  [a, b] = [
    await Referral.create({ user: 'a', redirectTo: '/a' }),
    await Referral.create({ user: 'b', redirectTo: '/b' }),
  ];
  await host.referrals.close();
});

afterEach(() => host.referrals.close());

async function start(attribution: { model?: 'last-touch' | 'first-touch'; windowDays?: number }): Promise<Host> {
  host = await startHost({ dataSource, attribution, clock: clock.read, cookie: { maxAgeDays: 365 } }, (app) => {
    app.post('/act', async (req, res) => void res.json(await Referral.recordResponse(req, 'ACTED')));
  });
  return host;
}

/**
 * The same steps of a visitor who never signs in, and of one who is signed in from the start. The results must agree.
 */
describe.each(['anonymous', 'signed in'])('%s', (kind) => {
  let browser: ReturnType<Host['browser']>;
  let visitors = 0;

  async function arrive(attribution: Parameters<typeof start>[0]): Promise<void> {
    browser = (await start(attribution)).browser();
    if (kind === 'signed in') await browser.post(`/login/${kind} ${++visitors}`);
  }
  const click = async (referral: Referral): Promise<unknown> => browser.get(`/r/${referral.code}`);
  const whose = async (): Promise<string | null> => {
    const { code } = (await browser.get('/whose')).body as { code: string | null };
    return code === a.code ? 'a' : code === b.code ? 'b' : code;
  };

  test('the newest touch wins by default', async () => {
    await arrive({});
    expect(await whose()).toBeNull();
    await click(a);
    clock.advanceDays(1);
    expect(await whose()).toBe('a');
    await click(b);
    expect(await whose()).toBe('b');
    clock.advanceDays(100);
    expect(await whose()).toBe('b');
    await click(a);
    expect(await whose()).toBe('a');
  });

  test('the oldest wins under first touch', async () => {
    await arrive({ model: 'first-touch' });
    await click(a);
    clock.advanceDays(1);
    await click(b);
    clock.advanceDays(200);
    expect(await whose()).toBe('a');
  });

  test('a touch counts within the window, and no moment longer', async () => {
    await arrive({ windowDays: 30 });
    await click(a);
    clock.advanceDays(29.999);
    expect(await whose()).toBe('a');
    clock.advanceDays(0.001);
    expect(await whose()).toBeNull();
    expect((await browser.post('/act')).body).toBeNull();
  });

  test('under first touch the oldest one within the window', async () => {
    await arrive({ model: 'first-touch', windowDays: 30 });
    await click(a);
    clock.advanceDays(20);
    await click(b);
    expect(await whose()).toBe('a');
    clock.advanceDays(10);
    if (kind === 'anonymous') await click(b); // the cookie holds one touch: the next click takes the place
    expect(await whose()).toBe('b');
  });

  test("a visitor's own actions do not prolong the window", async () => {
    await arrive({ windowDays: 30 });
    await click(a);
    clock.advanceDays(20);
    expect((await browser.post('/act')).body).toMatchObject({ referralId: a.id, action: 'ACTED' });
    clock.advanceDays(11);
    expect(await whose()).toBeNull();
  });

  test('asking often in a request looks once, and answers the same', async () => {
    await arrive({});
    host.app.get('/often', async (req, res) => {
      const answers = await Promise.all([
        req.referralForRequest(),
        Referral.referralForRequest(req),
        req.referralForRequest(),
      ]);
      res.json({ ids: answers.map((referral) => referral?.id ?? null) });
    });
    await click(a);
    await whose();
    log.statements = [];
    expect((await browser.get('/often')).body).toEqual({ ids: [a.id, a.id, a.id] });
    expect(log.statements).toHaveLength(kind === 'anonymous' ? 0 : isOnCluster ? 2 : 1);
  });
});

interface Plan {
  'Node Type': string;
  'Relation Name'?: string;
  'Index Name'?: string;
  'Actual Rows': number;
  'Actual Loops': number;
  'Plans'?: Plan[];
}

const onPlainTables = isOnCluster ? describe.skip : describe;
onPlainTables('a signed-in user is looked up by one statement, which reads one entry of one index', () => {
  /** What the statement of a page reads of the responses: the index and the rows of each scan that runs. */
  async function readBy(user: string): Promise<[string | undefined, number][]> {
    const browser = host.browser();
    await browser.post(`/login/${user}`);
    log.statements = [];
    await browser.get('/whose').expect(200);
    expect(log.statements).toHaveLength(1);
    const explain = `EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) ${log.statements[0]}`;
    const [row] = await dataSource.query<{ 'QUERY PLAN': { Plan: Plan }[] }[]>(explain, [user, null, 1e12, []]);
    const scans = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(scans)];
    return scans(row!['QUERY PLAN'][0]!.Plan)
      .filter((plan) => plan['Actual Loops'] > 0 && plan['Node Type'] !== 'Bitmap Heap Scan')
      .filter((plan) => /^(ix_)?referral_responses/.test(plan['Index Name'] ?? plan['Relation Name'] ?? ''))
      .map((plan) => [plan['Index Name'], plan['Actual Rows'] * plan['Actual Loops']]);
  }

  test.each(['last-touch', 'first-touch'] as const)('%s', async (model) => {
    await start({ windowDays: 30, model });
    const { schema } = dataSource.options as { schema: string };
    await dataSource.query(
      `INSERT INTO "${schema}".referral_responses (referral_id, user_id, action, created_at, touched_at)
       SELECT $1, 'user ' || n % 100, 'RESPONDED', at, at
       FROM generate_series(1, 20000) n, LATERAL (SELECT now() - n * interval '1 second' AS at) AS times`,
      [a.id],
    );
    await dataSource.query(`ANALYZE "${schema}".referral_responses`);
    const index = 'ix_referral_responses_user';
    expect(await readBy('user 7')).toEqual([[index, 1]]);
    // Of nobody, every index by user reads nothing.
    expect(await readBy('nobody')).toEqual([
      [expect.stringMatching(/^ix_referral_responses_user/), 0],
      [expect.stringMatching(/^ix_referral_responses_user/), 0],
    ]);
  });
});

test('a page for somebody who was never referred runs no statement, signed in or not', async () => {
  await start({});
  host.app.get('/page', (_req, res) => void res.send('page'));
  const [anonymous, known] = [host.browser(), host.browser()];
  await known.post('/login/known');
  log.statements = [];
  for (const browser of [anonymous, known]) expect((await browser.get('/page')).text).toBe('page');
  expect((await anonymous.get('/whose')).body).toEqual({ code: null });
  expect(log.statements).toEqual([]);
});
