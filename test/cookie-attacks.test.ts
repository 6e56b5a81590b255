import { createHmac, randomUUID } from 'node:crypto';
import type { RequestHandler } from 'express';
import request from 'supertest';
import type { EntityManager } from 'typeorm';
import { Referral, ReferralResponse, type ReferralSignup, ReferralVisitor } from '../lib';
import { VisitorTokens } from '../lib/tracking/visitor-token';
import { browserOf } from './support/browser';
import {
  closeAll,
  cookieOf,
  type Host,
  openDataSource,
  secret,
  startHost,
  StatementLog,
  TestClock,
  visitorOf,
} from './support/host';

afterAll(closeAll);

const clock = new TestClock();
const ours = '__Host-referral';
const firefox = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';
let host: Host;
let log: StatementLog;
let manager: EntityManager;
let count = 0;
const fresh = (word = 'x'): string => `${word}-${++count}`;

/** Routes of a host: a registration that does not sign in, a response, and pages with their own `Cache-Control`. */
const routes: Parameters<typeof startHost>[1] = (app, dataSource) => {
  const handled =
    (work: (...args: Parameters<RequestHandler>) => Promise<unknown>): RequestHandler =>
    (req, res, next) =>
      work(req, res, next).then((result) => res.json(result), next);
  app.post('/register/:id', handled((req) => Referral.recordSignup(req, String(req.params['id'])))); // prettier-ignore
  app.post(
    '/undone/:id',
    handled(async (req) => {
      let signup: unknown;
      const work = dataSource.transaction(async (manager: EntityManager) => {
        signup = await Referral.recordSignup(req, String(req.params['id']), { manager });
        throw new Error('undone');
      });
      await work.catch(() => undefined);
      return signup;
    }),
  );
  app.post('/respond', handled((req) => Referral.recordResponse(req, 'TRIED'))); // prettier-ignore
  app.post('/enter/:id', (req, _res, next) => {
    req.session.userId = req.params.id; // signs in, and goes on in the same request
    next();
  });
  app.post('/enter/:id', handled(async (req) => (await req.referralForRequest())?.code ?? null)); // prettier-ignore
  app.get('/list', handled((req) => Referral.responsesForRequest(req))); // prettier-ignore
  app.get('/public', (_req, res) => void res.set('Cache-Control', 'public, max-age=300').send('page'));
  app.get('/written', (_req, res) => void res.writeHead(200, { 'Cache-Control': 'max-age=60' }).end('page'));
  app.get('/shared', (_req, res) => {
    res.set({ 'CDN-Cache-Control': 'max-age=60', 'Surrogate-Control': 'max-age=60', 'Cache-Control': 'no-cache' });
    res.send('page');
  });
  app.get('/secret', (_req, res) => void res.set('Cache-Control', 'no-store').send('page'));
  app.get('/own', (_req, res) => void res.set('Cache-Control', 'private, max-age=9').send('page'));
  app.get('/dropped', (_req, res) => {
    res.removeHeader('Set-Cookie');
    res.set('Cache-Control', 'public').send('page');
  });
};

beforeAll(async () => {
  log = new StatementLog();
  host = await startHost(
    { clock: clock.read, dataSource: await openDataSource({ logging: true, logger: log }) },
    routes,
  );
  ({ manager } = host.dataSource);
});

beforeEach(() => clock.advanceDays(0.001));

const link = (label = fresh(), own: Host = host): Promise<Referral> =>
  Referral.create({ redirectTo: '/', label, user: `owner of ${label}` }, { manager: own.dataSource.manager });

/** The cookie that a click sets, as `name=value`. */
async function click(code: string, own: Host = host, name = ours): Promise<string> {
  return cookieOf(await request(own.app).get(`/r/${code}`).set('User-Agent', firefox), name)!;
}

/** Logs in with a new session, and returns its cookie. */
const login = async (user: string, own: Host = host): Promise<string> =>
  cookieOf(await request(own.app).post(`/login/${user}`), 'connect.sid')!;

