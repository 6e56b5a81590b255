import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import { connect, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import express from 'express';
import fc from 'fast-check';
import supertest from 'supertest';
import { createReferrals, Referral, type ReferralError, ReferralResponse, type ReferralsOptions } from '../lib';
import { storedReferrer } from '../lib/tracking/http-referrer';
import { browserOf, firefox } from './support/browser';
import {
  baseUrl,
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
import { localhost } from './support/tls';

// `http.createServer(referrals.listener(app))`: links are answered before the app, in the same way as by the router.

afterAll(closeAll);

const clock = new TestClock();
let made = 0;
const linkOf = (host: Host, input: Partial<Parameters<typeof Referral.create>[0]> = {}): Promise<Referral> =>
  Referral.create(
    { user: `owner-${++made}`, redirectTo: '/welcome', code: `Link-${made}`, label: String(made), ...input },
    { manager: host.dataSource.manager },
  );

async function open(options: Partial<ReferralsOptions> = {}): Promise<Host> {
  return startHost({ clock: clock.read, ...options });
}

/** The parts of an answer that the router and the listener must have in common. Visitor ids and signatures are random. */
function shown({ status, headers, text }: supertest.Response) {
  const own = ['date', 'connection', 'keep-alive', 'x-powered-by'];
  const kept = Object.entries(headers as Record<string, string | string[]>).filter(([name]) => !own.includes(name));
  const random = (value: string): string =>
    value.replace(/[0-9a-f-]{36}\.(\w+)(\.\w+)?\.[\w-]{43}/, 'VISITOR.$1.SIGNATURE');
  const headersShown = kept.map(([name, value]) => [name, [value].flat().map(random)]);
  return { status, headers: Object.fromEntries(headersShown), text: status === 302 ? '' : text };
}

/** What a request leaves behind. */
async function rowsOf(host: Host, referral: Referral) {
  const rows = await host.dataSource.getRepository(ReferralResponse).findBy({ referralId: referral.id });
  return {
    clicks: await referral.responseCount(),
    rows: rows.map(({ id: _id, visitorId, ...row }) => ({ ...row, hasVisitor: visitorId !== null })),
  };
}

interface Case {
  method?: 'get' | 'head' | 'post' | 'put' | 'options';
  /** What follows the code, or the whole path. */
  url?: string | ((code: string) => string);
  headers?: Record<string, string>;
  link?: Partial<Parameters<typeof Referral.create>[0]>;
  options?: Partial<ReferralsOptions>;
  /** What both must answer. */
  status: number;
  clicks: number;
  location?: string;
}

const prefixed = { baseUrl: 'https://shop.example/store' };
const longQuery = `?x=${'y'.repeat(9000)}`;
const cases: Record<string, Case> = {
  'a click': { status: 302, clicks: 1, location: '/welcome' },
  'a click from elsewhere': { headers: { Referer: 'https://blog.example/a?b#c' }, status: 302, clicks: 1 },
  'HEAD': { method: 'head', status: 302, clicks: 0 },
  'POST': { method: 'post', status: 404, clicks: 0 },
  'PUT': { method: 'put', status: 404, clicks: 0 },
  'OPTIONS': { method: 'options', status: 404, clicks: 0 },
  'another case': { url: (code) => `/R/${code.toUpperCase()}/`, status: 302, clicks: 1 },
  'an encoded code': { url: (code) => `/r/%53${code.slice(1)}`, status: 302, clicks: 1 },
  'junk after the code': { url: (code) => `/r/${code}),%22%E2%80`, status: 302, clicks: 1 },
  'parameters': {
    url: (code) => `/r/${code}?utm_source=a&b=%20c`,
    status: 302,
    clicks: 1,
    location: '/welcome?utm_source=a&b=+c',
  },
  'parameters that do not fit': {
    url: (code) => `/r/${code}${longQuery}`,
    status: 302,
    clicks: 1,
    location: '/welcome',
  },
  'no parameter is passed': {
    ...{ options: { redirect: { passQuery: false } }, url: (code) => `/r/${code}?a=1` },
    ...{ status: 302, clicks: 1, location: '/welcome' },
  },
  'another destination': {
    url: (code) => `/r/${code}?redirect_to=/prices`,
    status: 302,
    clicks: 1,
    location: '/prices',
  },
  'a destination that is not allowed': {
    ...{ url: (code) => `/r/${code}?redirect_to=https://evil.example/`, status: 302, clicks: 1, location: '/welcome' },
  },
  'the code once more as a parameter': {
    ...{ url: (code) => `/r/${code}?referral_code=${code}`, status: 302, clicks: 1, location: '/welcome' },
  },
  'an unknown code': { url: () => '/r/unknown', status: 404, clicks: 0 },
  'no code': { url: () => '/r/', status: 404, clicks: 0 },
  'only the path': { url: () => '/r', status: 404, clicks: 0 },
  'only junk': { url: () => '/r/%20.', status: 404, clicks: 0 },
  'two slashes': { url: (code) => `/r//${code}`, status: 404, clicks: 0 },
  'a path that begins like it': { url: (code) => `/rr/${code}`, status: 404, clicks: 0 },
  'an encoded path': { url: (code) => `/%72/${code}`, status: 404, clicks: 0 },
  'the link below another path': { url: (code) => `/x/r/${code}`, status: 404, clicks: 0 },
  'the script': { url: () => '/r/create-link.js', status: 200, clicks: 0 },
  'a bot': { headers: { 'User-Agent': 'Googlebot/2.1' }, status: 302, clicks: 0 },
  'no user agent': { headers: { 'User-Agent': '' }, status: 302, clicks: 0 },
  'a prefetch': { headers: { 'Sec-Purpose': 'prefetch' }, status: 503, clicks: 0 },
  'an old prefetch': { headers: { Purpose: 'prefetch' }, status: 503, clicks: 0 },
  'an image': { headers: { 'Sec-Fetch-Dest': 'image', 'Sec-Fetch-Mode': 'no-cors' }, status: 302, clicks: 0 },
  'a navigation': { headers: { 'Sec-Fetch-Dest': 'document', 'Sec-Fetch-Mode': 'navigate' }, status: 302, clicks: 1 },
  'no consent': { options: { consent: () => Promise.resolve(false) }, status: 302, clicks: 0 },
  'consent by a header': {
    ...{ options: { consent: (req) => req.headers['x-consent'] === 'yes' }, headers: { 'X-Consent': 'yes' } },
    ...{ status: 302, clicks: 1 },
  },
  'a rule for bots': {
    options: { bots: (req) => req.headers['x-bot'] === '1' },
    headers: { 'X-Bot': '1' },
    status: 302,
    clicks: 0,
  },
  'an address of the host’s': {
    ...{ options: { clientIp: (req) => req.headers['x-real-ip'] as string, ip: 'full' } },
    ...{ headers: { 'X-Real-IP': '198.51.100.7' }, status: 302, clicks: 1 },
  },
  'an address by a proxy': {
    options: { ip: 'full' },
    headers: { 'X-Forwarded-For': '203.0.113.9, 10.0.0.1' },
    status: 302,
    clicks: 1,
  },
  'no address': { options: { ip: 'none' }, status: 302, clicks: 1 },
  'an expired link': { link: { expiredAt: new Date('2020-01-01') }, status: 302, clicks: 0 },
  'a longer path': { options: { linkPath: '/go/To' }, url: (code) => `/GO/to/${code}`, status: 302, clicks: 1 },
  'a site below a path, which the proxy removes': {
    options: prefixed,
    status: 302,
    clicks: 1,
    location: '/welcome',
  },
  'a cookie of a domain': { options: { cookie: { domain: 'shop.example', sameSite: 'none' } }, status: 302, clicks: 1 },
  'a forged cookie': { headers: { Cookie: '__Host-referral=v2.1.x.y.z' }, status: 302, clicks: 1 },
  'a cookie of a former name': { headers: { Cookie: 'referral=v1.x.y.z' }, status: 302, clicks: 1 },
};

test.each(Object.entries(cases))('%s: by the listener as by the router', async (_what, one) => {
  const host = await open(one.options);
  const seen: unknown[] = [];
  for (const handler of [host.app, host.referrals.listener(host.app)]) {
    const link = await linkOf(host, { code: `Same${++made}`, ...one.link });
    const url = typeof one.url === 'function' ? one.url(link.code) : `/r/${link.code}`;
    const answer = await supertest(handler)
      [one.method ?? 'get'](url)
      .set({ 'User-Agent': firefox, ...one.headers })
      .redirects(0);
    const { status, headers, text } = shown(answer);
    const left = await rowsOf(host, link);
    expect([status, left.clicks, left.rows.length]).toEqual([one.status, one.clicks, one.clicks]);
    if (one.location !== undefined) expect(headers['location']).toEqual([one.location]);
    const rows = left.rows.map((row) => ({ ...row, referralId: 0 }));
    const plain = (from: unknown): string =>
      JSON.stringify(from).replaceAll(link.code, 'CODE').replaceAll(`v2.${link.id}.`, 'v2.ID.');
    seen.push(plain({ status, headers, text, rows }));
  }
  expect(seen[1]).toBe(seen[0]);
  expect(host.errors).toEqual([]);
  await host.referrals.close();
});

describe('everything else goes to the app untouched', () => {
  let host: Host;
  const app: [string | undefined, string | undefined][] = [];
  let listener: (req: http.IncomingMessage, res: http.ServerResponse) => void;

  beforeAll(async () => {
    host = await open();
    listener = host.referrals.listener((req, res) => {
      app.push([req.method, req.url]);
      req.pipe(res);
    });
  });
  beforeEach(() => void (app.length = 0));

  test('of an app that is no Express app, also its body', async () => {
    await supertest(listener).post('/r/').send('a body').expect('a body');
    await supertest(listener).get('/r/nobody?x=1').expect(200);
    expect(app).toEqual([
      ['POST', '/r/'],
      ['GET', '/r/nobody?x=1'],
    ]);
  });

  test('targets that are no paths, and fragments', async () => {
    const link = await linkOf(host);
    const server = http.createServer(listener).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const ask = async (target: string): Promise<string> => {
      const socket = connect(port, '127.0.0.1');
      socket.write(`GET ${target} HTTP/1.1\r\nHost: x\r\nUser-Agent: ${firefox}\r\nConnection: close\r\n\r\n`);
      let text = '';
      for await (const chunk of socket) text += String(chunk);
      return text.slice(9, 12);
    };
    const targets = ['*', `http://x/r/${link.code}`, '//r/x', '/?', '/r\\x', `/r/${link.code}#top`];
    const answers: string[] = [];
    for (const target of targets) answers.push(await ask(target));
    await new Promise((resolve) => server.close(resolve));
    expect(answers).toEqual(targets.map(() => '200'));
    expect(app.map(([, url]) => url)).toEqual(targets);
  });

  test('an unknown code is looked up once, though the router gets it too', async () => {
    const log = new StatementLog();
    const dataSource = await openDataSource({ logger: log, logging: true });
    const { app: behind, referrals } = await startHost({ dataSource });
    log.statements = [];
    await supertest(referrals.listener(behind)).get('/r/nobody').set('User-Agent', firefox).expect(404);
    expect(log.statements.filter((text) => text.includes('"referrals"'))).toHaveLength(1);
  });

  test('a click is counted once, though the middleware and the router are mounted', async () => {
    const link = await linkOf(host);
    const browser = browserOf(host.referrals.listener(host.app));
    await browser.get(`/r/${link.code}`).expect(302);
    await browser.get(`/whose?referral_code=${link.code}`).expect({ code: link.code });
    expect(await link.responseCount()).toBe(2); // the link, and the parameter of the page
  });
});

describe('a site below a path', () => {
  test('is answered with and without the path', async () => {
    const host = await open(prefixed);
    const listener = host.referrals.listener(host.app);
    const link = await linkOf(host);
    for (const url of [`/r/${link.code}`, `/store/r/${link.code}`, `/STORE/R/${link.code}`])
      await browserOf(listener).get(url).expect(302);
    await browserOf(listener).get(`/other/r/${link.code}`).expect(404);
    expect(await link.responseCount()).toBe(3);
  });
});

describe('trustProxy means what Express’ `trust proxy` means', () => {
  const chain = '203.0.113.1, 198.51.100.2, 10.0.0.3';
  const values = [
    ...[true, false, 0, 1, 2, 9, 'loopback', 'loopback, uniquelocal', '127.0.0.1/8,10.0.0.0/8', ''].filter(
      (value) => value !== '',
    ),
    ...[['loopback', '10.0.0.3'], [], ['::1', '127.0.0.1', '198.51.100.0/24', '10.0.0.3']],
    (address: string, hop: number) => hop === 0 && address !== '',
  ] as const;

  test.each(values.map((value) => [value]))('%p', async (trustProxy) => {
    const host = await open({ ip: 'full' });
    host.app.set('trust proxy', trustProxy);
    const other = express().use(host.app); // its own setting is false
    const stored: (string | null)[] = [];
    for (const handler of [
      host.app, // the router
      host.referrals.listener(host.app), // by the app's own setting
      host.referrals.listener(other, { trustProxy: trustProxy as boolean }),
    ]) {
      const link = await linkOf(host);
      await browserOf(handler).get(`/r/${link.code}`).set('X-Forwarded-For', chain).expect(302);
      stored.push((await link.filteredResponses())[0]!.ipAddress);
    }
    expect(stored).toEqual([stored[0], stored[0], stored[0]]);
    expect(stored[0]).toMatch(/^\d/);
    expect(host.errors).toEqual([]);
  });

  test.each([[null], [-1], [1.5], [NaN], [Infinity], ['somewhere'], ['10.0.0.0/33'], [['loopback', 7]], [{}], [1n]])(
    '%p is refused',
    async (trustProxy) => {
      const { app, referrals } = await open();
      expect(() => referrals.listener(app, { trustProxy: trustProxy as never })).toThrow(
        expect.objectContaining({ code: 'INVALID_INPUT', field: 'trustProxy' }),
      );
    },
  );

  test('no proxy of an app that is no Express app is trusted', async () => {
    const host = await open({ ip: 'full' });
    const link = await linkOf(host);
    const handler = host.referrals.listener((_req, res) => res.end());
    await browserOf(handler).get(`/r/${link.code}`).set('X-Forwarded-For', chain).expect(302);
    expect((await link.filteredResponses())[0]!.ipAddress).toMatch(/^(127\.|::1)/);
  });

  test('a function that throws costs only the address', async () => {
    const host = await open();
    const link = await linkOf(host);
    const failure = new Error('no list');
    const trustProxy = (): never => {
      throw failure;
    };
    const handler = host.referrals.listener(host.app, { trustProxy });
    await browserOf(handler).get(`/r/${link.code}`).set('X-Forwarded-For', chain).expect(302);
    expect((await link.filteredResponses())[0]!.ipAddress).toBeNull();
    expect(host.errors).toEqual([failure]);
  });
});

describe('servers', () => {
  let host: Host;
  let link: Referral;
  const servers: Server[] = [];
  const started = async (server: Server, at?: string): Promise<number> => {
    servers.push(server);
    if (at) server.listen(at);
    else server.listen(0, 'localhost');
    await once(server, 'listening');
    return at ? 0 : (server.address() as { port: number }).port;
  };
  const headers = { 'User-Agent': firefox };
  const asked = (request: http.ClientRequest): Promise<http.IncomingMessage> =>
    new Promise((resolve, reject) =>
      request
        .on('error', reject)
        .on('response', (answer) => resolve(answer.resume()))
        .end(),
    );

  beforeAll(async () => {
    host = await open({ ip: 'full' });
  });
  beforeEach(async () => {
    link = await linkOf(host);
  });
  afterAll(() => Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve)))));

  const newest = async (): Promise<ReferralResponse | undefined> => (await link.filteredResponses({ take: 1 }))[0];

  test('https', async () => {
    const port = await started(https.createServer(localhost, host.referrals.listener(host.app)));
    const ca = localhost.cert;
    const answer = await asked(
      https.request({ host: 'localhost', port, ca, path: `/r/${link.code}`, headers, agent: false }),
    );
    expect([answer.statusCode, answer.headers.location]).toEqual([302, '/welcome']);
    expect((await newest())!.ipAddress).toMatch(/^(127\.|::1)/);
  });

  test('a Unix socket, where only a proxy knows the address', async () => {
    const socketPath = path.join(tmpdir(), `referrals-${randomBytes(6).toString('hex')}.sock`);
    const ask = async (forwarded?: string): Promise<string | null | undefined> => {
      const more = forwarded === undefined ? {} : { 'X-Forwarded-For': forwarded };
      const answer = await asked(
        http.request({ socketPath, path: `/r/${link.code}`, headers: { ...headers, ...more }, agent: false }),
      );
      expect(answer.statusCode).toBe(302);
      return (await newest())!.ipAddress;
    };
    await started(http.createServer(host.referrals.listener(host.app, { trustProxy: 1 })), socketPath);
    expect(await ask()).toBeNull();
    expect(await ask('203.0.113.8')).toBe('203.0.113.8');
  });

  test('HTTP/2, and HTTP/1 beside it', async () => {
    const app = (req: http2.Http2ServerRequest, res: http2.Http2ServerResponse): void => {
      res.writeHead(200, { 'x-url': req.url });
      res.end();
    };
    const secure = { allowHTTP1: true, ...localhost };
    const port = await started(http2.createSecureServer(secure, host.referrals.listener(app)));
    const session = http2.connect(`https://localhost:${port}`, { ca: localhost.cert });
    const ask = async (method: string, url: string, more = {}): Promise<http2.IncomingHttpHeaders> => {
      const stream = session.request({ ':method': method, ':path': url, 'user-agent': firefox, ...more });
      const [answer] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
      stream.resume();
      await once(stream, 'close');
      return answer;
    };
    const click = await ask('GET', `/r/${link.code}?a=1`);
    expect(click).toMatchObject({ ':status': 302, 'location': '/welcome?a=1', 'cache-control': 'no-store' });
    const [cookie] = click['set-cookie']![0]!.split(';');
    const visitorId = cookie!.split('.')[2];
    expect(await newest()).toMatchObject({ visitorId, ipAddress: expect.stringMatching(/^(127\.|::1)/) });
    // A browser of HTTP/2 sends each cookie in a header of its own.
    await ask('GET', `/r/${link.code}`, { cookie: ['a=b', cookie!] });
    expect((await newest())!.visitorId).toBe(visitorId);
    expect(await ask('HEAD', `/r/${link.code}`)).toMatchObject({ ':status': 302 });
    expect(await ask('GET', `/r/${link.code}`, { 'sec-purpose': 'prefetch' })).toMatchObject({ ':status': 503 });
    expect(await ask('GET', '/r/unknown?b')).toMatchObject({ ':status': 200, 'x-url': '/r/unknown?b' });
    expect(await link.responseCount()).toBe(2);
    session.close();
    const old = https.request({
      host: 'localhost',
      port,
      ca: localhost.cert,
      path: `/r/${link.code}`,
      headers,
      agent: false,
    });
    expect((await asked(old)).statusCode).toBe(302);
    expect(await link.responseCount()).toBe(3);
  });
});

