import express from 'express';
import type { Response } from 'supertest';
import { browserOf as request } from './support/browser';
import { DataSource } from 'typeorm';
import {
  createReferrals,
  entities,
  Referral,
  ReferralCreditSpend,
  ReferralResponse,
  type ReferralsOptions,
} from '../lib';
import { registry } from '../lib/entities/instance';
import { baseUrl, closeAll, databaseUrl, openDataSource, secret, startHost } from './support/host';

afterAll(closeAll);

let dataSource: DataSource;
beforeAll(async () => {
  dataSource = await openDataSource();
});

const make = (options: object): unknown =>
  createReferrals({ dataSource, baseUrl, secret, user: () => null, ...options });

describe('a wrong option is refused by name, with what it takes and what it got', () => {
  test.each<[string, object]>([
    ['dataSource', { dataSource: undefined }],
    ['dataSource', { dataSource: {} }],
    ['baseUrl', { baseUrl: undefined }],
    ['baseUrl', { baseUrl: 'shop.example' }],
    ['baseUrl', { baseUrl: 'ftp://shop.example' }],
    ['baseUrl', { baseUrl: 'https://me@shop.example' }],
    ['baseUrl', { baseUrl: 'https://shop.example/?x' }],
    ['secret', { secret: undefined }],
    ['secret', { secret: 'short' }],
    ['secret', { secret: [] }],
    ['secret', { secret: [secret, 'short'] }],
    ['user', { user: 7 }],
    ['linkPath', { linkPath: 'r' }],
    ['linkPath', { linkPath: '/' }],
    ['linkPath', { linkPath: '/r?x' }],
    ['visitor', { visitor: 'cookies' }],
    ['cookie', { cookie: 'referral' }],
    ['cookie.name', { cookie: { name: 'a b' } }],
    ['cookie.maxAgeDays', { cookie: { maxAgeDays: 0 } }],
    ['cookie.domain', { cookie: { domain: 'a; Secure' } }],
    ['cookie.secure', { cookie: { secure: 'yes' } }],
    ['cookie.sameSite', { cookie: { sameSite: 'None' } }],
    ['codeParameter', { codeParameter: true }],
    ['redirect.parameter', { redirect: { parameter: 'a&b' } }],
    ['redirect.allowedOrigins', { redirect: { allowedOrigins: ['docs.shop.example'] } }],
    ['redirect.allowedOrigins', { redirect: { allowedOrigins: ['https://docs.shop.example/path'] } }],
    ['redirect.allowedOrigins', { redirect: { allowedOrigins: ['javascript:alert(1)'] } }],
    ['attribution.model', { attribution: { model: 'linear' } }],
    ['attribution.windowDays', { attribution: { windowDays: Infinity } }],
    ['earnOuts.payout', { earnOuts: { payout: 'paypal' } }],
    ...['60000', 0, 0.5, -1, NaN, 2 ** 31, null].map((payoutTimeoutMs): [string, object] => [
      'earnOuts.payoutTimeoutMs',
      { earnOuts: { payoutTimeoutMs } },
    ]),
    ...['5', 0, 1.5, 1001, Infinity, null].map((concurrency): [string, object] => [
      'earnOuts.concurrency',
      { earnOuts: { concurrency } },
    ]),
    ['consent', { consent: true }],
    ['clientIp', { clientIp: 'X-Real-IP' }],
    ['ip', { ip: true }],
    ['generateCode', { generateCode: 'abc' }],
    ['responsesFilter', { responsesFilter: {} }],
    ['actionDisplay', { actionDisplay: { BOUGHT: 7 } }],
    ['targetTypes', { targetTypes: [7] }],
    ['targetTypes', { targetTypes: [class Unknown {}] }],
    ['cookie', { cookie: [] }],
    ['cookie.maxAgeDays', { cookie: { maxAgeDays: 1e-6 } }],
    ['csrf', { csrf: '_csrf' }],
    ['clock', { clock: new Date() }],
    ['queryTimeoutMs', { queryTimeoutMs: 0 }],
    ['queryTimeoutMs', { queryTimeoutMs: 2 ** 31 }],
    ['linkCache.max', { linkCache: { max: 0.5 } }],
    ['linkCache.ttlMs', { linkCache: { ttlMs: 0 } }],
    ['onError', { onError: console }],
  ])('%s of %j', (option, options) => {
    expect(() => make(options)).toThrow(
      expect.objectContaining({
        name: 'ReferralError',
        code: 'INVALID_OPTION',
        field: option,
        message: expect.stringMatching(new RegExp(`"${option.replace('.', '\\.')}" takes .*, but got `)),
      }),
    );
  });

  test.each([
    ['basUrl', { basUrl: baseUrl }],
    ['cookie.path', { cookie: { path: '/' } }],
    ['__proto__', JSON.parse('{"__proto__": 1}') as object],
  ])('unknown: %s', (option, options) => {
    const given = Object.defineProperties(
      {},
      Object.getOwnPropertyDescriptors({ dataSource, baseUrl, secret, user: () => null }),
    );
    Object.defineProperties(given, Object.getOwnPropertyDescriptors(options));
    expect(() => createReferrals(given as ReferralsOptions)).toThrow(
      expect.objectContaining({
        code: 'UNKNOWN_OPTION',
        field: option,
        message: expect.stringContaining('The options are'),
      }),
    );
  });

  test('a secret is never shown', () => {
    expect(() => make({ secret: 'my short secret' })).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('my short') }),
    );
  });

  test('and nothing is left behind by a refusal', () => {
    expect(() => registry.instanceFor('x', { manager: dataSource.manager })).toThrow(
      expect.objectContaining({ code: 'NO_INSTANCE' }),
    );
  });
});

