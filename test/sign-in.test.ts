import { browserOf as request } from './support/browser';
import { Referral, ReferralResponse } from '../lib';
import { closeAll, cookieOf, type Host, startHost, TestClock } from './support/host';

afterAll(closeAll);

const clock = new TestClock();
let host: Host;
let events: string[];

beforeAll(async () => {
  host = await startHost({ clock: clock.read }, (app) => {
    // Signs in and asks in the same request, before anything could be linked.
    app.post('/register/:id', async (req, res) => {
      req.session.userId = req.params.id;
      const response = await Referral.recordResponse(req, 'REGISTERED');
      res.json({ code: (await req.referralForRequest())?.code, response });
    });
    app.get('/responses', async (req, res) => void res.json(await Referral.responsesForRequest(req)));
  });
  host.referrals.on('userLinkedToResponse', ({ id, userId }) => void events.push(`${id} ${userId}`));
});

beforeEach(() => {
  events = [];
});

const link = (label: string): Promise<Referral> => Referral.create({ redirectTo: '/', label });
const responses = (referral: Referral): Promise<ReferralResponse[]> => referral.filteredResponses();

test('links the responses of every referral that the visitor came through, with one event each', async () => {
  const [a, b] = [await link('a'), await link('b')];
  const browser = host.browser();
  await browser.get(`/r/${a.code}`);
  await browser.get(`/r/${b.code}`);
  await browser.get(`/r/${a.code}`);
  await browser.post('/login/anna');
  expect(events).toEqual([]); // the login request itself began without a user
  await browser.get('/whose');
  expect(events).toHaveLength(3);
  await browser.get('/whose');
  expect(events).toHaveLength(3);
  for (const response of [...(await responses(a)), ...(await responses(b))]) expect(response.userId).toBe('anna');
});

test('two tabs at once: each response is linked once, with one event', async () => {
  const a = await link('tabs');
  const click = cookieOf(await request(host.app).get(`/r/${a.code}`))!;
  for (let more = 0; more < 4; more++) await request(host.app).get(`/r/${a.code}`).set('Cookie', click);
  const login = cookieOf(await request(host.app).post('/login/two-tabs'), 'connect.sid')!;
  const tabs = await Promise.all(
    Array.from({ length: 12 }, () => request(host.app).get('/whose').set('Cookie', `${click}; ${login}`)),
  );
  for (const tab of tabs) {
    expect(tab.body).toEqual({ code: a.code });
    expect(cookieOf(tab)).toBe('__Host-referral=');
  }
  expect(events).toHaveLength(5);
  expect(new Set(events).size).toBe(5);
  expect(await responses(a)).toHaveLength(5);
  expect(await a.responseCount()).toBe(5);
});

test("somebody else's responses are not linked, and a user's are not taken over by the next", async () => {
  const a = await link('others');
  const [anna, bob] = [host.browser(), host.browser()];
  await anna.get(`/r/${a.code}`);
  await bob.get(`/r/${a.code}`);
  await anna.post('/login/a');
  await anna.get('/whose');
  await anna.post('/logout');
  await anna.post('/login/z');
  await anna.get('/whose');
  expect((await responses(a)).map(({ userId }) => userId).sort()).toEqual(['a', null]);
});

test('in the request that signs in, attribution and recording work already', async () => {
  const a = await link('same request');
  const browser = host.browser();
  await browser.get(`/r/${a.code}`);
  const registered = await browser.post('/register/carla');
  expect(registered.body).toMatchObject({ code: a.code, response: { userId: 'carla', referralId: a.id } });
  const [recorded, click] = await responses(a);
  expect(recorded!.visitorId).toBe(click!.visitorId);
  await browser.get('/whose');
  expect((await responses(a)).map(({ userId }) => userId)).toEqual(['carla', 'carla']);
  expect(events).toEqual([`${click!.id} carla`]);
});

