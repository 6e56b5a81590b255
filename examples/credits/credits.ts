import type { Request } from 'express';
import { Referral, type ReferralProgram, type Referrals } from 'express-referrals';
import type { EntityManager } from 'typeorm';

interface User {
  id: number;
}

/** Returns the program. The first call creates it, with the credit type, which says what its credit can be spent on. */
export async function launch({ creditTypes, programs }: Referrals): Promise<ReferralProgram> {
  const known = await programs.getByName('launch', { optional: true });
  if (known) return known;
  const compute = await creditTypes.create({
    name: 'compute',
    product: 'credit-compute', // the product that it is billed as
    refundable: true,
    onlyForProductCategories: ['instances'],
  });
  return programs.create({
    name: 'launch',
    referralCredit: { amount: '25', durationDays: 90, type: compute }, // for the new user, at sign-up
    rewardCredit: { amount: '40', durationDays: 180, type: compute }, // for the referrer,
    beforeRewardUsageThreshold: '50', // once the referee has used this much
  });
}

/** Creates a link for a user, with a code that at most a hundred people can sign up with. */
export function invite(user: User, program: ReferralProgram): Promise<Referral> {
  return Referral.create({ user, redirectTo: '/', program, allowedUses: 100 });
}

/** Call it in the transaction that creates the user. Returns why the typed code was refused, or null. */
export async function signUp(
  referrals: Referrals,
  req: Request,
  user: User,
  manager: EntityManager,
): Promise<string | null> {
  const { code } = req.body as { code?: string };
  const signup = await Referral.recordSignup(req, user, { code, manager }); // the typed code, else the visitor's link
  if (signup || !code) return null;
  const { reason } = await referrals.explainSignup(user, { manager });
  return reason === 'used-up' ? 'This code has been used up.' : 'This code does not work.';
}

/**
 * Bills an invoice: credit pays what it covers, the card pays the rest, and the usage counts towards the referrer's
 * reward. Returns the amount that credit has paid.
 */
export async function bill(referrals: Referrals, user: User, number: number, amount: string): Promise<string> {
  const reference = `invoice-${number}`; // makes both calls idempotent: after a crash, call bill() again
  const productCategory = 'instances';
  const { covered } = await referrals.credits.spend(user, { amount, reference, productCategory, partial: true });
  await referrals.recordUsage(user, { amount, reference });
  return covered;
}

/**
 * Runs a checkout that takes time: holds the credit, then captures or releases it. Each attempt has its own reference.
 */
export async function checkOut(
  { credits }: Referrals,
  user: User,
  attempt: { reference: string; amount: string; pay: () => Promise<boolean> },
): Promise<boolean> {
  const { reference, amount, pay } = attempt;
  const held = await credits.hold(user, { amount, reference, productCategory: 'instances' });
  if (held.captured !== null) return Number(held.captured) > 0; // an earlier call has captured or released it
  // If pay() throws, it is unknown whether the money moved. The credit stays on hold: call again with the same
  // reference.
  const isPaid = await pay();
  await (isPaid ? credits.capture({ user, reference }) : credits.release({ user, reference }));
  return isPaid;
}
