import { Referral, type ReferralsOptions } from '../lib';
import { browserOf } from './support/browser';
import { couponOf, type EarningsHost, startEarnings } from './support/earnings';
import { closeAtLast, closedUntil, figuresOf } from './support/figures';
import { closeAll, startHost } from './support/host';

afterAll(closeAll);

const staff = { reason: 'A mistake.', by: 'staff-7' };
const options: Partial<ReferralsOptions> = { commission: { ratio: '0.25' } };

let host: EarningsHost;
beforeEach(async () => {
  host = await startEarnings();
  await link('ANNA', 'anna');
  await link('BERT', 'bert');
});

const link = (code: string, user: string) => host.referrals.referralCodes.create({ code, label: code, user });
const signUp = (user: string, code: string) => host.referrals.signups.create({ user, code });
const click = (code: string, browser = host.browser()) => browser.get(`/r/${code}`).expect(302);

/** Signs in; the next request links what the visitor has done. */
async function signIn(user: string, browser: ReturnType<EarningsHost['browser']>): Promise<void> {
  await browser.post(`/login/${user}`).expect(204);
  await browser.get('/whose').expect(200);
}

/** Ends the day, closes it for users, and expects figures to be exact after what then changes it. */
async function expectOpened(users: readonly string[], change: () => Promise<unknown>): Promise<void> {
  host.clock.advanceDays(2);
  for (const user of users) await closeAtLast(host, user);
  await change();
  expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
}

const figures = async (user: string) => (await figuresOf(host, options).overview(user, { days: null })).figures;

test('a sign-up that is moved to another referrer, of both', async () => {
  await signUp('fred', 'ANNA');
  await expectOpened(['anna', 'bert'], () => host.referrals.signups.reassign('fred', { code: 'BERT', ...staff }));
  expect(await figures('anna')).toMatchObject({ signups: 0 });
  expect(await figures('bert')).toMatchObject({ signups: 1 });
});

test('a sign-up that is moved with what it has earned', async () => {
  await signUp('fred', 'ANNA');
  await host.referrals.recordPurchase('fred', { amount: 100, reference: 'order' });
  await expectOpened(['anna', 'bert'], () =>
    host.referrals.signups.reassign('fred', { code: 'BERT', past: 'move', ...staff }),
  );
  expect(await figures('anna')).toMatchObject({ customers: 0, earned: '0.00' });
  expect(await figures('bert')).toMatchObject({ customers: 1, earned: '25.00' });
});

test('a sign-up that is deleted', async () => {
  const { id } = await signUp('fred', 'ANNA');
  await expectOpened(['anna'], () => host.referrals.signups.delete(id));
  expect(await figures('anna')).toMatchObject({ signups: 0 });
});

test('a link that is deleted with its clicks', async () => {
  const { id } = await link('OTHER', 'anna');
  await click('OTHER');
  await click('ANNA');
  await expectOpened(['anna'], () => host.referrals.referralCodes.delete(id));
  expect(await figures('anna')).toMatchObject({ clicks: 1, visitors: 1 });
});

test('a coupon that is deleted with its clicks', async () => {
  const coupon = await couponOf(host, 'anna');
  await click(coupon.code);
  await click('ANNA');
  await expectOpened(['anna'], () => host.referrals.channels.delete(coupon.id));
  expect(await figures('anna')).toMatchObject({ clicks: 1, visitors: 1 });
});

test('clicks on the own link, once its owner signs in', async () => {
  const browser = browserOf(host.referrals.listener(host.app)); // which can't know who is signed in
  await click('ANNA', browser);
  await click('ANNA');
  await expectOpened(['anna'], () => signIn('anna', browser));
  expect(await figures('anna')).toMatchObject({ clicks: 1, visitors: 1 });
});

test('users who become one, and who has referred them', async () => {
  for (const user of ['fred', 'gina']) {
    await signUp(user, 'ANNA');
    await host.referrals.recordPurchase(user, { amount: 100, reference: `of ${user}` });
  }
  await expectOpened(['anna'], () => host.referrals.mergeUsers('fred', 'gina', staff));
  expect(await figures('anna')).toMatchObject({ signups: 1, customers: 1, earned: '50.00' });
});

test('users who become one, whose days are both closed', async () => {
  await signUp('fred', 'ANNA');
  await signUp('gina', 'BERT');
  await expectOpened(['anna', 'bert'], () => host.referrals.mergeUsers('anna', 'bert', staff));
  expect(await figures('bert')).toMatchObject({ signups: 2 });
});

test('a user with another id', async () => {
  await signUp('fred', 'ANNA');
  await expectOpened(['anna'], () => host.referrals.renameUser('anna', 'dora', staff));
  expect(await figures('dora')).toMatchObject({ signups: 1 });
});

test('a click that could not be inserted at its time', async () => {
  const browser = host.browser();
  await click('ANNA', browser);
  for (const table of ['responses', 'daily_counts'])
    await host.dataSource.query(`DELETE FROM ${host.schema}.referral_${table}`);
  await click('ANNA');
  await expectOpened(['anna'], () => signIn('fred', browser));
  expect(await figures('anna')).toMatchObject({ clicks: 2, visitors: 2 });
});

test('days that the clock has yet to reach again, once a page is read', async () => {
  await signUp('fred', 'ANNA');
  host.clock.advanceDays(3);
  await closeAtLast(host, 'anna');
  const closed = await closedUntil(host, 'anna');
  host.clock.advanceDays(-2);
  expect(await figures('anna')).toMatchObject({ signups: 1 });
  expect(await closedUntil(host, 'anna')).not.toBe(closed);
  await signUp('gina', 'ANNA');
  host.clock.advanceDays(4);
  expect(await figures('anna')).toMatchObject({ signups: 2 });
});

test('what a host records in its transaction is of the time of the statement, not of the start: that day may be closed', async () => {
  let before = '';
  const started = await startHost({}, (app) =>
    app.post('/buy', async (req, res) => {
      await started.dataSource.transaction(async (manager) => {
        [{ before }] = await manager.query<[{ before: string }]>('SELECT clock_timestamp()::text AS before');
        await Referral.recordResponse(req, 'BOUGHT', { manager });
      });
      res.sendStatus(204);
    }),
  );
  const { dataSource, referrals } = started;
  await referrals.referralCodes.create({ code: 'OLGA', label: 'o', user: 'olga' });
  const visitor = started.browser();
  await click('OLGA', visitor);
  await visitor.post('/buy').expect(204);
  const { schema } = dataSource.options as { schema: string };
  const query = `SELECT created_at > $1::timestamptz AS "isLater" FROM "${schema}".referral_responses WHERE action = 'BOUGHT'`;
  expect(await dataSource.query(query, [before])).toEqual([{ isLater: true }]);
});