describe('errors', () => {
  test('while the database is away, a link that is not known is 503, and one that is known redirects', async () => {
    const { app, dataSource, errors, referrals } = await open();
    const known = await Referral.create({ user: 1, redirectTo: '/', code: 'KNOWN' }, { manager: dataSource.manager });
    const browser = browserOf(referrals.listener(app));
    await browser.get(`/r/${known.code}`).expect(302);
    await referrals.close();
    const answer = await browser.get('/r/other');
    expect([answer.status, answer.text, answer.headers['cache-control'], answer.headers['retry-after']]).toEqual([
      ...[503, 'Service Unavailable', 'no-store'],
      (await browserOf(app).get('/r/other')).headers['retry-after'],
    ]);
    const click = await browser.get(`/r/${known.code}`).expect(302);
    expect(cookieOf(click)).toContain('__Host-referral=v2.');
    expect(errors.map((error) => (error as ReferralError).code)).toEqual(['CLOSED', 'CLOSED']);
  });

  test('an unexpected one is 500, and reported', async () => {
    const dataSource = await openDataSource({ migrate: false });
    const { app, errors, referrals } = await startHost({ dataSource });
    await browserOf(referrals.listener(app)).get('/r/any').expect(500, 'Internal Server Error');
    expect(new Set(errors.map((error) => (error as ReferralError).code))).toEqual(new Set(['MIGRATIONS_NOT_RUN']));
  });

  test('functions of the host that need Express are reported, and mean no', async () => {
    const host = await open({
      consent: (req) => (req as unknown as { cookies: { consent: string } }).cookies.consent === 'yes',
    });
    const link = await linkOf(host);
    await browserOf(host.referrals.listener(host.app)).get(`/r/${link.code}`).expect(302);
    expect(await link.responseCount()).toBe(0);
    expect(host.errors).toEqual([expect.any(TypeError)]);
  });

  test('a session can’t be the store', async () => {
    const { app, referrals } = await open({ visitor: 'session' });
    expect(() => referrals.listener(app)).toThrow(expect.objectContaining({ code: 'LISTENER_NEEDS_COOKIE' }));
  });

  test.each([[undefined], [null], [{}], ['app']])('the app %p is refused', async (app) => {
    const { referrals } = await open();
    expect(() => referrals.listener(app as never)).toThrow(expect.objectContaining({ field: 'app' }));
  });

  test.each([[null], [{ trustProxi: true }], [[]]])('the options %p are refused', async (options) => {
    const { app, referrals } = await open();
    expect(() => referrals.listener(app, options as never)).toThrow(expect.objectContaining({ code: 'INVALID_INPUT' }));
  });
});

