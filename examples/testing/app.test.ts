import type { Express } from 'express';
import { entities, migrations, Referral, type Referrals, runMigrations } from 'express-referrals';
import request from 'supertest';
import { DataSource } from 'typeorm';
import { createApp } from './app';

const schema = 'referrals_test'; // a schema for each test file, so that test files can run at the same time
const chrome = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36';
const headless = chrome.replace('Chrome', 'HeadlessChrome');

let now = new Date('2026-03-01T12:00:00Z');
let dataSource: DataSource;
let app: Express;
let referrals: Referrals;

beforeAll(async () => {
  const url = process.env['TEST_DATABASE_URL'];
  dataSource = new DataSource({ type: 'postgres', url, schema, entities: [...entities], migrations: [...migrations] });
  await dataSource.initialize();
  await dataSource.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await dataSource.query(`CREATE SCHEMA ${schema}`);
  await runMigrations(dataSource);
  // http, because an agent sends no Secure cookie over it.
  ({ app, referrals } = createApp({ dataSource, baseUrl: 'http://shop.example', clock: () => now }));
});

afterAll(async () => {
  await referrals.close(); // before the DataSource, because it may still write
  await dataSource.query(`DROP SCHEMA ${schema} CASCADE`);
  await dataSource.destroy();
});

/** An agent keeps its cookies, as a browser does. */
const browser = (userAgent = chrome) => request.agent(app).set('User-Agent', userAgent);

test('a referee who buys earns the referrer a commission, available after 30 days', async () => {
  const { code } = await Referral.create({ user: 'anna', redirectTo: '/' });
  const carl = browser();
  await carl.get(`/r/${code}`).expect(302).expect('Location', '/');
  await carl.post('/register').send({ userId: 'carl' }).expect(204);
  await carl.post('/buy').send({ amount: '40.00', reference: 'order-1' }).expect(204);

  const [commission] = await referrals.commissions.search({ where: { userId: 'anna' } });
  expect(commission).toMatchObject({ refereeId: 'carl', amount: '10.00', status: 'pending' });
  now = new Date('2026-03-31T12:00:00Z');
  expect(commission!.status).toBe('available');
  expect(await referrals.accounts.totals('anna')).toMatchObject({ creditsEarned: '10.00', usersReferred: 1 });
});

test('a browser counts as a click, a headless one as a bot', async () => {
  const referral = await Referral.create({ user: 'anna', redirectTo: '/', label: 'bots' });
  await browser(headless).get(`/r/${referral.code}`).expect(302);
  expect(await referral.responseCount()).toBe(0);
  await browser().get(`/r/${referral.code}`).expect(302);
  expect(await referral.responseCount()).toBe(1);
});

test('everything that these tests recorded adds up', async () => {
  expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
});
