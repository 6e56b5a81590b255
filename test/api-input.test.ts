import { gzipSync } from 'node:zlib';
import express, { type Express } from 'express';
import type { ClientRateLimitInfo, Options, Store } from 'express-rate-limit';
import { type Ask, type ApiHost, coupon, detail, fieldError, type Method, mount, startApi } from './support/api';
import { closeAll, databaseUrl, despiteLimit, listen, openDataSource, waitFor } from './support/host';
import { startProxy } from './support/proxy';

/** What libraries complain of at run time, they print. */
const complaints = jest.spyOn(console, 'error');
afterAll(async () => {
  await closeAll();
  expect(complaints).not.toHaveBeenCalled();
});

/** Every path that there is, with the methods that it has. */
const paths: Record<string, Method[]> = {
  '/credit/': ['GET'],
  '/credit/1/': ['GET'],
  '/earnout/': ['GET'],
  '/earnout/1/': ['GET'],
  '/config/': ['GET', 'PATCH'],
  '/channel/': ['GET'],
  '/coupon-code/': ['GET', 'POST', 'DELETE'],
  '/code/info/': ['GET'],
  '/openapi.json': ['GET'],
};
const isOpen = (path: string): boolean => ['/code/info/', '/openapi.json'].includes(path);
const methods: Method[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'];
const slashes = (path: string): string[] => [path.replace(/\/$/, ''), path.replace(/\/?$/, '/')];

let host: ApiHost;
let count = 0;
/** A user who has asked nothing yet: coupons are limited. */
const someone = (): string => `user ${++count}`;
const apply = (api: ApiHost, as: string, send: Ask['send'] = { code: 'NOBODYS' }, headers = {}) =>
  api.ask('POST', '/coupon-code/', { as, send, headers });

beforeAll(async () => {
  host = await startApi({ earnOuts: { payout: () => undefined } });
  await coupon(host, 'owner', { code: 'GOOD' });
});

describe('parameters', () => {
  const lists = ['/credit/', '/earnout/'];
  const wrong = (name: string, code: string, values: string[]) => values.map((value) => [name, code, value] as const);
  const wrongNumbers = ['', '0', '-1', '1.5', '1e1', 'abc', ' 1', '+1', '%00', '٣', '0x1'];

  test.each([...wrong('page', 'invalid', wrongNumbers), ...wrong('page_size', 'invalid', wrongNumbers)])(
    'of both lists: %s is refused as %s: %j',
    async (name, code, value) => {
      for (const path of lists) {
        const answer = await host.ask('GET', `${path}?${name}=${encodeURI(value)}`, { as: 'anna' });
        expect([answer.status, answer.body]).toEqual([400, fieldError(name, code)]);
      }
    },
  );

  test.each([
    ...wrong('mode', 'invalid_choice', ['cash', 'CREDITS', 'credits,payout', '%00', 'null']),
    ...wrong('status', 'invalid_choice', ['paid', 'Available', "'", '1', 'constructor']),
    ...wrong('ordering', 'invalid_choice', ['user_id', '--id', '+id', 'id,-amount', 'ID', 'id desc', '-', '__proto__']),
    ...wrong('referral_channel', 'invalid_choice', ['null', '%00', '0', '-1', '1.0', '9'.repeat(15), '9'.repeat(400)]),
  ])('of credit/: %s is refused as %s: %j', async (name, code, value) => {
    const answer = await host.ask('GET', `/credit/?${name}=${value.replace('+', '%2B')}`, { as: 'anna' });
    expect([answer.status, answer.body]).toEqual([400, fieldError(name, code)]);
  });

  test('what is at the limit is taken; what is not known, or given in another way, is left out', async () => {
    const none = { count: 0, next: null, previous: null, results: [] };
    for (const path of lists)
      for (const query of [
        'page=1',
        'page=01',
        'page_size=1',
        'page_size=100',
        'page_size=101',
        'foo=1',
        'page[]=x',
        'page[a]=x',
        '&&=',
      ])
        expect(await host.get(`${path}?${query}`, 'anna')).toEqual(none);
    expect(await host.get('/credit/?mode=&status=&ordering=&referral_channel=', 'anna')).toEqual(none);
  });

  test('whatever query parser the host has', async () => {
    for (const parser of ['extended', 'simple', false]) {
      const own = await startApi({}, { before: (app) => app.set('query parser', parser) });
      expect((await own.ask('GET', '/credit/?mode=cash', { as: 'anna' })).status).toBe(400);
      expect((await own.ask('GET', '/credit/?ordering=-amount&page_size=2', { as: 'anna' })).status).toBe(200);
    }
  });
});

describe('ids', () => {
  const wrong = ['0', '-1', '1.0', '1e0', 'abc', '%00', '%20', '1%20', '٣', '0x1', 'null', '999999999999999'];
  const malformed = ['%E0%A4%A', '%'];
  test.each([...wrong, '9223372036854775808', '9'.repeat(400), "1'--", ...malformed])('%j is none', async (id) => {
    for (const path of ['credit', 'earnout'])
      for (const slash of ['', '/']) {
        const answer = await host.ask('GET', `/${path}/${id}${slash}`, { as: 'anna' });
        expect([answer.status, answer.body]).toEqual([404, detail]);
      }
  });
});

describe('fields', () => {
  const readOnly = [
    ...['id', 'id_verification_required', 'credits_earned', 'payouts_earned', 'total_credits_earned'],
    ...['total_payouts_earned', 'number_of_users_referred', 'number_of_users_upgraded', 'earn_out_frequency'],
    ...['next_earn_out_date', 'minimum_earn_out_amount', 'referral_code', 'referral_url', 'referral_maximum_credits'],
    ...['referral_credit_ratio', 'referral_payment_pending_days', 'promo_type', 'promo_value', 'created_at'],
    ...['updated_at', 'initial_rate', 'ongoing_rate', 'initial_rate_period_days', 'max_earnings_per_referred'],
  ];
  const long = `${'x'.repeat(243)}@example.com`;
  const wrongEmails = [
    ...['', ' ', 'x', '@', 'a@b', '@example.com', 'a@', 'a b@example.com', 'a@example.com ', 'a@example.com\n'],
    ...['a@@example.com', 'a@example..com', 'a\u0000@example.com', 'a\ud800@example.com', long],
  ];

  test.each<[string, string, object | string]>([
    ...readOnly.map((field) => [field, 'unknown', { [field]: 1, mode: 'credits' }] as [string, string, object]),
    ...['foo', 'Mode', 'payoutEmail', 'user_id', 'detail', 'constructor'].map(
      (field) => [field, 'unknown', { [field]: 'x' }] as [string, string, object],
    ),
    ['__proto__', 'unknown', '{"__proto__": {"mode": "payout"}}'],
    ...[null, '', 'PAYOUT', 'cash', 1, true, [], ['payout'], {}].map(
      (mode) => ['mode', 'invalid_choice', { mode }] as [string, string, object],
    ),
    ...[1, true, [], {}, ['a@example.com'], ...wrongEmails].map(
      (email) => ['paypal_payout_email', 'invalid', { paypal_payout_email: email }] as [string, string, object],
    ),
    ['paypal_payout_email', 'invalid', { mode: 'payout', paypal_payout_email: 'x' }],
    ['mode', 'invalid_choice', { mode: 'cash', paypal_payout_email: 'a@example.com' }],
  ])('of config/: %s is refused as %s: %j', async (field, code, send) => {
    const before = await host.get('/config/', 'anna');
    const headers = { 'Content-Type': 'application/json' };
    const { status, body } = await host.ask('PATCH', '/config/', { as: 'anna', send, headers });
    expect([status, Object.keys(body), body[field]]).toEqual([
      ...[400, [field], [{ message: expect.stringMatching(/\w.*\.$/), code }]],
    ]);
    expect(await host.get('/config/', 'anna')).toEqual(before);
  });

  test.each([
    ...['a@b.c', 'first.last+tag@sub.example.co.uk', "o'neil@example.com", `${'x'.repeat(64)}@example.com`],
    ...['jürgen@example.com', 'a@köln.example', 'a..b@example.com', 'a,b@example.com', '<a>@example.com', '.a@b.c'],
  ])('an e-mail that is taken is one by the document too: %j', async (email) => {
    const as = someone();
    const answer = await host.ask('PATCH', '/config/', { as, send: { paypal_payout_email: email } });
    if (answer.status === 200) expect(answer.body.paypal_payout_email).toBe(email);
    else expect([answer.status, answer.body]).toEqual([400, fieldError('paypal_payout_email', 'invalid')]);
  });

  test.each<[string, string, object | string]>([
    ['code', 'required', {}],
    ...[null, 1, true, [], ['GOOD'], {}].map((code) => ['code', 'invalid', { code }] as [string, string, object]),
    ...['', '   ', '\t\n'].map((code) => ['code', 'blank', { code }] as [string, string, object]),
    ['code', 'max_length', { code: 'x'.repeat(101) }],
    ['referral_code', 'unknown', { code: 'GOOD', referral_code: 'GOOD' }],
    ['__proto__', 'unknown', '{"code": "GOOD", "__proto__": {}}'],
  ])('of coupon-code/: %s is refused as %s: %j', async (field, code, send) => {
    const as = someone();
    const { status, body } = await apply(host, as, send, { 'Content-Type': 'application/json' });
    expect([status, Object.keys(body), body[field]]).toEqual([
      ...[400, [field], [{ message: expect.stringMatching(/\w.*\.$/), code }]],
    ]);
    expect((await host.get('/coupon-code/', as)).code).toBeNull();
  });

  test('a code is trimmed before it is measured', async () => {
    const { body } = await apply(host, someone(), { code: `  ${'x'.repeat(100)}\n` });
    expect(body).toEqual({ ...detail, code: 'not_found' });
  });
});

describe.each<[string, (app: Express) => void, boolean]>([
  ['by itself', () => undefined, false],
  [
    'after parsers of the host',
    (app) => void app.use(express.json({ limit: '1mb', strict: false }), express.urlencoded(), express.text()),
    true,
  ],
])('bodies, %s', (_name, before, isParsed) => {
  let own: ApiHost;
  let url: string;
  beforeAll(async () => {
    own = await startApi({ earnOuts: { payout: () => undefined } }, { before });
    await coupon(own, 'owner', { code: 'GOOD' });
    ({ url } = await listen(own.app));
  });
  const both = [
    ['PATCH', '/config/', '{"mode":"credits"}'],
    ['POST', '/coupon-code/', '{"code":"good"}'],
  ] as const;
  /** Sends bytes as they are. */
  async function raw(
    [method, path]: readonly [string, string, string],
    body: string | Buffer | ReadableStream | undefined,
    headers: Record<string, string> = { 'content-type': 'application/json' },
  ) {
    const init = { method, headers: { authorization: someone(), ...headers }, body, duplex: 'half' };
    const answer = await fetch(`${url}${mount}${path}`, init as RequestInit);
    return { status: answer.status, body: await answer.json(), headers: answer.headers };
  }
  /** Spaces around what is in a body are as good as any other bytes. */
  const padded = (text: string, bytes: number): string => text.padEnd(bytes);

  test.each([
    'application/json',
    'application/json; charset=utf-8',
    'application/vnd.api+json',
    'APPLICATION/JSON;charset=UTF-8',
  ])('JSON is taken, as %s', async (type) => {
    for (const one of both)
      if (type !== 'application/vnd.api+json' || !isParsed)
        expect(await raw(one, one[2], { 'content-type': type })).toMatchObject({ status: 200 });
  });

  test.each([
    ['a form', 'application/x-www-form-urlencoded', 'code=good&mode=credits'],
    ['plain text, which a form of another site can send', 'text/plain', '{"code":"good"}'],
    ['no type at all', '', '{"code":"good"}'],
    ['a form with parts', 'multipart/form-data; boundary=x', '--x--'],
    ['XML', 'application/xml', '<code>good</code>'],
  ])('nothing else is: %s', async (_what, type, text) => {
    for (const one of both) {
      const answer = await raw(one, Buffer.from(text), type ? { 'content-type': type } : {});
      expect(answer).toMatchObject({ status: 400, body: detail });
    }
  });

  test('no body, none that is an object, or one that is empty', async () => {
    for (const one of both) {
      for (const text of ['[]', '[{"code":"good","mode":"credits"}]', 'null', '1', 'true', '"good"'])
        expect([text, await raw(one, text)]).toMatchObject([text, { status: 400, body: detail }]);
      expect(await raw(one, undefined, {})).toMatchObject({ status: 400, body: detail });
    }
    // Nothing at all that says it is JSON is an object without fields, as many clients send it.
    for (const nothing of ['{}', '', undefined]) {
      expect(await raw(both[0], nothing)).toMatchObject({ status: 200 });
      expect(await raw(both[1], nothing)).toMatchObject({ status: 400, body: fieldError('code', 'required') });
    }
  });

  if (!isParsed)
    test.each(['{', '{"code": good}', "{'code':'good'}", '{"code":"good"', 'code=good', '{"code":"good"}}', '\u0000'])(
      'what is no JSON: %j',
      async (text) => {
        for (const one of both) expect(await raw(one, text)).toMatchObject({ status: 400, body: detail });
        const latin1 = { 'content-type': 'application/json; charset=latin1' };
        for (const one of both) expect(await raw(one, text, latin1)).toMatchObject({ status: 400, body: detail });
        const torn = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
        for (const one of both) expect(await raw(one, text, torn)).toMatchObject({ status: 400, body: detail });
      },
    );

  test('up to 10 kB', async () => {
    const limit = 10 * 1024;
    const tooLarge = { status: 413, body: detail };
    const long = JSON.stringify({ code: 'x'.repeat(limit) });
    for (const one of both) {
      expect(await raw(one, padded(one[2], limit))).toMatchObject({ status: 200 });
      expect(await raw(one, padded(one[2], limit + 1))).toMatchObject(tooLarge);
      expect(await raw(one, padded(one[2], 50_000))).toMatchObject(tooLarge);
      expect(await raw(one, long)).toMatchObject(tooLarge);
      // Without a length that the header tells, and packed.
      const stream = () => new Blob([long]).stream() as ReadableStream;
      expect(await raw(one, stream())).toMatchObject(tooLarge);
      const packed = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
      expect(await raw(one, gzipSync(long), packed)).toMatchObject(tooLarge);
      expect(await raw(one, gzipSync(one[2]), packed)).toMatchObject({ status: 200 });
    }
    expect(own.errors).toEqual([]);
  });
});

describe('at most 5 coupons a minute', () => {
  test('the sixth is 429 with Retry-After, whatever became of the others; nobody else is kept out', async () => {
    const as = someone();
    for (const send of [{ code: 'GOOD' }, { code: 'NOBODYS' }, {}, '{', { code: 1 }]) {
      const headers = { 'Content-Type': 'application/json', 'X-Request-ID': 'one' };
      expect((await apply(host, as, send, headers)).status).not.toBe(429);
    }
    for (let more = 0; more < 2; more++) {
      const { status, body, headers } = await apply(host, as, { code: 'GOOD' }, { 'X-Request-ID': 'two' });
      expect([status, body, headers['x-request-id']]).toEqual([429, detail, 'two']);
      expect(headers['retry-after']).toMatch(/^([1-9]|[1-5]\d|60)$/);
    }
    expect((await apply(host, someone(), { code: 'GOOD' })).status).toBe(200);
    expect((await host.get('/coupon-code/', as)).code).toBe('GOOD');
    expect((await host.ask('DELETE', '/coupon-code/', { as })).status).toBe(204);
    expect((await host.ask('POST', '/coupon-code/', { send: { code: 'GOOD' } })).status).toBe(401);
  });

  test('also of many at once', async () => {
    const as = someone();
    const answers = await Promise.all(Array.from({ length: 12 }, () => apply(host, as)));
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(7);
  });

  /** A store that several processes share, as one on Redis would be. */
  class SharedStore implements Store {
    options?: Options;
    readonly #hits: Map<string, number>;
    constructor(hits: Map<string, number>) {
      this.#hits = hits;
    }
    init(options: Options): void {
      this.options = options;
    }
    increment(key: string): ClientRateLimitInfo {
      const totalHits = (this.#hits.get(key) ?? 0) + 1;
      this.#hits.set(key, totalHits);
      return { totalHits, resetTime: new Date(Date.now() + 30_000) };
    }
    decrement(key: string): void {
      this.#hits.set(key, (this.#hits.get(key) ?? 1) - 1);
    }
    resetKey(key: string): void {
      this.#hits.delete(key);
    }
  }

  test('counted where the option says, by all instances together', async () => {
    const hits = new Map<string, number>();
    const stores = [new SharedStore(hits), new SharedStore(hits)];
    const apis: ApiHost[] = [];
    for (const rateLimitStore of stores) apis.push(await startApi({ api: { rateLimitStore } }));
    const [one, two] = apis as [ApiHost, ApiHost];
    for (const { options } of stores) expect(options).toMatchObject({ windowMs: 60_000, limit: 5 });
    const statuses = [];
    for (const api of [one, two, one, two, one, two, one]) statuses.push((await apply(api, 'anna')).status);
    expect(statuses).toEqual([400, 400, 400, 400, 400, 429, 429]);
    expect((await apply(two, 'anna')).headers['retry-after']).toMatch(/^([1-9]|[12]\d|30)$/); // the store's time
    expect((await apply(two, 'boris')).status).toBe(400);
    expect([...hits.values()]).toEqual([8, 1]);
    expect([...hits.keys()]).toEqual([expect.stringContaining('anna'), expect.stringContaining('boris')]);
    hits.clear();
    expect((await apply(two, 'anna')).status).toBe(400);
  });

  test('while the store is away, codes are not to be guessed', async () => {
    const rateLimitStore = new SharedStore(new Map());
    const own = await startApi({ api: { rateLimitStore } });
    await coupon(own, 'owner', { code: 'GOOD' });
    rateLimitStore.increment = () => {
      throw new Error('The store is away.');
    };
    expect(await apply(own, 'anna', { code: 'GOOD' })).toMatchObject({ status: 500, body: detail });
    expect(own.errors).toMatchObject([{ message: 'The store is away.' }]);
    expect((await own.get('/coupon-code/', 'anna')).code).toBeNull();
  });
});

describe('every path', () => {
  const operations = Object.entries(paths).flatMap(([path, ours]) => ours.map((method) => [method, path] as const));

  test.each(operations)('%s %s: nobody is let in, where not everybody is', async (method, path) => {
    for (const one of slashes(path)) {
      const answer = await host.ask(method, `${one}?referral_code=GOOD`);
      if (isOpen(path)) expect(answer.status).toBe(200);
      else expect([answer.status, answer.body]).toEqual([401, detail]);
    }
  });

  test.each(Object.entries(paths))(
    '%s: other methods are 405, OPTIONS and HEAD as they should be',
    async (path, ours) => {
      const allow = [...ours.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method])), 'OPTIONS'];
      for (const one of slashes(path))
        for (const as of [undefined, 'anna']) {
          const options = await host.ask('OPTIONS', one, { as });
          expect([options.status, options.headers['allow']]).toEqual([204, allow.join(', ')]);
          for (const method of methods.filter((other) => !allow.includes(other))) {
            const answer = await host.ask(method, one, { as });
            expect([method, answer.status, answer.body]).toEqual([method, 405, detail]);
            expect([method, answer.headers['allow']]).toEqual([method, allow.join(', ')]);
          }
          const path = `${one}?referral_code=GOOD`;
          const [get, head] = [await host.ask('GET', path, { as }), await host.ask('HEAD', path, { as })];
          const told = ({ status, headers }: typeof get) => [
            status,
            headers['content-type'],
            headers['content-length'],
          ];
          expect(told(head)).toEqual(told(get));
        }
    },
  );

  test.each([
    '',
    '/',
    '/nothing/',
    '/credit/1/2/',
    '/credits/',
    '/code/',
    '/code/info/GOOD/',
    '/openapi.yaml',
    '/%E0%A4%A',
  ])('there is no other: %j', async (path) => {
    for (const method of methods)
      for (const as of [undefined, 'anna'])
        expect(await host.ask(method, path, { as })).toMatchObject({
          ...{ status: 404, body: method === 'HEAD' ? {} : detail },
        });
  });

  test('X-Request-ID comes back with every answer, unless it is too long', async () => {
    const id = '5f0c-äé {"x": 1}'.replace(/[^\x20-\x7e]/g, '');
    const asked: [number, Method, string, Ask][] = [
      [200, 'GET', '/config/', { as: 'anna' }],
      [200, 'HEAD', '/config/', { as: 'anna' }],
      [200, 'GET', '/openapi.json', {}],
      [204, 'DELETE', '/coupon-code/', { as: 'anna' }],
      [204, 'OPTIONS', '/config/', {}],
      [400, 'GET', '/credit/?page=0', { as: 'anna' }],
      [400, 'PATCH', '/config/', { as: 'anna', send: { mode: 1 } }],
      [401, 'GET', '/config/', {}],
      [404, 'GET', '/credit/1/', { as: 'anna' }],
      [404, 'GET', '/nothing', {}],
      [405, 'PUT', '/config/', {}],
      [413, 'PATCH', '/config/', { as: 'anna', send: { mode: 'x'.repeat(20_000) } }],
    ];
    for (const [status, method, path, ask] of asked)
      for (const [given, back] of [
        [id, id],
        ['x'.repeat(200), 'x'.repeat(200)],
        ['x'.repeat(201), undefined],
        [undefined, undefined],
      ]) {
        const headers: Record<string, string> = given === undefined ? {} : { 'X-Request-ID': given };
        const answer = await host.ask(method, path, { ...ask, headers });
        expect([path, answer.status, answer.headers['x-request-id']]).toEqual([path, status, back]);
      }
  });
});

