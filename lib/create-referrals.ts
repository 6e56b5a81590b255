import { IncomingMessage } from 'node:http';
import type { RequestHandler } from 'express';
import type { Listener, ReferralEvents } from './database/events';
import { entities } from './entities';
import { registry } from './entities/instance';
import type { Referral } from './entities/referral';
import type { ReferralUsage } from './entities/referral-usage';
import { referralError } from './errors';
import { api } from './http/api/api';
import { linkRouter } from './http/link-router';
import { middleware } from './http/middleware';
import { type ReferralsOptions, settingsOf } from './options';
import type { Coupons } from './rewards/commissions/coupons';
import type { RecordedPurchase, RecordedRefund } from './rewards/commissions/purchases';
import { type Managers, wireRewards } from './rewards/rewards';
import { explainSignup, type SignupExplanation } from './rewards/signups/signup-explanation';
import { type Verification, verify } from './rewards/verify/verify';
import { wireTracking } from './tracking/tracking';
import type { PurchaseInput, Quote, RefundInput } from './types/commissions';
import type { Amount, UserRef, WithManager } from './types/common';
import type { EarnOutProgress, RunEarnOutsOptions } from './types/earn-outs';
import type { UsageInput } from './types/signups';

declare global {
  // The one way that Express' types are extended by.
  // eslint-disable-next-line @typescript-eslint/no-namespace
  namespace Express {
    interface Request {
      /**
       * The referral that this request's visitor came through, or null. At most one look-up, remembered for the
       * request; none for a visitor who was never referred. Attached by `referrals.middleware`.
       */
      referralForRequest(): Promise<Referral | null>;
    }
  }
}

/** What {@link createReferrals} answers. */
export interface Referrals extends Managers {
  /** To be mounted for the whole app, after the session and before the router: `app.use(referrals.middleware)`. */
  readonly middleware: RequestHandler;
  /** The links, `GET /:code`, and `POST /`: `app.use('/r', referrals.router)`, at the option `linkPath`. */
  readonly router: RequestHandler;
  /** The JSON API of a user's own earnings: `app.use('/api/v2/referral', referrals.api)`. `GET openapi.json` describes it. */
  readonly api: RequestHandler;
  /** The coupons that users have applied. */
  readonly coupons: Coupons;
  /** Calls the listener after the commit of each such event. What a listener throws reaches the option `onError` only. */
  on<E extends keyof ReferralEvents>(event: E, listener: Listener<E>): void;
  off<E extends keyof ReferralEvents>(event: E, listener: Listener<E>): void;
  /** Why the newest `Referral.recordSignup` of a user credited nobody, or what was weighed for the sign-up that they have. */
  explainSignup(user: UserRef, options?: WithManager): Promise<SignupExplanation>;
  /**
   * Records what a user has used. The usage of a referee since the sign-up adds up, and rewards the referrer once it reaches the
   * program's threshold; a reward that was given stays, whatever is corrected later. Idempotent by (user, reference): the
   * same again answers the first record.
   *
   * @throws ReferralError `INVALID_INPUT` naming the field; `REFERENCE_REUSED` for a reference that stands for another amount;
   * `DATABASE_UNAVAILABLE`.
   */
  recordUsage(user: UserRef, usage: UsageInput): Promise<ReferralUsage>;
  /**
   * What a purchase would cost the buyer with the coupon that they have applied; rounded half up to cents. In the transaction of
   * the purchase (`manager`), others of the same buyer wait, so that a coupon that is good once lowers one price.
   *
   * @throws ReferralError `INVALID_INPUT` naming the field; `DATABASE_UNAVAILABLE`.
   */
  quote(buyer: UserRef, amount: Amount, options?: WithManager): Promise<Quote>;
  /**
   * Records what a buyer paid, redeems the coupon that they have applied, and gives the referrer the commission: of the coupon's
   * owner, else of who referred the buyer's sign-up, or their attribution; at the channel's, the program's, or the option's rate;
   * rounded half up to cents, within the limit for each referee. Idempotent by (buyer, reference): the same again answers the
   * first result. Those who refer the most are waited for in a host's transaction until its commit, so call it last.
   *
   * @throws ReferralError `INVALID_INPUT` naming the field, before anything is written; `REFERENCE_REUSED` for a reference that stands
   * for another amount; `DATABASE_UNAVAILABLE`.
   */
  recordPurchase(buyer: UserRef, input: PurchaseInput): Promise<RecordedPurchase>;
  /**
   * Records what a buyer was paid back of a purchase, and takes the commission back in proportion, by an entry; what was paid out
   * already is netted by the next earn-out. Idempotent by (buyer, reference), as {@link recordPurchase}.
   *
   * @throws ReferralError `INVALID_INPUT` naming the field, also for more than is left of the purchase; `NOT_FOUND`,
   * `NOTHING_TO_REFUND`, `REFERENCE_REUSED`; `DATABASE_UNAVAILABLE`.
   */
  recordRefund(buyer: UserRef, input: RefundInput): Promise<RecordedRefund>;
  /**
   * Pays each account that is due and has the minimum available: in the mode `credits` with credit, in the mode `payout` by the option
   * `earnOuts.payout`. For a cron job; as many processes at once as you like, each commission is paid once. Whatever a run leaves
   * behind when its process dies, the next one goes on with.
   */
  runEarnOuts(options?: RunEarnOutsOptions): Promise<EarnOutProgress>;
  /** Proves on live data that all of it adds up. Reads every row of our ledger: seconds for a million entries. */
  verify(options?: WithManager): Promise<Verification>;
  /** Writes what is still in flight and takes no more. The DataSource stays open: it is the host's. */
  close(): Promise<void>;
}

