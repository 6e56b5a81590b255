import type { AccountTotals, ReferralAccount, ReferralChannel, ReferralEarnOut, Referrals } from 'express-referrals';
import { type DataSource, In } from 'typeorm';
import { User } from './entities';

/** A row of the list of commissions. */
export interface CommissionRow {
  at: Date;
  buyer: string;
  /** The coupon that earned it; null for a link or a code. */
  coupon: string | null;
  earned: string;
  /** The amount after refunds. */
  left: string;
  status: string;
}

/** A row of the list of earn-outs. */
export interface EarnOutRow {
  at: Date;
  amount: string;
  /** What the commissions became. */
  as: string;
  /** What became of it, in the words of the shop. */
  state: string;
}

export interface Earnings {
  account: ReferralAccount;
  totals: AccountTotals;
  coupons: ReferralChannel[];
  commissions: CommissionRow[];
  earnOuts: EarnOutRow[];
}

/** Returns what a user has earned, and how it was paid. */
export async function earningsOf(dataSource: DataSource, referrals: Referrals, user: User): Promise<Earnings> {
  const mine = { where: { userId: user.id }, take: 100 };
  const newestFirst = { ...mine, order: { id: 'DESC' } } as const;
  // First, because this creates the account if there is none.
  const account = await referrals.accounts.of(user);
  const [totals, coupons, commissions, earnOuts] = await Promise.all([
    referrals.accounts.totals(user),
    referrals.channels.ofUser(user),
    referrals.commissions.search(newestFirst),
    referrals.earnOuts.search(newestFirst),
  ]);
  const buyers = await dataSource.manager.findBy(User, {
    id: In([...new Set(commissions.map((one) => one.refereeId))]),
  });
  const names = new Map(buyers.map(({ id, name }) => [id, name]));
  const codes = new Map(coupons.map(({ id, code }) => [id, code]));
  const rows = commissions.map(({ createdAt, refereeId, channelId, earned, amount, status }) => ({
    at: createdAt,
    buyer: names.get(refereeId) ?? 'Somebody',
    coupon: channelId === null ? null : (codes.get(channelId) ?? null),
    earned,
    left: amount,
    status,
  }));
  return { account, totals, coupons, commissions: rows, earnOuts: earnOuts.map(earnOutRow) };
}

function earnOutRow(earnOut: ReferralEarnOut): EarnOutRow {
  const { createdAt, amount, payoutEmail } = earnOut;
  return {
    at: createdAt,
    amount,
    as: payoutEmail === null ? 'credit' : `money to ${payoutEmail}`,
    state: stateOf(earnOut),
  };
}

function stateOf({
  status,
  mode,
  errorReason,
  submittedAt,
  attempts,
  claimedUntil,
  nextAttemptAt,
}: ReferralEarnOut): string {
  if (status !== 'processing') return errorReason === null ? status : `${status}: ${errorReason}`;
  if (submittedAt) return 'sent to the bank, which has not confirmed it yet';
  if (mode === 'payout' && nextAttemptAt === null) return 'the bank does not answer, so we look into it';
  return attempts > 0 && claimedUntil === null ? 'the bank did not answer, so we ask again' : 'in progress';
}