describe('who asks', () => {
  test.each<[string, unknown, number]>([
    ['null', null, 401],
    ['undefined', undefined, 401],
    ['a promise of nobody', Promise.resolve(null), 401],
    ['an empty text', '', 401],
    ['a promise of an empty text', Promise.resolve(''), 401],
    ['a number', 7, 200],
    ['a bigint', 9007199254740993n, 200],
    ['an object', { id: 'anna' }, 200],
    ['a promise', Promise.resolve({ id: 3 }), 200],
  ])('the site says: %s', async (_what, user, status) => {
    const own = await startApi({ user: () => user as string });
    expect((await own.ask('GET', '/config/')).status).toBe(status);
  });

  test.each<[string, () => never]>([
    [
      'throws',
      () => {
        throw new Error('sessions are away');
      },
    ],
    ['says what is no id', () => ({ id: '' }) as never],
  ])('where the site %s, the answer is 500, and the reason its own', async (_what, user) => {
    const own = await startApi({ user });
    const { status, body } = await own.ask('GET', '/credit/');
    expect([status, body]).toEqual([500, detail]);
    expect(JSON.stringify(body)).not.toMatch(/session|id/);
    expect(own.errors).toEqual([expect.any(Error)]);
    expect((await own.ask('GET', '/code/info/?referral_code=x')).status).toBe(404);
  });
});

