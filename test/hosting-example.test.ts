import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  createReferrals,
  entities,
  migrations,
  PayoutRefused,
  type ProviderPayment,
  Referral,
  type ReferralEarnOut,
  type Referrals,
  runMigrations,
} from 'express-referrals';
import session from 'express-session';
import request from 'supertest';
import { DataSource } from 'typeorm';
import { createApp } from '../examples/hosting/app';
import { checkBooks, type JobOptions, payEarnings, reconcilePayments, watchPayouts } from '../examples/hosting/jobs';
import { firefox } from './support/browser';
import { TestClock } from './support/host';
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
  const click = await request(app)
    .get(`/r/${code}`)
    .set({ 'X-Forwarded-Proto': 'https', 'User-Agent': firefox })
    .expect(302);
  expect(click.headers['set-cookie']).toEqual([expect.stringMatching(/^__Host-referral=.*; Secure/)]);
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
    '0 earn-outs completed, 0.00 in total; 0 refused',
    expect.stringMatching(/^\d+ rows checked, 0 problems found$/),
  ]);
  printed.mockRestore();
});

/** A provider that pays once for each key. `answer` may throw after the payment. */
class Bank {
  readonly payments: ProviderPayment[] = [];
  answer: () => void = () => undefined;

  constructor(readonly clock: TestClock) {}

  readonly pay = ({ idempotencyKey: key, amount, userId: user }: ReferralEarnOut): { reference: string } => {
    const known = this.payments.findIndex((payment) => payment.key === key);
    const place = known < 0 ? this.payments.push({ key, amount, user, at: this.clock.read() }) : known + 1;
    const reference = `po-${place}`;
    this.payments[place - 1]!.reference = reference;
    this.answer();
    return { reference };
  };

  /** The amounts that a user was paid, in the order of the payments. */
  paidTo(user: string): string[] {
    return this.payments.filter((payment) => payment.user === user).map(({ amount }) => String(amount));
  }
}

