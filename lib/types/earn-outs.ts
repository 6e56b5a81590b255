import type { StaffOptions } from './audit';
import type { CommissionTerms } from './commissions';
import type { Amount, UserRef } from './common';

/** What an earn-out turns commissions into: credit to spend, or money that is paid out. */
export type EarningMode = 'credits' | 'payout';

/** What became of an earn-out. */
export type EarnOutStatus = 'processing' | 'completed' | 'failed' | 'returned';

/**
 * What the option `earnOuts.payout` returns. Nothing, or the provider's reference alone (1–255 characters): the user is
 * paid. With `status: 'submitted'`: the provider has accepted the payment, and tells its result later, which the host
 * passes to `earnOuts.settle`.
 */
export type PayoutResult = undefined | void | { reference: string } | { status: 'submitted'; reference: string };

/** The input of `earnOuts.settle`: what a provider reports about one payment. */
export interface EarnOutReport extends StaffOptions {
  /** The earn-out's `idempotencyKey`. Give it, the `reference`, or both. */
  key?: string | null | undefined;
  /** The provider's reference. With a `key`, it is stored, unless the earn-out has one already. */
  reference?: string | null | undefined;
  /**
   * `completed`: the user was paid. `failed`: surely not paid, and never will be. `returned`: paid, and the money came
   * back.
   */
  status: 'completed' | 'failed' | 'returned';
  /** Why it failed or was returned, for the referrer and for `referrals.audit`; the first 500 characters are stored. */
  reason?: string | null | undefined;
}

/** One payment in the provider's list, for `earnOuts.reconcile`. */
export interface ProviderPayment {
  /** The idempotency key under which it was made. */
  key: string;
  /** The provider's reference. Default: none. */
  reference?: string | null | undefined;
  /** What was paid; above 0. */
  amount: Amount;
  /** The user who was paid. */
  user: UserRef;
  /** When it was paid. */
  at: Date;
}

/** The result of `earnOuts.reconcile`. Amounts are decimal strings. */
export interface Reconciliation {
  /** How many payments the database knew already, as completed or returned earn-outs. */
  known: number;
  /** How many earn-outs it knew, but not that they were paid. They are completed now. */
  completed: number;
  /** How many payments it had forgotten. Each is a completed earn-out now. */
  booked: number;
  /** The part of these payments for which nothing was available. Later earn-outs subtract it. */
  debt: string;
}

/** What the payment provider says about a key. `unknown` if it can't tell. */
export type ProviderAnswer = 'paid' | 'not paid' | 'unknown';

/** Asks the payment provider about the payment under a key, for `verify`. May be async. */
export type PayoutInquiry = (key: string) => ProviderAnswer | Promise<ProviderAnswer>;

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
  /**
   * Terms of this account alone, which go before those of channels, programs and the option `commission`; null for none. They
   * apply to what is earned from now on. A change replaces them as a whole.
   */
  commission?: CommissionTerms | null;
}

/** An amount that is available, and that no earn-out can pay until something changes. */
export interface BlockedEarnings {
  /** A decimal string. */
  amount: string;
  /**
   * `no-payout-option`: the host has not set the option `earnOuts.payout`. `no-payout-address`: the account has no
   * `payoutEmail`.
   */
  reason: 'no-payout-address' | 'no-payout-option';
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
  /** When the next earn-out is due. If one is due already, it is the past moment from which on it has been. */
  nextEarnOutAt: Date;
  /** What can't be paid until something changes; null if nothing is blocked. */
  blocked: BlockedEarnings | null;
}

/** The progress, and the result, of `runEarnOuts`. */
export interface EarnOutProgress {
  /** How many earn-outs this run has created. */
  bound: number;
  /** How many earn-outs this run has paid, including those that an earlier run created and did not pay. */
  completed: number;
  /**
   * How many earn-outs have failed in this run: the provider refused them. A payout whose result is not known counts
   * neither as completed nor as failed.
   */
  failed: number;
  /** The sum of the completed earn-outs, as a decimal string. */
  amount: string;
}

/** Which payouts wait for `earnOuts.approve`: see the option `earnOuts.approve`. */
export type PayoutApproval = 'all' | 'new-accounts' | 'none';

/** The options of `runEarnOuts`. */
export interface RunEarnOutsOptions {
  /** Is called after each batch, and awaited. Default: none. */
  onProgress?: (progress: EarnOutProgress) => unknown;
  /** Which payouts that this run creates wait for `earnOuts.approve`. Default: the option `earnOuts.approve`. */
  approve?: PayoutApproval | undefined;
}
