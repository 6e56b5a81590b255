import type { DataSource } from 'typeorm';
import { aCurrency, currencyOf, isCurrency } from './currency';
import { type ReferralError, referralError } from './errors';
import { decimalsIn, fieldsIn } from './input';
import type { ReferralsOptions } from './options';
import { describe, show } from './shown';
import type { Amount } from './types/common';
import { templateNames } from './types/pages';

/** The values that an option takes, as the error describes them, and a test of a value. */
type Check = readonly [takes: string, test: (value: unknown) => boolean];
type Checks = Readonly<Record<string, Check | Readonly<Record<string, Check>>>>;

/** Whether an option is a group of options: an object whose named properties are all optional. */
type IsGroup<T> = object extends T ? (string extends keyof T ? false : true) : false;

/**
 * One check for each option, and for each option of a group. The compiler reports an option without a check, and a
 * check without an option.
 */
type CheckOfEach<Options> = {
  [Name in keyof Options]-?: IsGroup<NonNullable<Options[Name]>> extends true
    ? { [Inner in keyof NonNullable<Options[Name]>]-?: Check }
    : Check;
};

const isFunction: Check = ['a function', (value) => typeof value === 'function'];
const isPositive: Check = ['a finite number above 0', (value) => Number.isFinite(value) && (value as number) > 0];
const isParameter: Check = [
  'the name of a query parameter, 1–100 of [A-Za-z0-9_.-], or false',
  (value) => value === false || (typeof value === 'string' && /^[\w.-]{1,100}$/.test(value)),
];
const isOneOf = (...words: string[]): Check => [
  words.map((word) => `'${word}'`).join(' or '),
  (value) => words.includes(value as string),
];
const isListOf = (takes: string, test: (item: unknown) => boolean): Check => [
  takes,
  (value) => Array.isArray(value) && value.every(test),
];

/** By its mark, because an application may load TypeORM twice. */
function isEntitySchema(value: unknown): boolean {
  return (value as { '@instanceof'?: unknown } | null)?.['@instanceof'] === Symbol.for('EntitySchema');
}

function parseUrl(value: unknown): URL | null {
  return typeof value === 'string' && URL.canParse(value) ? new URL(value) : null;
}
const isHttp = (url: URL | null): url is URL =>
  url !== null && /^https?:$/.test(url.protocol) && !url.username && !url.password;

const isSecret = (value: unknown): boolean => typeof value === 'string' && value.length >= 32;

const isAmount = (value: unknown): value is Amount =>
  ['string', 'number', 'bigint'].includes(typeof value) && /^\d{1,16}(\.\d{1,4})?$/.test(String(value));
const isAmountAbove0: Check = [
  'an amount above 0, with at most 4 decimals, such as "10.00"',
  (value) => isAmount(value) && Number(value) > 0,
];
const isWholeOf = (min: number, max: number): Check => [
  `a whole number from ${min} to ${max}`,
  (value) => Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max,
];

const fraudModes = ['off', 'flag', 'hold'];
/** Whether a value is an object with a mode and one other field, and nothing else. */
const isModeWith = (value: unknown, field: string, test: (value: unknown) => boolean): boolean => {
  if (typeof value !== 'object' || value === null) return false;
  const { do: mode, [field]: given, ...rest } = value as Record<string, unknown>;
  return fraudModes.includes(mode as string) && test(given) && Object.keys(rest).length === 0;
};
const isRuleWith = (field: string, takes: string, test: (value: unknown) => boolean): Check => [
  `'off', or an object with do ('off', 'flag' or 'hold') and ${field}, ${takes}`,
  (value) => value === 'off' || isModeWith(value, field, test),
];
const isRule: Check = [
  "'off', a function, or an object with do ('off', 'flag' or 'hold') and find, a function",
  (value) => value === 'off' || isFunction[1](value) || isModeWith(value, 'find', isFunction[1]),
];

