import express from 'express';
import request, { type Test } from 'supertest';
import { coupon, mount, startApi } from './support/api';
import { baseUrl, closeAll } from './support/host';

afterAll(closeAll);

/** A host whose users have a session cookie, as the attacker's page would use it. */
const startSessions = () => startApi({ user: (req) => req.get('authorization') ?? req.get('x-session') ?? null });

describe('changes from elsewhere', () => {
  const changes: [method: 'patch' | 'post' | 'delete', path: string, body: object][] = [
    ['patch', '/config/', { mode: 'credits' }],
    ['post', '/coupon-code/', { code: 'GOOD' }],
    ['delete', '/coupon-code/', {}],
  ];
  const from: [headers: Record<string, string>, isTaken: boolean][] = [
    [{ 'Sec-Fetch-Site': 'same-origin' }, true],
    [{ Origin: baseUrl }, true],
    [{ 'Sec-Fetch-Site': 'same-origin', 'Origin': 'https://elsewhere.example' }, true],
    [{ 'Sec-Fetch-Site': 'cross-site' }, false],
    [{ 'Sec-Fetch-Site': 'same-site' }, false],
    [{ 'Sec-Fetch-Site': 'none' }, false],
    [{ 'Sec-Fetch-Site': 'cross-site', 'Origin': baseUrl }, false],
    [{ Origin: 'https://elsewhere.example' }, false],
    [{ Origin: 'null' }, false],
    [{ Origin: 'http://shop.example' }, false],
    [{}, false],
    [{ 'Authorization': 'anna', 'Sec-Fetch-Site': 'cross-site' }, true],
    [{ Authorization: 'anna' }, true],
  ];

  test.each(from)('%j', async (headers, isTaken) => {
    const api = await startSessions();
    await coupon(api, 'owner', { code: 'GOOD' });
    const ask = (method: 'get' | 'patch' | 'post' | 'delete', path: string): Test =>
      request(api.app)
        [method](`${mount}${path}`)
        .set({ 'X-Session': 'anna', ...headers });
    for (const [method, path, body] of changes) {
      const answer = await ask(method, path).send(body);
      expect([method, path, answer.status < 300, answer.status]).toEqual([method, path, isTaken, isTaken ? answer.status : 403]); // prettier-ignore
    }
    for (const path of ['/config/', '/credit/', '/coupon-code/']) await ask('get', path).expect(200); // a read tells no other site
    expect(api.errors).toEqual([]);
    await api.referrals.close();
  });

  test('nobody is 401 before that', async () => {
    const api = await startSessions();
    await request(api.app).patch(`${mount}/config/`).set('Sec-Fetch-Site', 'cross-site').send({}).expect(401);
    await api.referrals.close();
  });
});

test('a page has at most 100, whatever is asked for', async () => {
  const api = await startApi();
  await coupon(api, 'anna');
  await api.referrals.coupons.apply('boris', 'OF-anna');
  for (let n = 0; n < 101; n++) await api.referrals.recordPurchase('boris', { amount: 10, reference: `order-${n}` });
  for (const size of ['100', '101', '1000', '0250', '9'.repeat(400)]) {
    const page = await api.get(`/credit/?page_size=${size}`, 'anna');
    expect([page.count, page.results.length, page.next === null]).toEqual([101, 100, false]);
    const rest = await api.get(new URL(page.next).pathname.replace(mount, '') + new URL(page.next).search, 'anna');
    expect([rest.results.length, rest.next]).toEqual([1, null]);
  }
  for (const size of ['0', '-1', '1.5', 'all', '']) expect((await api.ask('GET', `/credit/?page_size=${size}`, { as: 'anna' })).status).toBe(400); // prettier-ignore
  await api.referrals.close();
});

describe('code/info/', () => {
  test.each([
    ['one IPv4 address', () => '10.1.2.3', true],
    ['an IPv6 network of 64 bits', (n: number) => `2001:db8:1:2:${n.toString(16)}::${n}`, true],
    ['one address, mapped', () => '::ffff:10.9.8.7', true],
    ['IPv6 networks', (n: number) => `2001:db8:1:${n.toString(16)}::1`, false],
    ['IPv4 addresses', (n: number) => `10.0.1.${n}`, false],
    ['IPv4 addresses, mapped', (n: number) => `::ffff:10.0.2.${n}`, false],
  ])('60 a minute of %s', async (_what, addressOf, isOne) => {
    const api = await startApi();
    const statuses: number[] = [];
    for (let n = 1; n <= 62; n++) {
      const headers = { 'X-Forwarded-For': addressOf(n) };
      const answer = await api.ask('GET', '/code/info/?referral_code=X', { headers });
      statuses.push(answer.status);
      if (answer.status === 429) expect(answer.headers['retry-after']).toMatch(/^\d+$/);
    }
    expect(statuses).toEqual(statuses.map((_, index) => (isOne && index >= 60 ? 429 : 404)));
    expect(api.errors).toEqual([]);
    await api.referrals.close();
  });

  test('by the address that the option clientIp tells; without one, by that of the connection', async () => {
    for (const [clientIp, errors] of [
      [() => '10.1.1.1', 0],
      [() => null, 0],
      [() => 'unknown', 0],
      [() => { throw new Error('no address') }, 61],
    ] as const) {
      const api = await startApi({ clientIp });
      for (let n = 1; n <= 61; n++) {
        const { status } = await api.ask('GET', '/code/info/?referral_code=X');
        expect([n, status]).toEqual([n, n === 61 ? 429 : 404]);
      }
      expect(api.errors).toHaveLength(errors);
      await api.referrals.close();
    }
  }); // prettier-ignore
});

