import { randomInt } from 'node:crypto';
import type { Request, Response } from 'express';
import type { Store } from 'express-rate-limit';
import type { DataSource, EntityManager, SelectQueryBuilder } from 'typeorm';
import type { Referral } from './entities/referral';
import type { ReferralEarnOut } from './entities/referral-earn-out';
import type { ReferralResponse } from './entities/referral-response';
import { referralError } from './errors';
import { checkOptions } from './option-checks';
import type { Amount, UserRef } from './types/common';
import type { ReferralDraft } from './types/referrals';

type Awaitable<T> = T | Promise<T>;

/** Pays an earn-out out of the host's own account. */
export type Payout = (earnOut: ReferralEarnOut) => unknown;

/** What is known of a sign-up that is about to be made. */
export interface SignupContext {
  /** Null for a sign-up over an API. */
  readonly req: Request | null;
  /** The referee as `recordSignup` was given it. */
  readonly user: UserRef;
  /** The host's transaction, in which alone a new user may be visible yet. */
  readonly manager: EntityManager | undefined;
}

/** What `createReferrals` takes. Everything is checked once, at the call; an unknown or wrong option throws. */
export interface ReferralsOptions {
  /** The host's initialised DataSource on PostgreSQL, with our `entities` among its entities. */
  dataSource: DataSource;
  /** The public address of the site: an absolute http(s) URL, with a path if the app lives below one. */
  baseUrl: string;
  /** Signs the visitor's cookie. At least 32 characters; several, newest first, to rotate: the first one signs. */
  secret: string | readonly string[];
  /**
   * Who is signed in: an id, an object with an `id`, or null/undefined for nobody; may be a promise. Called when it
   * matters only: at sign-in, on a click, and by the calls that record or look up; not for visitors who were never referred.
   */
  user: (req: Request) => Awaitable<UserRef | null | undefined>;
  /** Where the host mounts `referrals.router`. Default `'/r'`. */
  linkPath?: string;
  /**
   * Where the visitor's attribution is kept. Default `'cookie'`: a signed cookie that survives anything the host does to
   * its session. `'session'` keeps the same facts in `req.session.referral` (express-session, before our middleware)
   * and sets no cookie of its own. The cost: `req.session.regenerate()`, which a login should call, forgets the
   * visitor, unless the host carries `req.session.referral` over; and each click of an anonymous visitor
   * starts a session in the store.
   */
  visitor?: 'cookie' | 'session';
  cookie?: {
    /** Default `'referral'`. */
    name?: string;
    /** How long an attribution lasts after the click, in days (in the session as well). Default 30. */
    maxAgeDays?: number;
    /** Shares the cookie with subdomains, for example `'shop.example'`. Default: this host only. */
    domain?: string;
    /** Default `'auto'`: when `req.secure`, which respects `trust proxy`. */
    secure?: boolean | 'auto';
  };
  /** The parameter that makes any page a click, as in `/pricing?referral_code=CODE`. `false`: none. Default `'referral_code'`. */
  codeParameter?: string | false;
  redirect?: {
    /** The parameter of a link that names another destination. `false`: none. Default `'redirect_to'`. */
    parameter?: string | false;
    /** Origins besides `baseUrl`'s that a redirect may lead to, for example `['https://docs.shop.example']`. Default none. */
    allowedOrigins?: readonly string[];
  };
  attribution?: {
    /** Whether the visitor's newest or oldest touch wins. Default `'last-touch'`. */
    model?: 'last-touch' | 'first-touch';
    /** How many days a touch counts. Default: for good (an anonymous visitor's for `cookie.maxAgeDays`). */
    windowDays?: number;
  };
  /**
   * What a sign-up with a referral of one's own is: `'block'`, refused; `'flag'`, made and marked as `isSelfReferral`, with the
   * credits of any other; `'allow'`, made. Default `'block'`.
   */
  selfReferral?: 'block' | 'flag' | 'allow';
  /**
   * Whether referrer and referee, two different user ids as text, are one person after all: by their e-mail addresses or devices.
   * Default: different ids are different people. Called before anything is written; what it throws fails the sign-up.
   */
  isSamePerson?: (referrer: string, referee: string, context: SignupContext) => Awaitable<boolean>;
  commission?: {
    /**
     * The share of a referee's purchase that the referrer earns, from 0 to 1 with at most 4 decimals, where neither a channel nor a
     * program says otherwise. Default `'0'`: none.
     */
    ratio?: Amount;
    /** The most that one referee can earn a referrer. Default: no limit. */
    maxPerReferee?: Amount;
    /** How many days after the purchase a commission becomes available, whole days of 24 hours from 0. Default 30. */
    pendingDays?: number;
  };
  earnOuts?: {
    /** How often what is available is paid, for each account from the day that it was made. Default `{ days: 7 }`. */
    every?: { days: number };
    /** What must be available for an earn-out, above 0. Default `'0.01'`. */
    minimum?: Amount;
    /**
     * Pays an earn-out of the mode `payout`. Called with the same `idempotencyKey` on each try, again after a crash: give it to the
     * provider of payments. What it throws makes the earn-out `failed`, and its amount goes into the next one: throw only where
     * nothing was paid. Default: nobody can choose the mode `payout`.
     */
    payout?: Payout;
    /** The name of the type of the credit that an earn-out of the mode `credits` gives; made when first needed. Default `'Commissions'`. */
    creditType?: string;
    /** How many days that credit lives, 1 to 36,500. Default 36,500, a hundred years. */
    creditDurationDays?: number;
  };
  api?: {
    /** Where the applications of coupons are counted, as express-rate-limit's stores do. Default: the process's memory. */
    rateLimitStore?: Store;
  };
  /** Whether the visitor agreed to be recorded. Without it a click is only redirected. Default: asked elsewhere, yes. */
  consent?: (req: Request) => Awaitable<boolean>;
  /** The visitor's address. Default `req.ip`, which respects the host's `trust proxy`. */
  clientIp?: (req: Request) => string | null | undefined;
  /** How much of the address is stored: `'masked'` (IPv4 to /24, IPv6 to /48), `'full'` or `'none'`. Default `'masked'`. */
  ip?: 'masked' | 'full' | 'none';
  /**
   * Makes a code, 1–100 of `[A-Za-z0-9_-]`. Called again on a clash, 10 times at most. Default: 10 characters from
   * `crypto`, of 31 that can't be mistaken for each other.
   */
  generateCode?: (referral: ReferralDraft) => Awaitable<string>;
  /** Narrows or orders what `referral.filteredResponses()` answers. Default: all, latest recorded first. */
  responsesFilter?: (
    query: SelectQueryBuilder<ReferralResponse>,
    referral: Referral,
  ) => SelectQueryBuilder<ReferralResponse>;
  /** Words for actions, for `res.locals.referrals.actionDisplay`. Default `{ RESPONDED: 'Clicked the link' }`. */
  actionDisplay?: Readonly<Record<string, string>>;
  /** What `POST` on the router may name as a target: entity classes of the DataSource, or words. Default none. */
  targetTypes?: readonly (string | (new () => object))[];
  /**
   * The host's CSRF field for `createForm`. Default: `_csrf` with `req.csrfToken()`, `res.locals.csrfToken` or
   * `res.locals._csrf`, whichever there is; none otherwise.
   */
  csrf?: (req: Request, res: Response) => { name: string; value: string } | null;
  /** The time that everything is compared with and stored under. Default: the database's `now()`. */
  clock?: () => Date;
  /**
   * How long a statement of a request may take, in milliseconds, before the visitor goes on without. Calls on sign-ups and
   * credits, which nobody can go on without, wait ten times as long. Default 3000.
   */
  queryTimeoutMs?: number;
  /**
   * Whether the large statements on sign-ups and credits are prepared once a connection, which makes them about three times as
   * fast. Set false behind a connection pooler that can't (PgBouncer before 1.21, in transaction mode). Default true.
   */
  preparedStatements?: boolean;
  linkCache?: {
    /** How many links a process remembers. Default 10,000. */
    max?: number;
    /** For how long, in milliseconds; while the database is away, longer. Default 10,000. */
    ttlMs?: number;
  };
  /** Is told of what went wrong where no caller could be: a lost click, a throwing listener. Default `console.error`. */
  onError?: (error: unknown) => void;
}

