import {
  createReferrals,
  Referral,
  type ReferralReview,
  ReferralResponse,
  type Referrals,
  type ReferralsOptions,
} from '../lib';
import { browserOf } from './support/browser';
import {
  baseUrl,
  closeAll,
  createDatabase,
  type Host,
  openDataSource,
  patient,
  secret,
  startHost,
  TestClock,
  waitFor,
} from './support/host';

afterEach(closeAll);

let host: Host;
let referrals: Referrals;
let clock: TestClock;
let opened: ReferralReview[];
let made = 0;

const options = (mode: 'flag' | 'hold', max: number): Partial<ReferralsOptions> => ({
  ...{ clock: clock.read, fraud: { clicksOfVisitor: { do: mode, max } } },
  commission: { ratio: '0.10', pendingDays: 0 },
  earnOuts: { payout: () => ({ reference: 'paid' }), every: { days: 1 } },
});
const begin = async (mode: 'flag' | 'hold' = 'flag', max = 3, more: Partial<ReferralsOptions> = {}): Promise<void> => {
  clock = new TestClock();
  opened = [];
  host = await startHost({ ...options(mode, max), ...more });
  referrals = host.referrals;
  referrals.on('reviewOpened', (review) => void opened.push(review));
};
const link = (user: string | null = 'anna'): Promise<Referral> =>
  Referral.create({ user, redirectTo: '/', label: `${++made}` });
type Browser = ReturnType<Host['browser']>;
const click = async (browser: Browser, { code }: Referral, times = 1): Promise<void> => {
  for (let time = 0; time < times; time++) await browser.get(`/r/${code}`).expect(302);
};
const countsOf = async (to: Referral): Promise<[clicks: number, visitors: number, recorded: number]> => [
  await to.responseCount(),
  await to.responseCount({ distinct: true }),
  await host.dataSource.getRepository(ReferralResponse).countBy({ referralId: to.id, action: 'RESPONDED' }),
];
const flagged = (): Promise<void> => waitFor(async () => (await referrals.reviews.count()) > 0 && opened.length > 0);
const clean = async (): Promise<void> => expect((await referrals.verify()).problems).toEqual([]);

test('those of a browser above the limit count as one, each day anew, and the account is flagged once', async () => {
  await begin();
  const [to, other] = [await link(), await link('zoe')];
  const browser = host.browser();
  await click(browser, to, 3);
  expect(await countsOf(to)).toEqual([3, 1, 3]);
  expect(opened).toEqual([]);
  await click(browser, to, 4);
  expect(await countsOf(to)).toEqual([4, 1, 7]);
  await click(browser, other, 3);
  expect(await countsOf(other)).toEqual([3, 1, 3]);
  await click(host.browser(), to, 2);
  expect(await countsOf(to)).toEqual([6, 2, 9]);
  await flagged();
  clock.advanceDays(1);
  await click(browser, to, 6);
  expect(await countsOf(to)).toEqual([10, 2, 15]);
  const reviews = await referrals.reviews.search();
  expect(reviews).toMatchObject([
    { rule: 'clicksOfVisitor', userId: 'anna', refereeId: null, isHolding: false, status: 'open' },
  ]);
  expect(reviews[0]!.evidence).toEqual({
    ...{ referral: to.id, day: '2026-03-01', moreThan: 3 },
    visitorId: expect.any(String),
  });
  const [response] = await host.dataSource.getRepository(ReferralResponse).findBy({ referralId: to.id });
  expect(reviews[0]!.evidence['visitorId']).toBe(response!.visitorId);
  await clean();
});

test('those of a signed-in user count together, in all browsers', async () => {
  await begin();
  const to = await link();
  for (let time = 0; time < 3; time++) {
    const browser = host.browser();
    await browser.post('/login/dora').expect(204);
    await click(browser, to, 2);
  }
  expect(await countsOf(to)).toEqual([4, 1, 6]);
  await clean();
});

