/**
 * Every error of the package: its code, the HTTP status with which Express responds if the error reaches its error
 * handler, and its sentence. A sentence says what was wrong, what was found and what to do. Sentences may change;
 * `ReferralError.code` does not. The guide `examples/quickstart` lists each.
 */
const catalogue = {
  INVALID_OPTION: {
    status: 500,
    text: (option: string, takes: string, got: unknown) =>
      `createReferrals: option "${option}" takes ${takes}, but got ${show(got)}.`,
  },
  UNKNOWN_OPTION: {
    status: 500,
    text: (option: string, known: string[]) =>
      `createReferrals: there is no option "${option}". The options are ${known.join(', ')}.`,
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
  ROUTER_MISPLACED: {
    status: 500,
    text: (mounted: string, linkPath: string) =>
      `The link router is mounted at "${mounted || '/'}", ` +
      `but links are made for linkPath "${linkPath}" and would lead nowhere. ` +
      `Write app.use('${linkPath}', referrals.router), or set the option linkPath: '${mounted || '/'}'.`,
  },
  INVALID_INPUT: {
    status: 400,
    text: (field: string, takes: string, got: unknown) => `${field} takes ${takes}, but got ${show(got)}.`,
  },
  CODE_TAKEN: {
    status: 409,
    text: (code: string) =>
      `The code "${code}" belongs to another referral (codes are compared without regard to case). Give another code.`,
  },
  REFERRAL_EXISTS: {
    status: 409,
    text: (existing: string | null, instead: string) =>
      'This user already has a referral with the same redirectTo, label and target' +
      `${existing === null ? '' : `; its code is "${existing}"`}. ` +
      `Use it, or change it with referralCodes.update, or ${instead}.`,
  },
  CODES_EXHAUSTED: {
    status: 500,
    text: (tries: number, last: string) =>
      `No free code was found in ${tries} tries; the last one was "${last}". ` +
      'If you set the option generateCode, let it choose from more codes.',
  },
  NOT_FOUND: {
    status: 404,
    text: (record: string, by: string, missing: readonly (string | number)[]) => {
      const values = missing.map((value) => (typeof value === 'string' ? show(value) : value)).join(', ');
      return `There is no ${record} with the ${by}${missing.length > 1 ? 's' : ''} ${values}.`;
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
  NOTHING_TO_REFUND: {
    status: 409,
    text: (reference: string) =>
      `The purchase ${show(reference)} is already refunded in full. ` +
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
  /** The name of the wrong option or field; only for `INVALID_OPTION`, `UNKNOWN_OPTION` and `INVALID_INPUT`. */
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
    if (details.field !== undefined) this.field = details.field;
    if (details.outcome !== undefined) this.outcome = details.outcome;
  }
}

/**
 * Thrown by the host's function `earnOuts.payout`: the provider has refused the payment, and surely neither has made it
 * nor will make it under this key. The earn-out becomes `failed`, and its amount is free again. Every other error means
 * that the result is not known.
 *
 * @example
 * if (answer.status === 'rejected') throw new PayoutRefused('The address does not accept payments.');
 */
export class PayoutRefused extends Error {
  override readonly name = 'PayoutRefused';

  /** @param reason Why, for the referrer; up to 500 characters are stored. */
  constructor(reason: string, options?: ErrorOptions) {
    super(reason, options);
  }
}

interface ErrorDetails {
  field?: string;
  outcome?: CallOutcome;
  cause?: unknown;
}

type Catalogue = typeof catalogue;

/** Creates the error of a code, with the facts that its sentence needs. */
export function referralError<C extends ReferralErrorCode>(
  code: C,
  ...facts: Parameters<Catalogue[C]['text']>
): ReferralError {
  const text = catalogue[code].text as (...facts: unknown[]) => string;
  const named = code === 'INVALID_INPUT' || code === 'INVALID_OPTION' || code === 'UNKNOWN_OPTION';
  return new ReferralError(code, text(...facts), named ? { field: facts[0] as string } : {});
}

/** Creates the error of a payout without a clear result, with what the host's function threw as its cause. */
export function payoutUnclear(
  earnOut: { id: number; idempotencyKey: string; nextAttemptAt: Date | null },
  result: string,
  cause?: unknown,
): ReferralError {
  const { id, idempotencyKey, nextAttemptAt } = earnOut;
  const text = catalogue.PAYOUT_UNCLEAR.text(id, idempotencyKey, result, nextAttemptAt);
  return new ReferralError('PAYOUT_UNCLEAR', text, { cause });
}

/** Creates the error of a database that can't be reached or does not respond, with the driver's error as its cause. */
export function databaseUnavailable(detail: string, outcome: CallOutcome, cause?: unknown): ReferralError {
  const message = catalogue.DATABASE_UNAVAILABLE.text(detail, outcome);
  return new ReferralError('DATABASE_UNAVAILABLE', message, { outcome, cause });
}

/** Creates the error of a call to an instance that is closed. */
export function closed(): ReferralError {
  return new ReferralError('CLOSED', catalogue.CLOSED.text(), { outcome: 'none' });
}

/**
 * Returns the error of a call that consists of several transactions and has committed one of them: whatever is known of
 * the last one, the call may have happened in part. Returns every other error unchanged.
 */
export function afterCommit(error: unknown): unknown {
  if (!(error instanceof ReferralError) || error.outcome !== 'none') return error;
  if (error.code !== 'CLOSED') return databaseUnavailable('after a part of it was committed', 'unknown', error);
  return new ReferralError('CLOSED', error.message, { outcome: 'unknown', cause: error });
}

/** Whether an error says that the database is unavailable, or that the instance is closed. */
export function isAway(error: unknown): boolean {
  return error instanceof ReferralError && error.status === 503;
}

/** Creates the error of an input field that the call does not have. */
export function unknownField(call: string, field: string, known: readonly string[]): ReferralError {
  return new ReferralError('INVALID_INPUT', `${call} has no field "${field}". It knows ${known.join(', ')}.`, {
    field,
  });
}

/** Creates the error of an input field with a wrong value. It is thrown before anything is written. */
export function invalid(field: string, takes: string, got: unknown): ReferralError {
  return referralError('INVALID_INPUT', field, takes, got);
}

/** A value as an error message shows it: short, and never the content of an object, which may be secret. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
  if (typeof value === 'function') return `the function ${value.name || '(anonymous)'}`;
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'an invalid Date' : value.toISOString();
  if (typeof value === 'object' && value !== null) {
    const name: unknown = value.constructor?.name;
    return `an object of ${typeof name === 'string' ? name.slice(0, 80) : 'no class'}`;
  }
  return String(value);
}
