import express from 'express';
import supertest from 'supertest';
import { browserOf as request, firefox } from './support/browser';
import { Referral, ReferralResponse } from '../lib';
import { closeAll, cookieOf, type Host, startHost, TestClock, waitFor } from './support/host';

afterAll(closeAll);

const clock = new TestClock();
let host: Host;
let referral: Referral;
let path: string;

beforeAll(async () => {
  host = await startHost({ clock: clock.read });
  referral = await Referral.create({ user: 1, redirectTo: '/welcome', code: 'Spring-Sale_1' });
  path = `/r/${referral.code}`;
});

const recorded = (): Promise<number> => host.dataSource.getRepository(ReferralResponse).count();

describe('GET /r/:code', () => {
  test('is recorded with what is known of the visitor', async () => {
    const userAgent = `Mozilla/5.0 (X11; Linux x86_64) ${'Words '.repeat(400)}`;
    await request(host.app)
      .get(path)
      .set({ 'User-Agent': userAgent, 'Referer': `https://mail.example/${'y'.repeat(2000)}` })
      .set('X-Forwarded-For', '203.0.113.77');
    const [response] = await referral.filteredResponses({ take: 1 });
    expect(response).toMatchObject({
      referralId: referral.id,
      userId: null,
      ipAddress: '203.0.113.0',
      userAgent: userAgent.slice(0, 1024),
      action: 'RESPONDED',
      targetType: null,
      targetId: null,
      createdAt: clock.time,
      touchedAt: clock.time,
    });
    expect(response!.httpReferrer).toHaveLength(1024);
    expect(response!.visitorId).toMatch(/^[0-9a-f-]{36}$/);
  });

  test.each(['/r/Spring-Sale_1', '/r/Spring-Sale_1/', '/r/spring-sale_1', '/R/SPRING-SALE_1/', '/r/%53pring-Sale_1'])(
    '%s finds the link',
    async (variant) => {
      const answer = await request(host.app).get(variant);
      expect([answer.status, answer.headers.location]).toEqual([302, '/welcome']);
    },
  );

  const junk = [
    '.',
    ')',
    ',',
    '%20',
    '%22',
    '//',
    '/.',
    '),',
    '%22%3E',
    '%E2%80%8B',
    '%C2%A0',
    '%E2%80%A6',
    '%00',
    '%2F',
  ];
  const cutOff = ['%', '%2', '%E2', '%E2%80', '%E2%8', '!', "'", '*', ';', ':', '&gt;'.slice(0, 1), '%EF%BF%BD'];
  test.each([...junk, ...cutOff])('what follows a code in a text or a letter does not count: CODE%s', async (end) => {
    const answer = await request(host.app).get(`${path}${end}`);
    expect([answer.status, answer.headers.location]).toEqual([302, '/welcome']);
    const page = await request(host.app).get(`/whose?referral_code=${referral.code}${end}`);
    if (end !== '&') expect(page.body).toEqual({ code: referral.code });
  });

  test('however much of it there is', async () => {
    await request(host.app)
      .get(`${path}${').'.repeat(5000)}`)
      .expect(302);
    await request(host.app)
      .get(`/r/${').'.repeat(5000)}x`)
      .expect(404);
  });

  test.each([
    '/r/unknown',
    '/r/',
    '/r',
    '/r/a/b',
    "/r/'--",
    `/r/${'x'.repeat(101)}`,
    '/r/%zz',
    '/r/%00',
    '/r/.',
    '/r/%20',
  ])('%s is left to the host', async (variant) => {
    const answer = await request(host.app).get(variant);
    expect(answer.status).toBe(404);
    expect(answer.text).toContain('Cannot GET');
    expect(answer.headers['set-cookie']).toBeUndefined();
  });

  test('sets a cookie that scripts, other sites and subdomains do not get', async () => {
    const [line] = (await request(host.app).get(path)).headers['set-cookie'] as unknown as string[];
    const token = `v2\\.${referral.id}\\.[^;]+`;
    const attributes = 'Max-Age=2592000; Path=/; HttpOnly; Secure; SameSite=Lax';
    expect(line).toMatch(new RegExp(`^__Host-referral=${token}; ${attributes}$`));
  });

  test('of a signed-in user is recorded under the user, and clears the cookie', async () => {
    const browser = host.browser();
    await browser.post('/login/carl');
    const click = await browser.get(path);
    expect(cookieOf(click)).toBe('__Host-referral=');
    const [response] = await referral.filteredResponses({ take: 1 });
    expect(response).toMatchObject({ userId: 'carl', action: 'RESPONDED' });
  });

  test('keeps the visitor id over several clicks', async () => {
    const browser = host.browser();
    await browser.get(path);
    await browser.get(path);
    const [second, first] = await referral.filteredResponses({ take: 2 });
    expect(second!.visitorId).toBe(first!.visitorId);
  });

  test('does not take a visitor id from anywhere but the signed cookie', async () => {
    const forged = '00000000-0000-4000-8000-000000000000';
    await request(host.app)
      .get(`${path}?visitorId=${forged}`)
      .set('Cookie', `__Host-referral=v2.${referral.id}.${forged}.mwq.AAAA`);
    const [response] = await referral.filteredResponses({ take: 1 });
    expect(response!.visitorId).not.toBe(forged);
  });
});