/**
 * Wires the referral program to a host's DataSource. One instance per DataSource at a time.
 *
 * @throws ReferralError for an unknown or wrong option, and for a DataSource that is not initialised, not PostgreSQL, or
 * lacks our entities; the message says what to do.
 */
export function createReferrals(options: ReferralsOptions): Referrals {
  if (options instanceof IncomingMessage) throw referralError('NOT_A_MIDDLEWARE');
  const settings = settingsOf(options);
  const { dataSource } = settings;
  if (dataSource.options.type !== 'postgres') throw referralError('NOT_POSTGRES', dataSource.options.type);
  if (!dataSource.isInitialized) throw referralError('NOT_INITIALIZED');
  const missing = entities.filter((entity) => !dataSource.hasMetadata(entity)).map(({ name }) => name);
  if (missing.length > 0) throw referralError('ENTITIES_MISSING', missing);

  const unknown = settings.targetTypes.find((type) => typeof type === 'function' && !dataSource.hasMetadata(type));
  if (unknown)
    throw referralError('INVALID_OPTION', 'targetTypes', 'entity classes of the DataSource, or words', unknown);

  const tracking = wireTracking(settings);
  const rewards = wireRewards(settings, tracking);
  registry.add(dataSource, {
    referrals: tracking.calls,
    signups: rewards.signups,
    records: rewards.records,
    clock: tracking.clock,
  });
  // Entities that the host loads itself find their instance too.
  const owners = entities.map((entity) => ({
    listenTo: () => entity,
    afterLoad: (loaded: object) => void registry.own(loaded, dataSource),
  }));
  const subscribers = [tracking.events.subscriber, ...owners];
  dataSource.subscribers.push(...subscribers);
  // Learns the database's time, and says early if the migrations have not run; a database that is away says so later.
  tracking.start().catch(settings.onError);

  let closed: Promise<void> | null = null;
  async function close(): Promise<void> {
    await Promise.all([tracking.close(), rewards.close()]);
    registry.remove(dataSource);
    for (const subscriber of subscribers) dataSource.subscribers.splice(dataSource.subscribers.indexOf(subscriber), 1);
  }

  return {
    middleware: middleware(tracking),
    router: linkRouter(tracking),
    api: api(tracking, rewards),
    coupons: rewards.coupons,
    on: (event, listener) => tracking.events.on(event, listener),
    off: (event, listener) => tracking.events.off(event, listener),
    ...rewards.managers,
    explainSignup: (user, options) => explainSignup(rewards.database, user, options),
    recordUsage: (user, usage) => rewards.usages.record(user, usage),
    quote: (buyer, amount, options) => rewards.coupons.quote(buyer, amount, options),
    recordPurchase: (buyer, input) => rewards.purchases.record(buyer, input),
    recordRefund: (buyer, input) => rewards.purchases.refund(buyer, input),
    runEarnOuts: (options) => rewards.earnOuts.run(options),
    verify: (options) => verify(rewards.database, options),
    close: () => (closed ??= close()),
  };
}
