import type { UserRef } from './common';

/** What commissions become at an earn-out: credit to spend, or money paid out. */
export type EarningMode = 'credits' | 'payout';

export interface AccountInput {
  user: UserRef;
}

export interface AccountChanges {
  mode?: EarningMode;
  /** Where payouts go; null only in the mode `credits`. */
  payoutEmail?: string | null;
}

/** What a user's account adds up to. Amounts are net of refunds, as decimal strings. */
export interface AccountTotals {
  /** Available commissions in the mode `credits` that wait for an earn-out; below 0 where more was refunded since the last one. */
  creditsEarned: string;
  /** The same in the mode `payout`. */
  payoutsEarned: string;
  /** All commissions ever in the mode `credits`, those that are pending or paid among them. */
  totalCreditsEarned: string;
  /** The same in the mode `payout`. */
  totalPayoutsEarned: string;
  /** How many users signed up or bought through the user. */
  usersReferred: number;
  /** How many of those have paid. */
  usersUpgraded: number;
  /** When the next period of earn-outs begins. What was due before and is not paid yet does not wait for it. */
  nextEarnOutAt: Date;
}

/** How far `runEarnOuts` has come. */
export interface EarnOutProgress {
  /** Earn-outs made. */
  bound: number;
  completed: number;
  failed: number;
  /** What the completed ones amount to, as a decimal string. */
  amount: string;
}

export interface RunEarnOutsOptions {
  /** Is told after each batch. */
  onProgress?: (progress: EarnOutProgress) => unknown;
}
