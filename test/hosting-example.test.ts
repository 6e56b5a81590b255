import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { entities, migrations, Referral, runMigrations } from 'express-referrals';
import session from 'express-session';
import request from 'supertest';
import { DataSource } from 'typeorm';
import { createApp } from '../examples/hosting/app';
import { checkBooks, payEarnings } from '../examples/hosting/jobs';
import { type OwnServer, startOwnServer } from './support/own-server';

let server: OwnServer;

/** A DataSource of a role on a server of our own: roles belong to a whole server. */
function open(role?: string): Promise<DataSource> {
  const options = { type: 'postgres', url: server.url, schema: 'shop', entities, migrations } as const;
  const dataSource = new DataSource(role ? { ...options, extra: { options: `-c role=${role}` } } : options);
  return dataSource.initialize();
}

beforeAll(async () => {
  const folder = path.join(tmpdir(), `express-referrals-hosting-${randomBytes(6).toString('hex')}`);
  server = await startOwnServer({ folder, persistent: false });
  const superuser = await open();
  await superuser.query(readFileSync(path.join(__dirname, '..', 'examples', 'hosting', 'grants.sql'), 'utf8'));
  await superuser.destroy();
});

afterAll(() => server.stop());

test('the application and its jobs run under a role that owns nothing', async () => {
  const migrator = await open('shop_migrator');
  expect(await runMigrations(migrator)).toHaveLength(migrations.length);
  await migrator.destroy();

  const dataSource = await open('shop_runtime');
  const [{ user }] = await dataSource.query('SELECT current_user AS user');
  expect(user).toBe('shop_runtime');
  await expect(dataSource.query('CREATE TABLE shop.mine (id integer)')).rejects.toThrow('permission denied');
  const reported: unknown[] = [];
  const options = {
    dataSource,
    baseUrl: 'https://shop.example',
    report: (error: unknown) => void reported.push(error),
  };
  const secrets = ['the new secret, of 32 characters or more', 'the old secret, of 32 characters or more'];
  const sessions = session({ secret: 'session', resave: false, saveUninitialized: false });
  const { app, referrals } = createApp({ ...options, secrets, sessions });

  for (const path of ['/live', '/ready']) {
    const { headers } = await request(app).get(path).expect(204);
    expect(headers['set-cookie']).toBeUndefined();
  }
  const { code } = await Referral.create({ user: 'anna', redirectTo: '/' });
  const click = await request(app).get(`/r/${code}`).set('X-Forwarded-Proto', 'https').expect(302);
  expect(click.headers['set-cookie']).toEqual([expect.stringMatching(/^referral=.*; Secure/)]);
  await referrals.signups.create({ user: 'carl', code });
  await referrals.recordPurchase('carl', { amount: '10', reference: 'order-1' });
  await request(app).get('/api/v2/referral/config/').expect(401);

  const asked = [];
  for (let count = 0; count < 31; count++)
    asked.push((await request(app).get(`/api/v2/referral/code/info/?referral_code=${code}`)).status);
  expect(asked).toEqual([...Array<number>(30).fill(200), 429]);
  for (let count = 0; count < 10; count++) await request(app).post('/r/').expect(401);
  await request(app).post('/r/').expect(429);
  await referrals.close();
  expect(reported).toEqual([]);

  const printed = jest.spyOn(console, 'log').mockImplementation(() => undefined);
  const job = { baseUrl: 'https://shop.example', secret: secrets };
  await payEarnings({ ...job, dataSource });
  await checkBooks({ ...job, dataSource: await open('shop_runtime') });
  expect(printed.mock.calls.flat()).toEqual([
    '0 earn-outs, 0.00 in total; 0 failed',
    expect.stringMatching(/^\d+ rows checked, 0 problems found$/),
  ]);
  printed.mockRestore();
});