const get = (path: string, cookies: string[], own: Host = host): request.Test =>
  request(own.app).get(path).set('Cookie', cookies.join('; ')).set('User-Agent', firefox);

const whose = async (cookies: string[], own: Host = host): Promise<unknown> =>
  (await get('/whose', cookies, own)).body.code;

/** A token of the form that versions before signed. */
function oldToken(code: string, clickedAt: Date = clock.time, visitorId: string = randomUUID()): string {
  const payload = `v1.${code}.${visitorId}.${clickedAt.getTime().toString(36)}`;
  const key = createHmac('sha256', secret).update('express-referrals visitor').digest();
  return `${payload}.${createHmac('sha256', key).update(payload).digest('base64url')}`;
}

const linesOf = (response: request.Response): string[] => (response.headers['set-cookie'] ?? []) as unknown as string[];

describe('several cookies of the name', () => {
  const bad = `${ours}=v2.1.x.y.z`;

  test.each<[string, (older: string, newer: string) => string[]]>([
    ['a bad one before', (_older, newer) => [bad, newer]],
    ['a bad one after', (_older, newer) => [newer, bad]],
    ['empty and quoted ones', (_older, newer) => [`${ours}=`, newer, `${ours}="x"`, 'a=b']],
    ['an old one before', (older, newer) => [older, newer]],
    ['an old one after', (older, newer) => [newer, 'other=1', older]],
    ['many bad ones', (older, newer) => [...Array<string>(20).fill(bad), older, newer, bad]],
    ['names that end alike', (older, newer) => [`x${older}`, `${ours}x=1`, newer]],
  ])('%s: the newest valid one counts', async (_what, cookies) => {
    const [first, second] = [await link(), await link()];
    const older = await click(first.code);
    clock.advanceDays(0.1);
    const newer = await click(second.code);
    expect(await whose(cookies(older, newer))).toBe(second.code);
    const user = fresh('user');
    await get('/whose', [...cookies(older, newer), await login(user)]);
    expect(await second.filteredResponses()).toMatchObject([{ userId: user }]);
  });

  test('one that is too old does not count', async () => {
    const short = await startHost({ clock: clock.read, cookie: { maxAgeDays: 2 } }, routes);
    const [first, second] = [await link(fresh(), short), await link(fresh(), short)];
    const older = await click(first.code, short);
    clock.advanceDays(1);
    const newer = await click(second.code, short);
    clock.advanceDays(1.5);
    expect(await whose([older, newer], short)).toBe(second.code);
    clock.advanceDays(1);
    expect(await whose([older, newer], short)).toBeNull();
    await short.referrals.close();
  });

  test.each<[string, object, string, string, string[]]>([
    ['the default over https', {}, 'https://shop.example', ours, ['']],
    ['with a domain', { domain: 'shop.example' }, 'https://www.shop.example', 'referral', ['', 'shop.example']],
    ['with a name', { name: 'ref' }, 'https://www.shop.example', 'ref', ['', 'www.shop.example', 'shop.example']],
    ['over http', {}, 'http://shop.example', 'referral', ['', 'shop.example']],
    ['on localhost', {}, 'http://localhost:3000', 'referral', ['']],
    ['on an address', {}, 'http://127.0.0.1:3000', 'referral', ['']],
    ['on another address', {}, 'http://[::1]:3000', 'referral', ['']],
  ])('%s: signing in clears that of the host and that of the domain', async (_what, cookie, baseUrl, name, domains) => {
    const own = await startHost({ clock: clock.read, cookie, baseUrl }, routes);
    const visit = await click((await link(fresh(), own)).code, own, name);
    const answer = await get('/whose', [visit, await login(fresh('user'), own)], own);
    const secure = baseUrl.startsWith('https') ? ' Secure;' : '';
    expect(linesOf(answer)).toEqual(
      domains.map((domain) => {
        const of = domain && ` Domain=${domain};`;
        return `${name}=; Max-Age=0;${of} Path=/; HttpOnly;${secure} SameSite=Lax`;
      }),
    );
    await own.referrals.close();
  });

  test('one that stays costs no query on the pages after, whoever is signed in', async () => {
    const referral = await link();
    const [visit, session, other] = [await click(referral.code), await login('stuck'), await login('stuck-too')];
    const deleted = await link();
    const gone = await click(deleted.code);
    await manager.delete(Referral, deleted.id);
    const pages = [[visit, session], [visit, other], [gone, session], [bad, session], [bad]];
    for (const cookies of pages) expect((await get('/public', cookies)).status).toBe(200);
    log.statements = [];
    for (const cookies of pages) await get('/public', cookies);
    expect(log.statements).toEqual([]);
    expect(linesOf(await get('/public', [visit, session]))).toHaveLength(1); // it is cleared each time
  });

  test('after cookie.domain was set, that of this host counts until a newer one', async () => {
    const before = await startHost({ clock: clock.read }, routes);
    const [first, second] = [await link(fresh(), before), await link(fresh(), before)];
    const old = await click(first.code, before);
    await before.referrals.close();
    const { dataSource } = before;
    for (const domain of ['shop.example', '.Shop.Example']) {
      const after = await startHost({ clock: clock.read, dataSource, cookie: { domain } }, routes);
      expect(await whose([old], after)).toBe(first.code);
      const answer = await get(`/r/${second.code}`, [old], after);
      const now = cookieOf(answer, 'referral')!;
      expect(linesOf(answer)).toEqual([
        expect.stringMatching(/^referral=v2.*; Domain=\.?shop\.example;/i),
        '__Host-referral=; Max-Age=0; Path=/; HttpOnly; Secure; SameSite=Lax',
      ]);
      for (const both of [
        [old, now],
        [now, old],
      ])
        expect(await whose(both, after)).toBe(second.code);
      await after.referrals.close();
    }
  });
});

