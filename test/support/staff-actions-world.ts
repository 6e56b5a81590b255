import type { ReferralEarnOut } from '../../lib';
import type { ActionName } from '../../lib/http/admin/actions/action';
import type { Fields, StaffHost } from './staff';

/** An action as a test makes it. */
export interface StaffCase {
  /** What the page's address says. */
  readonly query: Record<string, string>;
  /** What staff fill in besides. */
  readonly fields: Fields;
  /** Whether what it is to do is done. */
  readonly isDone: () => Promise<boolean>;
  /** The path below the mount path to which it leads. */
  readonly leadsTo: RegExp;
}

let count = 0;
const fresh = (): string => `n${++count}`;

/** The options of the host for {@link staffCases}. */
export const staffOptions = {
  commission: { ratio: '0.10', pendingDays: 0 },
  currency: 'EUR',
  earnOuts: { payout: () => ({ reference: 'paid' }), every: { days: 1 }, approve: 'all' },
} as const;

/** Makes what each action is about, and returns how to make the action. */
export const staffCases: Record<ActionName, (host: StaffHost) => StaffCase | Promise<StaffCase>> = {
  'commissions.hold': async (host) => {
    const { id, user } = await commission(host);
    const isDone = async () => (await host.rewards.managers.commissions.get(id)).status === 'held';
    return { query: { id: `${id}` }, fields: {}, isDone, leadsTo: toUser(user) };
  },
  'commissions.release': async (host) => {
    const { id, user } = await commission(host);
    const { commissions } = host.rewards.managers;
    await commissions.hold(id, { reason: 'looks wrong' });
    const isDone = async () => (await commissions.get(id)).status === 'available';
    return { query: { id: `${id}` }, fields: {}, isDone, leadsTo: toUser(user) };
  },
  'commissions.reject': async (host) => {
    const { id, user } = await commission(host);
    const isDone = async () => (await host.rewards.managers.commissions.get(id)).status === 'rejected';
    return { query: { id: `${id}` }, fields: {}, isDone, leadsTo: toUser(user) };
  },
  'commissions.adjust': ({ rewards: { managers } }) => {
    const user = fresh();
    const isDone = async () => (await managers.accounts.totals(user)).creditsEarned === '12.50';
    return { query: { user }, fields: { amount: '12.50' }, isDone, leadsTo: toUser(user) };
  },
  'undoRefund': async (host) => {
    const { id, buyer, purchase } = await commission(host);
    const reference = fresh();
    await host.rewards.refunds.record(buyer, { purchase, reference });
    const isDone = async () => (await host.rewards.managers.commissions.get(id)).amount === '10.00';
    return { query: { user: buyer, reference }, fields: {}, isDone, leadsTo: toUser(buyer) };
  },
  'coupons.giveBack': async (host) => {
    const buyer = fresh();
    const code = fresh();
    const promo = { promoType: 'percent_off', promoValue: '0.20', maxRedemptions: 1 } as const;
    const { id } = await host.rewards.managers.channels.create({ user: fresh(), code, ...promo });
    await host.rewards.coupons.apply(buyer, code);
    await host.rewards.purchases.record(buyer, { amount: 10, reference: fresh() });
    const isDone = async () =>
      isThere(host, 'referral_redemptions', `channel_id = ${id} AND given_back_at IS NOT NULL`);
    return { query: { user: buyer }, fields: { code }, isDone, leadsTo: toUser(buyer) };
  },
  'accounts.suspend': (host) => account(host, async (user) => (await accountOf(host, user)).suspendedAt !== null),
  'accounts.ban': (host) => account(host, async (user) => (await accountOf(host, user)).bannedAt !== null),
  'accounts.reinstate': async (host) => {
    const made = await account(host, async (user) => (await accountOf(host, user)).suspendedAt === null);
    await host.rewards.managers.accounts.suspend(made.query['user']!, { reason: 'wrong' });
    return made;
  },
  'accounts.update': async (host) => {
    const made = await account(host, async (user) => {
      const { payoutEmail, mode, commissionRatio } = await accountOf(host, user);
      return payoutEmail === `${user}@example.org` && mode === 'payout' && Number(commissionRatio) === 0.2;
    });
    const payoutEmail = `${made.query['user']}@example.org`;
    return { ...made, fields: { payoutEmail, 'mode': 'payout', 'commission.ratio': '0.2' } };
  },
  'users.rename': async (host) => {
    const [from, to] = [fresh(), fresh()];
    await host.rewards.managers.accounts.of(from);
    const isDone = async () => (await accountOf(host, to)) !== undefined;
    return { query: { from }, fields: { to }, isDone, leadsTo: toUser(to) };
  },
  'users.merge': async (host) => {
    const [from, into] = [fresh(), fresh()];
    await host.rewards.managers.accounts.of(from);
    await host.rewards.managers.accounts.of(into);
    const isDone = async () => (await accountOf(host, from)) === undefined;
    return { query: { from }, fields: { into }, isDone, leadsTo: toUser(into) };
  },
  'signups.reassign': async (host) => {
    const { user, code } = await signup(host);
    const { managers } = host.rewards;
    const other = await managers.referralCodes.create({ user: fresh(), code: fresh() });
    const isDone = async () => (await managers.signups.search({ where: { userId: user } }))[0]!.referralId === other.id;
    expect(code).not.toBe(other.code);
    return { query: { user }, fields: { code: other.code }, isDone, leadsTo: toUser(user) };
  },
  'signups.delete': async (host) => {
    const { user } = await signup(host);
    const isDone = async () => (await host.rewards.managers.signups.count({ where: { userId: user } })) === 0;
    return { query: { user }, fields: {}, isDone, leadsTo: toUser(user) };
  },
  'credits.create': async ({ rewards: { managers } }) => {
    const user = fresh();
    const type = await managers.creditTypes.create({ name: fresh() });
    const fields = { creditType: `${type.id}`, initialBalance: '7.00', durationDays: '30' };
    const isDone = async () => (await managers.credits.balance(user)) === '7.00';
    return { query: { user }, fields, isDone, leadsTo: toUser(user) };
  },
  'credits.adjust': async (host) => {
    const { user } = await credit(host);
    const isDone = async () => (await host.rewards.managers.credits.balance(user)) === '22.50';
    return { query: { user }, fields: { amount: '-2.50' }, isDone, leadsTo: toUser(user) };
  },
  'credits.update': async (host) => {
    const { id, user } = await credit(host);
    const isDone = async () =>
      (await host.rewards.managers.credits.get(id)).expiryDate.toISOString() === '2027-01-01T12:30:00.000Z';
    return { query: { id: `${id}` }, fields: { expiryDate: '2027-01-01T12:30' }, isDone, leadsTo: toUser(user) };
  },
  'credits.refund': async (host) => {
    const { user } = await credit(host);
    await host.rewards.managers.credits.spend(user, { amount: 10, reference: 'spent' });
    const isDone = async () => (await host.rewards.managers.credits.balance(user)) === '25.00';
    const fields = { extendDays: '100' };
    return { query: { user, reference: 'spent' }, fields, isDone, leadsTo: toUser(user) };
  },
  'earnOuts.approve': async (host) => {
    const { id, userId } = await payout(host);
    const isDone = async () => !(await host.rewards.managers.earnOuts.get(id)).awaitsApproval;
    return { query: { id: `${id}` }, fields: {}, isDone, leadsTo: toUser(userId) };
  },
  'earnOuts.reject': async (host) => {
    const { id, userId } = await payout(host);
    const isDone = async () => (await host.rewards.managers.earnOuts.get(id)).status === 'failed';
    return { query: { id: `${id}` }, fields: {}, isDone, leadsTo: toUser(userId) };
  },
  'earnOuts.retry': async (host) => {
    const { id, userId, idempotencyKey } = await payout(host);
    await host.rewards.managers.earnOuts.settle({ key: idempotencyKey, status: 'failed', reason: 'no such address' });
    const isDone = async () => (await host.rewards.managers.earnOuts.get(id)).refusals === 0;
    return { query: { id: `${id}` }, fields: {}, isDone, leadsTo: toUser(userId) };
  },
  'earnOuts.settle': async (host) => {
    const { id, userId } = await payout(host);
    const isDone = async () => (await host.rewards.managers.earnOuts.get(id)).status === 'completed';
    return { query: { id: `${id}` }, fields: { status: 'completed' }, isDone, leadsTo: toUser(userId) };
  },
  'earnOuts.run': async (host) => {
    const { user } = await commission(host);
    host.clock.advanceDays(2);
    const isDone = async () =>
      (await host.rewards.managers.earnOuts.search({ where: { userId: user } }))[0]?.status === 'completed';
    return { query: {}, fields: { approve: 'all' }, isDone, leadsTo: /^\/payouts$/ };
  },
  'reviews.allow': async (host) => {
    const id = await review(host);
    const isDone = async () => (await host.rewards.managers.reviews.get(id)).status === 'allowed';
    return { query: { id: `${id}` }, fields: {}, isDone, leadsTo: /^\/reviews$/ };
  },
  'reviews.refuse': async (host) => {
    const id = await review(host);
    const isDone = async () => (await host.rewards.managers.reviews.get(id)).status === 'refused';
    return { query: { id: `${id}` }, fields: {}, isDone, leadsTo: /^\/reviews$/ };
  },
  'programs.create': async ({ rewards: { managers } }) => {
    const name = fresh();
    const type = `${(await managers.creditTypes.create({ name: fresh() })).id}`;
    const isDone = async () => {
      const [found] = await managers.programs.search({ where: { name } });
      return (
        found?.referralCreditAmount === '5.00' &&
        found.rewardLimitPeriod === 'month' &&
        found.commissionSignup === '1.00'
      );
    };
    const gives = { 'referralCredit.amount': '5', 'referralCredit.durationDays': '30', 'referralCredit.type': type };
    const limit = { 'rewardLimit.count': '3', 'rewardLimit.period': 'month' };
    const fields = { name, ...gives, ...limit, 'commission.signup': '1' };
    return { query: {}, fields, isDone, leadsTo: /^\/programs$/ };
  },
  'programs.update': async ({ rewards: { managers } }) => {
    const { id } = await managers.programs.create({ name: fresh(), commission: { ratio: '0.10', months: 3 } });
    const isDone = async () => {
      const { commissionRatio, commissionMonths } = await managers.programs.get(id);
      return Number(commissionRatio) === 0.2 && commissionMonths === 3;
    };
    return { query: { id: `${id}` }, fields: { 'commission.ratio': '0.2' }, isDone, leadsTo: /^\/programs$/ };
  },
  'programs.delete': async ({ rewards: { managers } }) => {
    const { id } = await managers.programs.create({ name: fresh() });
    return { query: { id: `${id}` }, fields: {}, isDone: gone(managers.programs, id), leadsTo: /^\/programs$/ };
  },
  'creditTypes.create': ({ rewards: { managers } }) => {
    const name = fresh();
    const isDone = async () =>
      (await managers.creditTypes.getByName(name, { optional: true }))?.onlyForProducts.join() === 'tea,coffee';
    const fields = { name, refundable: 'yes', onlyForProducts: 'tea\r\n\r\n coffee ' };
    return { query: {}, fields, isDone, leadsTo: /^\/credit-types$/ };
  },
  'creditTypes.update': async ({ rewards: { managers } }) => {
    const { id } = await managers.creditTypes.create({ name: fresh(), onlyForProducts: ['tea'] });
    const isDone = async () => {
      const { onlyForProducts, onlyForProductCategories } = await managers.creditTypes.get(id);
      return onlyForProducts.length === 0 && onlyForProductCategories.join() === 'drinks';
    };
    const fields = { onlyForProducts: '', onlyForProductCategories: 'drinks' };
    return { query: { id: `${id}` }, fields, isDone, leadsTo: /^\/credit-types$/ };
  },
  'creditTypes.delete': async ({ rewards: { managers } }) => {
    const { id } = await managers.creditTypes.create({ name: fresh() });
    return { query: { id: `${id}` }, fields: {}, isDone: gone(managers.creditTypes, id), leadsTo: /^\/credit-types$/ };
  },
  'codes.create': ({ rewards: { managers } }) => {
    const [user, code] = [fresh(), fresh()];
    const isDone = async () => (await managers.referralCodes.getByCode(code, { optional: true }))?.allowedUses === 5;
    return { query: { user }, fields: { code, allowedUses: '5' }, isDone, leadsTo: /^\/referrals\/\d+$/ };
  },
  'codes.update': async ({ rewards: { managers } }) => {
    const { id } = await managers.referralCodes.create({ user: fresh(), code: fresh() });
    const program = await managers.programs.create({ name: fresh() });
    const isDone = async () => {
      const { label, programId } = await managers.referralCodes.get(id);
      return label === 'spring' && programId === program.id;
    };
    const fields = { label: 'spring', program: `${program.id}` };
    return { query: { id: `${id}` }, fields, isDone, leadsTo: new RegExp(`^/referrals/${id}$`) };
  },
  'codes.delete': async ({ rewards: { managers } }) => {
    const { id } = await managers.referralCodes.create({ user: fresh(), code: fresh() });
    return { query: { id: `${id}` }, fields: {}, isDone: gone(managers.referralCodes, id), leadsTo: /^\/referrals$/ };
  },
  'channels.create': ({ rewards: { managers } }) => {
    const [user, code] = [fresh(), fresh()];
    const isDone = async () => {
      const channel = await managers.channels.getByCode(code, { optional: true });
      return Number(channel?.promoValue) === 0.2 && channel!.products.join() === 'tea' && channel!.isActive;
    };
    const fields = { code, promoType: 'percent_off', promoValue: '0.2', products: 'tea' };
    return { query: { user }, fields, isDone, leadsTo: /^\/referrals\/\d+$/ };
  },
  'channels.createMany': ({ rewards: { managers } }) => {
    const user = fresh();
    const isDone = async () => (await managers.channels.count({ where: { userId: user } })) === 25;
    const fields = { count: '25', prefix: `${user}-`, promoType: 'value_off', promoValue: '5', maxRedemptions: '1' };
    return { query: { user }, fields, isDone, leadsTo: /^\/actions\/channels.createMany\/made\?first=\d+&last=\d+$/ };
  },
  'channels.update': async ({ rewards: { managers } }) => {
    const promo = { promoType: 'percent_off', promoValue: '0.20' } as const;
    const { id } = await managers.channels.create({ user: fresh(), code: fresh(), ...promo });
    const isDone = async () => {
      const { isActive, initialRate, description } = await managers.channels.get(id);
      return !isActive && Number(initialRate) === 0.3 && description === 'spring';
    };
    const fields = { isActive: '', initialRate: '0.3', description: 'spring' };
    return { query: { id: `${id}` }, fields, isDone, leadsTo: new RegExp(`^/referrals/${id}$`) };
  },
  'channels.delete': async ({ rewards: { managers } }) => {
    const promo = { promoType: 'percent_off', promoValue: '0.20' } as const;
    const { id } = await managers.channels.create({ user: fresh(), code: fresh(), ...promo });
    return { query: { id: `${id}` }, fields: {}, isDone: gone(managers.channels, id), leadsTo: /^\/channels$/ };
  },
};