describe('a user who is signed in', () => {
  const models = ['last-touch', 'first-touch'] as const;
  let host: Host;
  const events: string[] = [];
  let statements: StatementLog;
  /** The number of the statement that fails, as if the process were killed before it. */
  let fatal = Infinity;

  async function begin(options: Partial<ReferralsOptions> = {}): Promise<void> {
    statements = new StatementLog();
    const logQuery = statements.logQuery.bind(statements);
    statements.logQuery = (query) => {
      if (fatal <= 1) throw new Error('killed');
      fatal--;
      logQuery(query);
    };
    const dataSource = await openDataSource({ logger: statements, logging: true });
    host = await open({
      dataSource,
      isSamePerson: (one, other) => one.split('+')[0] === other.split('+')[0],
      ...options,
    });
    events.length = 0;
    host.referrals.on('userLinkedToResponse', ({ referralId, userId }) => void events.push(`${referralId} ${userId}`));
  }
  afterEach(async () => {
    expect(host.errors).toEqual([]);
    await host.referrals.close();
  });

  const browserFor = async (user: string) => {
    const browser = browserOf(host.referrals.listener(host.app));
    await browser.post(`/login/${user}`).expect(204);
    return browser;
  };
  const countsOf = async (link: Referral): Promise<[number, number]> => [
    await link.responseCount(),
    (await link.filteredResponses()).length,
  ];

  test('is known at the next page, and the click is the user’s', async () => {
    await begin();
    const link = await linkOf(host);
    const browser = await browserFor('anna');
    const click = await browser.get(`/r/${link.code}`);
    expect(await link.filteredResponses()).toMatchObject([{ userId: null, visitorId: visitorOf(click) }]);
    const page = await browser.get('/whose').expect({ code: link.code });
    expect(cookieOf(page)).toBe('__Host-referral=');
    expect(await link.filteredResponses()).toMatchObject([{ userId: 'anna' }]);
    expect(await countsOf(link)).toEqual([1, 1]);
    expect(events).toEqual([`${link.id} anna`]);
  });

  describe.each(models)('%s', (model) => {
    test.each(['anna', 'anna+2'])('a click on a link of %s, who is anna, is taken back', async (user) => {
      await begin({ attribution: { model } });
      const link = await linkOf(host, { user });
      const browser = await browserFor('anna');
      for (let click = 0; click < 3; click++) await browser.get(`/r/${link.code}`).expect(302);
      expect(await countsOf(link)).toEqual([3, 3]);
      const page = await browser.get('/whose').expect({ code: null });
      expect(cookieOf(page)).toBe('__Host-referral=');
      expect(await countsOf(link)).toEqual([0, 0]);
      expect(events).toEqual([]);
      await browser.get('/whose').expect({ code: null });
    });

    test.each([
      ['own', 'theirs'],
      ['theirs', 'own'],
      ['own', 'theirs', 'own'],
      ['site', 'own'],
      ['own', 'site'],
    ])('%s, %s: only somebody else’s counts', async (...order) => {
      await begin({ attribution: { model } });
      const links = {
        own: await linkOf(host, { user: 'anna' }),
        theirs: await linkOf(host),
        site: (await host.referrals.referralCodes.create({ code: `Site${++made}`, label: String(made), user: null }))
          .code,
      };
      const codeOf = (name: string): string => (name === 'site' ? links.site : links[name as 'own'].code);
      const browser = await browserFor('anna');
      for (const name of order) {
        await browser.get(`/r/${codeOf(name)}`).expect(302);
        clock.advance(1000);
      }
      const other = order.find((name) => name !== 'own')!;
      await browser.get('/whose').expect({ code: codeOf(other) });
      expect(await countsOf(links.own)).toEqual([0, 0]);
      expect(events).toHaveLength(order.filter((name) => name === other).length);
    });

    test('from a touch of the router, which stays', async () => {
      await begin({ attribution: { model } });
      const [own, theirs] = [await linkOf(host, { user: 'anna' }), await linkOf(host)];
      const anonymous = await browserOf(host.app).get(`/r/${theirs.code}`);
      clock.advance(1000);
      const listener = host.referrals.listener(host.app);
      const click = await browserOf(listener).get(`/r/${own.code}`).set('Cookie', cookieOf(anonymous)!);
      const sid = cookieOf(await browserOf(host.app).post('/login/anna'), 'connect.sid')!;
      const page = await browserOf(listener)
        .get('/whose')
        .set('Cookie', `${cookieOf(click)}; ${sid}`);
      expect(page.body).toEqual({ code: theirs.code });
      expect([await countsOf(own), await countsOf(theirs)]).toEqual([
        [0, 0],
        [1, 1],
      ]);
    });
  });

  test.each(['flag', 'allow'] as const)('where self-referrals are %sed, the click stays', async (selfReferral) => {
    await begin({ selfReferral });
    const link = await linkOf(host, { user: 'anna' });
    const browser = await browserFor('anna');
    await browser.get(`/r/${link.code}`).expect(302);
    await browser.get('/whose').expect({ code: link.code });
    expect(await countsOf(link)).toEqual([1, 1]);
  });

  test('other clicks of the day, and of the day before, stay', async () => {
    await begin();
    const link = await linkOf(host, { user: 'anna' });
    const others = async (): Promise<unknown> => browserOf(host.app).get(`/r/${link.code}`).expect(302);
    const browser = await browserFor('anna');
    for (let day = 0; day < 2; day++) {
      await browser.get(`/r/${link.code}`).expect(302);
      await others();
      clock.advanceDays(1);
    }
    await browser.get('/whose').expect({ code: null });
    expect(await countsOf(link)).toEqual([2, 2]);
    const days = await host.dataSource.query(
      `SELECT clicks FROM "${(host.dataSource.options as { schema: string }).schema}".referral_daily_counts WHERE referral_id = ${link.id}`,
    );
    expect(days).toEqual([{ clicks: '1' }, { clicks: '1' }]);
  });

  test('in many tabs at once: each click is taken back once, beside clicks of others', async () => {
    await begin();
    const link = await linkOf(host, { user: 'anna' });
    const listener = host.referrals.listener(host.app);
    const sid = cookieOf(await browserOf(host.app).post('/login/anna'), 'connect.sid')!;
    const first = cookieOf(await browserOf(listener).get(`/r/${link.code}`).set('Cookie', sid))!;
    const tab = async (): Promise<void> => {
      const click = await browserOf(listener).get(`/r/${link.code}`).set('Cookie', `${sid}; ${first}`);
      const cookie = `${sid}; ${cookieOf(click)}`;
      await Promise.all(
        [1, 2].map(() => browserOf(listener).get('/whose').set('Cookie', cookie).expect({ code: null })),
      );
    };
    const stranger = async (): Promise<void> => void (await browserOf(listener).get(`/r/${link.code}`).expect(302));
    await Promise.all([...Array.from({ length: 6 }, tab), ...Array.from({ length: 6 }, stranger)]);
    expect(await countsOf(link)).toEqual([6, 6]);
    expect(events).toEqual([]);
  });

  test('while a request signs in: what another tab clicks meanwhile is taken back too', async () => {
    let meanwhile = (): Promise<void> => Promise.resolve();
    await begin({
      isSamePerson: async (owner) => {
        const clicks = meanwhile;
        meanwhile = () => Promise.resolve();
        await clicks();
        return owner === 'shop of anna';
      },
    });
    const links = await Promise.all([1, 2].map(() => linkOf(host, { user: 'shop of anna' })));
    const listener = host.referrals.listener(host.app);
    const sid = cookieOf(await browserOf(host.app).post('/login/anna'), 'connect.sid')!;
    const first = cookieOf(await browserOf(listener).get(`/r/${links[0]!.code}`).set('Cookie', sid))!;
    clock.advance(1000);
    meanwhile = async () =>
      void (await browserOf(listener).get(`/r/${links[1]!.code}`).set('Cookie', `${sid}; ${first}`).expect(302));
    await browserOf(listener).get('/whose').set('Cookie', `${sid}; ${first}`).expect({ code: null });
    for (const link of links) expect(await countsOf(link)).toEqual([0, 0]);
  });

  test('if isSamePerson throws, it is reported, and the sign-in is completed', async () => {
    await begin({
      isSamePerson: () => {
        throw new Error('the directory is away');
      },
    });
    const link = await linkOf(host, { user: 'bert' });
    const browser = await browserFor('anna');
    await browser.get(`/r/${link.code}`).expect(302);
    const page = await browser.get('/whose');
    expect(cookieOf(page)).toMatch(/=$/);
    expect(host.errors.splice(0)).not.toEqual([]);
    expect(await link.filteredResponses()).toMatchObject([{ userId: 'anna' }]);
  });

  test('a click that could not be recorded is not made up for', async () => {
    await begin();
    const [own, theirs] = [await linkOf(host, { user: 'anna' }), await linkOf(host)];
    for (const [link, code, count] of [
      [own, null, 0],
      [theirs, theirs.code, 1],
    ] as const) {
      const browser = await browserFor('anna');
      await browser.head(`/r/${link.code}`).expect(302); // the link is known
      fatal = 1;
      await browser.get(`/r/${link.code}`).expect(302);
      fatal = Infinity;
      expect(host.errors.splice(0)).toHaveLength(1);
      expect(await countsOf(link)).toEqual([0, 0]);
      await browser.get('/whose').expect({ code });
      expect(await countsOf(link)).toEqual([count, count]);
    }
  });

  test('whose process is killed between any two statements: the next request goes on', async () => {
    await begin();
    let wasKilled = true;
    for (let statement = 1; wasKilled; statement++) {
      const [own, theirs] = [await linkOf(host, { user: 'anna' }), await linkOf(host)];
      const sid = cookieOf(await browserOf(host.app).post('/login/anna'), 'connect.sid')!;
      const listener = host.referrals.listener(host.app);
      let cookie = '';
      for (const link of [theirs, own])
        cookie = cookieOf(await browserOf(listener).get(`/r/${link.code}`).set('Cookie', `${sid}; ${cookie}`))!;
      const page = () => browserOf(listener).get('/whose').set('Cookie', `${sid}; ${cookie}`);
      fatal = statement;
      await page();
      fatal = Infinity;
      wasKilled = host.errors.splice(0).length > 0;
      await page().expect({ code: theirs.code });
      expect([statement, await countsOf(own), await countsOf(theirs)]).toEqual([statement, [0, 0], [1, 1]]);
      if (!wasKilled) expect(statement).toBeGreaterThan(4);
      clock.advance(1000);
    }
  });

  test('who is another than the visitor was before: nothing changes', async () => {
    await begin();
    const link = await linkOf(host, { user: 'anna' });
    const listener = host.referrals.listener(host.app);
    const click = cookieOf(await browserOf(listener).get(`/r/${link.code}`))!;
    const as = async (user: string): Promise<void> => {
      const sid = cookieOf(await browserOf(host.app).post(`/login/${user}`), 'connect.sid')!;
      await browserOf(listener).get('/whose').set('Cookie', `${sid}; ${click}`);
    };
    await as('bert');
    await as('anna');
    expect(await link.filteredResponses()).toMatchObject([{ userId: 'bert' }]);
    expect(await link.responseCount()).toBe(1);
  });
});

