import type { UserRef } from './common';

/** What an earn-out turns commissions into: credit to spend, or money that is paid out. */
export type EarningMode = 'credits' | 'payout';

/** The input of `accounts.create`. */
export interface AccountInput {
  /** The owner of the account. */
  user: UserRef;
}

/** The changes of `accounts.update`. A field that is left out stays as it is. */
export interface AccountChanges {
  /** Applies to commissions that are earned from now on. */
  mode?: EarningMode;
  /** The e-mail address that payouts go to, up to 254 characters. Null is allowed only in the mode `credits`. */
  payoutEmail?: string | null;
}

/** The totals of a user's account. Amounts are decimal strings, net of refunds. */
export interface AccountTotals {
  /**
   * The available commissions of the mode `credits` that no earn-out has paid yet. Below 0 if refunds after the last
   * one exceed them.
   */
  creditsEarned: string;
  /** The same in the mode `payout`. */
  payoutsEarned: string;
  /** All commissions of the mode `credits`, including pending and paid ones. */
  totalCreditsEarned: string;
  /** The same in the mode `payout`. */
  totalPayoutsEarned: string;
  /** How many users signed up or bought through this user. */
  usersReferred: number;
  /** How many of those users have a purchase that was credited to this user. A refund does not lower it. */
  usersUpgraded: number;
  /** The start of the next earn-out period. An earn-out that is already due does not wait for it. */
  nextEarnOutAt: Date;
}

/** The progress, and the result, of `runEarnOuts`. */
export interface EarnOutProgress {
  /** How many earn-outs this run has created. */
  bound: number;
  /** How many earn-outs this run has paid, including those that an earlier run created and did not pay. */
  completed: number;
  /** How many earn-outs have failed in this run. */
  failed: number;
  /** The sum of the completed earn-outs, as a decimal string. */
  amount: string;
}

/** The options of `runEarnOuts`. */
export interface RunEarnOutsOptions {
  /** Is called after each batch, and awaited. Default: none. */
  onProgress?: (progress: EarnOutProgress) => unknown;
}
