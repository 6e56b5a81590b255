import type { ReferralAudit, ReferralChannel, ReferralReview, Referrals, ReferralsOptions } from 'express-referrals';

interface User {
  id: number;
}

/** Who of your staff does it, and why: kept in `referrals.audit`. */
export interface Why {
  by: number;
  reason: string;
}

const rates = new Map([
  ['GBP', '1.17'],
  ['JPY', '0.0061'],
]);

/** Options: `createReferrals({ …, ...governance })`. */
export const governance = {
  currency: 'EUR',
  exchange: (from) => rates.get(from)!, // in your shop: the rate of the day
  fraud: {
    sharedPayoutAddress: 'hold',
    sameDevice: 'flag',
    clicksOfVisitor: { do: 'flag', max: 20 },
    rule: (facts) =>
      facts.about === 'purchase' && Number(facts.amount) > 5000 ? 'An unusually large purchase.' : null,
  },
} satisfies Partial<ReferralsOptions>;

/** A purchase in another currency: what it is in the program's, and at which rate. */
export async function buyAbroad(
  referrals: Referrals,
  buyer: User,
  order: { reference: string; amount: string; currency: string },
): Promise<string> {
  const { purchase } = await referrals.recordPurchase(buyer, order);
  return `${purchase.originalAmount} ${purchase.currency} at ${purchase.exchangeRate} is ${purchase.amount}`;
}

/** A bonus, or with an amount below 0 a deduction. The next earn-out includes it. */
export async function adjust(
  { commissions }: Referrals,
  partner: User,
  change: { amount: string; reference: string },
  why: Why,
): Promise<string> {
  return (await commissions.adjust(partner, { ...change, ...why })).amount;
}

/** What the rules of the option `fraud` have found, and nobody has decided. */
export function openReviews({ reviews }: Referrals): Promise<ReferralReview[]> {
  return reviews.search({ where: { status: 'open' } });
}

/** Allows what was flagged, as if it had never been held, or rejects what it has earned. */
export function closeReview({ reviews }: Referrals, id: number, isFine: boolean, why: Why): Promise<ReferralReview> {
  return isFine ? reviews.allow(id, why) : reviews.refuse(id, why);
}

/** Refuses a payout that waits for an approval. Its amount waits for `earnOuts.retry`. */
export async function refusePayout({ earnOuts }: Referrals, id: number, why: Why): Promise<string | null> {
  return (await earnOuts.reject(id, why)).errorReason;
}

/** Stops an account while you look into it; then ends that, or bans it, which also rejects what is not paid. */
export async function stop({ accounts }: Referrals, partner: User, why: Why): Promise<void> {
  await accounts.suspend(partner, why);
}
export async function conclude({ accounts }: Referrals, partner: User, isFraud: boolean, why: Why): Promise<void> {
  await (isFraud ? accounts.ban(partner, why) : accounts.reinstate(partner, why));
}

/** A customer names the wrong referrer: later purchases are credited to the owner of another code, or to nobody. */
export async function correct({ signups }: Referrals, user: User, code: string | null, why: Why): Promise<void> {
  await signups.reassign(user, { code, ...why });
}

/** Why somebody was or was not credited, in sentences. */
export async function answer(referrals: Referrals, user: User): Promise<readonly string[]> {
  return (await referrals.explain(user)).sentences;
}

/** A coupon with conditions. A purchase that is refunded as a whole gives it back. */
export function sponsorWithTerms({ channels }: Referrals, owner: User): Promise<ReferralChannel> {
  return channels.create({
    ...{ user: owner, code: 'WELCOME', promoType: 'value_off', promoValue: '10' },
    ...{ initialRate: '0.30', ongoingRate: '0.10' },
    ...{ maxRedemptions: 500, minimumAmount: '40', firstPurchaseOnly: true, products: ['hosting'] },
    restoreOnRefund: true,
  });
}

/** One code for each card of a mailing, all or none. Returns the lines of a CSV file. */
export async function printCards({ channels }: Referrals, owner: User, count: number): Promise<string[]> {
  const terms = { promoType: 'percent_off', promoValue: '0.20', initialRate: '0.30', ongoingRate: '0.10' } as const;
  await channels.createMany({ user: owner, count, prefix: 'CARD-', maxRedemptions: 1, ...terms });
  const lines: string[] = [];
  for await (const line of channels.exportCodes({ where: { userId: String(owner.id) } })) lines.push(line);
  return lines;
}

/** Who changed what about a user, newest first. */
export function history({ audit }: Referrals, user: User): Promise<ReferralAudit[]> {
  return audit.search({ where: { userId: String(user.id) }, order: { id: 'DESC' } });
}
