import { Referral, ReferralDailyCount } from '../lib';
import { browserOf } from './support/browser';
import { closeAll, type Host, startHost, TestClock } from './support/host';

afterEach(closeAll);

let host: Host;
let clock: TestClock;
let made = 0;

const begin = async (options: Parameters<typeof startHost>[0] = {}): Promise<void> => {
  clock = new TestClock();
  host = await startHost({ clock: clock.read, ...options });
};
const link = (user = 'anna'): Promise<Referral> => Referral.create({ user, redirectTo: '/', label: `${++made}` });

const countsOf = async (to: Referral): Promise<[clicks: number, visitors: number]> => [
  await to.responseCount(),
  await to.responseCount({ distinct: true }),
];

describe.each(['last-touch', 'first-touch'] as const)('visitors beside clicks, with %s', (model) => {
  beforeEach(() => begin({ attribution: { model } }));

  test('a browser counts once, on whichever links it is in turn', async () => {
    const [one, other] = [await link(), await link('bob')];
    const browser = host.browser();
    for (let turn = 0; turn < 3; turn++)
      for (const { code } of [one, one, other]) await browser.get(`/r/${code}`).expect(302);
    expect(await countsOf(one)).toEqual([6, 1]);
    expect(await countsOf(other)).toEqual([3, 1]);
    await host.browser().get(`/r/${one.code}`).expect(302);
    expect(await countsOf(one)).toEqual([7, 2]);
  });

  test('on several days it counts on the first', async () => {
    const to = await link();
    const browser = host.browser();
    for (let day = 0; day < 3; day++) {
      await browser.get(`/r/${to.code}`).expect(302);
      clock.advanceDays(1);
    }
    expect(await countsOf(to)).toEqual([3, 1]);
    const days = await host.dataSource
      .getRepository(ReferralDailyCount)
      .find({ where: { referralId: to.id }, order: { day: 'ASC' } });
    expect(days.map(({ clicks, visitors }) => [clicks, visitors])).toEqual([
      [1, 1],
      [1, 0],
      [1, 0],
    ]);
  });

  test('a signed-in user counts once, in two browsers, and with the clicks before sign-in', async () => {
    const to = await link();
    const browser = host.browser();
    await browser.get(`/r/${to.code}`).expect(302);
    await browser.post('/login/dora').expect(204);
    await browser.get('/whose').expect({ code: to.code });
    for (let time = 0; time < 2; time++) await browser.get(`/r/${to.code}`).expect(302);
    const second = host.browser();
    await second.post('/login/dora').expect(204);
    await second.get(`/r/${to.code}`).expect(302);
    expect(await countsOf(to)).toEqual([4, 1]);
    await second.post('/login/emil').expect(204);
    await second.get(`/r/${to.code}`).expect(302);
    expect(await countsOf(to)).toEqual([5, 2]);
  });

  test('a click that sign-in inserts, because it is not on record, counts its visitor', async () => {
    const to = await link();
    const browser = host.browser();
    await browser.get(`/r/${to.code}`).expect(302);
    await host.dataSource.query(
      `DELETE FROM "${(host.dataSource.options as { schema: string }).schema}".referral_responses WHERE referral_id = ${to.id}`,
    );
    await browser.post('/login/fred').expect(204);
    await browser.get('/whose').expect({ code: to.code });
    expect(await countsOf(to)).toEqual([2, 2]);
  });
});

test('with an action of the host’s there is no visitor, and a wrong option is refused', async () => {
  await begin();
  const to = await link();
  await expect(to.responseCount({ distinct: 1 as never })).rejects.toMatchObject({ code: 'INVALID_INPUT' });
  expect(await countsOf(to)).toEqual([0, 0]);
});

test('own clicks that are taken back lower it as they lower the clicks', async () => {
  await begin();
  const [to, other] = [await link('gina'), await link('bob')];
  const listener = host.referrals.listener(host.app);
  const browser = browserOf(listener);
  await browser.post('/login/gina').expect(204);
  for (const { code } of [to, to, other]) await browser.get(`/r/${code}`).expect(302);
  await browserOf(listener).get(`/r/${to.code}`).expect(302);
  expect(await countsOf(to)).toEqual([3, 2]);
  await browser.get('/whose').expect(200);
  expect(await countsOf(to)).toEqual([1, 1]);
  expect(await countsOf(other)).toEqual([1, 1]);
  expect((await host.referrals.verify()).problems).toEqual([]);
});

test('verify() finds more visitors than clicks', async () => {
  await begin();
  const to = await link();
  await host.browser().get(`/r/${to.code}`).expect(302);
  await host.dataSource.getRepository(ReferralDailyCount).update({ referralId: to.id }, { visitors: 2 });
  const { problems } = await host.referrals.verify();
  expect(problems.map(({ invariant }) => invariant)).toEqual(['no daily count has more visitors than clicks']);
});