describe('the key', () => {
  const touch = { referral: 7, visitorId: randomUUID(), clickedAt: new Date(1_700_000_000_000) };
  const of = (audience: string, ...secrets: string[]) => new VisitorTokens([...secrets, secret], [audience]);

  test('is for one site: another with the same secret is not believed, in either direction', () => {
    const sites = ['shop.example', 'staging.shop.example', 'shop.example:8443', 'localhost:3000', 'localhost:3001'];
    for (const one of sites)
      for (const other of sites) expect(of(one).read(of(other).sign(touch))).toEqual(one === other ? touch : null);
  });

  test('can be rotated', () => {
    const next = 'another secret of at least thirty-two characters';
    expect(of('shop.example', next).read(of('shop.example').sign(touch))).toEqual(touch);
    expect(of('shop.example').read(of('shop.example', next).sign(touch))).toBeNull();
  });

  test('of an instance is for the host and port of baseUrl, or for cookie.domain', async () => {
    const { dataSource } = host;
    const { code } = await link();
    const cookies: Record<string, string> = {};
    const given: Record<string, object> = {
      shop: { baseUrl: 'https://shop.example' },
      path: { baseUrl: 'https://SHOP.example:443/app' },
      port: { baseUrl: 'https://shop.example:8443' },
      staging: { baseUrl: 'https://staging.shop.example' },
      domain: { baseUrl: 'https://www.shop.example', cookie: { domain: 'shop.example', name: 'ref' } },
      sibling: { baseUrl: 'https://m.shop.example', cookie: { domain: '.shop.example', name: 'ref' } },
    };
    await host.referrals.close();
    for (const [name, options] of Object.entries(given)) {
      const own = await startHost({ clock: clock.read, dataSource, ...options });
      const line = linesOf(await request(own.app).get(`/r/${code}`).set('User-Agent', firefox))[0]!;
      cookies[name] = line.split(';')[0]!.split('=')[1]!;
      await own.referrals.close();
    }
    const believed: [string, string][] = [];
    for (const [name, options] of Object.entries(given)) {
      const own = await startHost({ clock: clock.read, dataSource, ...options });
      for (const [from, token] of Object.entries(cookies))
        if ((await whose([`${ours}=${token}`, `ref=${token}`], own)) === code) believed.push([name, from]);
      await own.referrals.close();
    }
    const same = ['shop', 'path', 'domain', 'sibling'];
    expect(believed.filter(([to, from]) => !same.includes(to) || !same.includes(from))).toEqual([
      ['port', 'port'],
      ['staging', 'staging'],
    ]);
    for (const pair of ['shop path', 'path shop', 'domain sibling', 'sibling domain'])
      expect(believed).toContainEqual(pair.split(' '));
    host = await startHost({ clock: clock.read, dataSource }, routes);
  });
});

