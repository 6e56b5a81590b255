import { IncomingMessage } from 'node:http';
import type { Request, RequestHandler } from 'express';
import { attach } from './database/attachment';
import type { Listener, ReferralEvents } from './database/events';
import { refuseNames } from './database/names';
import { entities } from './entities';
import { currencyFormat } from './entities/columns';
import { registry } from './entities/instance';
import type { Referral } from './entities/referral';
import type { ReferralUsage } from './entities/referral-usage';
import { referralError } from './errors';
import { formatAmount } from './format-amount';
import { admin } from './http/admin/admin';
import { api } from './http/api/api';
import { LinkFollower } from './http/link-follower';
import { linkRouter } from './http/link-router';
import { type Listener as LinkListener, listenerOf } from './http/listener';
import { middleware } from './http/middleware';
import { type Pages, userPages } from './http/pages/pages';
import { limitCouponTries, limitsOf } from './http/rate-limits';
import { textsByLanguage, wrongText } from './http/views/texts/texts';
import { refused } from './option-checks';
import { type ReferralsOptions, settingsOf } from './options';
import type { Coupons } from './rewards/commissions/coupons';
import type { RecordedPurchase } from './rewards/commissions/purchases';
import type { RecordedRefund } from './rewards/commissions/refunds';
import type { QualifiedSignup } from './rewards/commissions/signup-commissions';
import type { Explanation } from './rewards/explain/explanation';
import { type Managers, wireRewards } from './rewards/rewards';
import { explainSignup, type SignupExplanation } from './rewards/signups/signup-explanation';
import { type Verification, verify, type VerifyOptions } from './rewards/verify/verify';
import { wireTracking } from './tracking/tracking';
import type { StaffOptions } from './types/audit';
import type { PurchaseInput, QualifyInput, Quote, QuoteOptions, RefundInput, UndoInput } from './types/commissions';
import type { Amount, UserRef, WithManager } from './types/common';
import type { EarnOutProgress, RunEarnOutsOptions } from './types/earn-outs';
import type { UsageInput } from './types/signups';
import type { UserChange } from './types/users';

declare global {
  // Express' types are extended by merging into this global namespace. There is no other way.
  // eslint-disable-next-line @typescript-eslint/no-namespace
  namespace Express {
    interface Request {
      /**
       * Returns the referral that the visitor of this request came through; null if there is none. The result is cached
       * for the request. It needs at most one look-up, and none for a visitor who was never referred.
       * `referrals.middleware` adds this method.
       */
      referralForRequest(): Promise<Referral | null>;
    }
  }
}