type Attribution = { model: 'last-touch' | 'first-touch'; windowDays: number | null };

/** The checked options with every default filled in. */
export interface Settings extends Required<
  Pick<
    ReferralsOptions,
    | 'dataSource'
    | 'user'
    | 'visitor'
    | 'ip'
    | 'codeParameter'
    | 'actionDisplay'
    | 'queryTimeoutMs'
    | 'onError'
    | 'selfReferral'
    | 'preparedStatements'
  >
> {
  baseUrl: URL;
  secrets: readonly string[];
  linkPath: string;
  cookie: { name: string; maxAgeMs: number; domain: string | undefined; secure: boolean | 'auto' };
  redirect: { parameter: string | false; allowedOrigins: ReadonlySet<string> };
  attribution: Attribution;
  commission: { ratio: string; maxPerReferee: string | null; pendingDays: number };
  earnOuts: {
    everyMs: number;
    minimum: string;
    payout: Payout | null;
    creditType: string;
    creditDurationDays: number;
  };
  rateLimitStore: Store | undefined;
  consent: ReferralsOptions['consent'];
  isSamePerson: NonNullable<ReferralsOptions['isSamePerson']>;
  clientIp: (req: Request) => string | null | undefined;
  generateCode: (referral: ReferralDraft) => Awaitable<string>;
  responsesFilter: NonNullable<ReferralsOptions['responsesFilter']>;
  targetTypes: readonly (string | (new () => object))[];
  csrf: NonNullable<ReferralsOptions['csrf']>;
  clock: (() => Date) | null;
  linkCache: { max: number; ttlMs: number };
}