describe('misuse is noticed and explained', () => {
  test('app.use(createReferrals)', async () => {
    const app = express();
    app.use(createReferrals as never);
    app.use(((error, _req, res, _next) => void res.status(500).json(error)) as express.ErrorRequestHandler);
    expect((await request(app).get('/')).body).toMatchObject({ code: 'NOT_A_MIDDLEWARE' });
  });

  test('no options at all', () => {
    expect(() => createReferrals(undefined as never)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', field: 'options' }),
    );
  });

  test('another database', () => {
    const sqlite = Object.assign(Object.create(dataSource) as DataSource, { options: { type: 'sqlite' } });
    expect(() => make({ dataSource: sqlite })).toThrow(expect.objectContaining({ code: 'NOT_POSTGRES' }));
  });

  test('a DataSource that is not initialised', () => {
    const closed = new DataSource({ type: 'postgres', url: databaseUrl(), entities });
    expect(() => make({ dataSource: closed })).toThrow(expect.objectContaining({ code: 'NOT_INITIALIZED' }));
  });

  test('entities missing from the DataSource', async () => {
    const other = await openDataSource({ entities: [ReferralCreditSpend], migrate: false });
    expect(() => make({ dataSource: other })).toThrow(
      expect.objectContaining({
        code: 'ENTITIES_MISSING',
        message: expect.stringContaining('Referral, ReferralResponse, ReferralDailyCount'),
      }),
    );
  });

  test('migrations not run: at the start, in a call, and in a request', async () => {
    const fresh = await openDataSource({ migrate: false });
    const host = await startHost({ dataSource: fresh });
    const explained = { code: 'MIGRATIONS_NOT_RUN', message: expect.stringContaining('dataSource.runMigrations()') };
    await expect(Referral.create({ redirectTo: '/' }, { manager: fresh.manager })).rejects.toMatchObject(explained);
    expect((await request(host.app).get('/r/ABC')).body).toMatchObject(explained);
    expect(host.errors).toMatchObject([explained]);
    await host.referrals.close();
  });

  test('the router mounted elsewhere than linkPath says', async () => {
    const host = await startHost();
    const app = express();
    app.use('/elsewhere', host.referrals.router, host.app);
    app.use(
      ((error, _req, res, _next) =>
        void res.status(500).json({ ...error, message: error.message })) as express.ErrorRequestHandler,
    );
    const { body } = await request(app).get('/elsewhere/ABC');
    expect(body).toMatchObject({ code: 'ROUTER_MISPLACED', message: expect.stringMatching(/"\/elsewhere".*"\/r"/) });
    await host.referrals.close();
  });

  test('handlers before the middleware, and requests that are none', async () => {
    const host = await startHost();
    const app = express();
    app.get('/early', (req, res, next) => {
      Referral.recordResponse(req, 'EARLY').then((answer) => res.json(answer), next);
    });
    app.use(((error, _req, res, _next) => void res.status(500).json(error)) as express.ErrorRequestHandler);
    expect((await request(app).get('/early')).body).toMatchObject({ code: 'MIDDLEWARE_MISSING' });
    await expect(Referral.referralForRequest({} as never)).rejects.toMatchObject({ code: 'MIDDLEWARE_MISSING' });
    await host.referrals.close();
  });

  test("visitor: 'session' without a session", async () => {
    const referrals = make({ visitor: 'session' }) as ReturnType<typeof createReferrals>;
    const app = express();
    app.use(referrals.middleware);
    app.use(((error, _req, res, _next) => void res.status(500).json(error)) as express.ErrorRequestHandler);
    expect((await request(app).get('/')).body).toMatchObject({ code: 'SESSION_MISSING' });
    await referrals.close();
  });
});