describe('what is not a click is redirected, sets no cookie and records nothing', () => {
  const desktop = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/142.0.0.0 Safari/537.36';
  test.each<[string, Record<string, string>]>([
    ['no user agent', { 'User-Agent': '' }],
    ['a blank user agent', { 'User-Agent': ' \t ' }],
    ['an image', { 'Sec-Fetch-Dest': 'image', 'Sec-Fetch-Mode': 'no-cors' }],
    ['a frame', { 'Sec-Fetch-Dest': 'iframe', 'Sec-Fetch-Mode': 'navigate' }],
    ['a script', { 'Sec-Fetch-Dest': 'empty', 'Sec-Fetch-Mode': 'cors' }],
    ['a crawler', { 'User-Agent': 'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)' }],
    ['a link preview', { 'User-Agent': 'facebookexternalhit/1.1' }],
  ])('%s', async (_what, headers) => {
    const before = await recorded();
    for (const url of [path, `/whose?referral_code=${referral.code}`]) {
      const answer = await request(host.app)
        .get(url)
        .set({ 'User-Agent': desktop, ...headers });
      expect(answer.status).toBe(url === path ? 302 : 200);
      expect(answer.headers['set-cookie']).toBeUndefined();
    }
    expect(await recorded()).toBe(before);
  });

  test('a request without the header User-Agent', async () => {
    const before = await recorded();
    for (const url of [path, `/whose?referral_code=${referral.code}`]) {
      const answer = await supertest(host.app).get(url);
      expect([answer.status, answer.headers['set-cookie']]).toEqual([url === path ? 302 : 200, undefined]);
    }
    expect(await recorded()).toBe(before);
  });

  test.each([{}, { 'Sec-Purpose': 'prefetch' }])('HEAD %p', async (headers) => {
    const before = await recorded();
    const answer = await request(host.app).head(path).set(headers);
    expect([answer.status, answer.headers.location]).toEqual([302, '/welcome']);
    expect(answer.headers['set-cookie']).toBeUndefined();
    expect(await recorded()).toBe(before);
  });

  test('a browser that says it navigates counts, and so does one that does not say', async () => {
    const before = await recorded();
    await request(host.app)
      .get(path)
      .set({ 'Sec-Fetch-Dest': 'document', 'Sec-Fetch-Mode': 'navigate', 'User-Agent': desktop });
    await request(host.app).get(path).set('User-Agent', desktop);
    expect(await recorded()).toBe(before + 2);
  });

  test.each([
    ['false', () => false],
    ['a promise of false', () => Promise.resolve(false)],
    ['something else than true', () => 'yes' as unknown as boolean],
    ['an error', () => Promise.reject(new Error('consent service'))],
  ])('no consent: %s', async (_what, consent) => {
    const silent = await startHost({ consent });
    const link = await Referral.create({ redirectTo: '/' }, { manager: silent.dataSource.manager });
    const answer = await request(silent.app).get(`/r/${link.code}`);
    expect([answer.status, answer.headers['set-cookie']]).toEqual([302, undefined]);
    expect(await link.responseCount()).toBe(0);
    await silent.referrals.close();
  });
});