describe('what is refused at start', () => {
  test.each<[string, object]>([
    ['cookie.name', { cookie: { name: '__Host-x', domain: 'shop.example' } }],
    ['cookie.name', { cookie: { name: '__host-x', domain: 'shop.example' } }],
    ['cookie.name', { cookie: { name: '__Host-x', secure: false } }],
    ['cookie.name', { cookie: { name: '__Secure-x', secure: false } }],
    ['cookie.name', { cookie: { name: '__Http-x', secure: false } }],
    ['cookie.name', { baseUrl: 'http://shop.example', cookie: { name: '__Host-x' } }],
    ['cookie.name', { baseUrl: 'http://shop.example', cookie: { name: '__SECURE-x' } }],
    ['cookie.sameSite', { cookie: { sameSite: 'none', secure: false } }],
    ['cookie.sameSite', { baseUrl: 'http://shop.example', cookie: { sameSite: 'none' } }],
    ['cookie.sameSite', { cookie: { sameSite: 'None' } }],
    ['cookie.sameSite', { cookie: { sameSite: true } }],
  ])('%s: %j', async (field, options) => {
    await expect(startHost({ dataSource: host.dataSource, ...options })).rejects.toMatchObject({
      ...{ code: 'INVALID_OPTION', field },
    });
  });
});

describe('the attributes', () => {
  test.each<[object, string, string]>([
    [{}, 'https://shop.example', '__Host-referral=T; Max-Age=2592000; Path=/; HttpOnly; Secure; SameSite=Lax'],
    [{}, 'http://shop.example', 'referral=T; Max-Age=2592000; Path=/; HttpOnly; SameSite=Lax'],
    [{ secure: false }, 'https://shop.example', 'referral=T; Max-Age=2592000; Path=/; HttpOnly; SameSite=Lax'],
    [{ secure: true }, 'http://shop.example', 'referral=T; Max-Age=2592000; Path=/; HttpOnly; Secure; SameSite=Lax'],
    [
      { domain: 'shop.example' },
      'https://shop.example',
      'referral=T; Max-Age=2592000; Domain=shop.example; Path=/; HttpOnly; Secure; SameSite=Lax',
    ],
    [
      { name: '__Secure-x', domain: 'shop.example' },
      'https://shop.example',
      '__Secure-x=T; Max-Age=2592000; Domain=shop.example; Path=/; HttpOnly; Secure; SameSite=Lax',
    ],
    [
      { sameSite: 'none' },
      'https://shop.example',
      '__Host-referral=T; Max-Age=2592000; Path=/; HttpOnly; Secure; SameSite=None',
    ],
    [{ sameSite: 'strict' }, 'http://shop.example', 'referral=T; Max-Age=2592000; Path=/; HttpOnly; SameSite=Strict'],
  ])('%j at %s, whatever the scheme of the request', async (cookie, baseUrl, expected) => {
    const own = await startHost({ cookie, baseUrl });
    const { code } = await link(fresh(), own);
    for (const scheme of ['http', 'https']) {
      const [line] = linesOf(
        await request(own.app).get(`/r/${code}`).set('User-Agent', firefox).set('X-Forwarded-Proto', scheme),
      );
      expect(line!.replace(/=v2[^;]*/, '=T')).toBe(expected);
    }
    await own.referrals.close();
  });
});

