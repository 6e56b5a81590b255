import type { IncomingMessage } from 'node:http';
import type { Request, Response } from 'express';
import type { Store } from 'express-rate-limit';
import type { DataSource, EntityManager, EntitySchema, SelectQueryBuilder } from 'typeorm';
import { currencyOf, minorUnitOf } from './currency';
import type { Referral } from './entities/referral';
import type { ReferralEarnOut } from './entities/referral-earn-out';
import type { ReferralResponse } from './entities/referral-response';
import type { SomeTexts } from './http/views/texts/texts';
import { dayMs } from './limits';
import { checkedOptions, refused } from './option-checks';
import { cookieSettings } from './option-cookie';
import { addressOfRequest, csrfFieldOfHost, randomCode, safeReporter } from './option-defaults';
import type { ReferrerLimit } from './types/commissions';
import type { Amount, UserRef } from './types/common';
import type { PayoutApproval, PayoutResult } from './types/earn-outs';
import type { PageColors, PageTemplates, StaffMember } from './types/pages';
import type { ReferralDraft } from './types/referrals';
import type { FraudMode, FraudRule } from './types/reviews';

type Awaitable<T> = T | Promise<T>;

/** Pays one earn-out with the host's payment provider. See the option `earnOuts.payout`. */
export type Payout = (earnOut: ReferralEarnOut) => Awaitable<PayoutResult>;

/**
 * The call in which the option `isSamePerson` compares two users: a sign-up, a coupon, a purchase, or a click or the
 * attribution of a signed-in user.
 */
export interface SignupContext {
  /** The request of the call; null for a call without one, such as a sign-up over an API or a purchase. */
  readonly req: Request | null;
  /** The referee, the buyer or the signed-in user, as the host gave it to the call, or its id alone. */
  readonly user: UserRef;
  /** The host's transaction, if the call has one. A user that it created can be read only through this manager. */
  readonly manager: EntityManager | undefined;
}

/**
 * The options of `createReferrals`, which checks all of them before anything else and throws on an unknown or wrong
 * one. Functions marked "may be async" may return a promise. All functions but `clock` run while the package holds no
 * connection and no transaction of its own, so they may query the same DataSource.
 */
