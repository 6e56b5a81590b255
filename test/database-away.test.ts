import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { browserOf as request } from './support/browser';
import { DataSource, In } from 'typeorm';
import { entities, migrations, Referral, ReferralResponse } from '../lib';
import { closeAll, cookieOf, despiteLimit, type Host, isLate, startHost, visitorOf, waitFor } from './support/host';
import { type OwnServer, startOwnServer } from './support/own-server';
import { startProxy } from './support/proxy';

/** A server of this file's own, to be stopped and paused. */
let postgres: OwnServer;
let folder: string;
let dataSource: DataSource;
let host: Host;
let known: Referral;
/** Long enough for most statements on a slow machine; what has to succeed is tried again where it was not. */
const limitMs = 1000;
const unhandled: unknown[] = [];
const note = (reason: unknown): void => void unhandled.push(reason);

beforeAll(async () => {
  process.on('unhandledRejection', note);
  folder = path.join(tmpdir(), `express-referrals-away-${randomBytes(6).toString('hex')}`);
  postgres = await startOwnServer({ folder, persistent: true });
  dataSource = new DataSource({ type: 'postgres', url: postgres.url, entities, migrations, poolSize: 5 });
  await dataSource.initialize();
  await dataSource.runMigrations();
  host = await startHost({ dataSource, queryTimeoutMs: limitMs, linkCache: { ttlMs: 1 } }, (app) => {
    app.get('/page', (_req, res) => void res.send('page'));
    app.post('/do', (req, res, next) => {
      Referral.recordResponse(req, 'DONE').then((answer) => res.json(answer), next);
    });
  });
  const { manager } = dataSource; // with it, there is no limit
  known = await Referral.create({ redirectTo: '/known', label: 'known' }, { manager });
  for (const code of ['UNSEEN-1', 'UNSEEN-2'])
    await Referral.create({ redirectTo: '/', label: code, code }, { manager });
  await see(known.code);
});

afterAll(async () => {
  await closeAll();
  await dataSource.destroy();
  await postgres.stop();
  process.off('unhandledRejection', note);
});

/** Asks for a link until it was found within the limit. */
async function see(code: string): Promise<void> {
  await waitFor(async () => {
    const { status } = await request(host.app).head(`/r/${code}`);
    expect([302, 503]).toContain(status);
    return status === 302;
  });
}

/** How many clicks of these visitors are on record. */
const clicksOf = (visitors: string[]): Promise<number> =>
  dataSource.getRepository(ReferralResponse).countBy({ referralId: known.id, visitorId: In(visitors) });

/** What visitors see while the database is away, however it is away. Should a step hang, the test does. */
async function visitorsSee(unseenCode: string): Promise<void> {
  host.errors.length = 0;
  const click = await request(host.app).get(`/r/${known.code}`);
  expect([click.status, click.headers['location']]).toEqual([302, '/known']);
  expect(cookieOf(click)).toMatch(/^__Host-referral=v2\./);
  expect(host.errors).toMatchObject([{ code: 'DATABASE_UNAVAILABLE', status: 503 }]);

  // The one who clicked is attributed, and pages go on.
  const cookie = cookieOf(click)!;
  expect((await request(host.app).get('/whose').set('Cookie', cookie)).body).toEqual({ code: known.code });
  expect((await request(host.app).get('/page').set('Cookie', cookie)).text).toBe('page');
  expect((await request(host.app).get(`/page?referral_code=${unseenCode}`)).text).toBe('page');
  const login = cookieOf(await request(host.app).post('/login/away'), 'connect.sid')!;
  const signedIn = await request(host.app).get('/page').set('Cookie', `${cookie}; ${login}`);
  expect([signedIn.text, cookieOf(signedIn)]).toEqual(['page', null]); // kept until it could be linked

  const unseen = await request(host.app).get(`/r/${unseenCode}`);
  expect([unseen.status, unseen.headers['retry-after']]).toEqual([503, '5']);
  const recorded = await request(host.app).post('/do').set('Cookie', cookie);
  expect([recorded.status, recorded.body.code]).toEqual([503, 'DATABASE_UNAVAILABLE']);
  const whose = await request(host.app).get('/whose').set('Cookie', login);
  expect(whose.status).toBe(503); // a call that money can depend on fails, and does not return "no referral"
  await expect(Referral.create({ redirectTo: '/', label: 'new' })).rejects.toMatchObject({
    code: 'DATABASE_UNAVAILABLE',
  });
}

