import type { Request } from 'express';
import request from 'supertest';
import { createReferrals, Referral, ReferralError, ReferralResponse, type ReferralsOptions } from '../lib';
import { firefox } from './support/browser';
import { baseUrl, closeAll, type Host, openDataSource, secret, startHost } from './support/host';

afterAll(closeAll);

// Words that leave the process: messages of errors, responses, and what is stored of a request's headers.

let host: Host;
beforeAll(async () => {
  host = await startHost();
});

async function errorOf(call: () => unknown): Promise<ReferralError> {
  try {
    await call();
  } catch (error) {
    expect(error).toBeInstanceOf(ReferralError);
    return error as ReferralError;
  }
  throw new Error('It was not refused.');
}

describe('what comes from outside into a message', () => {
  const nasty = 'a\n\u0000\u001b[31m\u0085\u200f\u202e\u2066\u2028\u2029\ud800"\\b';
  const shown = 'a\\u000a\\u0000\\u001b[31m\\u0085\\u200f\\u202e\\u2066\\u2028\\u2029\\ud800\\"\\\\b';
  const unseen = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069]/;

  const calls: [what: string, call: (text: string) => unknown][] = [
    ['a value', (text) => Referral.create({ redirectTo: '/', label: text.repeat(100) })],
    ['the name of a field', (text) => Referral.create({ redirectTo: '/', [text]: 1 })],
    ['the name of an option', (text) => createReferrals({ [text]: 1 } as never)],
    ['the name of an option in a group', (text) => createReferrals({ ...bare, cookie: { [text]: 1 } } as never)],
    ['a word for an option', (text) => createReferrals({ ...bare, visitor: text } as never)],
    ['the name of a field of a search', (text) => host.referrals.credits.search({ where: { [text]: 1 } as never })],
    ['the name of a field of an order', (text) => host.referrals.credits.search({ order: { [text]: 1 } as never })],
    ['the name of a wanted field', (text) => host.referrals.credits.search({ fields: [text] as never })],
    ['a symbol', (text) => host.referrals.credits.get(Symbol(text) as never)],
    ['a symbol as key', (text) => host.referrals.credits.count({ [Symbol(text)]: 1 })],
    ['the name of a class', (text) => host.referrals.credits.get(new { [text]: class {} }[text]!() as never)],
    ['the name of a function', (text) => host.referrals.credits.get({ [text]: () => 1 }[text] as never)],
    ['the name of a record', (text) => host.referrals.programs.getByName(`${text.replace(/[\0\ud800]/g, '')}\n`)],
    ['the name of an event', (text) => host.referrals.on(text as never, () => undefined)],
    ['a code', (text) => host.referrals.coupons.apply('anna', text.replace(/[\0\ud800]/g, ''))],
    ['the class in a JSON body', (text) => host.referrals.credits.create(JSON.parse(JSON.stringify({ user: { constructor: { name: text } } })) as never)],
  ]; // prettier-ignore

  test.each(calls)('%s is one line, and short', async (_what, call) => {
    for (const text of [nasty, 'x'.repeat(10_000), nasty.repeat(1000)]) {
      const { message, field = '' } = await errorOf(() => call(text));
      expect(message).not.toMatch(unseen);
      expect(message).not.toMatch(/x{101}/);
      expect(message.length).toBeLessThan(1500); // with the list of what is known
      expect(field).not.toMatch(unseen);
      expect(field.length).toBeLessThan(150);
    }
  });

  test('is quoted, and complete up to 100 characters', async () => {
    expect((await errorOf(() => Referral.create({ redirectTo: '/', [nasty]: 1 } as never))).message).toContain(`"${shown}"`);
    for (const [length, end] of [[100, '"'], [101, '…"']] as const) {
      const { message } = await errorOf(() => Referral.create({ redirectTo: '/', ['x'.repeat(length)]: 1 }));
      expect(message).toContain(`"${'x'.repeat(100)}${end}`);
    }
  }); // prettier-ignore

  test('a list of ids names ten', async () => {
    const missing = Array.from({ length: 5000 }, (_, index) => 1_000_000 + index);
    const { message } = await errorOf(() => host.referrals.credits.list(missing));
    expect(message).toMatch(/^There is no credit with the ids (\d{7}, ){10}…\.$/);
  });

  test('the mount path of a router, which can be of the request', async () => {
    const other = await startHost({}, (app) => void app.use('/:tenant', (req, res, next) => host.referrals.router(req, res, next))); // prettier-ignore
    const { body } = await request(other.app).get(`/${encodeURIComponent(nasty.slice(0, -4))}${'x'.repeat(500)}/CODE`);
    expect(body).toMatchObject({ code: 'ROUTER_MISPLACED', message: expect.not.stringMatching(/x{101}/) });
  });

  test('the keys of a JSON body in the response', async () => {
    const api = await startHost({ user: () => 'anna' }, (app) => void app.use('/api', (req, res, next) => api.referrals.api(req, res, next))); // prettier-ignore
    const { status, text } = await request(api.app)
      .patch('/api/config/')
      .set('Authorization', 'x')
      .send({ ['\u202e\u0085'.repeat(300)]: 1 });
    expect(status).toBe(400);
    expect(text).not.toMatch(/[\u202e\u0085]/);
    expect(text.length).toBeLessThan(400);
  });
});

