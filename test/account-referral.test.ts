import { type CreateReferralInput, Referral, type ReferralAccount } from '../lib';
import { couponOf, type EarningsHost, fresh, startEarnings } from './support/earnings';
import { baseUrl, closeAll, openDataSource, waitFor } from './support/host';

afterAll(closeAll);

let host: EarningsHost;
beforeAll(async () => {
  host = await startEarnings();
});

const linksOf = (userId: string): Promise<Referral[]> =>
  host.dataSource.getRepository(Referral).find({ where: { userId }, order: { id: 'ASC' } });
const create = (user: string, input: Partial<CreateReferralInput> = {}): Promise<Referral> =>
  Referral.create({ user, redirectTo: '/', label: fresh('label'), ...input });

describe('an account uses the user’s first referral to `baseUrl`', () => {
  test.each<[string, Partial<CreateReferralInput>]>([
    ['by path', { redirectTo: '/' }],
    ['as a whole', { redirectTo: baseUrl }],
    ['with a slash at the end', { redirectTo: `${baseUrl}/` }],
    ['with its port, in capitals', { redirectTo: 'HTTPS://SHOP.example:443' }],
    ['of one page up', { redirectTo: 'a/..' }],
    ['about a target', { target: { type: 'post', id: 1 } }],
    ['without a label', { label: '' }],
  ])('%s', async (_how, input) => {
    const user = fresh();
    await create(user, { redirectTo: '/pricing' });
    const own = await create(user, input);
    await create(user, input.label === '' ? {} : input);
    const before = await linksOf(user);
    for (const account of [await host.referrals.accounts.of(user), await host.referrals.accounts.of(user)])
      expect(account.referralId).toBe(own.id);
    expect((await host.referrals.accounts.create({ user })).referralId).toBe(own.id);
    expect(await linksOf(user)).toEqual(before);
  });

  test('in the host’s transaction too, which has just created it', async () => {
    const user = fresh();
    await host.dataSource.transaction(async (manager) => {
      const { id } = await Referral.create({ user, redirectTo: baseUrl, label: 'mine' }, { manager });
      expect((await host.referrals.accounts.of(user, { manager })).referralId).toBe(id);
    });
    expect(await linksOf(user)).toHaveLength(1);
  });

  test('also where sign-ups have made the account before', async () => {
    const [user, friend] = [fresh(), fresh()];
    const { id, code } = await create(user);
    await host.referrals.signups.create({ user: friend, code });
    expect(await host.referrals.accounts.of(user)).toMatchObject({ referralId: id, usersReferred: 1 });
  });

  test('and none that leads elsewhere, has expired, is a coupon or is somebody else’s', async () => {
    const user = fresh();
    const { clock } = host;
    await create(user, { redirectTo: '/pricing' });
    await create(user, { redirectTo: '/?from=mail' });
    await create(user, { redirectTo: '/#top' });
    await create(user, { expiredAt: clock.time });
    await couponOf(host, user);
    await create(fresh());
    await Referral.create({ redirectTo: '/', label: fresh('site') });
    const account = await host.referrals.accounts.of(user);
    const links = await linksOf(user);
    expect(links.map(({ id }) => id).indexOf(account.referralId!)).toBe(5);
    expect(links[5]).toMatchObject({ redirectTo: '/', label: '' });
    // It stays that one, whatever the user creates or the host changes.
    await create(user, { redirectTo: baseUrl });
    await host.dataSource.getRepository(Referral).update(account.referralId!, { redirectTo: '/elsewhere' });
    expect((await host.referrals.accounts.of(user)).referralId).toBe(account.referralId);
    expect((await host.referrals.accounts.create({ user })).referralId).toBe(account.referralId);
    expect(await linksOf(user)).toHaveLength(7);
  });
});

describe('under a race', () => {
  const distinct = (accounts: ReferralAccount[]): number[] => [...new Set(accounts.map((one) => one.referralId!))];

  const untilOneWaits = (): Promise<void> =>
    waitFor(async () => {
      const waiting = await host.dataSource.query<object[]>(
        `SELECT FROM pg_stat_activity WHERE query LIKE $1 AND wait_event_type = 'Lock'`,
        [`%${host.schema}.%`],
      );
      return waiting.length > 0;
    });

  test('twenty calls of two processes make one account, with the referral that is there', async () => {
    const user = fresh();
    const { id } = await create(user, { redirectTo: baseUrl });
    const { schema } = host.dataSource.options as { schema: string };
    // Another DataSource, which shares nothing with the first, as another process would have.
    const other = await startEarnings({ dataSource: await openDataSource({ schema, migrate: false }) });
    const of = (index: number) => (index % 2 === 0 ? host : other).referrals.accounts.of(user);
    expect(distinct(await Promise.all(Array.from({ length: 20 }, (_, index) => of(index))))).toEqual([id]);
    const nobody = fresh();
    const ofNobody = (index: number) => (index % 2 === 0 ? host : other).referrals.accounts.of(nobody);
    expect(distinct(await Promise.all(Array.from({ length: 20 }, (_, index) => ofNobody(index))))).toHaveLength(1);
    for (const one of [user, nobody]) expect(await linksOf(one)).toHaveLength(1);
    await other.referrals.close();
  });

  test('the referral that a call creates is rolled back, if another has given the account one meanwhile', async () => {
    const user = fresh();
    const runner = host.dataSource.createQueryRunner();
    await runner.startTransaction();
    const { manager } = runner;
    const mine = await Referral.create({ user, redirectTo: baseUrl, label: 'mine' }, { manager });
    await host.referrals.accounts.of(user, { manager });
    const waiting = host.referrals.accounts.of(user); // does not see the referral yet
    await untilOneWaits();
    await runner.commitTransaction();
    await runner.release();
    expect((await waiting).referralId).toBe(mine.id);
    expect((await linksOf(user)).map(({ id }) => id)).toEqual([mine.id]);
  });

  test('a referral that is deleted meanwhile is replaced', async () => {
    const user = fresh();
    const own = await create(user);
    const runner = host.dataSource.createQueryRunner();
    await runner.startTransaction();
    await host.referrals.referralCodes.delete(own.id, { manager: runner.manager });
    const waiting = host.referrals.accounts.of(user);
    await untilOneWaits();
    await runner.commitTransaction();
    await runner.release();
    const { referralId } = await waiting;
    expect((await linksOf(user)).map(({ id }) => id)).toEqual([referralId]);
  });
});

test('a baseUrl with a path is the destination, and not its origin', async () => {
  const site = 'https://shop.example/store';
  const own = await startEarnings({ dataSource: await openDataSource(), baseUrl: site });
  const { manager } = own.dataSource;
  await Referral.create({ user: 'anna', redirectTo: '/', label: 'origin' }, { manager });
  const { id } = await Referral.create({ user: 'anna', redirectTo: `${site}/`, label: 'store' }, { manager });
  expect((await own.referrals.accounts.of('anna')).referralId).toBe(id);
  await own.referrals.close();
});