describe("the host's own coupon form", () => {
  const startForm = async () => {
    const api = await startApi({}, {
      before: (app) => {
        app.post('/form', (req, res, next) => api.referrals.limitCouponTries(req, res, next), (_req, res) => void res.send('tried'));
        app.use('/twice', (req, res, next) => api.referrals.limitCouponTries(req, res, next), (req, res, next) => api.referrals.api(req, res, next));
      },
    }); // prettier-ignore
    return api;
  };

  test('is counted together with the API, by user', async () => {
    const api = await startForm();
    const form = (as: string) => request(api.app).post('/form').set('Authorization', as);
    for (let n = 0; n < 3; n++) await form('anna').expect(200);
    for (let n = 0; n < 2; n++) expect((await api.ask('POST', '/coupon-code/', { as: 'anna', send: { code: 'X' } })).status).toBe(400); // prettier-ignore
    const refused = await form('anna');
    expect(refused).toMatchObject({ status: 429, body: { code: 'TOO_MANY_ATTEMPTS' } });
    expect(refused.headers['retry-after']).toMatch(/^\d+$/);
    expect((await api.ask('POST', '/coupon-code/', { as: 'anna', send: { code: 'X' } })).status).toBe(429);
    await form('boris').expect(200);
    await api.referrals.close();
  });

  test('by address where nobody is signed in', async () => {
    const api = await startForm();
    const form = (address: string) => request(api.app).post('/form').set('X-Forwarded-For', address);
    for (let n = 0; n < 5; n++) await form(`2001:db8::${n}`).expect(200);
    await form('2001:db8::9').expect(429);
    await form('2001:db8:0:1::9').expect(200);
    await api.referrals.close();
  });

  test('a request that passes it and the API is one try', async () => {
    const api = await startForm();
    const apply = () => request(api.app).post('/twice/coupon-code/').set('Authorization', 'anna').send({ code: 'X' });
    for (let n = 0; n < 5; n++) await apply().expect(400);
    await apply().expect(429);
    await api.referrals.close();
  });
});

describe('a body that is nested deep', () => {
  const deep = (depth: number, open: string, close: string): string => open.repeat(depth) + '1' + close.repeat(depth);
  const bodies: [what: string, body: string][] = [
    ['lists', `{"code": ${deep(4900, '[', ']')}}`],
    ['objects', `{"code": ${deep(1600, '{"":', '}')}}`],
    ['a list', deep(4900, '[', ']')],
    ['in an unknown field', `{"x": ${deep(4900, '[', ']')}}`],
  ];

  test.each(bodies)('%s', async (_what, body) => {
    const api = await startApi();
    const ask = (path: string, method: 'post' | 'patch') =>
      request(api.app)
        [method](path)
        .set({ 'Authorization': 'anna', 'Content-Type': 'application/json', 'Origin': baseUrl })
        .send(body);
    expect((await ask(`${mount}/coupon-code/`, 'post')).status).toBe(400);
    expect((await ask(`${mount}/config/`, 'patch')).status).toBe(400);
    expect((await ask('/r/', 'post')).status).toBe(400);
    expect(api.errors).toEqual([]);
    await api.referrals.close();
  });

  test('that the host has parsed, with higher limits', async () => {
    const parsers = [express.json({ limit: '10mb' }), express.urlencoded({ extended: true, limit: '10mb' })];
    const api = await startApi();
    const app = express().use(...parsers, api.app);
    for (const [type, body] of [
      ['application/json', `{"code": ${deep(4000, '[', ']')}}`],
      ['application/x-www-form-urlencoded', `redirect_to${'[x]'.repeat(3000)}=1`],
      ['application/x-www-form-urlencoded', `label${'[]'.repeat(3000)}=1&redirect_to=/`],
    ] as const)
      for (const path of [`${mount}/coupon-code/`, '/r/']) {
        const asking = request(app).post(path).set({ 'Authorization': 'anna', 'Content-Type': type, 'Origin': baseUrl });
        expect([path, type, (await asking.send(body)).status]).toEqual([path, type, 400]);
      } // prettier-ignore
    expect(api.errors).toEqual([]);
    await api.referrals.close();
  });
});