describe('what a browser fetches or renders in advance is asked for again at the click', () => {
  test.each<[string, Record<string, string>]>([
    ['a prefetch', { 'Sec-Purpose': 'prefetch' }],
    ['a prefetch through a proxy', { 'Sec-Purpose': 'prefetch;anonymous-client-ip' }],
    ['a prerender', { 'Sec-Purpose': 'prefetch;prerender' }],
    ['<link rel=prefetch>', { 'Sec-Purpose': 'prefetch', 'Sec-Fetch-Dest': 'empty', 'Sec-Fetch-Mode': 'no-cors' }],
    ['an old prefetch', { Purpose: 'prefetch' }],
    ['an old prefetch in another case', { Purpose: 'Prefetch' }],
    ['an old preview', { 'X-Purpose': 'preview' }],
    ['an old prefetch of Firefox', { 'X-Moz': 'prefetch' }],
  ])('%s', async (_what, headers) => {
    const before = await recorded();
    const browser = host.browser();
    for (const url of [path, `/whose?referral_code=${referral.code}`]) {
      const answer = await browser.get(url).set(headers);
      expect([answer.status, answer.headers['cache-control'], answer.text]).toEqual([503, 'no-store', '']);
      for (const name of ['set-cookie', 'location', 'retry-after']) expect(answer.headers[name]).toBeUndefined();
    }
    expect(await recorded()).toBe(before);
    await browser.get(path).expect(302);
    expect(await recorded()).toBe(before + 1);
    // Pages without a code, with an unknown one, and unknown links are no clicks.
    for (const url of ['/whose', '/whose?referral_code=nobody'])
      await browser.get(url).set(headers).expect(200, { code: referral.code });
    await browser.get('/r/nobody').set(headers).expect(404);
  });

  test('also where the parameter has another name, but not where there is none', async () => {
    const named = await startHost({ codeParameter: 'ref' });
    const link = await Referral.create({ redirectTo: '/' }, { manager: named.dataSource.manager });
    const ahead = { 'Sec-Purpose': 'prefetch' };
    await named.browser().get(`/whose?ref=${link.code}`).set(ahead).expect(503);
    await named.browser().get(`/whose?referral_code=${link.code}`).set(ahead).expect(200);
    await named.referrals.close();
    const off = await startHost({ codeParameter: false, dataSource: named.dataSource });
    await off.browser().get(`/whose?referral_code=${link.code}`).set(ahead).expect(200);
    await off.browser().get(`/r/${link.code}`).set(ahead).expect(503);
    await off.referrals.close();
  });
});

describe('the option bots', () => {
  const headless = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 HeadlessChrome/142.0.0.0 Safari/537.36';
  const failure = new Error('bot service');
  const notBoolean = expect.objectContaining({ code: 'INVALID_OPTION', field: 'bots' }) as unknown;
  test.each<[string, ((req: express.Request) => unknown) | undefined, string, number, unknown[]]>([
    ['is a list of known bots', undefined, headless, 0, []],
    ['replaces the list', () => false, headless, 1, []],
    ['replaces the list', () => true, firefox, 0, []],
    ['gets the request', (req) => req.get('user-agent') !== headless, headless, 1, []],
    ['is not async', () => Promise.reject(failure), firefox, 0, [notBoolean, failure]],
    ['is not async', () => Promise.resolve(false), firefox, 0, [notBoolean]],
    [
      'throws',
      () => {
        throw failure;
      },
      firefox,
      0,
      [failure],
    ],
    ['returns no boolean', () => 0, firefox, 0, [notBoolean]],
    ['does not count who says nothing', () => false, '', 0, []],
  ])('%s (%#)', async (_what, bots, userAgent, clicks, errors) => {
    const own = await startHost({ ...(bots && { bots: bots as () => boolean }) });
    const link = await Referral.create({ redirectTo: '/to' }, { manager: own.dataSource.manager });
    const answer = await own.browser().get(`/r/${link.code}`).set('User-Agent', userAgent);
    expect([answer.status, answer.headers['location']]).toEqual([302, '/to']);
    expect(cookieOf(answer) !== null).toBe(clicks === 1);
    expect(await link.responseCount()).toBe(clicks);
    expect(own.errors).toEqual(errors);
    await own.referrals.close();
  });

  test('is a function', async () => {
    await expect(startHost({ bots: true as never })).rejects.toThrow('option "bots" takes a function');
  });
});

