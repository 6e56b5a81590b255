import { Referral } from '../lib';
import { closeAll, type Host, openDataSource, startHost, StatementLog, TestClock } from './support/host';

afterAll(closeAll);

const log = new StatementLog();
const clock = new TestClock();
let dataSource: Awaited<ReturnType<typeof openDataSource>>;
let a: Referral;
let b: Referral;
let host: Host;

beforeAll(async () => {
  dataSource = await openDataSource({ logger: log });
  host = await start({});
  [a, b] = [await Referral.create({ redirectTo: '/a' }), await Referral.create({ redirectTo: '/b' })];
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
    expect(log.statements).toHaveLength(kind === 'anonymous' ? 0 : 1);
  });
});

test('a signed-in user is looked up by one step into one index', async () => {
  await start({ windowDays: 30 });
  const browser = host.browser();
  await browser.post('/login/explained');
  await browser.get(`/r/${a.code}`);
  log.statements = [];
  await browser.get('/whose');
  expect(log.statements).toHaveLength(1);
  // With few rows the planner prefers a sequential scan. The test shows that the statement can use the index.
  const plan = await dataSource.transaction(async (manager) => {
    await manager.query('SET LOCAL enable_seqscan = off');
    return manager.query<object>(`EXPLAIN (FORMAT JSON) ${log.statements[0]}`, ['explained', null, null, 1000, null]);
  });
  expect(JSON.stringify(plan)).toContain('ix_referral_responses_user');
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