describe('an answer that the host has given before ours', () => {
  const send = { code: 'GOOD' };
  const requests: [Method, string, Ask][] = [
    ['GET', '/config/', {}],
    ['HEAD', '/config/', {}],
    ['PATCH', '/config/', { send: { mode: 'credits' } }],
    ['GET', '/credit/', {}],
    ['GET', '/earnout/1/', {}],
    ['GET', '/credit/?mode=cash', {}],
    ['POST', '/coupon-code/', { send }],
    ['DELETE', '/coupon-code/', {}],
  ];
  const unhandled: unknown[] = [];
  const note = (reason: unknown): void => void unhandled.push(reason);
  beforeAll(() => process.on('unhandledRejection', note));
  afterAll(() => process.off('unhandledRejection', note));

  test.each(requests)('%s %s: stays the only one', async (method, path, given) => {
    let isLate = false;
    // What our handler still does with an answer that is out.
    const late: string[] = [];
    const own = await startApi(
      {
        user: async (req) => {
          const res = req.res!;
          if (isLate && !res.writableFinished) await new Promise((resolve) => res.once('finish', resolve));
          return 'anna';
        },
      },
      {
        before: (app) =>
          app.use((_req, res, next) => {
            next();
            if (!isLate) return;
            res.set('Retry-After', '1').status(503).json({ detail: 'Busy.' });
            for (const name of ['setHeader', 'writeHead', 'end'] as const) {
              const call = res[name].bind(res) as (...given: unknown[]) => never;
              res[name] = ((...of: unknown[]) => {
                late.push(name);
                return call(...of);
              }) as never;
            }
          }),
      },
    );
    await coupon(own, 'owner', send);
    isLate = true;
    const answer = await own.ask(method, path, { as: 'anna', ...given });
    expect([answer.status, answer.headers['retry-after']]).toEqual([503, '1']);
    if (method !== 'HEAD') expect(answer.body).toEqual({ detail: 'Busy.' });
    isLate = false;
    // The handler ends before a few others that began after it.
    for (let n = 0; n < 5; n++) await own.get('/config/', 'anna');
    await new Promise(setImmediate);
    expect([late, unhandled, own.errors]).toEqual([[], [], []]);
  });

  test('what fails after it is still the host’s to know, once', async () => {
    let isLate = false;
    const own = await startApi(
      {
        user: async (req) => {
          const res = req.res!;
          if (!isLate) return 'anna';
          if (!res.writableFinished) await new Promise((resolve) => res.once('finish', resolve));
          throw new Error('sessions are away');
        },
      },
      {
        before: (app) =>
          app.use((_req, res, next) => {
            next();
            if (isLate) res.set('Retry-After', '1').status(503).json({ detail: 'Busy.' });
          }),
      },
    );
    isLate = true;
    expect((await own.ask('GET', '/config/', { as: 'anna' })).status).toBe(503);
    isLate = false;
    await own.get('/config/', 'anna');
    expect([unhandled, own.errors]).toEqual([[], [expect.objectContaining({ message: 'sessions are away' })]]);
  });
});

