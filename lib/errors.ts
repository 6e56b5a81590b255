import { escaped, quoted, show } from './shown';

/** How many of the missing records a `NOT_FOUND` names. */
const maxMissing = 10;

/**
 * Every error of the package: its code, the HTTP status with which Express responds if the error reaches its error
 * handler, and its sentence. A sentence says what was wrong, what was found and what to do. Sentences may change;
 * `ReferralError.code` does not. The guide `examples/quickstart` lists each.
 */
const catalogue = {
  INVALID_OPTION: {
    status: 500,
    text: (option: string, takes: string, got: string) =>
      `createReferrals: option "${option}" takes ${takes}, but got ${got}.`,
  },
  UNKNOWN_OPTION: {
    status: 500,
    text: (option: string, known: string[]) =>
      `createReferrals: there is no option ${quoted(option)}. The options are ${known.join(', ')}.`,
  },
  NOT_A_MIDDLEWARE: {
    status: 500,
    text: () =>
      'createReferrals was called with a request, but it is not a middleware. Call it once at start-up, ' +
      'const referrals = createReferrals({ … }), and write app.use(referrals.middleware).',
  },
  NOT_POSTGRES: {
    status: 500,
    text: (type: unknown) =>
      `createReferrals: the DataSource must be of type "postgres", but its type is ${show(type)}.`,
  },
  NOT_INITIALIZED: {
    status: 500,
    text: () =>
      'createReferrals: the DataSource is not initialised. Write await dataSource.initialize() before createReferrals.',
  },
  STAFF_MISSING: {
    status: 500,
    text: () =>
      'referrals.admin needs the option `staff`, so that the pages are not open to everybody. Write ' +
      'staff: (req) => (req.user?.isStaff ? { id: req.user.id } : null) in createReferrals.',
  },
  ENTITIES_MISSING: {
    status: 500,
    text: (names: string[]) =>
      `createReferrals: the DataSource does not know the entities ${names.join(', ')}. ` +
      "Write entities: [...entities, /* yours */] with { entities } from 'express-referrals'.",
  },
  MIGRATIONS_NOT_RUN: {
    status: 500,
    text: (detail: string) =>
      `The tables of express-referrals are missing or out of date (${detail}). Write migrations: [...migrations] ` +
      "with { migrations } from 'express-referrals' in the DataSource, and run await dataSource.runMigrations().",
  },
  NAMES_UNSUPPORTED: {
    status: 500,
    text: (problem: string, instead: string) =>
      `The names of the DataSource do not work with express-referrals: ${problem}. ${instead}`,
  },
  TABLE_EXISTS: {
    status: 500,
    text: (detail: string) =>
      `The migrations of express-referrals did not make what has this name: ${detail}. If it is yours, rename it, or ` +
      'give the package other names with `schema` or `entityPrefix` of the DataSource. If TypeORM made it ' +
      '(`synchronize: true`) and it is empty, drop it, and leave the tables of the package to its migrations.',
  },
  LAYOUT_UNSUPPORTED: {
    status: 500,
    text: (detail: string) =>
      `Citus distributes the tables of express-referrals so that clicks would be lost without an error: ${detail}. ` +
      'Keep "referrals" a local table, and distribute "referral_responses" and "referral_daily_counts" by "referral_id", ' +
      'or keep them local too.',
  },
  ALREADY_CREATED: {
    status: 500,
    text: () =>
      'createReferrals: this DataSource already has an instance. ' +
      'Use it, or await its close() before you create another.',
  },
  NO_INSTANCE: {
    status: 500,
    text: (call: string) =>
      `${call} found no instance: createReferrals was not called for this DataSource, or the instance was closed. ` +
      'Call createReferrals first.',
  },
  AMBIGUOUS_INSTANCE: {
    status: 500,
    text: (call: string, count: number) =>
      `${call} can't tell which of ${count} instances to use. Name one: pass { manager: dataSource.manager }, ` +
      'or a request that has passed through the middleware of only one instance.',
  },
  MIDDLEWARE_MISSING: {
    status: 500,
    text: (call: string) =>
      `${call} was given a request that has not passed through the referrals middleware. ` +
      'Write app.use(referrals.middleware) before the handlers that use referrals.',
  },
  SESSION_MISSING: {
    status: 500,
    text: () =>
      "visitor: 'session' stores the visitor in req.session, but the request has no session. " +
      'Write app.use(session({ … })) before app.use(referrals.middleware). If it is there, its store is away.',
  },
  LISTENER_NEEDS_COOKIE: {
    status: 500,
    text: () =>
      "referrals.listener answers links before the app, where there is no session, so it can't work with " +
      "visitor: 'session'. Leave the option visitor out, or give the app itself to the server: the router serves links too.",
  },
  ROUTER_MISPLACED: {
    status: 500,
    text: (mounted: string, linkPath: string) =>
      `The link router is mounted at ${quoted(mounted || '/')}, ` +
      `but links are made for linkPath "${linkPath}" and would lead nowhere. ` +
      `Write app.use('${linkPath}', referrals.router), or set the option linkPath to that path.`,
  },
  INVALID_INPUT: {
    status: 400,
    text: (field: string, takes: string, got: unknown) => `${field} takes ${takes}, but got ${show(got)}.`,
  },
  CODE_TAKEN: {
    status: 409,
    text: (code: string) =>
      `The code ${quoted(code)} belongs to another referral, or did before (codes are compared without regard to case, and ` +
      'are never given a second time). Give another code.',
  },
  REFERRAL_EXISTS: {
    status: 409,
    text: (existing: string | null, instead: string, field?: string) =>
      'This user already has a referral with the same redirectTo, label and target' +
      `${existing === null ? '' : `; its code is ${quoted(existing)}`}` +
      `${field === undefined ? '' : `, and its ${field} is not the given one`}. ` +
      `Use it, or change it with referralCodes.update, or ${instead}.`,
  },
  CODES_EXHAUSTED: {
    status: 500,
    text: (tries: number, last: string) =>
      `No free code was found in ${tries} tries; the last one was ${quoted(last)}. ` +
      'If you set the option generateCode, let it choose from more codes.',
  },
  NOT_FOUND: {
    status: 404,
    text: (record: string, by: string, missing: readonly (string | number)[]) => {
      const values = missing.map((value, index) => (index < maxMissing ? show(value) : '…'));
      return `There is no ${record} with the ${by}${missing.length > 1 ? 's' : ''} ${values.slice(0, maxMissing + 1).join(', ')}.`;
    },
  },
  AMBIGUOUS: {
    status: 409,
    text: (record: string, by: string, value: string, found: string) =>
      `More than one of ${record} has the ${by} ${show(value)}: ${found}.`,
  },
  NAME_TAKEN: {
    status: 409,
    text: (record: string, name: string) =>
      `A ${record} with the name ${show(name)} already exists. Give another name.`,
  },
  IN_USE: {
    status: 409,
    text: (record: string, id: number, reason: string) => `The ${record} ${id} can't be deleted: ${reason}.`,
  },
  NOT_CHANGEABLE: {
    status: 409,
    text: (record: string, id: number, reason: string) => `The ${record} ${id} can't be changed: ${reason}.`,
  },
  SIGNUP_REFUSED: {
    status: 409,
    text: (sentence: string) => `The sign-up was refused: ${sentence}`,
  },
  USER_EXISTS: {
    status: 409,
    text: (user: string) =>
      `The user ${quoted(user)} has rows of its own, so that no other user can get this id. ` +
      'If both are the same person, call mergeUsers.',
  },
  REFERENCES_CLASH: {
    status: 409,
    text: (user: string, clashes: readonly { kind: string; reference: string }[], isCut: boolean) =>
      `The user can't be merged into ${quoted(user)}, because both have used the same references: ` +
      `${clashes.map(({ kind, reference }) => `the ${kind} ${show(reference)}`).join(', ')}${isCut ? ', …' : ''}. ` +
      'A repeated call could not tell which of the two it means.',
  },
  EARN_OUT_IN_PROGRESS: {
    status: 409,
    text: (id: number) =>
      `The earn-out ${id} of this user is in progress. Wait until it is settled, or call earnOuts.settle or ` +
      'runEarnOuts, and try again.',
  },
  NOT_SIGNED_UP: {
    status: 409,
    text: (user: string) =>
      `The user ${show(user)} has no sign-up, so nothing qualifies. Call qualify again once one is recorded.`,
  },
  REFERENCE_REUSED: {
    status: 409,
    text: (reference: string, before: string, now: string) =>
      `The reference ${show(reference)} stands for ${before} of this user, not for ${now}. ` +
      'Give each purchase, invoice or correction its own reference, ' +
      'and use a reference again only to repeat the same call.',
  },
  WRONG_STATE: {
    status: 409,
    text: (reference: string, state: string, instead: string) =>
      `The credit under the reference ${show(reference)} is ${state}: ${instead}.`,
  },
  HOLD_EXPIRED: {
    status: 409,
    text: (reference: string, at: Date) =>
      `The hold under the reference ${show(reference)} has ended at ${at.toISOString()}, and what it held is available again. ` +
      'Hold again, under another reference.',
  },
  INSUFFICIENT_CREDIT: {
    status: 402,
    text: (asked: string, available: string, isForAnything: boolean) =>
      `The user has ${available} of credit for this, less than the requested ${asked}. ` +
      'Request less, or set partial: true to take the credit that is available.' +
      (isForAnything
        ? ' Credit that is limited to some products is not included: name the product or productCategory to use it.'
        : ''),
  },
  NOT_CREATABLE: {
    status: 409,
    text: (record: string, instead: string) => `No ${record} can be created by hand: ${instead}.`,
  },
  COMMISSION_BOUND: {
    status: 409,
    text: (id: number, earnOut: number) =>
      `The commission ${id} can't be held: the earn-out ${earnOut} pays it. ` +
      'Call commissions.reject to take it back: what is paid becomes a debt that later earn-outs subtract.',
  },
  COMMISSION_REJECTED: {
    status: 409,
    text: (id: number) =>
      `The commission ${id} is rejected, and that is final. To pay the user all the same, call commissions.adjust.`,
  },
  COMMISSION_MOVED: {
    status: 409,
    text: (id: number) =>
      `The commission ${id} was moved away by signups.reassign, so that nothing is left of it. ` +
      'Search for movedFrom to find the one that it became, and change that one.',
  },
  REVIEW_DECIDED: {
    status: 409,
    text: (id: number, status: string) =>
      `The review ${id} is ${status} already, and that is final. ` +
      'What is allowed can still be taken back by commissions.reject, and what is refused be made up for by commissions.adjust.',
  },
  INVALID_EXCHANGE: {
    status: 500,
    text: (from: string, to: string, got: unknown) =>
      `The option exchange returned ${show(got)} as the rate of ${from} in ${to}. ` +
      'Let it return a decimal string above 0, with at most 18 digits before the point and 20 after it.',
  },
  NOTHING_TO_REFUND: {
    status: 409,
    text: (reference: string, what: 'purchase' | 'spend' = 'purchase') =>
      `The ${what} ${show(reference)} is already refunded in full. ` +
      'To repeat a refund, give the reference of that refund.',
  },
  COUPON_NOT_FOUND: {
    status: 400,
    text: (code: string) => `There is no coupon with the code ${show(code)}. Check the spelling.`,
  },
  COUPON_INACTIVE: {
    status: 400,
    text: (code: string) => `The coupon ${show(code)} is not active now.`,
  },
  COUPON_EXPIRED: {
    status: 400,
    text: (code: string) => `The coupon ${show(code)} has expired.`,
  },
  COUPON_OWN: {
    status: 400,
    text: (code: string) => `The coupon ${show(code)} is the user's own: only other users can apply it.`,
  },
  COUPON_REDEEMED: {
    status: 400,
    text: (code: string) => `The user has redeemed the coupon ${show(code)} already and can't apply it again.`,
  },
  COUPON_FIRST_PURCHASE_ONLY: {
    status: 400,
    text: (code: string) => `The coupon ${show(code)} is for the first purchase only, and the user has bought before.`,
  },
  COUPON_BELOW_MINIMUM: {
    status: 400,
    text: (code: string) => `The price is below the minimum of the coupon ${show(code)}.`,
  },
  COUPON_OTHER_PRODUCT: {
    status: 400,
    text: (code: string) =>
      `The coupon ${show(code)} is for other products. Name the product of the price with product.`,
  },
  TOO_MANY_ATTEMPTS: {
    status: 429,
    text: () => 'Too many attempts. Try again in a minute.',
  },
  COUPON_USED_UP: {
    status: 400,
    text: (code: string) => `The coupon ${show(code)} is used up: as many buyers as it allows have redeemed it.`,
  },
  PAYOUT_UNCLEAR: {
    status: 500,
    text: (id: number, key: string, result: string, nextAttemptAt: Date | null) =>
      `It is not known whether the earn-out ${id} was paid: earnOuts.payout ${result}. ` +
      (nextAttemptAt === null
        ? `It is not tried again. Look up the key ${key} at your payment provider, ` +
          'and call earnOuts.settle with what became of it, or earnOuts.retry.'
        : `It stays in progress and is tried again under the same key, ${key}, from ${nextAttemptAt.toISOString()} on.`),
  },
  PAYOUT_CONTRADICTED: {
    status: 500,
    text: (id: number, report: string, before: string, effect: string) =>
      `The earn-out ${id} was reported as ${report}, but it was ${before} before: ${effect}. ` +
      'Check the payment at your provider.',
  },
  DATABASE_UNAVAILABLE: {
    status: 503,
    text: (detail: string, outcome: CallOutcome) =>
      `PostgreSQL did not complete this call (${detail}). ` +
      (outcome === 'none'
        ? 'It has changed nothing; try again, from the beginning of your transaction if it ran in one.'
        : 'It may have taken effect; repeat it with the same reference, or look whether it did.'),
  },
  CLOSED: {
    status: 503,
    text: () => 'This instance of express-referrals is closed and accepts no more calls.',
  },
} as const;