describe('an expired link', () => {
  test('redirects, records nothing and attributes nothing', async () => {
    const expiredAt = new Date(clock.time.getTime() + 1000);
    const link = await Referral.create({ redirectTo: '/old', expiredAt, label: 'expiring' });
    const before = host.browser();
    await before.get(`/r/${link.code}`);
    const time = clock.time;
    clock.time = expiredAt;
    const after = host.browser();
    const answer = await after.get(`/r/${link.code}`);
    expect([answer.status, answer.headers.location]).toEqual([302, '/old']);
    expect(answer.headers['set-cookie']).toBeUndefined();
    expect((await after.get('/whose')).body).toEqual({ code: null });
    // A visitor who came before the expiry is still attributed to it.
    expect((await before.get('/whose')).body).toEqual({ code: link.code });
    expect(await link.responseCount()).toBe(1);
    clock.time = time;
  });

  test('is noticed at once, also by a process that remembers the link from before', async () => {
    const link = await Referral.create({ redirectTo: '/', label: 'remembered' });
    await request(host.app).get(`/r/${link.code}`);
    await host.dataSource.getRepository(Referral).update(link.id, { expiredAt: new Date(clock.time.getTime() - 1) });
    const answer = await request(host.app).get(`/r/${link.code}`);
    expect([answer.status, answer.headers['set-cookie']]).toEqual([302, undefined]);
    expect(await link.responseCount()).toBe(1);
  });

  test('that is deleted meanwhile sets no cookie and breaks nothing', async () => {
    const link = await Referral.create({ redirectTo: '/', label: 'deleted' });
    await request(host.app).get(`/r/${link.code}`);
    await host.dataSource.getRepository(Referral).delete(link.id);
    const answer = await request(host.app).get(`/r/${link.code}`);
    expect([answer.status, answer.headers['set-cookie']]).toEqual([302, undefined]);
    expect((await request(host.app).get(`/r/${link.code}`)).status).toBe(404);
  });
});

describe('?referral_code= on any page', () => {
  test('counts as a click without a redirect, and no shared cache may keep the page', async () => {
    const before = await referral.responseCount();
    const browser = host.browser();
    const page = await browser.get(`/whose?x=1&referral_code=${referral.code.toUpperCase()}`);
    expect([page.status, page.body]).toEqual([200, { code: referral.code }]);
    expect(page.headers['cache-control']).toBe('private');
    expect(cookieOf(page)).toMatch(/^__Host-referral=v2\./);
    expect((await browser.get('/whose')).body).toEqual({ code: referral.code });
    expect(await referral.responseCount()).toBe(before + 1);
  });

  test('of the same link twice in one request is one click', async () => {
    const before = await referral.responseCount();
    await request(host.app).get(`${path}?referral_code=${referral.code}`);
    expect(await referral.responseCount()).toBe(before + 1);
  });

  test('leaves a stricter Cache-Control of the host as it is', async () => {
    const app = express();
    app.use((_req, res, next) => {
      res.set('Cache-Control', 'no-store');
      next();
    }, host.app);
    const page = await request(app).get(`/whose?referral_code=${referral.code}`);
    expect(page.headers['cache-control']).toBe('no-store');
  });

  test.each(['', 'nobody', '%00', 'a'.repeat(500)])('an unknown code (%s) changes nothing', async (code) => {
    const page = await request(host.app).get(`/whose?referral_code=${code}`);
    expect([page.status, page.body, page.headers['set-cookie']]).toEqual([200, { code: null }, undefined]);
  });

  test('is not for POST', async () => {
    const answer = await request(host.app).post(`/login/dora?referral_code=${referral.code}`);
    expect(cookieOf(answer)).toBeNull();
  });

  test('has the name that the host chose, or is off', async () => {
    const named = await startHost({ codeParameter: 'ref' });
    const link = await Referral.create({ redirectTo: '/' }, { manager: named.dataSource.manager });
    expect(cookieOf(await request(named.app).get(`/whose?ref=${link.code}`))).not.toBeNull();
    expect(cookieOf(await request(named.app).get(`/whose?referral_code=${link.code}`))).toBeNull();
    await named.referrals.close();
    const off = await startHost({ codeParameter: false, dataSource: named.dataSource });
    expect(cookieOf(await request(off.app).get(`/whose?referral_code=${link.code}`))).toBeNull();
    await off.referrals.close();
  });
});