/** The result of {@link createReferrals}: the parts to mount, and the calls. */
export interface Referrals extends Managers {
  /** Mount it for the whole app, after the session and before `router`: `app.use(referrals.middleware)`. */
  readonly middleware: RequestHandler;
  /**
   * Serves the links (`GET /:code`), creates links (`POST /`), and serves the script of `createForm`
   * (`GET /create-link.js`). Mount it at the option `linkPath`: `app.use('/r', referrals.router)`.
   */
  readonly router: RequestHandler;
  /**
   * Answers links at the server, before the app: `http.createServer(referrals.listener(app))`. It does what `router` does for
   * `GET` and `HEAD` of a link, at a fraction of the time, and passes every other request on to the app, also links with a
   * code that does not exist. It works with `https`, `http2` and any app that is a request handler. Middleware of the app
   * does not see the links. Mount `middleware` and `router` all the same.
   *
   * There is no session at that place. The click of a user who is signed in is recorded as a visitor's, and becomes the
   * user's in the next request that passes `middleware`. Clicks on the user's own links are then taken back, where
   * `selfReferral` is `'block'`.
   *
   * @throws ReferralError `LISTENER_NEEDS_COOKIE` with the option `visitor: 'session'`; `INVALID_INPUT` naming the field.
   */
  readonly listener: LinkListener;
  /**
   * The JSON API for users' own earnings: `app.use('/api/v2/referral', referrals.api)`. `GET openapi.json` describes
   * it.
   */
  readonly api: RequestHandler;
  /**
   * The signed-in user's own pages: `app.use('/referrals', referrals.pages)`, after `middleware`. If it is mounted elsewhere, set
   * the option `pages.path`.
   */
  readonly pages: Pages;
  /**
   * Returns the first page of `pages` as HTML for a page of the host's: the user's link and figures. Its style and script are loaded
   * from where `pages` is mounted, so `pages.path` must say where that is. Empty for nobody. The page itself can also be shown in a
   * frame: `<iframe src="/referrals/embed">`.
   *
   * @throws ReferralError `DATABASE_UNAVAILABLE`.
   */
  embed(req: Request): Promise<string>;
  /**
   * Returns HTML for landing pages: who has invited the visitor, and what the visitor gets. Empty for a visitor who came through no
   * referral, on the own link, after the sign-up, and while the database is away, which the option `onError` is told.
   *
   * @throws ReferralError `MIDDLEWARE_MISSING`.
   */
  referralBanner(req: Request): Promise<string>;
  /**
   * The pages of staff: `app.use('/admin/referrals', referrals.admin)`, after `middleware`. Lists with search and CSV, the story of
   * each referral and user, everything that staff do, and the health of the whole. Who is of the staff says the option `staff`;
   * everybody else gets 403.
   *
   * @throws ReferralError `STAFF_MISSING` when it is read without the option `staff`.
   */
  readonly admin: RequestHandler;
  /**
   * Limits the attempts to apply coupons by a form of the host's own, so that codes can't be guessed: 5 a minute for each
   * user, or for each address while nobody is signed in. Attempts by the JSON API are counted together with them. Above
   * the limit it passes `TOO_MANY_ATTEMPTS` (429) to the host's error handler, and sets `Retry-After`.
   *
   * @example
   * app.post('/basket/coupon', referrals.limitCouponTries, applyCoupon);
   */
  readonly limitCouponTries: RequestHandler;
  /**
   * Returns the id of the visitor of a request, a UUID, for the metadata of a checkout: the purchase can be recorded by
   * a webhook before the buyer's first page after sign-in, and names the visitor (`recordPurchase(buyer, { visitorId })`).
   * Null for a visitor who came through no referral, and once the visitor is signed in: then the user is known.
   *
   * @throws ReferralError `MIDDLEWARE_MISSING`.
   */
  visitorId(req: Request): string | null;
  /**
   * Formats an amount in the program's currency for pages and mails: `'1234.50'` is `'1.234,50 €'` with the locale `'de'` in a
   * program of euros. Like the export `formatAmount`, which takes the currency, for example that of a purchase.
   *
   * @throws ReferralError `INVALID_INPUT` naming the field.
   */
  formatAmount(amount: Amount, locale: string): string;
  /** Applies, shows and removes users' coupons. */
  readonly coupons: Coupons;
  /**
   * Calls the listener for each event of this name, after the commit of the change and the release of the package's own
   * connection. What a listener throws, or rejects with, goes to the option `onError`. Events are kept in memory: if the
   * process dies after the commit, they are lost.
   *
   * @throws ReferralError `INVALID_INPUT` for an unknown event.
   */
  on<E extends keyof ReferralEvents>(event: E, listener: Listener<E>): void;
  /** Removes a listener that {@link on} has added. */
  off<E extends keyof ReferralEvents>(event: E, listener: Listener<E>): void;
  /**
   * Returns why the newest `Referral.recordSignup` of a user made no sign-up, or how the referral of the user's sign-up
   * was chosen.
   *
   * @throws ReferralError `INVALID_INPUT` naming the field; `DATABASE_UNAVAILABLE`.
   */
  explainSignup(user: UserRef, options?: WithManager): Promise<SignupExplanation>;
  /**
   * Returns why somebody was or was not credited, as facts and in sentences: what was weighed at the sign-up, the usage
   * towards a reward, credits, purchases and why each earned nothing, suspensions and holds. Of touches and purchases it
   * returns the newest 100. Without a manager, all of it is of one snapshot.
   *
   * @throws ReferralError `INVALID_INPUT` naming the field; `DATABASE_UNAVAILABLE`.
   */
  explain(user: UserRef, options?: WithManager): Promise<Explanation>;
  /**
   * Records what a user has used. When the usage of a referee since the sign-up reaches the program's threshold, the
   * referrer gets the reward. A later correction does not take it back. Usage is not a purchase: it earns no
   * commission. Idempotent by (user, reference): a repeated call returns the first record.
   *
   * @throws ReferralError `INVALID_INPUT` naming the field; `REFERENCE_REUSED` if the reference stands for another
   * amount; `DATABASE_UNAVAILABLE`.
   */
  recordUsage(user: UserRef, usage: UsageInput): Promise<ReferralUsage>;
  /**
   * Returns what a purchase would cost the buyer with the applied coupon, rounded half up to cents. Call it in the
   * transaction of the purchase (with `manager`): it locks the buyer's row, so that concurrent purchases can't get the
   * discount of the same coupon.
   *
   * @throws ReferralError `INVALID_INPUT` naming the field; `DATABASE_UNAVAILABLE`.
   */
  quote(buyer: UserRef, amount: Amount, options?: QuoteOptions): Promise<Quote>;
  /**
   * Records what a buyer paid, redeems the applied coupon, and gives the referrer a commission. The referrer is the
   * first of these that exists: the owner of the applied coupon, the referrer of the buyer's sign-up, the owner of the
   * referral that the purchase names or that a buyer without a sign-up came through, the owner of the coupon that the
   * buyer redeemed last. The rate is that of the channel, otherwise of the program, otherwise of the option `commission`. The commission is
   * rounded half up to cents, within the limit for each referee.
   *
   * A purchase without a referrer is looked at again when the buyer's sign-up or first attribution arrives within
   * `attribution.windowDays` (default 30) of it. A row of its own, `purchase.lateAttribution()`, has what is decided then.
   *
   * Idempotent by (buyer, reference): a repeated call returns the first result. The rows of the buyer and of the
   * referrer stay locked until the host's transaction ends, so make this the last call in it.
   *
   * @example
   * await dataSource.transaction(async (manager) => {
   *   const { total } = await referrals.quote(user, '49.00', { manager });
   *   const order = await manager.save(Order, { userId: user.id, total });
   *   const reference = `order-${order.id}`;
   *   const { purchase, commission } = await referrals.recordPurchase(user, { amount: total, reference, manager });
   *   console.log(commission ? `${commission.userId} earns ${commission.amount}` : purchase.noCommission);
   * });
   *
   * @throws ReferralError `INVALID_INPUT` naming the field, and `NOT_FOUND` for a referral or a code that it names, before
   * anything is written; `REFERENCE_REUSED` if the reference stands for another amount; `DATABASE_UNAVAILABLE`.
   */
  recordPurchase(buyer: UserRef, input: PurchaseInput): Promise<RecordedPurchase>;
  /**
   * Records that a purchase was paid back to the buyer, in part or in full, and lowers the commission in proportion. If
   * the commission is already in an earn-out, a later earn-out subtracts the difference. Idempotent by (buyer,
   * reference): a repeated call returns the first result.
   *
   * @throws ReferralError `INVALID_INPUT` naming the field, also for an amount above what is left of the purchase;
   * `NOT_FOUND` if there is no such purchase; `NOTHING_TO_REFUND` if it is refunded in full; `REFERENCE_REUSED` if the
   * reference stands for another refund; `DATABASE_UNAVAILABLE`.
   */
  recordRefund(buyer: UserRef, input: RefundInput): Promise<RecordedRefund>;
  /**
   * Gives everything that a user has another id, where the host has changed the user's id: all columns in one
   * transaction. The id must be new here; for two users who are one person, call `mergeUsers`. Calls with the old id then
   * start a new user. A repeated call does nothing.
   *
   * While it writes, other calls that write wait, except clicks: milliseconds, or seconds for a referrer with a million
   * commissions. Keys of later payouts contain the new id. So if the database is restored from an older backup, rename
   * the user again before `runEarnOuts`.
   *
   * @throws ReferralError `INVALID_INPUT` naming the field, before anything is written; `USER_EXISTS` if there are rows of
   * `to`; `EARN_OUT_IN_PROGRESS` while a payment to the user is under way; `DATABASE_UNAVAILABLE`.
   */
  renameUser(from: UserRef, to: UserRef, options: StaffOptions): Promise<UserChange>;
  /**
   * Makes everything of a user that of another one, where the host has found that both are one person, or a guest has
   * signed in: all in one transaction. Then `from` has no rows. A call with that id starts a new user, and a repeated call
   * does nothing.
   *
   * - Credits, spends, purchases, commissions, clicks and codes of both are those of `into`. Both codes go on working; where
   *   they differed only in the user, one gets another label.
   * - The first sign-up stays, unless one of the two has referred the other. The other one is deleted: its code gets its use
   *   back, its usage no longer counts, and the credits that it has granted stay, as credits by hand.
   * - What the two have earned of each other is rejected, as far as it is not paid.
   * - The account keeps mode and payout address of `into`, and the earlier date. Its totals add up. Where `into` has no
   *   minimum or no commission terms, those of `from` go on. A suspension of either goes on.
   * - A ban of either goes on: the other account is banned first, as `accounts.ban` does, so what is not paid to it is
   *   rejected.
   * - What a review holds of either stays held, and so is what the other one has earned as far as the review is about it.
   * - The coupon that `into` has applied stays, else that of `from`. A coupon that both have redeemed gets a redemption
   *   back; one of their own comes off.
   *
   * While it writes, other calls that write wait, except clicks; see {@link renameUser}.
   *
   * @throws ReferralError `INVALID_INPUT` naming the field, before anything is written; `REFERENCES_CLASH` if both have used
   * the same reference; `EARN_OUT_IN_PROGRESS` while a payment to `from` is under way; `DATABASE_UNAVAILABLE`.
   */
  mergeUsers(from: UserRef, into: UserRef, options: StaffOptions): Promise<UserChange>;
  /**
   * Says that the user of a sign-up qualifies: where the terms say `qualify`, the sign-up earns the referrer its commission
   * (`signup`) by this call, otherwise it has earned it at the sign-up. Decided once for each sign-up: every later call
   * returns the first result, whatever its reference is. `signup.noCommission` says why it earned nothing.
   *
   * @example
   * await referrals.qualify(user, { reference: `trial-${trial.id}` });
   *
   * @throws ReferralError `INVALID_INPUT` naming the field; `NOT_SIGNED_UP` for a user without a sign-up;
   * `DATABASE_UNAVAILABLE`.
   */
  qualify(user: UserRef, input: QualifyInput): Promise<QualifiedSignup>;
  /**
   * Undoes a refund, for example when a dispute is won: puts back what it took of the purchase and of the commission, also
   * if later purchases have used the room of the limit for the referee. If an earn-out has subtracted it, a later one pays
   * it. A rejected commission stays rejected. A coupon that the refund gave back (`restoreOnRefund`) is redeemed again; if the
   * buyer has redeemed it for another purchase, or others have used it up, that stays. The reference of the refund stays
   * used: a repeated call returns the first result, as does `recordRefund` with it. Emits `refundUndone`.
   *
   * @throws ReferralError `INVALID_INPUT` naming the field; `NOT_FOUND` if there is no such refund; `DATABASE_UNAVAILABLE`.
   */
  undoRefund(buyer: UserRef, input: UndoInput): Promise<RecordedRefund>;
  /**
   * Pays each account that is due and has at least the minimum available: in the mode `credits` with credit, in the
   * mode `payout` by the option `earnOuts.payout`. Call it from a cron job. Several processes may run it at the same
   * time: each commission is paid once. If a process dies, a later run continues its work.
   *
   * @throws ReferralError `INVALID_INPUT`; `DATABASE_UNAVAILABLE`. A payout that is refused does not throw: it is
   * counted as `failed`. One whose result is not known is reported to the option `onError`, and is tried again later.
   */
  runEarnOuts(options?: RunEarnOutsOptions): Promise<EarnOutProgress>;
  /**
   * Checks the invariants of all data, in one snapshot and without row locks. It reads every row of the ledger, which
   * takes seconds for a million entries. With `payouts` it also compares payouts with the payment provider.
   *
   * @throws ReferralError `DATABASE_UNAVAILABLE`. If an invariant does not hold, it does not throw: `ok` is false in the
   * result, which lists the problems.
   */
  verify(options?: VerifyOptions): Promise<Verification>;
  /**
   * Refuses new work with `CLOSED`, and waits for the work in progress: also for calls of `earnOuts.payout`, whose results
   * are stored. The DataSource stays open, because it is the host's.
   */
  close(): Promise<void>;
}