/**
 * Whether a call that failed may have happened nevertheless. `'none'`: it has changed nothing, and will not.
 * `'unknown'`: PostgreSQL was asked to commit it, or a part of it, and it is not known whether it did.
 */
export type CallOutcome = 'none' | 'unknown';

/** The stable name of an error. The documentation describes each. */
export type ReferralErrorCode = keyof typeof catalogue;

/** All codes. A test compares them with the documentation. */
export const referralErrorCodes = Object.keys(catalogue) as ReferralErrorCode[];

/**
 * The error that the calls of this package throw. Express reads `status`, so an error that the host does not handle
 * leads to a response with that status.
 *
 * @example
 * try {
 *   await referrals.credits.spend(user, { amount: '12.50', reference: 'invoice-7' });
 * } catch (error) {
 *   if (error instanceof ReferralError && error.code === 'INSUFFICIENT_CREDIT') payByCard();
 *   else throw error;
 * }
 */
export class ReferralError extends Error {
  override readonly name = 'ReferralError';
  /** The stable name of the error, for example `'INVALID_INPUT'`. */
  readonly code: ReferralErrorCode;
  /** The HTTP status with which Express responds if the error reaches its error handler. */
  readonly status: number;
  /** Whether a client may read the message: true for every status below 500. Koa and `http-errors` use the same name. */
  readonly expose: boolean;
  /**
   * The name of the wrong option or field, escaped and cut as in the message, for `INVALID_OPTION`, `UNKNOWN_OPTION` and
   * `INVALID_INPUT`; for `REFERRAL_EXISTS`, the field in which the existing referral differs from the input, if there is one.
   */
  readonly field?: string;
  /**
   * Whether the call may have happened; only for `DATABASE_UNAVAILABLE` and `CLOSED`. `'none'`: it has changed nothing,
   * so it can simply be made again. `'unknown'`: the connection was lost, or the time-out passed, after PostgreSQL was
   * asked to commit. To make such a call again is safe with the same `reference`.
   */
  readonly outcome?: CallOutcome;

