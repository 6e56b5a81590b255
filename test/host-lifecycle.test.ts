import express from 'express';
import session from 'express-session';
import request from 'supertest';
import { type DataSource, EntitySchema } from 'typeorm';
import {
  createReferrals,
  entities,
  Referral,
  migrations,
  type ReferralEvents,
  type Referrals,
  runMigrations,
} from '../lib';
import { firefox } from './support/browser';
import { baseUrl, closeAll, openDataSource, patient, secret, startHost } from './support/host';

afterEach(closeAll);

const click = (app: express.Express, code: string) => request(app).get(`/r/${code}`).set('User-Agent', firefox);

describe('destroy() and initialize() of the same DataSource', () => {
  const events = ['response', 'signup', 'purchase', 'commissionEarned'] as const;
  const listen = (referrals: Referrals): (keyof ReferralEvents)[] => {
    const heard: (keyof ReferralEvents)[] = [];
    for (const event of events) referrals.on(event, () => heard.push(event));
    return heard;
  };

  test('everything goes on, events of transactions too, and those of the host’s own', async () => {
    const { app, dataSource, referrals, errors } = await startHost({ commission: { ratio: '0.5' } });
    const heard = listen(referrals);
    await Referral.create({ user: 'anna', code: 'AGAIN', redirectTo: '/' });
    const before = dataSource.subscribers.length;
    await dataSource.destroy();
    await dataSource.initialize();

    // The host's transaction begins before any call of ours.
    await dataSource.transaction(async (manager) => {
      await referrals.signups.create({ user: 'boris', code: 'AGAIN' }, { manager });
      expect(heard).toEqual([]);
    });
    expect(heard).toEqual(['signup']);
    const rolledBack = dataSource.transaction(async (manager) => {
      await referrals.recordPurchase('boris', { amount: 5, reference: 'rolled back', manager });
      throw new Error('rolled back');
    });
    await expect(rolledBack).rejects.toThrow('rolled back');
    await referrals.recordPurchase('boris', { amount: 5, reference: 'first' });
    await click(app, 'AGAIN').expect(302);
    expect(heard).toEqual(['signup', 'purchase', 'commissionEarned', 'response']);
    expect(dataSource.subscribers).toHaveLength(before);

    await dataSource.destroy();
    await dataSource.initialize();
    await referrals.programs.create({ name: 'in a transaction of its own' });
    await referrals.close();
    expect(dataSource.subscribers).toEqual([]);
    expect(errors).toEqual([]);
  });

  test('a connection that is lost afterwards does not end the process', async () => {
    const { dataSource, referrals } = await startHost();
    await referrals.programs.count();
    await dataSource.destroy();
    await dataSource.initialize();
    await referrals.programs.count();
    const [{ pid }] = await dataSource.query('SELECT pg_backend_pid() AS pid');
    const admin = await openDataSource({ migrate: false });
    await admin.query('SELECT pg_terminate_backend($1)', [pid]);
    for (let tries = 0; tries < 3; tries++) await referrals.programs.count().catch(() => undefined);
    expect(await referrals.programs.count()).toBe(0);
  });
});

test('a DataSource that is destroyed does not count as a second instance', async () => {
  const first = await startHost();
  await Referral.create({ user: 'anna', redirectTo: '/' });
  await first.dataSource.destroy();
  // Of the only instance, whose DataSource is destroyed, a call says that the database is away.
  await expect(Referral.create({ user: 'anna', redirectTo: '/' })).rejects.toMatchObject({
    code: 'DATABASE_UNAVAILABLE',
  });

  const second = await startHost();
  await Referral.create({ user: 'boris', redirectTo: '/' });
  expect(await second.referrals.referralCodes.count()).toBe(1);
  await first.dataSource.initialize();
  await expect(Referral.create({ user: 'carla', redirectTo: '/' })).rejects.toMatchObject({
    code: 'AMBIGUOUS_INSTANCE',
  });
});

describe('cache: { alwaysEnabled: true } of the DataSource', () => {
  test('every read sees what was written before', async () => {
    // The table of the cache does not exist, so a read that asks it would fail.
    const { schema } = (await openDataSource({ migrate: false })).options as { schema: string };
    const cache = { alwaysEnabled: true, duration: 3_600_000 };
    const dataSource = await openDataSource({ schema, cache, migrate: false });
    expect(await runMigrations(dataSource)).toHaveLength(migrations.length);
    expect(await runMigrations(dataSource)).toEqual([]);
    const { app, referrals } = await startHost({ dataSource });
    const referral = await Referral.create({ user: 'anna', code: 'CACHED', redirectTo: '/' });
    const reads = {
      filtered: async () => (await referral.filteredResponses()).length,
      programs: () => referrals.programs.count(),
      found: async () => (await referrals.programs.search()).length,
      codes: async () => (await referrals.referralCodes.search({ where: { label: 'new' } })).length,
      channels: async () => (await referrals.channels.search({ take: 5 })).length,
      credits: async () => (await referrals.credits.search({ order: { id: 'DESC' }, take: 5 })).length,
      late: async () => ((await (await referrals.purchases.search())[0]?.lateAttribution()) ? 1 : 0),
    };
    const all = async () =>
      Object.fromEntries(
        await Promise.all(Object.entries(reads).map(async ([name, read]) => [name, await read()] as const)),
      );
    expect(new Set(Object.values(await all()))).toEqual(new Set([0]));
    await click(app, 'CACHED').expect(302);
    await referrals.programs.create({ name: 'new' });
    await referrals.referralCodes.create({ user: 'anna', label: 'new' });
    await referrals.channels.create({ user: 'anna', code: 'NEW', promoType: 'percent_off', promoValue: '0.2' });
    const type = await referrals.creditTypes.create({ name: 'new' });
    await referrals.credits.create({ user: 'anna', creditType: type, initialBalance: 1, durationDays: 9 });
    await referrals.recordPurchase('dora', { amount: 10, reference: 'first' });
    expect(await referrals.purchases.search()).toHaveLength(1);
    await referrals.signups.create({ user: 'dora', code: 'CACHED' });
    expect(await all()).toEqual(Object.fromEntries(Object.keys(reads).map((name) => [name, 1])));
  });
});