export interface ReferralsOptions {
  /** The host's initialised DataSource on PostgreSQL, with the package's `entities` among its entities. Required. */
  dataSource: DataSource;
  /**
   * The public address of the site: an absolute http(s) URL, with a path if the app is mounted below one. For example
   * `'https://shop.example'`. Relative destinations are resolved against it as a folder. Required.
   */
  baseUrl: string;
  /**
   * The key that signs the visitor's cookie, at least 32 characters. To rotate keys, give an array, newest first: the
   * first one signs, all of them verify. Required.
   */
  secret: string | readonly string[];
  /**
   * Returns the user who is signed in: an id, an object with an `id`, or null or undefined for nobody; an empty text is
   * reported to `onError`, and means nobody. May be async. It
   * is called at sign-in, on a click, and by the calls that record or look up; not for a page view of a visitor who was
   * never referred. Required.
   */
  user: (req: Request) => Awaitable<UserRef | null | undefined>;
  /** The path at which the host mounts `referrals.router`. Default `'/r'`. */
  linkPath?: string;
  /**
   * Where the visitor's attribution is stored. Default `'cookie'`: a signed cookie, which is independent of the host's
   * session. `'session'` stores the same data in `req.session.referral` and sets no cookie; mount express-session
   * before `referrals.middleware`. Two drawbacks of `'session'`: `req.session.regenerate()`, which a login should call,
   * deletes the attribution unless the host copies `req.session.referral`; and each click of an anonymous visitor
   * creates a session in the store.
   */
  visitor?: 'cookie' | 'session';
  cookie?: {
    /**
     * The name of the cookie, 1–100 of `[A-Za-z0-9_-]`. Default: `'__Host-referral'` if `baseUrl` is https, the cookie is
     * Secure and `domain` is not set: browsers take a cookie of that name from this host only, not from a subdomain.
     * Otherwise `'referral'`. A name with `__Host-` is refused together with `domain`.
     */
    name?: string;
    /** How long an attribution lasts after the click, in days; with `visitor: 'session'` as well. Default 30. */
    maxAgeDays?: number;
    /**
     * The `Domain` attribute, to share the cookie with subdomains, for example `'shop.example'`. Default: this host
     * only.
     */
    domain?: string;
    /** The `Secure` attribute. Default `'auto'`: set if `baseUrl` is https, which is what the browser sees. */
    secure?: boolean | 'auto';
    /**
     * The `SameSite` attribute. Default `'lax'`: a POST from another site comes without the cookie. `'none'`, for a
     * sign-up that comes back by such a POST (Sign in with Apple, SAML), needs a cookie that is Secure. With `'strict'` a
     * request that another site has led to comes without it, such as the page that a click is redirected to.
     */
    sameSite?: 'lax' | 'none' | 'strict';
  };
  /**
   * The query parameter that makes any page a click, as in `/pricing?referral_code=CODE`. `false` for none. Default
   * `'referral_code'`.
   */
  codeParameter?: string | false;
  redirect?: {
    /** The query parameter of a link that overrides its destination. `false` for none. Default `'redirect_to'`. */
    parameter?: string | false;
    /**
     * Origins, besides the one of `baseUrl`, that a redirect may lead to: `['https://docs.shop.example']`. Default
     * none.
     */
    allowedOrigins?: readonly string[];
    /**
     * Which parameters of a link, such as `utm_source` or `gclid`, are added to its destination: all, none, or those of
     * these names. A parameter that the destination has itself stays as it is, the two of this package (`codeParameter`
     * and `redirect.parameter`) are never passed on, and what would make the `Location` longer than 8,000 characters is
     * left out. Default `true`.
     */
    passQuery?: boolean | readonly string[];
  };
  attribution?: {
    /** Which touch of a visitor wins: the newest or the oldest. Default `'last-touch'`. */
    model?: 'last-touch' | 'first-touch';
    /**
     * How many days a touch counts. Default: without limit. (The touch of an anonymous visitor lasts for
     * `cookie.maxAgeDays` at most.) A purchase waits as many days for a
     * referrer; 30 if there is no limit.
     */
    windowDays?: number;
  };
  /**
   * What happens with referrals of the user's own. `'block'` refuses sign-ups and coupons with them, does not count
   * clicks of their owner who is signed in, and lets purchases earn nothing. `'flag'` takes them like any other, and
   * sets `isSelfReferral` on the sign-up and on what is earned. `'allow'` takes them like any other. Whatever the
   * option is, one's own link never takes the place of somebody else's. Default `'block'`.
   */
  selfReferral?: 'block' | 'flag' | 'allow';
  /**
   * Returns whether a referrer and a referee with different ids (as text) are the same person, for example by e-mail
   * address or device. May be async. It decides on sign-ups, coupons, purchases, and on clicks and the attribution of
   * signed-in users. It is called before anything is written; if it throws, the call fails (a click is counted).
   * Default: different ids are different people.
   */
  isSamePerson?: (referrer: string, referee: string, context: SignupContext) => Awaitable<boolean>;
  /**
   * The currency of all amounts: any code of ISO 4217 whose currency has a minor unit (XAU, XDR, XTS and the like have none),
   * also a former one such as BGN. Its decimals are those of ISO 4217, not of `Intl`: 2 for HUF, 3 for IQD, 4 for CLF. What is
   * computed is rounded half up to its minor unit, what is returned has its decimals, and amounts with more decimals are
   * refused. A program keeps its currency: amounts that are stored are not converted if the option changes. Default `'USD'`;
   * amounts may then have up to 4 decimals, as they could before there was this option.
   */
  currency?: string;
  /**
   * Returns how much of the currency `to`, the program's, one unit of the currency `from` is: a decimal string above 0. May
   * be async. It is called for a purchase, and for usage, in another currency that names no `rate`, before anything is
   * written; not for one that is recorded already, which keeps its rate. `at` is the time of the payment. If it throws, the
   * call fails. Default: such a call needs a `rate`.
   */
  exchange?: (from: string, to: string, at: Date) => Awaitable<string>;
  commission?: {
    /**
     * The share of a referee's purchase that the referrer earns, unless an account, a channel or a program sets one: from 0
     * to 1, with at most 4 decimals. Default `'0'`: no commission.
     */
    ratio?: Amount;
    /** What each purchase above 0 earns, in the place of a share of it; above 0. Default: the share. */
    amount?: Amount;
    /**
     * For how many calendar months, in UTC, purchases earn, from the referee's first purchase that is credited to the referrer;
     * 1–1200. Default: for good.
     */
    months?: number;
    /** For how many purchases of a referee, from 1; purchases of 0 do not count. Default: for all. */
    purchases?: number;
    /** The most that one referee can earn a referrer; above 0. Default: no limit. */
    maxPerReferee?: Amount;
    /** What a sign-up earns the referrer; from 0. Default `'0'`: nothing. */
    signup?: Amount;
    /** Whether a sign-up earns only once `referrals.qualify` is called for the user. Default false: at the sign-up. */
    qualify?: boolean;
    /**
     * The most that a referrer can earn in a period: `{ amount, period }` with `period` one of `'month'`, `'quarter'`, `'year'`, of
     * the calendar in UTC, and `'all'`. Default: no limit.
     */
    maxPerReferrer?: ReferrerLimit;
    /**
     * How many days after the purchase a commission becomes available: whole days of 24 hours, 0–36,500. Default 30.
     */
    pendingDays?: number;
  };
  earnOuts?: {
    /**
     * The period of earn-outs, counted for each account from its creation; `days` up to 36,500. Default `{ days: 7 }`.
     */
    every?: { days: number };
    /**
     * The least amount that is paid, of both modes together as far as they can be paid; above 0. A smaller one waits for
     * a later earn-out. Default: the minor unit of the currency, `'0.01'` of US dollars.
     */
    minimum?: Amount;
    /**
     * How many days payouts to an account wait after its payout address was replaced or removed: whole days of 24 hours,
     * 0–36,500; 0 for none. So the user, whom the host tells by the event `payoutAddressChanged`, can object. Default 3.
     */
    addressHoldDays?: number;
    /**
     * Pays an earn-out of the mode `payout`. May be async. No connection and no transaction of the package is open while
     * it runs. Each call for the same earn-out has the same `idempotencyKey`, also after a crash: pass it to the payment
     * provider, which must pay once for each key. What the function does decides:
     *
     * - It returns nothing, or `{ reference }` with the provider's reference: the earn-out is `completed`.
     * - It returns `{ status: 'submitted', reference }`: it stays `processing` until the host calls `earnOuts.settle`.
     * - It throws `PayoutRefused`: it is surely not paid, becomes `failed`, and its amount is free again. The account
     *   waits 1 hour for its next earn-out, then 6, 24 and 72 hours, then for `earnOuts.retry` or a changed address.
     * - Anything else (another error, another result, no result in time) means that nobody knows. It stays `processing`
     *   and is tried again under the same key 1, 5 and 30 minutes, 2, 12 and 24 hours after the last attempt, then waits
     *   for `earnOuts.settle` or `earnOuts.retry`.
     *
     * Default: users can't choose the mode `payout`.
     */
    payout?: Payout;
    /** How long a run waits for `payout`, in milliseconds, from 1 to 2,147,183,647. Default 60,000. */
    payoutTimeoutMs?: number;
    /** How many payouts a run makes at once, 1–1,000. Default 5. */
    concurrency?: number;
    /**
     * The name of the credit type of the credit that an earn-out of the mode `credits` gives, 1–100 characters. The
     * type is created when it is first needed. Default `'Commissions'`.
     */
    creditType?: string;
    /** How long that credit lasts, in days, 1–36,500. Default 36,500 (a hundred years). */
    creditDurationDays?: number;
    /**
     * Whether a refund or a rejection of a commission that was paid as credit first takes back what of that credit is neither
     * spent nor held. The rest is a debt, which later earn-outs subtract. Default true.
     */
    takeBackCredit?: boolean;
    /**
     * Which payouts wait for `earnOuts.approve`: all of them, those of accounts without a completed payout
     * (`'new-accounts'`), or none. It counts when an earn-out is created: what waits goes on waiting after a change. Default
     * `'none'`.
     */
    approve?: PayoutApproval;
  };
  /**
   * What looks wrong, and is reviewed by staff (`referrals.reviews`). Each rule is `'off'`, opens a review (`'flag'`), or also
   * holds what the subject earns and is granted until staff have decided (`'hold'`).
   */
  fraud?: {
    /**
     * Two accounts, or a referrer and a referee, have one payout address, without regard to the case of A to Z. The account
     * that takes it last is flagged, and so is each pair of the two. Accounts that have shared one since before this rule are
     * flagged when `runEarnOuts` is about to pay them, all but the oldest. `'hold'` holds that account's payouts, and what
     * the pair earns and is granted. Default `'flag'`.
     */
    sharedPayoutAddress?: FraudMode;
    /**
     * A referee signs up from an address and with a user agent that the referrer has signed up, clicked or responded with in
     * the 24 hours before. The address is compared as the option `ip` stores it. Default `'off'`.
     */
    sameDevice?: FraudMode;
    /**
     * More than `max` sign-ups, 1–1,000, through one referral from one address within 24 hours: each above it is flagged.
     * Default `'off'`.
     */
    signupsFromAddress?: 'off' | { do: FraudMode; max: number };
    /**
     * More than `max` clicks, 1–1,000,000, of one visitor on one referral on a UTC day. A visitor is a signed-in user, otherwise
     * a browser with its cookie. The clicks above `max` count as one in `responseCount()` and the daily counts, whichever
     * way they come: through the router, the listener or `codeParameter`. They are recorded and attributed like all others.
     * The account of the referral's owner is flagged, once; for a referral of the site itself there is none. `'hold'` holds the
     * account's payouts. Each click writes a row more, of `referral_visitor_clicks`. Default `'off'`.
     */
    clicksOfVisitor?: 'off' | { do: FraudMode; max: number };
    /** A sign-up less than so many seconds after the click that led to it, 1–86,400. Default `'off'`. */
    fastSignup?: 'off' | { do: FraudMode; seconds: number };
    /**
     * The host's own rule: a function that returns a sentence about a sign-up or a purchase that looks wrong, and null about
     * any other. May be async. It is called before anything is written, also for a call that turns out to be a repeated
     * one. What it throws goes to `onError`, and flags nothing. The function alone means `{ do: 'flag', find }`. Default `'off'`.
     */
    rule?: 'off' | FraudRule | { do: FraudMode; find: FraudRule };
  };
  api?: {
    /**
     * The express-rate-limit store that counts attempts to apply coupons, and requests to `code/info/`. Default: the
     * memory of each process.
     */
    rateLimitStore?: Store;
  };
  /** The users' own pages: `referrals.pages`, `referrals.embed` and `referrals.referralBanner`. */
  pages?: {
    /** The path at which the host mounts `referrals.pages`; for what stands in pages of the host's. Default `'/referrals'`. */
    path?: string;
    /** Where a visitor goes who is not signed in, a path of this site. Default: the pages answer 401, and ask to sign in. */
    signInPath?: string;
    /**
     * Returns how a friend is named to the user who invited them, and in `referralBanner` who has invited, to everybody who follows
     * the link. May be async. It is called for each friend that a page shows, for all of them at once; null or an empty text leaves
     * the name out. Default: the id, masked, as in `a***@example.com`; in the banner no name.
     */
    userName?: (id: string, req: Request) => Awaitable<string | null | undefined>;
    /**
     * Returns the reader's locale, a language tag such as `'de-AT'`, or null for the one that the browser asks for. English and
     * German ship, and `texts` can add others; without words in its language, the next one counts. Default: the browser's.
     */
    locale?: (req: Request) => string | null | undefined;
    /**
     * Returns the reader's time zone, such as `'Europe/Berlin'`, or null. Default: the browser's; UTC without a script, and on
     * staff's pages.
     */
    timeZone?: (req: Request) => string | null | undefined;
    /**
     * Words to show in the place of those that ship, by language: `{ en: { overview: { title: 'Invite friends' } } }`. What is
     * left out stays. A word that is a function takes the same facts.
     */
    texts?: Readonly<Record<string, SomeTexts>>;
    /**
     * The three colours: `ink` of words, `paper` behind them, and `accent` of buttons, links and lines. Each is `'#rrggbb'`, or
     * `{ light, dark }`. Default: those that ship.
     */
    colors?: PageColors;
    /**
     * HTML in the place of a page's own. Each function gets the data, and `page` with the HTML that ships, and the `hidden` fields
     * that each form needs; `frame` makes the whole document around all pages. May be async.
     */
    templates?: PageTemplates;
  };
  /**
   * Returns who of the staff is signed in, with the id that the audit names; null for everybody else. May be async. Needed for
   * `referrals.admin`.
   */
  staff?: (req: Request) => Awaitable<StaffMember | null | undefined>;
  /**
   * Returns whether the visitor agreed to be recorded. Every result other than true means no. May be async. Without
   * consent a click is only redirected. Default: every visitor has consented. Of a link that `listener` serves, the
   * request is Node.js' own: with `headers`, `method`, `url` and `socket`, and without what Express and middleware add.
   */
  consent?: (req: Request) => Awaitable<boolean>;
  /**
   * Returns whether a request for a link comes from a program and not from a person, instead of the list of known bots.
   * It must return true or false, without a promise; if it throws, the request counts as one of a bot. For example
   * `() => false` in end-to-end tests, because headless browsers are on the list. A request without a `User-Agent` is
   * never a click. Default: the list of `isbot`. Of a link that `listener` serves, the request is Node.js' own, as for
   * `consent`.
   */
  bots?: (req: Request) => boolean;
  /**
   * Returns the visitor's IP address. Default: `req.ip`, which respects the host's `trust proxy`. Of a link that `listener`
   * serves, the request is Node.js' own, as for `consent`, so `req.ip` is missing; the default respects the listener's
   * `trustProxy`.
   */
  clientIp?: (req: Request) => string | null | undefined;
  /**
   * How much of the IP address is stored: `'masked'` (IPv4 to /24, IPv6 to /48), `'full'` or `'none'`. Default
   * `'masked'`.
   */
  ip?: 'masked' | 'full' | 'none';
  /**
   * How much of the header `Referer` is stored with a click: `'path'` (without query and fragment, which can contain
   * tokens and names), `'origin'`, `'full'` or `'none'`. User info is never stored. Default `'path'`.
   */
  httpReferrer?: 'path' | 'origin' | 'full' | 'none';
  /**
   * Returns a new code, 1–100 of `[A-Za-z0-9_-]`. May be async. If the code is taken, the function is called again, up
   * to 10 times in all. Default: 10 random characters out of 31 that are hard to confuse.
   */
  generateCode?: (referral: ReferralDraft) => Awaitable<string>;
  /**
   * Filters or orders the query of `referral.filteredResponses()`. Default: all responses, newest first. Conditions on
   * `action` (but for clicks), `targetType` with `targetId` and `userId`, and the order by `createdAt`, have an index.
   */
  responsesFilter?: (
    query: SelectQueryBuilder<ReferralResponse>,
    referral: Referral,
  ) => SelectQueryBuilder<ReferralResponse>;
  /**
   * Display texts of actions, for `res.locals.referrals.actionDisplay`. Default `{ RESPONDED: 'Clicked the link' }`.
   */
  actionDisplay?: Readonly<Record<string, string>>;
  /**
   * The target types that `POST` on the router accepts: entity classes and EntitySchemas of the DataSource, or the
   * host's own words. Default none.
   */
  targetTypes?: readonly (string | (new () => object) | EntitySchema)[];
  /**
   * Returns the host's CSRF field for `createForm`. Default: `_csrf` with the value of `req.csrfToken()`,
   * `res.locals.csrfToken` or `res.locals._csrf`, whichever exists; otherwise no field.
   */
  csrf?: (req: Request, res: Response) => { name: string; value: string } | null;
  /**
   * Returns the current time, for tests and simulations: a valid Date of the years 1 to 9999. If it throws or returns
   * something else, clicks have the database's time, and `onError` is told; other calls throw. Default: the database's
   * clock.
   */
  clock?: () => Date;
  /**
   * The time-out of a statement during a request, in milliseconds. After it the request continues without the result.
   * Calls about sign-ups and money, which can't continue without it, wait ten times as long and then throw. Default
   * 3000.
   */
  queryTimeoutMs?: number;
  /**
   * Whether clicks and the large statements are sent as prepared statements, which makes them two or three times as fast.
   * Set it to false behind a connection pooler that does not support them (PgBouncer before 1.21, in transaction mode).
   * With true, a process notices that at its first failure, repeats the statement, and prepares none from then on. Default
   * true.
   */
  preparedStatements?: boolean;
  linkCache?: {
    /** How many links each process caches. Default 10,000. */
    max?: number;
    /**
     * How long a link is cached, in milliseconds. While the database is away, older entries are used too. Default
     * 10,000.
     */
    ttlMs?: number;
  };
  /**
   * Is called with errors that no caller can catch, such as a lost click or a listener that throws. Default
   * `console.error`.
   */
  onError?: (error: unknown) => void;
}

