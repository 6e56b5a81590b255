import type { Referrals, ReferralProgram } from '../../lib';
import { type Host, startHost, TestClock } from './host';
import type { ReferralsOptions } from '../../lib';

export interface RewardsHost extends Host {
  clock: TestClock;
  program: ReferralProgram;
  /** The events since the start, as `name user amount`. */
  told: string[];
}

/** A host with a clock to set, and a program: 25 for who signs up, 40 for who referred them once they have used 50. */
export async function startRewards(
  options: Partial<ReferralsOptions> = {},
  routes?: Parameters<typeof startHost>[1],
): Promise<RewardsHost> {
  const clock = new TestClock();
  const host = await startHost({ clock: clock.read, ...options }, routes);
  return { ...host, clock, program: await launch(host.referrals), told: listen(host.referrals) };
}

export async function launch(referrals: Referrals): Promise<ReferralProgram> {
  const type = await referrals.creditTypes.create({ name: 'compute', refundable: true });
  return referrals.programs.create({
    name: 'launch',
    beforeRewardUsageThreshold: '50',
    referralCredit: { amount: '25', durationDays: 90, type },
    rewardCredit: { amount: '40', durationDays: 180, type },
  });
}

function listen(referrals: Referrals): string[] {
  const told: string[] = [];
  referrals.on('signup', ({ userId }) => void told.push(`signup ${userId}`));
  referrals.on('creditGranted', ({ userId, initialBalance }) => void told.push(`granted ${userId} ${initialBalance}`));
  referrals.on('creditSpent', ({ userId, captured }) => void told.push(`spent ${userId} ${captured}`));
  return told;
}
