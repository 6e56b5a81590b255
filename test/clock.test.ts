import request from 'supertest';
import { Referral, type ReferralsOptions } from '../lib';
import { firefox } from './support/browser';
import { closeAll, cookieOf, type Host, startHost } from './support/host';

afterAll(closeAll);

/** What the option `clock` may return that is no time. */
const wrong: Record<string, () => unknown> = {
  'an invalid Date': () => new Date(NaN),
  'the number of now': () => Date.now(),
  'a text': () => '2026-03-01T12:00:00Z',
  'undefined': () => undefined,
  'null': () => null,
  'a promise': () => Promise.resolve(new Date()),
  'a promise that rejects': () => Promise.reject(new Error('no time')),
  'the year 10000': () => new Date('+010000-01-01T00:00:00Z'),
  'the year 0': () => new Date('0000-06-01T00:00:00Z'),
  'the last time of a Date': () => new Date(8.64e15),
  'a proxy': () => new Proxy(new Date(), {}),
  'an error': () => {
    throw new Error('no time');
  },
};

let host: Host;
let time: () => unknown = () => new Date();
/** How many calls of the clock from now on are right. */
let right = Infinity;

beforeAll(async () => {
  const clock = (() => (right-- > 0 ? new Date() : time())) as ReferralsOptions['clock'];
  host = await startHost({ clock });
});
beforeEach(() => (right = Infinity));
afterEach(() => host.errors.splice(0));

let made = 0;
const linkOf = (): Promise<Referral> => Referral.create({ user: 'anna', redirectTo: '/', label: `${++made}` });
const click = ({ code }: Referral, cookie = '') =>
  request(host.app).get(`/r/${code}`).set({ 'User-Agent': firefox, 'Cookie': cookie }).expect(302);

const isOfClock = expect.objectContaining({ message: expect.stringMatching(/clock|no time/) as string }) as unknown;

describe.each(Object.keys(wrong))('a clock that returns %s', (name) => {
  beforeEach(() => (time = wrong[name]!));

  test('for one of many clicks: it has the time of the database, and the others are recorded too', async () => {
    const [link, other] = [await linkOf(), await linkOf()];
    await click(link); // cached
    right = 5;
    const before = Date.now();
    const answers = await Promise.all(Array.from({ length: 12 }, (_, index) => click(index % 2 ? link : other)));
    expect(host.errors.length).toBeGreaterThan(0);
    for (const error of host.errors) expect(error).toEqual(isOfClock);
    expect(answers.map((answer) => cookieOf(answer) !== null)).not.toContain(false);
    for (const [to, clicks] of [
      [link, 7],
      [other, 6],
    ] as const) {
      expect(await to.responseCount()).toBe(clicks);
      for (const { createdAt, touchedAt } of await to.filteredResponses()) {
        expect(Math.abs(createdAt.getTime() - before)).toBeLessThan(86_400_000);
        expect(touchedAt).toEqual(createdAt);
      }
    }
  });

  test('all the time: visitors come and sign in, and are attributed', async () => {
    const link = await linkOf();
    right = 0;
    const cookie = cookieOf(await click(link))!;
    await request(host.app).get('/whose').set('Cookie', cookie).expect(200, { code: link.code });
    const session = cookieOf(await request(host.app).post('/login/dora'), 'connect.sid')!;
    await request(host.app).get('/whose').set('Cookie', `${cookie}; ${session}`).expect(200, { code: link.code });
    expect(await link.filteredResponses()).toMatchObject([{ userId: 'dora' }]);
  });

  test('in calls about money: nothing is written, and the error says whose it is', async () => {
    const { referrals } = host;
    const { code } = await linkOf();
    const type = await referrals.creditTypes.create({ name: `type ${++made}` });
    right = 0;
    const user = `user ${++made}`;
    const calls = [
      () => referrals.recordPurchase(user, { amount: 10, reference: 'a' }),
      () => referrals.credits.create({ user, creditType: type, initialBalance: '5', durationDays: 1 }),
      () => referrals.signups.create({ user, code }),
    ];
    for (const call of calls) await expect(call()).rejects.toEqual(isOfClock);
    right = Infinity;
    expect(await referrals.purchases.count({ where: { userId: user } })).toBe(0);
    expect(await referrals.credits.count({ where: { userId: user } })).toBe(0);
    expect(await referrals.signups.count({ where: { userId: user } })).toBe(0);
  });
});

test('a clock whose Date moves later changes nothing that was read', async () => {
  const moving = new Date('2026-03-01T12:00:00Z');
  time = () => moving;
  right = 0;
  const link = await linkOf();
  await click(link);
  moving.setFullYear(2030);
  expect((await link.filteredResponses())[0]!.createdAt).toEqual(new Date('2026-03-01T12:00:00Z'));
});