/** Waits until a click is recorded. On a slow machine the first clicks can still exceed the limit. */
async function recovers(unseenCode?: string): Promise<void> {
  await waitFor(async () => {
    host.errors.length = 0;
    const click = await request(host.app).get(`/r/${known.code}`);
    expect([click.status, host.errors.filter((error) => !isLate(error))]).toEqual([302, []]);
    if (host.errors.length > 0) return false;
    expect(await clicksOf([visitorOf(click)])).toBe(1);
    return true;
  });
  if (unseenCode) await see(unseenCode);
}

test('a link that was seen', async () => {
  await recovers();
});

test('the server hangs, and comes back', async () => {
  await request(host.app).get(`/r/${known.code}`);
  const resume = postgres.pause();
  try {
    await visitorsSee('UNSEEN-1');
  } finally {
    resume();
  }
  await recovers('UNSEEN-1');
  expect(unhandled).toEqual([]);
});

test('a statement that took too long is called off at the server too, and counted by nobody', async () => {
  await recovers();
  const visitors: string[] = [];
  await dataSource.transaction(async (manager) => {
    await manager.query('SELECT 1 FROM referrals WHERE id = $1 FOR UPDATE', [known.id]);
    for (let click = 0; click < 3; click++) {
      const answer = await request(host.app).get(`/r/${known.code}`);
      expect([answer.status, cookieOf(answer)]).toEqual([302, expect.stringMatching(/^__Host-referral=v2/)]);
      visitors.push(visitorOf(answer));
    }
    await waitFor(async () => {
      const [{ waiting }] = await dataSource.query(
        `SELECT count(*)::int AS waiting FROM pg_stat_activity WHERE wait_event_type = 'Lock'`,
      );
      return waiting === 0;
    });
  });
  expect(await clicksOf(visitors)).toBe(0);
  await recovers();
});

test('the network swallows everything, and heals: connections that hung do not keep the pool', async () => {
  const proxy = await startProxy(Number(new URL(postgres.url).port));
  const url = Object.assign(new URL(postgres.url), { port: String(proxy.port) }).href;
  const behind = new DataSource({ type: 'postgres', url, entities, poolSize: 2, connectTimeoutMS: limitMs });
  await despiteLimit(() => behind.initialize());
  const own = await startHost({ dataSource: behind, queryTimeoutMs: limitMs });
  const click = (code: string): Promise<number> =>
    request(own.app)
      .get(`/r/${code}`)
      .then(({ status }) => status);
  await waitFor(async () => (await click(known.code)) === 302);
  proxy.swallow(true);
  expect(await Promise.all([click(known.code), click(known.code), click('UNSEEN-1')])).toEqual([302, 302, 503]);
  proxy.swallow(false);
  await waitFor(async () => (await click('UNSEEN-1')) === 302);
  expect(await despiteLimit(() => behind.query('SELECT 1 AS one'))).toEqual([{ one: 1 }]); // the pool is the host's again
  await own.referrals.close();
  await behind.destroy();
  await proxy.stop();
});

test('the server is stopped, and started again', async () => {
  await postgres.stop();
  await visitorsSee('UNSEEN-2');
  postgres = await startOwnServer({ folder, persistent: false, port: Number(new URL(postgres.url).port) });
  await recovers('UNSEEN-2');
  expect(unhandled).toEqual([]);
});
