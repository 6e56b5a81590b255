import { EventEmitter } from 'node:events';
import type { EntityManager, EntitySubscriberInterface, QueryRunner } from 'typeorm';
import type { ReferralAccount } from '../entities/referral-account';
import type { ReferralCommission } from '../entities/referral-commission';
import type { ReferralCredit } from '../entities/referral-credit';
import type { ReferralCreditSpend } from '../entities/referral-credit-spend';
import type { ReferralEarnOut } from '../entities/referral-earn-out';
import type { ReferralPurchase } from '../entities/referral-purchase';
import type { ReferralRefund } from '../entities/referral-refund';
import type { ReferralResponse } from '../entities/referral-response';
import type { ReferralReview } from '../entities/referral-review';
import type { ReferralSignup } from '../entities/referral-signup';
import { invalid } from '../errors';
import type { MovedPast } from '../types/signups';
import { callHost } from './own-runners';

/**
 * The events of an instance, and the arguments of their listeners. Each event is emitted after the commit of the
 * change.
 */
export interface ReferralEvents {
  /** A rule of the option `fraud` has flagged something for the first time. */
  reviewOpened: [review: ReferralReview];
  /** A response was recorded: a click, or an action. */
  response: [response: ReferralResponse];
  /** The user of an anonymous visitor's response became known. Emitted once for each response. */
  userLinkedToResponse: [response: ReferralResponse];
  /** A sign-up was made. Not emitted by a call that returns an earlier sign-up. */
  signup: [signup: ReferralSignup];
  /**
   * Staff have made a sign-up point to another referral. `before`: the earlier referrer, and what of the past commissions was
   * moved; null for `past: 'keep'`.
   */
  signupReassigned: [signup: ReferralSignup, before: { referrerId: string | null; past: MovedPast | null }];
  /** Everything of the user `from` is that of `into` now, because staff have merged the two. */
  usersMerged: [users: { from: string; into: string; rows: number }];
  /** A payout was made ready and waits for `earnOuts.approve`. */
  earnOutAwaitsApproval: [earnOut: ReferralEarnOut];
  /** A user got a credit: for a sign-up, as a reward, from an earn-out, or by `credits.create`. */
  creditGranted: [credit: ReferralCredit];
  /** Credit was spent, or a hold was captured. */
  creditSpent: [spend: ReferralCreditSpend];
  /** A purchase was recorded. */
  purchase: [purchase: ReferralPurchase];
  /** A purchase earned its referrer a commission. */
  commissionEarned: [commission: ReferralCommission];
  /** A refund lowered a commission. If `revertedAt` is set, the purchase is refunded in full. */
  commissionReverted: [commission: ReferralCommission, refund: ReferralRefund];
  /** A refund was undone. The commission is that of the purchase after that; null if it earned none. */
  refundUndone: [refund: ReferralRefund, commission: ReferralCommission | null];
  /** Staff rejected a commission: nothing of it is left, for good. */
  commissionRejected: [commission: ReferralCommission];
  /**
   * An earn-out has the `status` `completed`, `failed` or `returned` now. Or it is `processing`, nobody knows whether it
   * was paid, and it waits for the host's staff from now on.
   */
  earnOut: [earnOut: ReferralEarnOut];
  /**
   * The payout address of an account has changed. `before` is the old address, masked, as in `a***@example.com`; null if
   * there was none. Tell the user, `account.userId`: payouts wait for `earnOuts.addressHoldDays`, unless it is the first one.
   */
  payoutAddressChanged: [account: ReferralAccount, before: string | null];
}

const names: ReadonlySet<string> = new Set(
  Object.keys({
    reviewOpened: true,
    response: true,
    userLinkedToResponse: true,
    signup: true,
    signupReassigned: true,
    usersMerged: true,
    earnOutAwaitsApproval: true,
    creditGranted: true,
    creditSpent: true,
    purchase: true,
    commissionEarned: true,
    commissionReverted: true,
    refundUndone: true,
    commissionRejected: true,
    earnOut: true,
    payoutAddressChanged: true,
  } satisfies Record<keyof ReferralEvents, true>),
);