describe('the jobs of payouts', () => {
  let admin: DataSource;
  beforeAll(async () => {
    admin = await new DataSource({ type: 'postgres', url: server.url }).initialize();
  });
  afterAll(() => admin.destroy());

  const printed: string[] = [];
  beforeEach(() => {
    printed.length = 0;
    process.exitCode = undefined; // what another suite of this worker has left
    for (const method of ['log', 'error'] as const)
      jest
        .spyOn(console, method)
        .mockImplementation((...line: unknown[]) => void printed.push(line.map(String).join(' ')));
  });
  afterEach(() => {
    jest.restoreAllMocks();
    process.exitCode = undefined;
  });

  /** A database whose jobs pay by a bank. Each job opens and closes a DataSource of its own. */
  async function startShop(database: string) {
    await admin.query(`CREATE DATABASE ${database}`);
    const clock = new TestClock();
    const bank = new Bank(clock);
    const reported: unknown[] = [];
    const openShop = (): Promise<DataSource> => {
      const url = Object.assign(new URL(server.url), { pathname: `/${database}` }).href;
      return new DataSource({ type: 'postgres', url, poolSize: 2, entities, migrations }).initialize();
    };
    const options = async (): Promise<JobOptions> => ({
      ...{ dataSource: await openShop(), baseUrl: 'https://shop.example', clock: clock.read },
      ...{ secret: 'a secret of at least thirty-two characters', onError: (error) => void reported.push(error) },
      ...{ commission: { ratio: '0.25', pendingDays: 0 }, earnOuts: { payout: bank.pay } },
    });
    async function inApp(work: (referrals: Referrals) => Promise<unknown>): Promise<void> {
      const { dataSource, ...rest } = await options();
      await runMigrations(dataSource);
      const referrals = createReferrals({ ...rest, dataSource, user: () => null });
      await work(referrals);
      await referrals.close();
      await dataSource.destroy();
    }
    const refer = (user: string) =>
      inApp(async ({ accounts, signups, referralCodes }) => {
        const account = await accounts.of(user);
        await accounts.update(account, { mode: 'payout', payoutEmail: `${user}@example.com` });
        const [own] = await referralCodes.search({ where: { userId: user } });
        await signups.create({ user: `${user}'s friend`, code: own!.code });
      });
    const buy = (user: string, amount: string, reference: string) =>
      inApp((referrals) => referrals.recordPurchase(`${user}'s friend`, { amount, reference }));
    return { clock, bank, reported, options, inApp, refer, buy };
  }

  test('after a restore, what was paid since the backup is not paid again', async () => {
    const { clock, bank, reported, options, inApp, refer, buy } = await startShop('restored');
    for (const user of ['anna', 'boris']) await refer(user);
    await buy('boris', '32.00', 'b-1');
    clock.advanceDays(7);
    bank.answer = () => {
      throw new Error('no answer within 30 s');
    };
    await payEarnings(await options()); // boris is paid, and nobody knows
    expect(reported).toEqual([expect.objectContaining({ code: 'PAYOUT_UNCLEAR' })]);
    bank.answer = () => undefined;

    await buy('anna', '100.00', 'a-1');
    await admin.query('CREATE DATABASE backup TEMPLATE restored');
    const backup = clock.time;
    clock.advance(3_600_000);
    await buy('anna', '40.00', 'a-2');
    await payEarnings(await options());
    await buy('anna', '20.00', 'a-3');
    expect([bank.paidTo('anna'), bank.paidTo('boris')]).toEqual([['35.00'], ['8.00']]);

    await admin.query('DROP DATABASE restored');
    await admin.query('ALTER DATABASE backup RENAME TO restored');
    for (const [amount, reference] of [
      ['40.00', 'a-2'],
      ['20.00', 'a-3'],
    ] as const)
      await buy('anna', amount, reference);
    const since = new Date(backup.getTime() - 86_400_000);
    const payments = bank.payments.filter(({ at }) => at >= since);
    await reconcilePayments(await options(), payments);
    await reconcilePayments(await options(), payments);
    clock.advanceDays(7);
    await payEarnings(await options());
    await checkBooks(await options());
    expect(printed.slice(-4)).toEqual([
      '0 payments known, 1 completed, 1 booked; 0.00 were more than available',
      '2 payments known, 0 completed, 0 booked; 0.00 were more than available',
      '1 earn-outs completed, 5.00 in total; 0 refused',
      expect.stringMatching(/^\d+ rows checked, 0 problems found$/),
    ]);
    expect([bank.paidTo('anna'), bank.paidTo('boris')]).toEqual([['35.00', '5.00'], ['8.00']]);
    await inApp(async ({ earnOuts }) => {
      const completed = await earnOuts.search({ where: { status: 'completed' } });
      expect(completed.map(({ reference }) => reference).sort()).toEqual(['po-1', 'po-2', 'po-3']);
    });
    expect(process.exitCode).toBeUndefined();
  });

  test('watchPayouts lists what waits for the staff, and nothing else', async () => {
    const { clock, options, inApp, refer, buy } = await startShop('watched');
    const manners: Record<string, () => unknown> = {
      paid: () => undefined,
      unclear: () => Promise.reject(new Error('409')),
      submitted: () => ({ status: 'submitted', reference: 'later' }),
      refused: () => Promise.reject(new PayoutRefused('The address is closed.')),
    };
    const paying = async (): Promise<JobOptions> => ({
      ...(await options()),
      earnOuts: { payout: ({ userId }) => manners[userId]!() as undefined },
    });
    for (const user of Object.keys(manners)) {
      await refer(user);
      await buy(user, '10.00', 'order-1');
    }
    clock.advanceDays(7);
    const listed = async (): Promise<string[]> => {
      printed.length = 0;
      process.exitCode = undefined;
      await watchPayouts(await options(), clock.time);
      expect(process.exitCode).toBe(printed.length > 0 ? 1 : undefined);
      return printed.map((line) => /user (\w+): 2\.50, (\w+), key/.exec(line)!.slice(1, 3).join(' ')).sort();
    };
    await payEarnings(await paying());
    expect(await listed()).toEqual([]);
    for (let day = 0; day < 8; day++) {
      clock.advanceDays(1);
      await payEarnings(await paying());
    }
    expect(await listed()).toEqual(['refused failed', 'submitted processing', 'unclear processing']);
    await inApp(({ earnOuts }) => earnOuts.settle({ reference: 'later', status: 'completed' }));
    expect(await listed()).toEqual(['refused failed', 'unclear processing']);
  });
});