describe('cookies of the version before', () => {
  test('are read by their code, also after it was changed, and cleared by the next click or sign-in', async () => {
    const [referral, other] = [await link(), await link()];
    const old = `referral=${oldToken(referral.code)}`;
    await host.referrals.referralCodes.update(referral.id, { code: fresh('renamed') });
    const { code } = (await Referral.findByCode(referral.code, { manager }))!;
    expect(code).not.toBe(referral.code);
    expect(await whose([old])).toBe(code);
    const cleared = ['', ' Domain=shop.example;'].map(
      (domain) => `referral=; Max-Age=0;${domain} Path=/; HttpOnly; Secure; SameSite=Lax`,
    );
    const user = fresh('user');
    const atSignIn = await get('/whose', [old, await login(user)]);
    expect(linesOf(atSignIn)).toEqual([expect.stringMatching(/^__Host-referral=;/), ...cleared]);
    expect(await referral.filteredResponses()).toMatchObject([{ userId: user, action: 'RESPONDED' }]);
    const atClick = await get(`/r/${other.code}`, [`referral=${oldToken(referral.code)}`]);
    expect(linesOf(atClick)).toEqual([expect.stringMatching(/^__Host-referral=v2\./), ...cleared]);
    const { body: signup } = await request(host.app)
      .post(`/register/${fresh('user')}`)
      .set('Cookie', `referral=${oldToken(referral.code)}`);
    expect(signup).toMatchObject({ referralId: referral.id });
  });

  test('count only while there is no valid one of this host, and only in the old form', async () => {
    const [referral, tossed] = [await link(), await link()];
    const visit = await click(referral.code);
    clock.advanceDays(1);
    const newer = await click(tossed.code);
    expect(await whose([`referral=${oldToken(tossed.code)}`, visit])).toBe(referral.code);
    expect(await whose([`${ours}=bad`, `referral=${oldToken(tossed.code)}`])).toBe(tossed.code);
    expect(await whose([newer.replace('__Host-', '')])).toBeNull();
    expect(await whose([newer.replace('__Host-', ''), visit])).toBe(referral.code);
    expect(
      await whose([`referral=${oldToken(tossed.code, new Date(clock.time.getTime() - 31 * 86_400_000))}`]),
    ).toBeNull();
    expect(await whose([`referral=${oldToken('nobody')}`])).toBeNull();
    expect(await whose([`referral=${oldToken("' OR true")}`])).toBeNull();
  });

  test('of another name that the host chose are read under it', async () => {
    const own = await startHost({ clock: clock.read, cookie: { name: 'ref' } }, routes);
    const { code } = await link(fresh(), own);
    expect(await whose([`ref=${oldToken(code)}`], own)).toBe(code);
    expect(await whose([`referral=${oldToken(code)}`], own)).toBeNull();
    await own.referrals.close();
  });

  test('under first-touch the touch stays, in a cookie of today', async () => {
    const own = await startHost({ clock: clock.read, attribution: { model: 'first-touch' } }, routes);
    const [first, second] = [await link(fresh(), own), await link(fresh(), own)];
    const old = `referral=${oldToken(first.code)}`;
    const answer = await get(`/r/${second.code}`, [old], own);
    const now = cookieOf(answer)!;
    expect(now).toMatch(new RegExp(`^__Host-referral=v2\\.${first.id}\\.`));
    expect(visitorOf(answer)).toBe(old.split('.')[2]);
    expect(await whose([now], own)).toBe(first.code);
    expect(await whose([old, now], own)).toBe(first.code);
    await own.referrals.close();
  });

  test('in a session are read too', async () => {
    const own = await startHost({ clock: clock.read, visitor: 'session' }, (app) => {
      app.get('/before/:code', (req, res) => {
        const referral = { code: req.params.code, visitorId: randomUUID(), clickedAt: clock.time.getTime() };
        Object.assign(req.session, { referral });
        res.send('ok');
      });
      app.get('/now', (req, res) => void res.json((req.session as { referral?: object }).referral));
    });
    const [before, after] = [await link(fresh(), own), await link(fresh(), own)];
    const browser = browserOf(own.app);
    await browser.get(`/before/${before.code}`);
    expect((await browser.get('/whose')).body).toEqual({ code: before.code });
    await browser.get(`/r/${after.code}`);
    expect((await browser.get('/now')).body).toMatchObject({ referralId: after.id });
    expect((await browser.get('/whose')).body).toEqual({ code: after.code });
    await own.referrals.close();
  });
});