describe('a click that could not be recorded', () => {
  /** Clicks while the insert fails, as it does when the database goes away between two moments. */
  async function lostClick(a: Referral): Promise<string> {
    const table = host.dataSource.getMetadata(ReferralResponse).tablePath.replace('.', '"."');
    await request(host.app).head(`/r/${a.code}`); // the link is known
    await host.dataSource.query(`ALTER TABLE "${table}" RENAME TO away`);
    const answer = await request(host.app).get(`/r/${a.code}`);
    await host.dataSource.query(`ALTER TABLE "${table.split('"."')[0]}".away RENAME TO referral_responses`);
    expect(answer.status).toBe(302);
    expect(host.errors.splice(0)).toMatchObject([{ code: 'MIGRATIONS_NOT_RUN' }]);
    expect(await responses(a)).toEqual([]);
    return cookieOf(answer)!;
  }

  test('attributes the visitor all the same, and is made up for at sign-in: once, also from two tabs', async () => {
    const a = await link('lost');
    const clickedAt = clock.time;
    const cookie = await lostClick(a);
    clock.advanceDays(1);
    expect((await request(host.app).get('/whose').set('Cookie', cookie)).body).toEqual({ code: a.code });
    const login = cookieOf(await request(host.app).post('/login/lost'), 'connect.sid')!;
    await Promise.all(
      Array.from({ length: 8 }, () => request(host.app).get('/whose').set('Cookie', `${cookie}; ${login}`)),
    );
    const [restored, ...more] = await responses(a);
    expect(more).toEqual([]);
    expect(restored).toMatchObject({ action: 'RESPONDED', userId: 'lost', createdAt: clickedAt, touchedAt: clickedAt });
    expect(await a.responseCount()).toBe(1);
    expect(events).toEqual([`${restored!.id} lost`]);
    expect((await request(host.app).get('/whose').set('Cookie', login)).body).toEqual({ code: a.code });
  });

  test('of a signed-in user is carried to the next request', async () => {
    const a = await link('lost, signed in');
    const login = cookieOf(await request(host.app).post('/login/lost-too'), 'connect.sid')!;
    const table = host.dataSource.getMetadata(ReferralResponse).tablePath.split('.')[0];
    await request(host.app).head(`/r/${a.code}`);
    await host.dataSource.query(`ALTER TABLE "${table}".referral_responses RENAME TO away`);
    const click = await request(host.app).get(`/r/${a.code}`).set('Cookie', login);
    await host.dataSource.query(`ALTER TABLE "${table}".away RENAME TO referral_responses`);
    host.errors.length = 0;
    const next = await request(host.app)
      .get('/whose')
      .set('Cookie', `${cookieOf(click)}; ${login}`);
    expect([next.body, cookieOf(next)]).toEqual([{ code: a.code }, '__Host-referral=']);
    expect(await responses(a)).toMatchObject([{ userId: 'lost-too' }]);
  });
});

test('what the visitor did is listed newest first: by visitor, then by user', async () => {
  const [a, b] = [await link('list a'), await link('list b')];
  const browser = host.browser();
  for (const referral of [a, b]) {
    await browser.get(`/r/${referral.code}`);
    clock.advanceDays(0.1);
  }
  const ids = async (): Promise<number[]> =>
    ((await browser.get('/responses')).body as ReferralResponse[]).map(({ referralId }) => referralId);
  expect(await ids()).toEqual([b.id, a.id]);
  await browser.post('/login/lister');
  expect(await ids()).toEqual([b.id, a.id]);
  expect((await request(host.app).get('/responses')).body).toEqual([]);
});

test('linkResponsesToUser links one referral, and checks what it is given', async () => {
  const [a, b] = [await link('one'), await link('other')];
  const browser = host.browser();
  await browser.get(`/r/${a.code}`);
  await browser.get(`/r/${b.code}`);
  const [{ visitorId }] = (await responses(a)) as [ReferralResponse];
  const linked = await a.linkResponsesToUser({ id: 42n }, visitorId!.toUpperCase());
  expect(linked.map(({ referralId, userId }) => [referralId, userId])).toEqual([[a.id, '42']]);
  expect(await a.linkResponsesToUser(43, visitorId!)).toEqual([]);
  expect((await responses(b))[0]!.userId).toBeNull();
  expect(events).toEqual([`${linked[0]!.id} 42`]);
  await expect(a.linkResponsesToUser(1, "x' OR true")).rejects.toMatchObject({
    code: 'INVALID_INPUT',
    field: 'visitorId',
  });
});

describe("visitor: 'session'", () => {
  test('keeps the same facts in the session, sets no cookie of its own, and links at sign-in', async () => {
    const kept = await startHost({ visitor: 'session' }, (app) => {
      app.post('/become/:id', (req, res) => {
        req.session.userId = req.params.id; // a login that keeps the session
        res.sendStatus(204);
      });
    });
    const { manager } = kept.dataSource;
    const a = await Referral.create({ redirectTo: '/' }, { manager });
    const browser = kept.browser();
    expect((await browser.get('/whose')).headers['set-cookie']).toBeUndefined();
    const click = await browser.get(`/r/${a.code}`);
    expect([cookieOf(click), cookieOf(click, 'connect.sid')]).toEqual([null, expect.any(String)]);
    expect((await browser.get('/whose')).body).toEqual({ code: a.code });
    await browser.post('/become/sam');
    expect((await browser.get('/whose')).body).toEqual({ code: a.code });
    expect(await a.filteredResponses()).toMatchObject([{ userId: 'sam' }]);
    // What it costs: a session that is regenerated has forgotten the visitor.
    const other = kept.browser();
    await other.get(`/r/${a.code}`);
    await other.post('/login/tom');
    expect((await other.get('/whose')).body).toEqual({ code: null });
    await kept.referrals.close();
  });
});