const toUser = (user: string): RegExp => new RegExp(`^/users/${user}$`);

const gone =
  (manager: { count(search: { where: object }): Promise<number> }, id: number) => async (): Promise<boolean> =>
    (await manager.count({ where: { id } })) === 0;

async function isThere({ dataSource }: StaffHost, table: string, where: string): Promise<boolean> {
  const { schema } = dataSource.options as { schema: string };
  const rows: unknown[] = await dataSource.query(`SELECT FROM "${schema}".${table} WHERE ${where}`);
  return rows.length > 0;
}

async function accountOf({ rewards: { managers } }: StaffHost, user: string) {
  const [account] = await managers.accounts.search({ where: { userId: user } });
  return account!;
}

async function account(host: StaffHost, isSo: (user: string) => Promise<boolean>): Promise<StaffCase> {
  const user = fresh();
  await host.rewards.managers.accounts.of(user);
  return { query: { user }, fields: {}, isDone: () => isSo(user), leadsTo: toUser(user) };
}

/** Somebody who has signed up with the code of somebody. */
export async function signup({ rewards: { managers } }: StaffHost) {
  const [referrer, user, code] = [fresh(), fresh(), fresh()];
  await managers.referralCodes.create({ user: referrer, code });
  await managers.signups.create({ user, code });
  return { referrer, user, code };
}