function refuseUnknown(event: unknown, listener: unknown): void {
  if (!names.has(event as string)) throw invalid('event', [...names].join(' or '), event);
  if (typeof listener !== 'function') throw invalid('listener', 'a function', listener);
}

export type Listener<E extends keyof ReferralEvents> = (...args: ReferralEvents[E]) => unknown;

/**
 * Emits events after their change is committed. Without a transaction, that is immediately; in a transaction, when the
 * outermost transaction of the query runner commits, and a query runner of our own is released. If that transaction, or
 * the savepoint of the change, is rolled back, the event is dropped.
 */
export class Events {
  readonly #emitter = new EventEmitter({ captureRejections: false });
  readonly #onError: (error: unknown) => void;
  /**
   * For each query runner: the open transaction and its savepoints, outermost first, each with the events that wait for
   * its commit.
   */
  readonly #waiting = new WeakMap<QueryRunner, (() => void)[][]>();

  /** Must be added to the DataSource's subscribers, because TypeORM reports transactions only to subscribers. */
  readonly subscriber: EntitySubscriberInterface = {
    afterTransactionStart: ({ queryRunner }) => {
      this.#levels(queryRunner).push([]);
    },
    afterTransactionCommit: ({ queryRunner }) => {
      const levels = this.#levels(queryRunner);
      const committed = levels.pop() ?? [];
      if (queryRunner.isTransactionActive) this.#innermost(levels).push(...committed);
      else for (const emit of committed) callHost(emit, queryRunner);
    },
    afterTransactionRollback: ({ queryRunner }) => {
      this.#levels(queryRunner).pop();
    },
  };

  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  on<E extends keyof ReferralEvents>(event: E, listener: Listener<E>): void {
    refuseUnknown(event, listener);
    this.#emitter.on(event, listener as (...args: unknown[]) => void);
  }

  off<E extends keyof ReferralEvents>(event: E, listener: Listener<E>): void {
    refuseUnknown(event, listener);
    this.#emitter.off(event, listener as (...args: unknown[]) => void);
  }

  has(event: keyof ReferralEvents): boolean {
    return this.#emitter.listenerCount(event) > 0;
  }

  /** Emits an event after the commit of the manager's transaction; immediately if there is no transaction. */
  emit<E extends keyof ReferralEvents>(manager: EntityManager | undefined, event: E, ...args: ReferralEvents[E]): void {
    this.afterCommit(manager, () => this.#call(event, args));
  }

  /** Calls a function of the host's after the commit, in the order of the events. */
  afterCommit(manager: EntityManager | undefined, call: () => void): void {
    const runner = manager?.queryRunner;
    if (runner?.isTransactionActive) this.#innermost(this.#levels(runner)).push(call);
    else callHost(call, runner);
  }

  /**
   * Calls the listeners. What a listener throws, or rejects with, goes to the option `onError` and does not affect the
   * other listeners.
   */
  #call(event: string, args: unknown[]): void {
    for (const listener of this.#emitter.listeners(event) as ((...args: unknown[]) => unknown)[]) {
      try {
        Promise.resolve(listener(...args)).catch(this.#onError);
      } catch (error) {
        this.#onError(error);
      }
    }
  }

  #levels(runner: QueryRunner): (() => void)[][] {
    let levels = this.#waiting.get(runner);
    if (!levels) this.#waiting.set(runner, (levels = []));
    return levels;
  }

  /**
   * Returns the waiting events of the innermost savepoint. A transaction that began before this instance was created
   * has no level yet: this adds it.
   */
  #innermost(levels: (() => void)[][]): (() => void)[] {
    if (levels.length === 0) levels.push([]);
    return levels.at(-1)!;
  }
}