const isPath = (example: string): Check => [
  `a path that starts with '/' and is not '/' alone, of [A-Za-z0-9/_.~-], such as ${example}`,
  (value) => typeof value === 'string' && /^(\/[\w.~-]+)+\/?$/.test(value),
];

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
/** Whether a text is a language alone, without a region. */
const isLanguage = (name: string): boolean => /^[a-z]{2,3}$/.test(name);
const isColor = (value: unknown): boolean => typeof value === 'string' && /^#[0-9a-f]{6}$/i.test(value);
const isPairOfColors = (value: unknown): boolean =>
  isRecord(value) && Object.keys(value).sort().join() === 'dark,light' && Object.values(value).every(isColor);

const checks = {
  dataSource: ['a TypeORM DataSource', (value) => typeof (value as DataSource | null)?.hasMetadata === 'function'],
  baseUrl: [
    "an absolute http(s) URL without user info, query or fragment, such as 'https://shop.example'",
    (value) => {
      const url = parseUrl(value);
      return isHttp(url) && url.search === '' && url.hash === '';
    },
  ],
  secret: [
    'a string of at least 32 characters, or a non-empty array of such strings, newest first',
    (value) => isSecret(value) || (Array.isArray(value) && value.length > 0 && value.every(isSecret)),
  ],
  user: isFunction,
  linkPath: isPath("'/r'"),
  visitor: isOneOf('cookie', 'session'),
  cookie: {
    name: ['a cookie name of [A-Za-z0-9_-]', (value) => typeof value === 'string' && /^[\w-]{1,100}$/.test(value)],
    maxAgeDays: [
      'a finite number of days, at least one second (1/86400)',
      (value) => Number.isFinite(value) && (value as number) * 86_400 >= 1,
    ],
    domain: ['a domain name', (value) => typeof value === 'string' && /^\.?[a-z0-9-]+(\.[a-z0-9-]+)*$/i.test(value)],
    secure: ["true, false or 'auto'", (value) => typeof value === 'boolean' || value === 'auto'],
    sameSite: isOneOf('lax', 'none', 'strict'),
  },
  codeParameter: isParameter,
  redirect: {
    parameter: isParameter,
    allowedOrigins: isListOf("an array of http(s) origins, such as ['https://docs.shop.example']", (item) => {
      const url = parseUrl(item);
      return isHttp(url) && url.pathname === '/' && url.search === '' && url.hash === '';
    }),
    passQuery: [
      "true, false, or an array of names of parameters, such as ['utm_source', 'gclid']",
      (value) =>
        typeof value === 'boolean' ||
        (Array.isArray(value) && value.every((name) => typeof name === 'string' && name !== '')),
    ],
  },
  attribution: { model: isOneOf('last-touch', 'first-touch'), windowDays: isPositive },
  selfReferral: isOneOf('block', 'flag', 'allow'),
  isSamePerson: isFunction,
  currency: [aCurrency, isCurrency],
  exchange: isFunction,
  commission: {
    ratio: [
      'a share from 0 to 1, with at most 4 decimals, such as "0.25"',
      (value) => isAmount(value) && Number(value) <= 1,
    ],
    amount: isAmountAbove0,
    months: isWholeOf(1, 1200),
    purchases: isWholeOf(1, 2_147_483_647),
    maxPerReferee: isAmountAbove0,
    signup: ['an amount from 0, with at most 4 decimals, such as "5.00"', isAmount],
    qualify: ['true or false', (value) => typeof value === 'boolean'],
    maxPerReferrer: [
      "{ amount, period } with an amount above 0 and the period 'month', 'quarter', 'year' or 'all'",
      (value) => {
        const { amount, period, ...rest } = Object(value) as { amount?: unknown; period?: unknown };
        const isPeriod = ['month', 'quarter', 'year', 'all'].includes(period as string);
        return isAmountAbove0[1](amount) && isPeriod && Object.keys(rest).length === 0;
      },
    ],
    pendingDays: isWholeOf(0, 36_500),
  },
  earnOuts: {
    every: [
      'an object with days, a number from one second (1/86400) to 36500, such as { days: 7 }',
      (value) => {
        const { days, ...rest } = Object(value) as { days?: number };
        return Number.isFinite(days) && days! * 86_400 >= 1 && days! <= 36_500 && Object.keys(rest).length === 0;
      },
    ],
    minimum: isAmountAbove0,
    addressHoldDays: isWholeOf(0, 36_500),
    payout: isFunction,
    payoutTimeoutMs: isWholeOf(1, 2_147_183_647),
    concurrency: isWholeOf(1, 1000),
    creditType: [
      'a name of 1 to 100 characters',
      (value) => typeof value === 'string' && value.length > 0 && value.length <= 100 && !value.includes('\0'),
    ],
    creditDurationDays: isWholeOf(1, 36_500),
    takeBackCredit: ['true or false', (value) => typeof value === 'boolean'],
    approve: isOneOf('all', 'new-accounts', 'none'),
  },
  fraud: {
    sharedPayoutAddress: isOneOf(...fraudModes),
    sameDevice: isOneOf(...fraudModes),
    signupsFromAddress: isRuleWith('max', 'a whole number from 1 to 1000', isWholeOf(1, 1000)[1]),
    clicksOfVisitor: isRuleWith('max', 'a whole number from 1 to 1000000', isWholeOf(1, 1_000_000)[1]),
    fastSignup: isRuleWith(
      'seconds',
      'a number of seconds from 1 to 86400',
      (value) => Number.isFinite(value) && (value as number) >= 1 && (value as number) <= 86_400,
    ),
    rule: isRule,
  },
  api: {
    rateLimitStore: [
      'a store of express-rate-limit, with increment, decrement and resetKey',
      (value) =>
        ['increment', 'decrement', 'resetKey'].every(
          (name) => typeof (value as Record<string, unknown> | null)?.[name] === 'function',
        ),
    ],
  },
  pages: {
    path: isPath("'/referrals'"),
    signInPath: [
      "a path of this site that starts with one '/', such as '/login'",
      (value) => typeof value === 'string' && /^\/(?![\\/])[\x21-\x7e]*$/.test(value),
    ],
    userName: isFunction,
    locale: isFunction,
    timeZone: isFunction,
    texts: [
      "an object that maps languages to words, such as { en: { overview: { title: 'Invite friends' } } }",
      (value) => isRecord(value) && Object.entries(value).every(([name, words]) => isLanguage(name) && isRecord(words)),
    ],
    colors: [
      "an object with ink, paper and accent, each '#rrggbb' or { light: '#rrggbb', dark: '#rrggbb' }",
      (value) =>
        isRecord(value) &&
        Object.entries(value).every(
          ([name, color]) => ['ink', 'paper', 'accent'].includes(name) && (isColor(color) || isPairOfColors(color)),
        ),
    ],
    templates: [
      `an object of functions, named ${templateNames.join(', ')}`,
      (value) =>
        isRecord(value) &&
        Object.entries(value).every(
          ([name, template]) => (templateNames as readonly string[]).includes(name) && isFunction[1](template),
        ),
    ],
  },
  staff: isFunction,
  consent: isFunction,
  bots: isFunction,
  clientIp: isFunction,
  ip: isOneOf('masked', 'full', 'none'),
  httpReferrer: isOneOf('path', 'origin', 'full', 'none'),
  generateCode: isFunction,
  responsesFilter: isFunction,
  actionDisplay: [
    'an object that maps actions to strings',
    (value) =>
      typeof value === 'object' &&
      value !== null &&
      !Array.isArray(value) &&
      Object.values(value).every((words) => typeof words === 'string'),
  ],
  targetTypes: isListOf(
    'an array of entity classes, EntitySchemas or non-empty strings',
    (item) => typeof item === 'function' || isEntitySchema(item) || (typeof item === 'string' && item !== ''),
  ),
  csrf: isFunction,
  clock: isFunction,
  queryTimeoutMs: [
    'a number of milliseconds from 1 to 2147483647',
    (value) => Number.isFinite(value) && (value as number) >= 1 && (value as number) <= 2_147_483_647,
  ],
  preparedStatements: ['true or false', (value) => typeof value === 'boolean'],
  linkCache: {
    max: ['a whole number above 0', (value) => Number.isSafeInteger(value) && (value as number) > 0],
    ttlMs: ['a whole number above 0', (value) => Number.isSafeInteger(value) && (value as number) > 0],
  },
  onError: isFunction,
} satisfies CheckOfEach<ReferralsOptions>;