describe('one visitor id belongs to one user', () => {
  const usersOf = async (visitorId: string): Promise<unknown[]> => {
    const rows = await manager.findBy(ReferralResponse, { visitorId });
    return [...new Set(rows.map(({ userId }) => userId))];
  };

  test('replayed under 20 other accounts it links, restores and attributes nothing', async () => {
    const [referral, later] = [await link(), await link()];
    const visit = await click(referral.code);
    const visitorId = visit.split('.')[2]!;
    const first = fresh('user');
    expect(await whose([visit, await login(first)])).toBe(referral.code);
    expect(await usersOf(visitorId)).toEqual([first]);
    const before = await referral.responseCount();
    for (let account = 0; account < 20; account++) {
      const user = fresh('replay');
      const session = await login(user);
      expect(linesOf(await get('/public', [visit, session]))).toEqual([expect.stringMatching(/^__Host-referral=;/)]);
      expect(await whose([visit, session])).toBeNull();
      expect((await get('/list', [visit, session])).body).toEqual([]);
      const entering = request(host.app)
        .post(`/enter/${fresh('replay')}`)
        .set('Cookie', visit);
      expect((await entering).body).toBeNull();
      const { body } = await request(host.app)
        .post(`/register/${fresh('replay')}`)
        .set('Cookie', visit);
      expect(body).toBeNull();
      const { purchase } = await host.referrals.recordPurchase(user, { amount: 9, reference: 'a', visitorId });
      expect(purchase).toMatchObject({ referralId: null, noCommission: 'no-referrer' });
      expect(await later.linkResponsesToUser(user, visitorId)).toEqual([]);
    }
    expect(await referral.responseCount()).toBe(before);
    expect(await usersOf(visitorId)).toEqual([first]);
    // What the visitor does without a user later is the first user's, who signs in again.
    await get(`/r/${later.code}`, [visit]);
    expect(await referral.linkResponsesToUser(fresh(), visitorId)).toEqual([]);
    expect(await later.linkResponsesToUser(first, visitorId)).toMatchObject([{ userId: first }]);
    expect(await whose([visit, await login(first)])).toBe(later.code);
  });

  test('a sign-up makes it the user’s before the first page, once it is committed', async () => {
    const referral = await link();
    const visit = await click(referral.code);
    const signUp = async (user: string) =>
      (await request(host.app).post(`/register/${user}`).set('Cookie', visit)).body as ReferralSignup | null;
    const undone = await request(host.app)
      .post(`/undone/${fresh('user')}`)
      .set('Cookie', visit);
    expect(undone.body).toMatchObject({ referralId: referral.id });
    const first = fresh('user');
    expect(await signUp(first)).toMatchObject({ userId: first, referralId: referral.id });
    expect(await signUp(fresh('user'))).toBeNull();
    expect(await signUp(first)).toMatchObject({ userId: first });
    await get('/whose', [visit, await login(first)]);
    expect(await usersOf(visit.split('.')[2]!)).toEqual([first]);
  });

  test('twelve sign-ins at once under twelve accounts: one of them gets all', async () => {
    for (let round = 0; round < 5; round++) {
      const referral = await link();
      const visit = await click(referral.code);
      await get(`/r/${referral.code}`, [visit]);
      const visitorId = visit.split('.')[2]!;
      const sessions = await Promise.all(Array.from({ length: 12 }, () => login(fresh('racer'))));
      const codes = await Promise.all(sessions.map((session) => whose([visit, session])));
      expect(codes.filter((code) => code === referral.code)).toHaveLength(1);
      const rows = await referral.filteredResponses();
      expect(rows).toHaveLength(2);
      const { userId } = (await manager.findOneBy(ReferralVisitor, { visitorId }))!;
      expect(await usersOf(visitorId)).toEqual([userId]);
      expect(await referral.responseCount()).toBe(2);
    }
  });

  test('a click that was lost is restored for one account only, also at once', async () => {
    for (const atOnce of [true, false]) {
      const referral = await link();
      const token = new VisitorTokens([secret], ['shop.example']).sign({
        ...{ referral: referral.id, visitorId: randomUUID(), clickedAt: clock.time },
      });
      const sessions = await Promise.all(Array.from({ length: 10 }, () => login(fresh('racer'))));
      const enter = (session: string) => whose([`${ours}=${token}`, session]);
      const codes: unknown[] = [];
      if (atOnce) codes.push(...(await Promise.all(sessions.map(enter))));
      else for (const session of sessions) codes.push(await enter(session));
      expect(codes.filter((code) => code !== null)).toEqual([referral.code]);
      expect(await referral.filteredResponses()).toHaveLength(1);
      expect(await referral.responseCount()).toBe(1);
    }
    expect(host.errors).toEqual([]);
  });

  test('a response of another user does not carry it', async () => {
    const [referral, own] = [await link(), await link()];
    const visit = await click(referral.code);
    const first = fresh('user');
    await get('/whose', [visit, await login(first)]);
    const second = fresh('user');
    const session = await login(second);
    await get(`/r/${own.code}`, [session]);
    const { body } = await request(host.app).post('/respond').set('Cookie', `${visit}; ${session}`);
    expect(body).toMatchObject({ userId: second, referralId: own.id, visitorId: null });
  });
});

