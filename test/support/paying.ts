import type { Payout, ReferralEarnOut, ReferralError, ReferralsOptions } from '../../lib';
import { type EarningsHost, fresh, refer, startEarnings } from './earnings';

export const minute = 60_000;
export const hour = 60 * minute;

export interface PayingHost extends EarningsHost {
  /** The earn-outs that the payout function was called for, in order. */
  asked: ReferralEarnOut[];
}

/** A host that pays out by a function, with commissions that are available at once. */
export async function startPaying(pay: Payout, options: Partial<ReferralsOptions> = {}): Promise<PayingHost> {
  const asked: ReferralEarnOut[] = [];
  const payout: Payout = (earnOut) => {
    asked.push(earnOut);
    return pay(earnOut);
  };
  const host = await startEarnings({
    commission: { pendingDays: 0 },
    ...options,
    earnOuts: { payout, ...options.earnOuts },
  });
  return Object.assign(host, { asked });
}

/** A purchase that earns the referrer an amount. */
export async function earn({ referrals }: EarningsHost, referrer: string, amount: number, reference = fresh('inv')) {
  const buyer = `${referrer}'s buyer`;
  await referrals.recordPurchase(buyer, { amount: amount * 4, reference });
  return { buyer, reference };
}

export const addressOf = (user: string): string => `${Buffer.from(user).toString('hex')}@example.org`;

/** A referrer in the mode payout, whose first period has passed, and who has earned an amount. */
export async function earner(host: EarningsHost, amount: number, user = fresh('anna')): Promise<string> {
  await refer(host, user, `${user}'s buyer`);
  await (await host.referrals.accounts.of(user)).update({ mode: 'payout', payoutEmail: addressOf(user) });
  await earn(host, user, amount);
  host.clock.advanceDays(7);
  return user;
}

export const earnOutsOf = ({ referrals }: EarningsHost, userId: string): Promise<ReferralEarnOut[]> =>
  referrals.earnOuts.search({ where: { userId } });

export const statusesOf = async (host: EarningsHost, user: string): Promise<string[]> =>
  (await earnOutsOf(host, user)).map(({ amount, status }) => `${amount} ${status}`);

export const waiting = async ({ referrals }: EarningsHost, user: string): Promise<string> =>
  (await referrals.accounts.totals(user)).payoutsEarned;

export const addsUp = async ({ referrals }: EarningsHost): Promise<void> =>
  expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });

/** The codes of the errors that `onError` was given since the last call. */
export const reported = ({ errors }: EarningsHost): string[] =>
  errors.splice(0).map((error) => (error as ReferralError).code);