test("a bad id from the option user is the host's mistake", async () => {
  const host = await startHost({ user: () => ({ id: '' }) });
  const { status, body } = await request(host.app).get('/whose');
  expect([status, body.code]).toEqual([500, 'INVALID_OPTION']);
  expect(() => host.referrals.on('typo' as never, () => undefined)).toThrow(
    /event takes .*response or userLinkedToResponse/,
  );
  await host.referrals.close();
});

describe('several instances', () => {
  test('one per DataSource; the manager, the entity or the request tells which', async () => {
    const user = (req: express.Request): string | undefined =>
      (req as { session?: { userId?: string } }).session?.userId;
    const [one, two] = [await startHost({ user }), await startHost({ user })];
    expect(() => make({ dataSource: one.dataSource })).toThrow(expect.objectContaining({ code: 'ALREADY_CREATED' }));
    await expect(Referral.create({ redirectTo: '/' })).rejects.toMatchObject({ code: 'AMBIGUOUS_INSTANCE' });
    const ofTwo = await Referral.create({ redirectTo: '/two' }, { manager: two.dataSource.manager });
    expect(await Referral.findByCode(ofTwo.code, { manager: one.dataSource.manager })).toBeNull();
    const loaded = await two.dataSource.getRepository(Referral).findOneByOrFail({ id: ofTwo.id });
    expect([loaded.url, await loaded.responseCount()]).toEqual([ofTwo.url, 0]);
    const browser = two.browser();
    await browser.get(`/r/${ofTwo.code}`);
    expect((await browser.get('/whose')).body).toEqual({ code: ofTwo.code });
    expect(await ofTwo.responseCount()).toBe(1);

    // Two instances on one app: the request alone does not tell which one is meant.
    const app = express();
    app.use(one.referrals.middleware, two.referrals.middleware);
    app.get('/', async (req, res) => {
      const answers = [
        await Referral.recordResponse(req, 'X', { manager: two.dataSource.manager }),
        await Referral.recordResponse(req, 'X').catch((error: { code: string }) => error.code),
      ];
      res.json(answers);
    });
    expect((await request(app).get('/')).body).toEqual([null, 'AMBIGUOUS_INSTANCE']);

    await one.referrals.close();
    expect((await Referral.findByCode(ofTwo.code))?.id).toBe(ofTwo.id); // the only one left
    await two.referrals.close();
    await expect(Referral.findByCode('X')).rejects.toMatchObject({ code: 'NO_INSTANCE' });
    expect(() => loaded.url).toThrow(expect.objectContaining({ code: 'NO_INSTANCE' }));
  });

  test('close() lets go: listeners of the DataSource too, and another instance can follow', async () => {
    const subscribers = dataSource.subscribers.length;
    for (let time = 0; time < 3; time++) {
      const referrals = make({}) as ReturnType<typeof createReferrals>;
      expect(dataSource.subscribers.length).toBeGreaterThan(subscribers);
      await referrals.close();
      const next = make({}) as ReturnType<typeof createReferrals>;
      await referrals.close(); // again: the next one is none of its business
      expect(registry.instanceFor('x', { manager: dataSource.manager })).toBeDefined();
      await next.close();
      expect(dataSource.subscribers.length).toBe(subscribers);
    }
  });

  test('close() waits for clicks in flight; later ones are redirected and not recorded', async () => {
    const host = await startHost();
    const referral = await Referral.create({ redirectTo: '/' });
    const click = (): Promise<Response> => request(host.app).get(`/r/${referral.code}`).then();
    await click();
    const clicks = Array.from({ length: 20 }, click);
    await clicks[0];
    await host.referrals.close();
    const recorded = (): Promise<number> => host.dataSource.getRepository(ReferralResponse).count();
    const atClose = await recorded();
    expect(atClose).toBeGreaterThan(1);
    const answers = [...(await Promise.all(clicks)), await click()];
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 302));
    expect(await recorded()).toBe(atClose);
    expect(host.errors).toHaveLength(1 + answers.length - atClose); // each that came too late says so
    expect(host.errors.at(-1)).toMatchObject({ code: 'CLOSED' });
  });
});