/** The names of all options, such as `ip` and `cookie.name`. A test compares them with the documentation. */
export const optionNames = Object.entries<Checks[string]>(checks).flatMap(([name, rule]) =>
  isCheck(rule) ? [name] : Object.keys(rule).map((inner) => `${name}.${inner}`),
);

type RequiredName = {
  [Name in keyof ReferralsOptions]-?: undefined extends ReferralsOptions[Name] ? never : Name;
}[keyof ReferralsOptions];

const required: ReadonlySet<string> = new Set(
  Object.keys({ dataSource: true, baseUrl: true, secret: true, user: true } satisfies Record<RequiredName, true>),
);

/** Reads a group of options, checks their names and values, and returns a copy of those that are given. */
function checked(given: unknown, against: Checks, group = ''): Record<string, unknown> {
  const nameOf = (name: string): string => (group === '' ? name : `${group}.${name}`);
  const known = Object.keys(against);
  const read = fieldsIn(given, known);
  if (!read) throw refused(group || 'options', `an object with ${(group ? known : [...required]).join(', ')}`, given);
  const { fields, unknown } = read;
  if (unknown !== undefined) throw referralError('UNKNOWN_OPTION', nameOf(unknown), known.map(nameOf));
  for (const [name, rule] of Object.entries(against)) {
    const value = fields[name];
    if (value === undefined && (group !== '' || !required.has(name))) continue;
    if (!isCheck(rule)) fields[name] = checked(value, rule, name);
    else if (!passes(rule, value)) throw refused(nameOf(name), rule[0], value);
  }
  return fields;
}