const dayMs = 86_400_000;

/** Checks every option and fills in the defaults. */
export function settingsOf(options: ReferralsOptions): Settings {
  if (typeof options !== 'object' || options === null)
    throw referralError('INVALID_OPTION', 'options', 'an object with dataSource, baseUrl, secret and user', options);
  checkOptions(options as unknown as Record<string, unknown>);
  const baseUrl = new URL(options.baseUrl);
  const { cookie = {}, redirect = {}, attribution = {}, linkCache = {}, commission = {}, earnOuts = {} } = options;
  return {
    dataSource: options.dataSource,
    baseUrl,
    secrets: typeof options.secret === 'string' ? [options.secret] : options.secret,
    user: options.user,
    linkPath: (options.linkPath ?? '/r').replace(/\/$/, ''),
    visitor: options.visitor ?? 'cookie',
    cookie: {
      name: cookie.name ?? 'referral',
      maxAgeMs: (cookie.maxAgeDays ?? 30) * dayMs,
      domain: cookie.domain,
      secure: cookie.secure ?? 'auto',
    },
    codeParameter: options.codeParameter ?? 'referral_code',
    redirect: {
      parameter: redirect.parameter ?? 'redirect_to',
      allowedOrigins: new Set([baseUrl.origin, ...(redirect.allowedOrigins ?? []).map((url) => new URL(url).origin)]),
    },
    attribution: { model: attribution.model ?? 'last-touch', windowDays: attribution.windowDays ?? null },
    selfReferral: options.selfReferral ?? 'block',
    isSamePerson: options.isSamePerson ?? (() => false),
    commission: {
      ratio: String(commission.ratio ?? 0),
      maxPerReferee: commission.maxPerReferee === undefined ? null : String(commission.maxPerReferee),
      pendingDays: commission.pendingDays ?? 30,
    },
    earnOuts: {
      everyMs: (earnOuts.every?.days ?? 7) * dayMs,
      minimum: String(earnOuts.minimum ?? '0.01'),
      payout: earnOuts.payout ?? null,
      creditType: earnOuts.creditType ?? 'Commissions',
      creditDurationDays: earnOuts.creditDurationDays ?? 36_500,
    },
    rateLimitStore: options.api?.rateLimitStore,
    consent: options.consent,
    clientIp: options.clientIp ?? ipOf,
    ip: options.ip ?? 'masked',
    generateCode: options.generateCode ?? randomCode,
    responsesFilter: options.responsesFilter ?? ((query) => query),
    actionDisplay: { RESPONDED: 'Clicked the link', ...options.actionDisplay },
    targetTypes: options.targetTypes ?? [],
    csrf: options.csrf ?? csrfOfHost,
    clock: options.clock ?? null,
    queryTimeoutMs: options.queryTimeoutMs ?? 3000,
    preparedStatements: options.preparedStatements ?? true,
    linkCache: { max: linkCache.max ?? 10_000, ttlMs: linkCache.ttlMs ?? 10_000 },
    onError: reporter(options.onError),
  };
}

/** What `req.ip` answers; without the header there is nothing to trust, and no list of proxies to make. */
function ipOf(req: Request): string | undefined {
  return req.headers['x-forwarded-for'] === undefined ? req.socket.remoteAddress : req.ip;
}

/** What reports must not fail in its turn: it is called where nobody could catch it. */
function reporter(onError: ReferralsOptions['onError']): (error: unknown) => void {
  const print = (error: unknown): void => console.error('express-referrals:', error);
  if (!onError) return print;
  return (error) => {
    try {
      Promise.resolve(onError(error)).catch(print);
    } catch (failure) {
      print(failure);
    }
  };
}

// Without 0 O, 1 I L: 31 characters, 49 bits in ten of them.
const alphabet = '23456789ABCDEFGHJKMNPQRSTUVWXYZ';

function randomCode(): string {
  return Array.from({ length: 10 }, () => alphabet[randomInt(alphabet.length)]).join('');
}

/** What csurf, csrf-csrf, csrf-sync and hand-written middleware leave for templates. */
function csrfOfHost(req: Request, res: Response): { name: string; value: string } | null {
  const ofRequest = (req as { csrfToken?: unknown }).csrfToken;
  const value: unknown =
    typeof ofRequest === 'function' ? ofRequest.call(req) : (res.locals['csrfToken'] ?? res.locals['_csrf']);
  return typeof value === 'string' ? { name: '_csrf', value } : null;
}