test('the click of a visitor who signs in later through the router stays, as before', async () => {
  const host = await open();
  const link = await linkOf(host, { user: 'anna' });
  const browser = host.browser();
  await browser.get(`/r/${link.code}`).expect(302);
  await browser.post('/login/anna');
  await browser.get('/whose').expect({ code: link.code });
  expect(await link.responseCount()).toBe(1);
});

const label = fc.stringMatching(/^[a-z0-9_-]{0,6}$/);
const pathParts = fc.array(fc.stringMatching(/^[A-Za-z0-9._~%\\:@+ -]{0,4}$/), { maxLength: 4 });

test('the shortcut for plain referrers stores what the URL parser says', () => {
  const hosts = fc.tuple(
    fc.array(label, { maxLength: 3 }),
    fc.constantFrom('', 'xn--', 'xn--a.', '0x1', '1', 'example', ':80', ':x'),
  );
  const urls = fc
    .tuple(fc.constantFrom('http', 'https', 'HTTP', 'ftp', 'data'), fc.constantFrom('://', ':/', ':'), hosts, pathParts)
    .chain(([scheme, slashes, [labels, last], parts]) =>
      fc
        .constantFrom('', '?q', '#f', '/', '/?q#f')
        .map(
          (end) => `${scheme}${slashes}${[...labels, last].join('.')}${parts.map((part) => `/${part}`).join('')}${end}`,
        ),
    );
  fc.assert(
    fc.property(urls, (url) => {
      const parsed = URL.canParse(url) && /^https?:$/.test(new URL(url).protocol) ? new URL(url) : null;
      expect(storedReferrer(url, 'path')).toBe(parsed && parsed.origin + parsed.pathname);
      expect(storedReferrer(url, 'origin')).toBe(parsed && parsed.origin);
    }),
    { numRuns: 20_000 },
  );
});