test('through the listener and through codeParameter as through the router, and without a review for the site', async () => {
  await begin('hold', 2, { codeParameter: 'via' });
  const to = await link(null);
  const browser = browserOf(referrals.listener(host.app));
  await click(browser, to, 3);
  for (let time = 0; time < 3; time++) await browser.get(`/whose?via=${to.code}`);
  expect(await countsOf(to)).toEqual([3, 1, 6]);
  expect(await referrals.reviews.count()).toBe(0);
  await clean();
});

test('other actions are neither limited nor part of it', async () => {
  await begin('flag', 1);
  const to = await link();
  const browser = host.browser();
  await click(browser, to);
  for (let time = 0; time < 3; time++) await browser.post('/respond').send({ code: to.code });
  await click(browser, to);
  expect(await countsOf(to)).toEqual([2, 1, 2]);
});

test('own clicks that are taken back lower the count by those that it had', async () => {
  await begin('flag', 2);
  const to = await link('gina');
  const browser = browserOf(referrals.listener(host.app));
  await browser.post('/login/gina').expect(204);
  await click(browser, to, 6);
  await click(host.browser(), to);
  expect(await countsOf(to)).toEqual([4, 2, 7]);
  await browser.get('/whose').expect(200);
  expect(await countsOf(to)).toEqual([1, 1, 1]);
  await clean();
});

test.each([false, true])(
  'at once in two processes: exactly one above the limit is counted (events: %s)',
  async (hears) => {
    await begin('flag', 5);
    const [to, other] = [await link(), await link()];
    const { schema } = host.dataSource.options as { schema: string };
    const second = createReferrals({
      ...{
        dataSource: await openDataSource({ schema, migrate: false }),
        baseUrl,
        secret,
        user: () => null,
        ...patient(),
      },
      ...options('flag', 5),
    });
    const seen: number[] = [];
    if (hears) for (const one of [referrals, second]) one.on('response', ({ id }) => void seen.push(id));
    const browser = host.browser();
    await click(browser, to);
    await click(browser, other);
    const cookie = (await browser.get(`/r/${to.code}`))
      .get('Set-Cookie')!
      .map((one) => one.split(';')[0]!)
      .join('; ');
    const servers = [host.app, second.listener(host.app)];
    await Promise.all(
      Array.from({ length: 40 }, (_, n) =>
        browserOf(servers[n % 2])
          .get(`/r/${(n % 4 < 2 ? to : other).code}`)
          .set('Cookie', cookie)
          .expect(302),
      ),
    );
    expect(await countsOf(to)).toEqual([6, 1, 22]);
    expect(await countsOf(other)).toEqual([6, 1, 21]);
    expect(seen).toHaveLength(hears ? 43 : 0);
    await waitFor(async () => (await referrals.reviews.count()) > 0);
    await clean();
    await second.close();
    expect(await referrals.reviews.count()).toBe(1);
  },
);

test("'hold' holds the payouts of an account, also of one that is made later, until staff allow it", async () => {
  await begin('hold', 1);
  const to = await link();
  await click(host.browser(), to, 1);
  const browser = host.browser();
  await click(browser, to, 3);
  await flagged();
  const { id } = await referrals.accounts.of('anna');
  await referrals.accounts.update(id, { payoutEmail: 'anna@shop.example', mode: 'payout' });
  await referrals.recordPurchase('bob', { amount: '100.00', reference: 'p', referral: to });
  clock.advanceDays(60);
  expect(await referrals.runEarnOuts()).toMatchObject({ bound: 0 });
  expect((await referrals.accounts.totals('anna')).blocked).toMatchObject({ reason: 'review' });
  await clean();
  await referrals.reviews.allow(opened[0]!, { by: 'staff' });
  expect(await referrals.runEarnOuts()).toMatchObject({ completed: 1 });
  await click(browser, to, 3);
  expect(await referrals.reviews.count()).toBe(1);
  await clean();
});

