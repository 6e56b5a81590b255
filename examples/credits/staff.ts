import type { ReferralProgram, Referrals } from 'express-referrals';

interface User {
  id: number;
}

/** A program whose referrers get at most two rewards in a month. */
export async function launchLimited({ creditTypes, programs }: Referrals): Promise<ReferralProgram> {
  const type = await creditTypes.create({ name: 'anything', refundable: true });
  return programs.create({
    name: 'two a month',
    referralCredit: { amount: '10', durationDays: 90, type },
    rewardCredit: { amount: '20', durationDays: 180, type },
    rewardLimit: { count: 2, period: 'month' },
  });
}

/** Holds credit while the customer pays. If the browser never comes back, the hold ends by itself. */
export async function reserve(
  { credits }: Referrals,
  user: User,
  cart: { reference: string; amount: string; until: Date },
): Promise<string> {
  const { reference, amount, until } = cart;
  return (await credits.hold(user, { reference, amount, expiresAt: until })).amount;
}

/** Gives back a part of what credit has paid, and credit that has run out a month more. Safe to repeat. */
export async function giveBack(
  { credits }: Referrals,
  user: User,
  back: { invoice: string; amount: string; reference: string },
): Promise<string | null> {
  const { invoice: reference, amount, reference: refundReference } = back;
  const { refunded } = await credits.refund({ user, reference, amount, refundReference, extendDays: 30 });
  return refunded;
}

/** For your staff: corrects a balance. `referrals.audit` keeps who did it, and why. */
export async function correctBalance(
  { credits }: Referrals,
  user: User,
  change: { amount: string; reference: string; by: number; reason: string },
): Promise<string> {
  await credits.adjust(user, change);
  return credits.balance(user);
}