describe(`visitor: 'session'`, () => {
  /** A host with a session store that can be away. */
  async function withStore(): Promise<{ app: express.Express; store: session.Store; errors: unknown[] }> {
    const dataSource = await openDataSource();
    const errors: unknown[] = [];
    const store = new session.MemoryStore();
    const referrals = createReferrals({
      ...{ dataSource, baseUrl, secret, user: () => null, visitor: 'session', ...patient() },
      onError: (error) => errors.push(error),
    });
    const app = express();
    app.use(session({ secret: 'session', store, resave: false, saveUninitialized: false }));
    app.use(referrals.middleware);
    app.use('/r', referrals.router);
    app.get('/page', async (req, res) => {
      res.json({ code: (await req.referralForRequest())?.code ?? null });
    });
    await Referral.create({ user: 'anna', code: 'STORED', redirectTo: '/' });
    return { app, store, errors };
  }

  test.each(['before the first request', 'after it'])('with the store away %s, pages and links go on', async (when) => {
    const { app, store, errors } = await withStore();
    const browser = request.agent(app);
    if (when === 'after it') await browser.get('/r/STORED').set('User-Agent', firefox).expect(302);
    store.emit('disconnect');
    for (let times = 0; times < 3; times++) {
      expect((await browser.get('/page').expect(200)).body).toEqual({ code: null });
      expect((await click(app, 'STORED').expect(302)).headers['location']).toBe('/');
    }
    expect(errors).toEqual([expect.objectContaining({ code: 'SESSION_MISSING' })]);

    store.emit('connect');
    if (when === 'after it') expect((await browser.get('/page')).body).toEqual({ code: 'STORED' });
    else await browser.get('/page').expect(200);
    store.emit('disconnect');
    await browser.get('/page').expect(200);
    expect(errors).toHaveLength(2); // once for each time
    expect(await Referral.findByCode('STORED').then((link) => link!.responseCount())).toBe(when === 'after it' ? 4 : 3);
  });
});

describe('an EntitySchema in targetTypes', () => {
  interface Car {
    id: number;
    name: string;
  }
  const schema = new EntitySchema<Car>({
    name: 'Car',
    columns: { id: { type: Number, primary: true, generated: true }, name: { type: String } },
  });
  const sameOrigin = { 'Sec-Fetch-Site': 'same-origin' };
  let dataSource: DataSource;

  test.each([
    ['the schema', [schema]],
    ['its name', ['Car']],
  ])('%s: POST /r/ makes a link to a row', async (_how, targetTypes) => {
    dataSource = await openDataSource({ entities: [...entities, schema] });
    const { app } = await startHost({ dataSource, targetTypes, user: () => 'anna' });
    const car = await dataSource.getRepository(schema).save({ name: 'van' });
    const post = (target: object) =>
      request(app)
        .post('/r/')
        .set(sameOrigin)
        .send({ redirect_to: '/', ...target });

    const made = await post({ target_type: 'Car', target_id: `0${car.id}` }).expect(200);
    const referral = await Referral.findByCode((made.body as { code: string }).code);
    expect(referral).toMatchObject({ targetType: 'Car', targetId: `${car.id}` });
    expect(await referral!.loadTarget()).toEqual(car);
    expect((await post({ target_type: 'Car', target_id: car.id }).expect(200)).body).toEqual(made.body);

    for (const target_id of [car.id + 1, 'nonsense', '']) {
      const { body } = await post({ target_type: 'Car', target_id }).expect(400);
      expect(Object.keys(body as object)).toEqual(['target_id']);
    }
    expect(Object.keys((await post({ target_type: 'Bike', target_id: 1 }).expect(400)).body as object)).toEqual([
      'target_type',
    ]);
  });

  test('of another DataSource is refused', async () => {
    dataSource = await openDataSource();
    const create = () =>
      createReferrals({ dataSource, baseUrl, secret, user: () => null, targetTypes: [schema], ...patient() });
    expect(create).toThrow(expect.objectContaining({ code: 'INVALID_OPTION', field: 'targetTypes' }));
  });
});