  /** @internal */
  constructor(code: ReferralErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.status = catalogue[code].status;
    this.expose = this.status < 500;
    if (details.field !== undefined) this.field = details.field;
    if (details.outcome !== undefined) this.outcome = details.outcome;
  }
}

/** What an error tells besides its sentence. */
interface ErrorDetails {
  field?: string;
  outcome?: CallOutcome;
  cause?: unknown;
}

type Facts<C extends ReferralErrorCode> = Parameters<(typeof catalogue)[C]['text']>;

/** Creates the error of a code, with the facts that its sentence needs. */
export function referralError<C extends ReferralErrorCode>(code: C, ...facts: Facts<C>): ReferralError {
  const named = code === 'INVALID_INPUT' || code === 'INVALID_OPTION' || code === 'UNKNOWN_OPTION';
  return detailedError(code, named ? { field: escaped(facts[0] as string) } : {}, ...facts);
}

/** Like {@link referralError}, for an error that tells more than its sentence does. */
export function detailedError<C extends ReferralErrorCode>(
  code: C,
  details: ErrorDetails,
  ...facts: Facts<C>
): ReferralError {
  const text = catalogue[code].text as (...facts: unknown[]) => string;
  return new ReferralError(code, text(...facts), details);
}

/** Creates the error of a referral that exists, but with another value in a field than the given one. */
export function otherReferralExists(code: string, field: string): ReferralError {
  const instead = `give the one with the other ${field} another label`;
  return new ReferralError('REFERRAL_EXISTS', catalogue.REFERRAL_EXISTS.text(code, instead, field), { field });
}

/** Creates the error of an input field with a wrong value. It is thrown before anything is written. */
export function invalid(field: string, takes: string, got: unknown): ReferralError {
  return referralError('INVALID_INPUT', field, takes, got);
}