test('while the database is away, all is 503 in JSON, and then as before', async () => {
  const direct = await startApi(); // without a limit: all is made through it
  await coupon(direct, 'owner', { code: 'GOOD' });
  const { schema } = direct.dataSource.options as { schema: string };
  const given = new URL(databaseUrl(schema));
  const proxy = await startProxy(Number(given.port));
  const url = Object.assign(given, { port: String(proxy.port) }).href;
  const behind = { url, schema, migrate: false, poolSize: 4, connectTimeoutMS: 1000 };
  const dataSource = await despiteLimit(() => openDataSource(behind));
  const own = await startApi({ dataSource, queryTimeoutMs: 300 });
  const config = async (): Promise<object> => {
    let answer: Awaited<ReturnType<typeof own.ask>>;
    await waitFor(async () => (answer = await own.ask('GET', '/config/', { as: 'anna' })).status === 200);
    return answer!.body as object;
  };
  const before = await config();
  own.errors.length = 0; // of asking too often for the limit, on a slow machine
  const away = { status: 503, body: detail };
  proxy.swallow(true);
  try {
    const as = 'anna';
    const reads = ['/credit/', '/credit/?referral_channel=1', '/credit/1/', '/earnout/', '/earnout/1', '/config/'];
    const answers = await Promise.all([
      ...[...reads, '/channel/', '/coupon-code'].map((path) => own.ask('GET', path, { as })),
      own.ask('PATCH', '/config/', { as, send: { mode: 'credits' } }),
      apply(own, as, { code: 'GOOD' }),
      own.ask('DELETE', '/coupon-code/', { as }),
      own.ask('GET', '/code/info/?referral_code=GOOD'),
    ]);
    for (const answer of answers) expect(answer).toMatchObject({ ...away, headers: { 'retry-after': '5' } });
    expect(own.errors).toEqual(answers.map(() => expect.objectContaining({ code: 'DATABASE_UNAVAILABLE' })));
    // What needs no database goes on.
    expect((await own.ask('GET', '/openapi.json')).status).toBe(200);
    expect((await own.ask('GET', '/config/')).status).toBe(401);
    expect((await own.ask('PUT', '/config/')).status).toBe(405);
    expect((await own.ask('GET', '/nothing/')).status).toBe(404);
  } finally {
    proxy.swallow(false);
  }
  expect(await config()).toEqual(before);
  await own.referrals.close();
  await dataSource.destroy();
  await proxy.stop();
});