describe('a response that sets the cookie is kept out of shared caches', () => {
  test.each([
    ['/public', 'private'],
    ['/written', 'private'],
    ['/shared', 'private, no-cache'],
    ['/secret', 'no-store'],
    ['/own', 'private, max-age=9'],
    ['/list', 'private'],
  ])('%s is sent with %s', async (path, expected) => {
    const { code } = await link();
    const page = await get(`${path}?referral_code=${code}`, []);
    expect([linesOf(page).length, page.headers['cache-control']]).toEqual([1, expected]);
    expect(page.headers).not.toHaveProperty('cdn-cache-control');
    expect(page.headers).not.toHaveProperty('surrogate-control');
    const cleared = await get(path, [cookieOf(page)!, await login(fresh('user'))]);
    expect([linesOf(cleared).length, cleared.headers['cache-control']]).toEqual([1, expected]);
  });

  test('and one that does not set it is left as the host made it', async () => {
    const { code } = await link();
    const visit = await click(code);
    for (const page of [
      await get('/public', []),
      await get('/public', [visit]),
      await get(`/public?referral_code=${code}`, []).set('User-Agent', 'Googlebot'),
    ])
      expect(page.headers['cache-control']).toBe('public, max-age=300');
    const dropped = await get(`/dropped?referral_code=${code}`, []);
    expect([linesOf(dropped), dropped.headers['cache-control']]).toEqual([[], 'public']);
    expect((await get('/shared', [])).headers).toHaveProperty('cdn-cache-control');
  });
});