test('a flag that a process has lost is opened by the next click above the limit', async () => {
  await begin('flag', 1);
  const to = await link();
  const browser = host.browser();
  await click(browser, to, 2);
  await flagged();
  const { schema } = host.dataSource.options as { schema: string };
  await host.dataSource.query(`DELETE FROM "${schema}".referral_reviews`);
  const cookie = (await browser.get(`/r/${to.code}`))
    .get('Set-Cookie')!
    .map((one) => one.split(';')[0]!)
    .join('; ');
  const second = createReferrals({
    ...{
      dataSource: await openDataSource({ schema, migrate: false }),
      baseUrl,
      secret,
      user: () => null,
      ...patient(),
    },
    ...options('flag', 1),
  });
  await browserOf(second.listener(host.app)).get(`/r/${to.code}`).set('Cookie', cookie).expect(302);
  await waitFor(async () => (await referrals.reviews.count()) === 1);
  await second.close();
});

test('a deleted referral takes its counts along', async () => {
  await begin('flag', 1);
  const [to, other] = [await link(), await link()];
  await click(host.browser(), to, 2);
  await click(host.browser(), other);
  await referrals.referralCodes.delete(to.id);
  const { schema } = host.dataSource.options as { schema: string };
  const rows = await host.dataSource.query<object[]>(`SELECT referral_id FROM "${schema}".referral_visitor_clicks`);
  expect(rows).toEqual([{ referral_id: String(other.id) }]);
  await clean();
});

test('verify() finds a count of no referral', async () => {
  await begin('flag', 1);
  const to = await link();
  await click(host.browser(), to);
  const { schema } = host.dataSource.options as { schema: string };
  await host.dataSource.query(`UPDATE "${schema}".referral_visitor_clicks SET referral_id = 99`);
  const { problems } = await referrals.verify();
  expect(problems).toMatchObject([{ invariant: 'every count of a visitor is of a referral', expected: '99' }]);
});

test('where Citus distributes responses by the referral, it comes to the same, also at once', async () => {
  // Plain tables, of which the catalogue says what that of Citus would.
  const dataSource = await openDataSource({ url: await createDatabase('') });
  const { schema } = dataSource.options as { schema: string };
  await dataSource.query(
    `CREATE TABLE public.pg_dist_partition
      (logicalrelid regclass, partmethod "char", partkey text, colocationid integer, repmodel "char")`,
  );
  await dataSource.query(`CREATE FUNCTION public.column_to_column_name(regclass, text) RETURNS text RETURN $2`);
  for (const table of ['referral_responses', 'referral_daily_counts'])
    await dataSource.query(
      `INSERT INTO public.pg_dist_partition VALUES ('"${schema}".${table}', 'h', 'referral_id', 7, 'c')`,
    );
  await begin('flag', 2, { dataSource });
  const [to, other] = [await link(), await link()];
  const [one, two] = [host.browser(), host.browser()];
  await click(one, to, 4);
  await click(two, to, 2);
  expect(await countsOf(to)).toEqual([5, 2, 6]);
  const cookie = (await one.get(`/r/${other.code}`))
    .get('Set-Cookie')!
    .map((set) => set.split(';')[0]!)
    .join('; ');
  await Promise.all(
    Array.from({ length: 10 }, () => host.browser().get(`/r/${other.code}`).set('Cookie', cookie).expect(302)),
  );
  expect(await countsOf(other)).toEqual([3, 1, 11]);
  const signedIn = host.browser();
  await signedIn.post('/login/dora').expect(204);
  await click(signedIn, to, 4);
  expect(await countsOf(to)).toEqual([8, 3, 10]);
  await flagged();
  expect(await referrals.reviews.search()).toMatchObject([{ rule: 'clicksOfVisitor', userId: 'anna' }]);
  expect(host.errors).toEqual([]);
  await clean();
});
