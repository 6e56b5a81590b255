import { EventEmitter } from 'node:events';
import type { EntityManager, EntitySubscriberInterface, QueryRunner } from 'typeorm';
import type { ReferralCommission } from '../entities/referral-commission';
import type { ReferralCredit } from '../entities/referral-credit';
import type { ReferralCreditSpend } from '../entities/referral-credit-spend';
import type { ReferralEarnOut } from '../entities/referral-earn-out';
import type { ReferralPurchase } from '../entities/referral-purchase';
import type { ReferralRefund } from '../entities/referral-refund';
import type { ReferralResponse } from '../entities/referral-response';
import type { ReferralSignup } from '../entities/referral-signup';
import { invalid } from '../errors';

/** The events of an instance and what their listeners get. Each is emitted after the commit of what it tells. */
export interface ReferralEvents {
  /** A response was recorded: a click, or an action. */
  response: [response: ReferralResponse];
  /** An anonymous visitor's response got its user; once for each response. */
  userLinkedToResponse: [response: ReferralResponse];
  /** A sign-up was made; not for a call that answers an earlier one. */
  signup: [signup: ReferralSignup];
  /** A user got a credit: a side of a sign-up, or one given by hand. */
  creditGranted: [credit: ReferralCredit];
  /** Credit was spent, or a hold captured. */
  creditSpent: [spend: ReferralCreditSpend];
  /** A purchase was recorded. */
  purchase: [purchase: ReferralPurchase];
  /** A purchase earned its referrer a commission. */
  commissionEarned: [commission: ReferralCommission];
  /** A refund took from a commission: all of it, if its `revertedAt` is set, else a part. */
  commissionReverted: [commission: ReferralCommission, refund: ReferralRefund];
  /** An earn-out was completed, or failed: its `status` says which. */
  earnOut: [earnOut: ReferralEarnOut];
}

const names: ReadonlySet<string> = new Set(
  Object.keys({
    response: true,
    userLinkedToResponse: true,
    signup: true,
    creditGranted: true,
    creditSpent: true,
    purchase: true,
    commissionEarned: true,
    commissionReverted: true,
    earnOut: true,
  } satisfies Record<keyof ReferralEvents, true>),
);

export type Listener<E extends keyof ReferralEvents> = (...args: ReferralEvents[E]) => unknown;

/**
 * Emits events once what they tell is committed: at once outside of a transaction, else when the outermost transaction
 * of the host's query runner commits; never when it, or the savepoint that the event belongs to, is rolled back.
 */
export class Events {
  readonly #emitter = new EventEmitter({ captureRejections: false });
  readonly #onError: (error: unknown) => void;
  /** For each transaction or savepoint that is open on a query runner, outermost first, what waits for its commit. */
  readonly #waiting = new WeakMap<QueryRunner, (() => void)[][]>();

  /** To be pushed into the DataSource's subscribers: TypeORM tells of transactions only there. */
  readonly subscriber: EntitySubscriberInterface = {
    afterTransactionStart: ({ queryRunner }) => {
      this.#levels(queryRunner).push([]);
    },
    afterTransactionCommit: ({ queryRunner }) => {
      const levels = this.#levels(queryRunner);
      const committed = levels.pop() ?? [];
      if (queryRunner.isTransactionActive) this.#innermost(levels).push(...committed);
      else for (const emit of committed) emit();
    },
    afterTransactionRollback: ({ queryRunner }) => {
      this.#levels(queryRunner).pop();
    },
  };

  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  on<E extends keyof ReferralEvents>(event: E, listener: Listener<E>): void {
    if (!names.has(event)) throw invalid('event', [...names].join(' or '), event);
    this.#emitter.on(event, listener as (...args: unknown[]) => void);
  }

  off<E extends keyof ReferralEvents>(event: E, listener: Listener<E>): void {
    this.#emitter.off(event, listener as (...args: unknown[]) => void);
  }

  has(event: keyof ReferralEvents): boolean {
    return this.#emitter.listenerCount(event) > 0;
  }

  /** Emits after the commit of the manager's transaction; at once where there is none. */
  emit<E extends keyof ReferralEvents>(manager: EntityManager | undefined, event: E, ...args: ReferralEvents[E]): void {
    const runner = manager?.queryRunner;
    if (runner?.isTransactionActive) this.#innermost(this.#levels(runner)).push(() => this.#call(event, args));
    else this.#call(event, args);
  }

  /** A listener's failure, thrown or rejected, is the listener's: it reaches `onError` and nobody else. */
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

  /** A transaction that began before this instance did has no level yet. */
  #innermost(levels: (() => void)[][]): (() => void)[] {
    if (levels.length === 0) levels.push([]);
    return levels.at(-1)!;
  }
}