/** Whether a value is one that the option takes. One that can't be read is not. */
function passes([, test]: Check, value: unknown): boolean {
  try {
    return test(value);
  } catch {
    return false;
  }
}

function isCheck(rule: Checks[string]): rule is Check {
  return Array.isArray(rule);
}

/** Options whose values can be, or contain, a secret. Of them and of their parts an error tells only type and length. */
const confidential: ReadonlySet<string> = new Set([
  ...['options', 'dataSource', 'baseUrl', 'secret', 'cookie', 'csrf', 'api', 'user'],
]);

/**
 * Creates the error of a wrong value of an option. It shows the value only if that can't be a secret, also not one that
 * was meant for another option: an address, in which a password may be, or a long text, as keys are.
 */
export function refused(option: string, takes: string, value: unknown): ReferralError {
  const isShown =
    !confidential.has(option.split('.')[0]!) &&
    !(typeof value === 'string' && (value.length > 20 || /[@:]/.test(value)));
  return referralError('INVALID_OPTION', option, takes, isShown ? show(value) : describe(value));
}

/**
 * Checks the names and values of all options, and returns a copy of them, so that what was checked is what is used.
 *
 * @throws ReferralError `UNKNOWN_OPTION` or `INVALID_OPTION`, naming the option.
 */
export function checkedOptions(given: unknown): ReferralsOptions {
  const options = checked(given, checks) as unknown as ReferralsOptions;
  refuseDecimals(options, {
    'commission.maxPerReferee': options.commission?.maxPerReferee,
    'earnOuts.minimum': options.earnOuts?.minimum,
  });
  return options;
}

/** Refuses amounts with more decimals than the currency has. */
function refuseDecimals({ currency }: ReferralsOptions, amounts: Readonly<Record<string, Amount | undefined>>): void {
  const { code, decimals } = currencyOf(currency);
  for (const [name, amount] of Object.entries(amounts))
    if (amount !== undefined && decimalsIn(String(amount)) > decimals)
      throw refused(
        name,
        `an amount of ${code}, with ${decimals === 0 ? 'no' : `at most ${decimals}`} decimals`,
        amount,
      );
}