const bare = { baseUrl, secret, user: () => null };

describe('a password is not printed', () => {
  const password = 'hunter2';
  const url = `https://me:${password}@shop.example`;
  const wrong: object[] = [
    { secret: password },
    { secret: [password] },
    { secret: [secret, password] },
    { secret: { [Symbol.toPrimitive]: () => password } },
    { secret: Buffer.from(password) },
    { baseUrl: url },
    { baseUrl: new URL(url) },
    { baseUrl: [url] },
    { dataSource: `postgres://me:${password}@host/db` },
    { dataSource: { password, type: 'postgres' } },
    { cookie: password },
    { cookie: [password] },
    { cookie: { name: `a ${password}` } },
    { cookie: { domain: `${password}@` } },
    { cookie: { secure: password } },
    { csrf: password },
    { csrf: { name: '_csrf', value: password } },
    { api: password },
    { api: { rateLimitStore: `redis://:${password}@host` } },
    { api: { rateLimitStore: { password } } },
    { secrt: password },
    { cookie: { secrt: password } },
    { api: { password } },
    { redirect: url },
    { redirect: { allowedOrigins: [url] } },
    { redirect: { allowedOrigins: url } },
    { redirect: { parameter: url } },
    { linkPath: url },
    { visitor: `${password} which is a key, in the wrong option` },
    { targetTypes: `postgres://${password}@host` },
    { onError: url },
    { clock: `a key of 32 characters: ${password}` },
  ];

  test.each(wrong)('%j', async (options) => {
    const { message, code } = await errorOf(() =>
      createReferrals({ dataSource: host.dataSource, ...bare, ...options }),
    );
    expect(code).toMatch(/^(INVALID|UNKNOWN)_OPTION$/);
    expect(message).not.toContain(password);
    expect(message).toMatch(/"\w+(\.\w+)*"/); // the option is named
  });

  test('the type and the length are told', async () => {
    const of = async (options: object) =>
      (await errorOf(() => createReferrals({ dataSource: host.dataSource, ...bare, ...options }))).message;
    expect(await of({ secret: password })).toMatch(/but got a string of 7 characters\.$/);
    expect(await of({ secret: [password] })).toMatch(/but got an array of 1\.$/);
    expect(await of({ baseUrl: url })).toMatch(/but got a string of 31 characters\.$/);
    expect(await of({ cookie: 7 })).toMatch(/but got a number\.$/);
  });

  test('nor that of what is given in place of the options', async () => {
    for (const given of [`postgres://me:${password}@host/db`, [url], { [Symbol('x')]: password }])
      expect((await errorOf(() => createReferrals(given as never))).message).not.toContain(password);
  });

  test('nor what the options user and csrf return', async () => {
    const own = await startHost({ user: () => ({ id: [password] }) as never, csrf: () => ({ name: 'x', value: [password] }) as never }, (app) => {
      app.get('/form', (_req, res) => void res.send(res.locals['referrals'].createForm({ redirectTo: '/' })));
    }); // prettier-ignore
    for (const path of ['/form', '/whose']) {
      const { status, body } = await request(own.app).get(path);
      expect([path, status, body.code]).toEqual([path, 500, 'INVALID_OPTION']);
      expect(body.message).not.toContain(password);
    }
  });
});

describe('errors of the database', () => {
  const away = ['08000', '08003', '08006', '08P01', '28000', '28P01', '3D000', '53000', '53100', '53200', '53300', '53400', '55000', '57P01', '57P02', '57P03', '57P05']; // prettier-ignore
  const own = ['22012', '42501', '55006', '23514', '0A000'];

  test.each([...away, ...own])('%s', async (state) => {
    const { dataSource, referrals } = host;
    const schema = (dataSource.options as { schema: string }).schema;
    await dataSource.query(`
      CREATE OR REPLACE FUNCTION "${schema}".refuse() RETURNS trigger LANGUAGE plpgsql AS
      $$BEGIN RAISE EXCEPTION 'host db-7.internal port 5432 role "boss"' USING ERRCODE = '${state}'; END$$`);
    await dataSource.query(`
      CREATE OR REPLACE TRIGGER refuse BEFORE INSERT ON "${schema}".referral_credit_types
      FOR EACH ROW EXECUTE FUNCTION "${schema}".refuse()`);
    try {
      const error = (await referrals.creditTypes.create({ name: state }).catch((one: unknown) => one)) as ReferralError;
      if (own.includes(state)) return expect(error).not.toBeInstanceOf(ReferralError);
      expect(error).toMatchObject({ code: 'DATABASE_UNAVAILABLE', status: 503, expose: false });
      expect(error.message).not.toMatch(/db-7|5432|boss/);
      expect((error.cause as Error).message).toMatch(/db-7/);
      expect(error.message).toContain(state);
    } finally {
      await dataSource.query(`DROP TRIGGER refuse ON "${schema}".referral_credit_types`);
    }
  });

  test('a client may read the message of an error below 500', async () => {
    const below = await errorOf(() => host.referrals.credits.get(900_000));
    expect([below.status, below.expose]).toEqual([404, true]);
    const above = await errorOf(() => createReferrals({} as never));
    expect([above.status, above.expose]).toEqual([500, false]);
  });
});