test('a referral that is being deleted takes no other click down with it', async () => {
  const [doomed, other] = [
    await Referral.create({ redirectTo: '/', label: 'doomed' }),
    await Referral.create({ redirectTo: '/', label: 'bystander' }),
  ];
  for (const link of [doomed, other]) await request(host.app).head(`/r/${link.code}`);
  const answers = await host.dataSource.transaction(async (manager) => {
    await manager.delete(Referral, doomed.id);
    const clicks = [doomed, other, other, other].map((link) => request(host.app).get(`/r/${link.code}`).then());
    const { schema } = host.dataSource.options as { schema: string };
    // The clicks wait for this transaction, because their batch locks the row that it deletes.
    await waitFor(async () => {
      const [{ waiting }] = await host.dataSource.query(
        `SELECT count(*)::int AS waiting FROM pg_stat_activity
         WHERE wait_event_type = 'Lock' AND query LIKE '%"' || $1 || '"%'`,
        [schema],
      );
      return waiting > 0;
    });
    return clicks;
  });
  for (const { status } of await Promise.all(answers)) expect(status).toBe(302);
  expect(await other.responseCount()).toBe(3);
});

test('links that are looked up at once never push each other out', async () => {
  const small = await startHost({ linkCache: { max: 2 } });
  const { manager } = small.dataSource;
  const links = await Promise.all(
    Array.from({ length: 8 }, (_, label) => Referral.create({ redirectTo: '/', label: String(label) }, { manager })),
  );
  const answers = await Promise.all(links.map(({ code }) => request(small.app).get(`/r/${code}`)));
  expect(answers.map(({ status }) => status)).toEqual(links.map(() => 302));
  await small.referrals.close();
});

test('an address that the host fails to tell is none', async () => {
  const own = await startHost({
    clientIp: () => {
      throw new Error('no address');
    },
  });
  const link = await Referral.create({ redirectTo: '/' }, { manager: own.dataSource.manager });
  expect((await request(own.app).get(`/r/${link.code}`)).status).toBe(302);
  expect((await link.filteredResponses())[0]).toMatchObject({ ipAddress: null });
  expect(own.errors).toMatchObject([{ message: 'no address' }]);
  await own.referrals.close();
});

describe('addresses', () => {
  test.each([
    ['masked', '198.51.100.23', '198.51.100.0'],
    ['masked', '2001:db8:1234:5678::9', '2001:db8:1234::'],
    ['masked', '::ffff:198.51.100.23', '198.51.100.0'],
    ['full', '198.51.100.23', '198.51.100.23'],
    ['full', '2001:DB8:0:0::9', '2001:db8::9'],
    ['none', '198.51.100.23', null],
    ['masked', 'not an address', null],
  ] as const)('ip: %s keeps %s as %s', async (ip, address, stored) => {
    const one = await startHost({ ip, clientIp: (req) => req.get('x-real-ip') });
    const link = await Referral.create({ redirectTo: '/' }, { manager: one.dataSource.manager });
    await request(one.app).get(`/r/${link.code}`).set('X-Real-IP', address);
    const [response] = await link.filteredResponses();
    expect(response!.ipAddress).toBe(stored);
    await one.referrals.close();
  });
});