/** A commission of 10. */
export async function commission(host: StaffHost) {
  const { referrer, user: buyer } = await signup(host);
  const purchase = fresh();
  const { commission: made } = await host.rewards.purchases.record(buyer, { amount: 100, reference: purchase });
  return { id: made!.id, user: referrer, buyer, purchase };
}

/** A credit of 25. */
export async function credit({ rewards: { managers } }: StaffHost) {
  const user = fresh();
  const creditType = await managers.creditTypes.create({ name: fresh(), refundable: true });
  const { id } = await managers.credits.create({ user, creditType, initialBalance: 25, durationDays: 30 });
  return { id, user };
}

/** A payout that waits for approval. */
export async function payout(host: StaffHost): Promise<ReferralEarnOut> {
  const { referrer, user: buyer } = await signup(host);
  const { accounts, earnOuts } = host.rewards.managers;
  const { id } = await accounts.of(referrer);
  await accounts.update(id, { payoutEmail: `${referrer}@example.org`, mode: 'payout' });
  await host.rewards.purchases.record(buyer, { amount: 100, reference: fresh() });
  host.clock.advanceDays(2);
  await host.rewards.earnOuts.run();
  const [made] = await earnOuts.search({ where: { userId: referrer } });
  return made!;
}

/** A review of two accounts with one payout address. */
export async function review({ rewards: { managers } }: StaffHost): Promise<number> {
  const [one, other] = [fresh(), fresh()];
  for (const user of [one, other]) {
    const { id } = await managers.accounts.of(user);
    await managers.accounts.update(id, { payoutEmail: `${one}@example.org` });
  }
  const [made] = await managers.reviews.search({ where: { userId: other } });
  return made!.id;
}