describe('the header Referer', () => {
  const url = 'https://me:pass@mail.example/a%20path;x?token=secret#part';
  const [path, origin] = ['https://mail.example/a%20path;x', 'https://mail.example'];
  const none = ['javascript:alert(1)', 'android-app://com.mail', 'mail.example', 'about:blank', 'data:text/html,x', ''];
  const modes: [ReferralsOptions['httpReferrer'], string | null][] = [
    [undefined, path],
    ['path', path],
    ['origin', origin],
    ['full', `${path}?token=secret#part`],
    ['none', null],
  ];

  test.each(modes)('with httpReferrer %s is stored as %s', async (httpReferrer, stored) => {
    const own = await startHost(httpReferrer && { httpReferrer }, (app) => {
      app.get('/do', (req: Request, res, next) => {
        Referral.recordResponse(req, 'DONE', { manager: own.dataSource.manager }).then((done) => res.json(done), next);
      });
    });
    const { manager } = own.dataSource;
    const referral = await Referral.create({ redirectTo: '/' }, { manager });
    const browser = own.browser();
    const headers = { 'User-Agent': firefox, 'Referer': url };
    await browser.get(`/r/${referral.code}`).set(headers).expect(302);
    await browser.get('/do').set(headers).expect(200);
    const found = await manager.find(ReferralResponse, { order: { id: 'ASC' } });
    expect(found.map((one) => one.httpReferrer)).toEqual([stored, stored]);
    for (const referer of none)
      await own.browser().get(`/r/${referral.code}`).set({ ...headers, Referer: referer }).expect(302); // prettier-ignore
    expect(await manager.countBy(ReferralResponse, { action: 'RESPONDED' })).toBe(1 + none.length);
    const [newest] = await manager.find(ReferralResponse, { order: { id: 'DESC' }, take: 1 });
    expect(newest!.httpReferrer).toBeNull();
    await own.referrals.close();
  });

  test('another value is refused', () => {
    const make = () => createReferrals({ dataSource: host.dataSource, ...bare, httpReferrer: 'all' as never });
    expect(make).toThrow(expect.objectContaining({ code: 'INVALID_OPTION', field: 'httpReferrer' }));
  });
});

test('a person who sends the form is not told how the package is called', async () => {
  const own = await startHost({ user: () => 'anna' });
  const wrong = [
    { redirect_to: 'https://evil.example' },
    { redirect_to: `/${'x'.repeat(3000)}` },
    { redirect_to: '/', label: 'x'.repeat(101) },
    { redirect_to: '/', label: 'a\0' },
    { redirect_to: '/', target_type: 'x', target_id: '1' },
  ];
  for (const body of wrong) {
    const { status, text } = await request(own.app).post('/r/').set('Origin', baseUrl).send(body);
    expect(status).toBe(400);
    expect(text).not.toMatch(/takes|but got|U\+0000|surrogate|Infinity|redirectTo|recordSignup|option/);
  }
  await own.referrals.close();
});

test('an empty text as user: nobody is signed in, onError is told, and pages and clicks go on', async () => {
  const dataSource = await openDataSource();
  const own = await startHost({ dataSource, user: () => '' });
  const { manager } = dataSource;
  const { code } = await Referral.create({ redirectTo: '/' }, { manager });
  const browser = own.browser();
  for (const [method, path, status] of [['get', `/r/${code}`, 302], ['get', '/whose', 200], ['post', '/r/', 401]] as const) {
    own.errors.length = 0;
    const answer = await browser[method](path).set('User-Agent', firefox).set('Origin', baseUrl);
    expect([path, answer.status]).toEqual([path, status]);
    expect(own.errors).toMatchObject([{ code: 'INVALID_OPTION', field: 'user' }]);
  } // prettier-ignore
  expect(await manager.findOneBy(ReferralResponse, {})).toMatchObject({ userId: null });
  await own.referrals.close();
});