/**
 * Creates the referral program on a DataSource. There is one instance for each DataSource at a time.
 *
 * @example
 * const referrals = createReferrals({
 *   dataSource,
 *   baseUrl: 'https://shop.example',
 *   secret: process.env.REFERRALS_SECRET!,
 *   user: (req) => req.session.userId,
 * });
 * app.use(referrals.middleware);
 * app.use('/r', referrals.router);
 *
 * @throws ReferralError for an unknown or wrong option, and for a DataSource that is not initialised, is not
 * PostgreSQL, or lacks the package's entities. The message says what to do.
 */
export function createReferrals(options: ReferralsOptions): Referrals {
  if (isRequest(options)) throw referralError('NOT_A_MIDDLEWARE');
  const settings = settingsOf(options);
  const { dataSource } = settings;
  if (dataSource.options.type !== 'postgres') throw referralError('NOT_POSTGRES', dataSource.options.type);
  if (!dataSource.isInitialized) throw referralError('NOT_INITIALIZED');
  const missing = entities.filter((entity) => !dataSource.hasMetadata(entity)).map(({ name }) => name);
  if (missing.length > 0) throw referralError('ENTITIES_MISSING', missing);

  refuseNames(dataSource);
  const wrong = wrongText(settings.pages.texts);
  if (wrong !== null)
    throw refused('pages.texts', `only words that the pages have, and ${wrong} is none of them`, wrong);
  const texts = textsByLanguage(settings.pages.texts);

  const unknown = settings.targetTypes.find((type) => typeof type !== 'string' && !dataSource.hasMetadata(type));
  if (unknown) throw refused('targetTypes', 'entity classes of the DataSource, or words', unknown);

  const tracking = wireTracking(settings);
  const rewards = wireRewards(settings, tracking);
  registry.add(dataSource, {
    referrals: tracking.calls,
    signups: rewards.signups,
    records: rewards.records,
    clock: tracking.clock,
  });
  // The methods of an entity need its instance, and its amounts their format, also if the host loads it through TypeORM.
  const format = currencyFormat(settings.currency);
  const owners = entities.map((entity) => ({
    listenTo: () => entity,
    afterLoad: (loaded: object) => format(registry.own(loaded, dataSource), dataSource.getMetadata(entity).columns),
  }));
  const detach = attach(dataSource, [tracking.events.subscriber, ...owners]);
  // Reads the database's time. If the migrations have not run, the option `onError` gets an error at start-up already.
  tracking.start().catch(settings.onError);

  const limits = limitsOf(settings);
  const follower = new LinkFollower(tracking);
  let staffPages: RequestHandler | null = null;
  const own = userPages(tracking, rewards, texts);
  let closed: Promise<void> | null = null;
  async function close(): Promise<void> {
    await Promise.all([tracking.close(), rewards.close()]);
    detach();
    registry.remove(dataSource);
  }

  const made: Omit<Referrals, 'admin'> = {
    middleware: middleware(tracking),
    router: linkRouter(tracking, follower),
    listener: listenerOf(tracking, follower),
    api: api(tracking, rewards, limits),
    pages: own.pages,
    embed: own.embed,
    referralBanner: own.banner,
    limitCouponTries: limitCouponTries(settings, limits),
    visitorId: (req) => tracking.visitors.seen(req, 'visitorId').touch?.visitorId ?? null,
    formatAmount: (amount, locale) => formatAmount(amount, locale, settings.currency.code),
    coupons: rewards.coupons,
    on: (event, listener) => tracking.events.on(event, listener),
    off: (event, listener) => tracking.events.off(event, listener),
    ...rewards.managers,
    explainSignup: (user, options) => explainSignup(rewards.database, user, options),
    explain: (user, options) => rewards.explanations.explain(user, options),
    recordUsage: (user, usage) => rewards.usages.record(user, usage),
    quote: (buyer, amount, options) => rewards.coupons.quote(buyer, amount, options),
    recordPurchase: (buyer, input) => rewards.purchases.record(buyer, input),
    recordRefund: (buyer, input) => rewards.refunds.record(buyer, input),
    renameUser: (from, to, options) => rewards.userChanges.rename(from, to, options),
    mergeUsers: (from, into, options) => rewards.userChanges.merge(from, into, options),
    qualify: (user, input) => rewards.signupCommissions.qualify(user, input),
    undoRefund: (buyer, input) => rewards.undoneRefunds.undo(buyer, input),
    runEarnOuts: (options) => rewards.earnOuts.run(options),
    verify: (options) => verify(rewards.database, tracking.clock, settings, options),
    close: () => (closed ??= close()),
  };
  // Without the option `staff`, reading it throws, but not a copy of all parts.
  return Object.defineProperty(made as Referrals, 'admin', {
    enumerable: settings.staff !== null,
    get: () => (staffPages ??= admin(tracking, rewards, texts)),
  });
}

function isRequest(value: unknown): boolean {
  try {
    return value instanceof IncomingMessage;
  } catch {
    return false; // a proxy that throws: the check of the options refuses it
  }
}