test('a link is stored by no cache, whatever the app has set before the router', async () => {
  const host = await open();
  const app = express();
  app.use((_req, res, next) => {
    res.set({ 'CDN-Cache-Control': 'max-age=600', 'Surrogate-Control': 'max-age=600', 'Cache-Control': 'public' });
    next();
  }, host.app);
  const link = await linkOf(host);
  for (const headers of [{}, { 'User-Agent': 'Googlebot/2.1' }, { 'Sec-Purpose': 'prefetch' }]) {
    const answer = await browserOf(app).get(`/r/${link.code}`).set(headers);
    expect(answer.headers).toMatchObject({ 'cache-control': 'no-store' });
    expect(answer.headers).not.toHaveProperty('cdn-cache-control');
    expect(answer.headers).not.toHaveProperty('surrogate-control');
  }
});

test('createReferrals without an app: the listener answers links alone', async () => {
  const dataSource = await openDataSource();
  const referrals = createReferrals({ dataSource, baseUrl, secret, user: () => null });
  const { code } = await Referral.create({ user: 1, redirectTo: '/a', code: 'ALONE' }, { manager: dataSource.manager });
  const handler = referrals.listener((_req, res) => void res.writeHead(404).end());
  await browserOf(handler).get(`/r/${code}`).expect(302);
  await browserOf(handler).get('/').expect(404);
  await referrals.close();
});