/** The checked options, with a default for each one that the host left out. */
export type Settings = Readonly<ReturnType<typeof settingsOf>>;

/**
 * Checks all options and fills in the defaults. A new option: its type above, its check in `option-checks.ts`, its
 * default here.
 */
export function settingsOf(given: ReferralsOptions) {
  const options = checkedOptions(given);
  const { ratio, amount } = options.commission ?? {};
  if (ratio !== undefined && amount !== undefined)
    throw refused('commission.amount', 'no value together with commission.ratio', amount);
  const baseUrl = new URL(options.baseUrl);
  const sitePath = baseUrl.pathname.replace(/\/$/, '');
  const allowedOrigins = (options.redirect?.allowedOrigins ?? []).map((url) => new URL(url).origin);
  const actionDisplay: Readonly<Record<string, string>> = { RESPONDED: 'Clicked the link', ...options.actionDisplay };
  const {
    cookie = {},
    redirect = {},
    attribution = {},
    linkCache = {},
    commission = {},
    earnOuts = {},
    pages = {},
  } = options;
  const currency = currencyOf(options.currency);
  return {
    dataSource: options.dataSource,
    baseUrl,
    /** The path of `baseUrl` without a trailing slash: empty for a site at the root. */
    sitePath,
    /** `baseUrl` as a folder, against which relative destinations are resolved. */
    baseFolder: new URL(`${baseUrl.origin}${sitePath}/`),
    secrets: typeof options.secret === 'string' ? [options.secret] : options.secret,
    user: options.user,
    linkPath: (options.linkPath ?? '/r').replace(/\/$/, ''),
    visitor: options.visitor ?? 'cookie',
    cookie: cookieSettings(cookie, baseUrl),
    codeParameter: options.codeParameter ?? 'referral_code',
    redirect: {
      parameter: redirect.parameter ?? 'redirect_to',
      allowedOrigins: new Set([baseUrl.origin, ...allowedOrigins]) as ReadonlySet<string>,
      passQuery: redirect.passQuery ?? true,
    },
    attribution: { model: attribution.model ?? 'last-touch', windowDays: attribution.windowDays ?? null },
    selfReferral: options.selfReferral ?? 'block',
    isSamePerson: options.isSamePerson ?? (() => false),
    currency,
    exchange: options.exchange ?? null,
    commission: {
      ratio: commission.amount === undefined ? String(commission.ratio ?? 0) : null,
      amount: textOrNull(commission.amount),
      months: commission.months ?? null,
      purchases: commission.purchases ?? null,
      maxPerReferee: textOrNull(commission.maxPerReferee),
      signup: String(commission.signup ?? 0),
      qualify: commission.qualify ?? false,
      maxPerReferrer: textOrNull(commission.maxPerReferrer?.amount),
      period: commission.maxPerReferrer?.period ?? null,
      pendingDays: commission.pendingDays ?? 30,
    },
    earnOuts: {
      everyMs: (earnOuts.every?.days ?? 7) * dayMs,
      minimum: String(earnOuts.minimum ?? minorUnitOf(currency.digits)),
      addressHoldMs: (earnOuts.addressHoldDays ?? 3) * dayMs,
      payout: earnOuts.payout ?? null,
      payoutTimeoutMs: earnOuts.payoutTimeoutMs ?? 60_000,
      concurrency: earnOuts.concurrency ?? 5,
      creditType: earnOuts.creditType ?? 'Commissions',
      creditDurationDays: earnOuts.creditDurationDays ?? 36_500,
      takeBackCredit: earnOuts.takeBackCredit ?? true,
      approve: earnOuts.approve ?? 'none',
    },
    fraud: fraudSettings(options.fraud),
    pages: {
      path: (pages.path ?? '/referrals').replace(/\/$/, ''),
      signInPath: pages.signInPath ?? null,
      userName: pages.userName ?? null,
      locale: pages.locale ?? (() => null),
      timeZone: pages.timeZone ?? (() => null),
      texts: pages.texts ?? {},
      colors: pages.colors ?? {},
      templates: pages.templates ?? {},
    },
    staff: options.staff ?? null,
    rateLimitStore: options.api?.rateLimitStore,
    // Their types say what most hosts get: a request of Express. Of one that `listener` serves, it is Node.js's alone.
    consent: options.consent as ((req: IncomingMessage) => Awaitable<boolean>) | undefined,
    bots: options.bots as ((req: IncomingMessage) => boolean) | undefined,
    clientIp: (options.clientIp ?? addressOfRequest) as (req: IncomingMessage) => string | null | undefined,
    ip: options.ip ?? 'masked',
    httpReferrer: options.httpReferrer ?? 'path',
    generateCode: options.generateCode ?? randomCode,
    responsesFilter: options.responsesFilter ?? ((query) => query),
    actionDisplay,
    targetTypes: options.targetTypes ?? [],
    csrf: options.csrf ?? csrfFieldOfHost,
    clock: options.clock ?? null,
    queryTimeoutMs: options.queryTimeoutMs ?? 3000,
    preparedStatements: options.preparedStatements ?? true,
    linkCache: { max: linkCache.max ?? 10_000, ttlMs: linkCache.ttlMs ?? 10_000 },
    onError: safeReporter(options.onError),
  };
}

/** The rules of the option `fraud`, each with its mode. */
function fraudSettings({
  sharedPayoutAddress = 'flag',
  sameDevice = 'off',
  signupsFromAddress = 'off',
  clicksOfVisitor = 'off',
  fastSignup = 'off',
  rule = 'off',
}: NonNullable<ReferralsOptions['fraud']> = {}) {
  const off = { do: 'off' } as const;
  return {
    sharedPayoutAddress,
    sameDevice,
    signupsFromAddress: signupsFromAddress === 'off' ? { ...off, max: 0 } : signupsFromAddress,
    clicksOfVisitor: clicksOfVisitor === 'off' ? { ...off, max: 0 } : clicksOfVisitor,
    fastSignup: fastSignup === 'off' ? { ...off, seconds: 0 } : fastSignup,
    rule: ruleSettings(rule),
  };
}

function ruleSettings(rule: NonNullable<NonNullable<ReferralsOptions['fraud']>['rule']>): {
  do: FraudMode;
  find: FraudRule;
} {
  if (rule === 'off') return { do: 'off', find: () => null };
  return typeof rule === 'function' ? { do: 'flag', find: rule } : rule;
}

function textOrNull(value: Amount | undefined): string | null {
  return value === undefined ? null : String(value);
}
