import type { Request } from 'express';
import type { EntityManager } from 'typeorm';

/** What a fraud rule does with what it finds: nothing, open a review, or also hold what it earns and grants. */
export type FraudMode = 'off' | 'flag' | 'hold';

/** The rules of the option `fraud`, as a review names them. */
export type ReviewRule =
  'sharedPayoutAddress' | 'sameDevice' | 'signupsFromAddress' | 'clicksOfVisitor' | 'fastSignup' | 'rule';

/** Where a review stands. */
export type ReviewStatus = 'open' | 'allowed' | 'refused';

/** What the option `fraud.rule` is told of a sign-up. */
export interface SignupFacts {
  readonly about: 'sign-up';
  /** The owner of the referral; null for a referral of the site itself. */
  readonly referrer: string | null;
  /** The id of the user who signs up, as text. */
  readonly referee: string;
  readonly referral: { readonly id: number; readonly code: string };
  /** Whether the user typed the code, or came through the link. */
  readonly source: 'code' | 'attribution';
  /** The time of the touch that decided; null for a typed code. */
  readonly touchedAt: Date | null;
  /** The visitor's address, as the option `ip` stores it; null without a request. */
  readonly ipAddress: string | null;
  /** The `User-Agent` header; null without a request. */
  readonly userAgent: string | null;
  /** The request of the call; null for a call without one. */
  readonly req: Request | null;
  /** The host's transaction, if the call has one. */
  readonly manager: EntityManager | undefined;
}

/** What the option `fraud.rule` is told of a purchase. */
export interface PurchaseFacts {
  readonly about: 'purchase';
  /**
   * The owner of the referral that the purchase names or is attributed to, otherwise the referrer of the buyer's sign-up; null
   * if neither is known. A coupon can make it another.
   */
  readonly referrer: string | null;
  /** The id of the buyer, as text. */
  readonly referee: string;
  /** What is paid, as a decimal string in `currency`. */
  readonly amount: string;
  /** The code of ISO 4217 of the currency of `amount`: the one that the call names, else the program's. */
  readonly currency: string;
  readonly reference: string;
  /** The time of the payment; null for now. */
  readonly at: Date | null;
  /** The host's transaction, if the call has one. */
  readonly manager: EntityManager | undefined;
}

/** Returns what looks wrong about a sign-up or a purchase, as a sentence; null if nothing does. */
export type FraudRule = (
  facts: SignupFacts | PurchaseFacts,
) => string | null | undefined | Promise<string | null | undefined>;
