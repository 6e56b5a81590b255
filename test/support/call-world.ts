import { randomUUID } from 'node:crypto';
import request from 'supertest';
import { ReferralResponse } from '../../lib';
import { firefox } from './browser';
import { cookieOf, openDataSource, Product, startHost, TestClock } from './host';

/** What a call that uses something up takes, such as a hold to capture; made for so many runs of each call. */
const runs = 16;

export type CallWorld = Awaited<ReturnType<typeof makeWorld>>;

let count = 0;

/** A name that nobody and nothing else has. */
export const fresh = (): string => `name-${++count}`;

/** Takes one of those that are used up by a call. */
export function next<T>(items: T[]): T {
  const item = items.pop();
  if (item === undefined) throw new Error('the world of the calls needs more of these');
  return item;
}

const dayMs = 86_400_000;

/** The options of every host on the schema. The calls advance the clock, and the cookies stay valid. */
export const terms = { commission: { ratio: '0.25' }, cookie: { maxAgeDays: 36_500 } };

async function times<T>(make: (index: number) => Promise<T>): Promise<T[]> {
  const made: T[] = [];
  for (let index = 0; index < runs; index++) made.push(await make(index));
  return made;
}

/** Fills a schema with what the calls are about, through an instance of its own, which is closed afterwards. */
export async function makeWorld(options: Parameters<typeof openDataSource>[0] = {}) {
  const dataSource = await openDataSource(options);
  const clock = new TestClock();
  const host = await startHost({
    ...{ dataSource, clock: clock.read, ...terms, earnOuts: { payout: () => undefined } },
  });
  const { referrals } = host;
  const { channels, creditTypes, credits, programs, referralCodes, signups } = referrals;
  const before = (days: number): Date => new Date(clock.time.getTime() - days * dayMs);

  const type = await creditTypes.create({ name: 'anything', refundable: true });
  const credit = { amount: '25', durationDays: 36_500, type };
  const program = await programs.create({
    ...{ name: 'launch', referralCredit: credit, rewardCredit: credit, beforeRewardUsageThreshold: '50' },
  });
  const product = await dataSource.manager.save(Object.assign(new Product(), { name: 'tea' }));
  const code = await referralCodes.create({ user: 'anna', code: 'ANNA', program, target: product });
  await referralCodes.create({ user: 'peter', code: 'PLAIN' });
  const signup = await signups.create({ user: 'boris', code: 'ANNA' });
  await referrals.recordPurchase('boris', { amount: 100, reference: 'first', at: before(60) });

  // A coupon of carla's, with a commission that is in an earn-out.
  const promo = { promoType: 'percent_off', promoValue: '0.20', startDate: before(100) } as const;
  const coupon = (user: string, name: string) => channels.create({ user, code: name, ...promo });
  const channel = await coupon('carla', 'CARLA');
  await referrals.coupons.apply('dora', 'CARLA');
  const { purchase, commission } = await referrals.recordPurchase('dora', {
    ...{ amount: 100, reference: 'with coupon', at: before(60) },
  });
  clock.advanceDays(8);
  await referrals.runEarnOuts();
  const [earnOut] = await referrals.earnOuts.search({ where: { userId: 'carla' } });
  const adjustment = await referrals.commissions.adjust('carla', { amount: 5, reference: 'bonus', reason: 'thanks' });

  // Credit, entries of the ledger, and what the calls of the ledger settle.
  const { id: money } = await credits.create({
    ...{ user: 'rich', name: 'fortune', creditType: type, initialBalance: 1_000_000, durationDays: 36_500 },
  });
  const spend = (kind: 'spend' | 'hold') => async (index: number) => {
    const reference = `${kind} ${index}`;
    await credits[kind]('rich', { amount: 1, reference });
    return reference;
  };
  const spends = await times(spend('spend'));
  const holds = await times(spend('hold'));
  const [entry] = await referrals.creditTransactions.search({ take: 1 });

  // The buyer "clicked" has no sign-up, and came through anna's link.
  const responses = dataSource.getRepository(ReferralResponse);
  const seen = { referralId: code.id, action: 'RESPONDED', targetType: 'Product', targetId: `${product.id}` };
  await responses.insert({ ...seen, userId: 'clicked' });
  const visitorIds = await times(async () => {
    const visitorId = randomUUID();
    await responses.insert({ ...seen, visitorId });
    return visitorId;
  });
  const click = async () => cookieOf(await request(host.app).get('/r/ANNA').set('User-Agent', firefox).expect(302))!;

  // One commission after another becomes available, a hundred days apart.
  // One referrer takes them as credit, the other one as money.
  for (const user of ['due', 'payee']) {
    await referralCodes.create({ user, code: user.toUpperCase() });
    await signups.create({ user: `${user}'s buyer`, code: user.toUpperCase() });
  }
  await referrals.accounts.update(await referrals.accounts.of('payee'), {
    mode: 'payout',
    payoutEmail: 'p@example.org',
  });
  for (let index = 0; index < runs; index++)
    for (const buyer of [`due's buyer`, `payee's buyer`])
      await referrals.recordPurchase(buyer, { amount: 100, reference: fresh(), at: before(-100 * index) });

  // So late that no run pays them.
  const earned = async (): Promise<number> => {
    const late = { amount: 10, reference: fresh(), at: before(-36_000) };
    return (await referrals.recordPurchase('boris', late)).commission!.id;
  };

  const world = {
    ...{ clock, schema: (dataSource.options as { schema: string }).schema },
    id: {
      ...{ creditTypes: type.id, programs: program.id, referralCodes: code.id, signups: signup.id, credits: money },
      ...{ creditTransactions: entry!.id, channels: channel.id, purchases: purchase.id, commissions: commission!.id },
      ...{ accounts: (await referrals.accounts.of('anna')).id, earnOuts: earnOut!.id, adjustments: adjustment.id },
    },
    /** A credit for a sign-up. */
    grant: (await signup.credits())[0]!.id,
    cookie: await click(),
    /** Of visitors who have not signed in yet. */
    cookies: await times(click),
    ...{ spends, holds, visitorIds },
    unused: {
      creditTypes: await times(async () => (await creditTypes.create({ name: fresh() })).id),
      programs: await times(async () => (await programs.create({ name: fresh() })).id),
      referralCodes: await times(async () => (await referralCodes.create({ label: fresh() })).id),
      channels: await times(async () => (await coupon(fresh(), fresh())).id),
      signups: await times(async () => (await signups.create({ user: fresh(), code: 'PLAIN' })).id),
    },
    /** References of purchases of boris'. */
    refundable: await times(async () => {
      const reference = fresh();
      await referrals.recordPurchase('boris', { amount: 10, reference });
      return reference;
    }),
    /** Commissions that nothing has paid, and some that are held. */
    earned: [...(await times(earned)), ...(await times(earned))],
    held: await times(async () => (await referrals.commissions.hold(await earned(), { reason: 'looks wrong' })).id),
    /** References of refunds of boris'. */
    refunded: await times(async () => {
      const [purchase, reference] = [fresh(), fresh()];
      await referrals.recordPurchase('boris', { amount: 10, reference: purchase });
      await referrals.recordRefund('boris', { purchase, reference });
      return reference;
    }),
    /** Users whose usage has not reached the threshold. */
    referees: await times(async () => {
      const user = fresh();
      await signups.create({ user, code: 'ANNA' });
      return user;
    }),
  };
  await referrals.close();
  return world;
}
