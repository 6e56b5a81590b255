import type { DataSource } from 'typeorm';
import { referralError } from './errors';

/** What an option takes, and the test of it. */
type Check = readonly [takes: string, test: (value: unknown) => boolean];

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

function parseUrl(value: unknown): URL | null {
  return typeof value === 'string' && URL.canParse(value) ? new URL(value) : null;
}
const isHttp = (url: URL | null): url is URL =>
  url !== null && /^https?:$/.test(url.protocol) && !url.username && !url.password;

const isSecret = (value: unknown): boolean => typeof value === 'string' && value.length >= 32;

const isAmount = (value: unknown): value is string | number =>
  (typeof value === 'string' || typeof value === 'number') && /^\d{1,16}(\.\d{1,4})?$/.test(String(value));
const isAmountAbove0: Check = [
  'an amount above 0, with at most 4 decimals, such as "10.00"',
  (value) => isAmount(value) && Number(value) > 0,
];
const isWholeOf = (min: number, max: number): Check => [
  `a whole number from ${min} to ${max}`,
  (value) => Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max,
];

/** One check an option; a nested object is checked option by option. */
const checks: Record<string, Check | Record<string, Check>> = {
  dataSource: ['a TypeORM DataSource', (value) => typeof (value as DataSource | null)?.hasMetadata === 'function'],
  baseUrl: [
    "an absolute http(s) URL without user info, query or fragment, such as 'https://shop.example'",
    (value) => {
      const url = parseUrl(value);
      return isHttp(url) && url.search === '' && url.hash === '';
    },
  ],
  secret: [
    'a string of at least 32 characters, or a non-empty array of such, newest first',
    (value) => isSecret(value) || (Array.isArray(value) && value.length > 0 && value.every(isSecret)),
  ],
  user: isFunction,
  linkPath: [
    "a path that starts with '/' and is not '/' alone, of [A-Za-z0-9/_.~-], such as '/r'",
    (value) => typeof value === 'string' && /^(\/[\w.~-]+)+\/?$/.test(value),
  ],
  visitor: isOneOf('cookie', 'session'),
  cookie: {
    name: ['a cookie name of [A-Za-z0-9_-]', (value) => typeof value === 'string' && /^[\w-]{1,100}$/.test(value)],
    maxAgeDays: [
      'a finite number of days that make a second at least',
      (value) => Number.isFinite(value) && (value as number) * 86_400 >= 1,
    ],
    domain: ['a domain name', (value) => typeof value === 'string' && /^\.?[a-z0-9-]+(\.[a-z0-9-]+)*$/i.test(value)],
    secure: ["true, false or 'auto'", (value) => typeof value === 'boolean' || value === 'auto'],
  },
  codeParameter: isParameter,
  redirect: {
    parameter: isParameter,
    allowedOrigins: isListOf("an array of http(s) origins, such as ['https://docs.shop.example']", (item) => {
      const url = parseUrl(item);
      return isHttp(url) && url.pathname === '/' && url.search === '' && url.hash === '';
    }),
  },
  attribution: { model: isOneOf('last-touch', 'first-touch'), windowDays: isPositive },
  selfReferral: isOneOf('block', 'flag', 'allow'),
  isSamePerson: isFunction,
  commission: {
    ratio: [
      'a share from 0 to 1, with at most 4 decimals, such as "0.25"',
      (value) => isAmount(value) && Number(value) <= 1,
    ],
    maxPerReferee: isAmountAbove0,
    pendingDays: isWholeOf(0, 36_500),
  },
  earnOuts: {
    every: [
      'an object with days, a number above 0 that makes a second at least, up to 36500, such as { days: 7 }',
      (value) => {
        const { days, ...rest } = Object(value) as { days?: number };
        return Number.isFinite(days) && days! * 86_400 >= 1 && days! <= 36_500 && Object.keys(rest).length === 0;
      },
    ],
    minimum: isAmountAbove0,
    payout: isFunction,
    creditType: [
      'a name of 1 to 100 characters',
      (value) => typeof value === 'string' && value.length > 0 && value.length <= 100 && !value.includes('\0'),
    ],
    creditDurationDays: isWholeOf(1, 36_500),
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
  consent: isFunction,
  clientIp: isFunction,
  ip: isOneOf('masked', 'full', 'none'),
  generateCode: isFunction,
  responsesFilter: isFunction,
  actionDisplay: [
    'an object from actions to words',
    (value) =>
      typeof value === 'object' &&
      value !== null &&
      !Array.isArray(value) &&
      Object.values(value).every((words) => typeof words === 'string'),
  ],
  targetTypes: isListOf(
    'an array of entity classes or words',
    (item) => typeof item === 'function' || (typeof item === 'string' && item !== ''),
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
};

/** Every option, nested ones with a dot; the README must describe each. */
export const optionNames = Object.entries(checks).flatMap(([name, rule]) =>
  Array.isArray(rule) ? [name] : Object.keys(rule).map((inner) => `${name}.${inner}`),
);

const required = ['dataSource', 'baseUrl', 'secret', 'user'];

function check(given: Record<string, unknown>, against: Record<string, Check | Record<string, Check>>, prefix = '') {
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(against, name)) {
      const known = Object.keys(against).map((other) => prefix + other);
      throw referralError('UNKNOWN_OPTION', prefix + name, known);
    }
  }
  for (const [name, rule] of Object.entries(against)) {
    const value = given[name];
    if (value === undefined && (prefix !== '' || !required.includes(name))) continue;
    if (Array.isArray(rule)) {
      const [takes, test] = rule as Check;
      // A wrong secret is still a secret: what was got is not shown.
      const shown =
        name === 'secret' ? (typeof value === 'string' ? `${value.length} characters` : typeof value) : value;
      if (!test(value)) throw referralError('INVALID_OPTION', prefix + name, takes, shown);
    } else {
      if (typeof value !== 'object' || value === null || Array.isArray(value))
        throw referralError('INVALID_OPTION', name, `an object with ${Object.keys(rule).join(', ')}`, value);
      check(value as Record<string, unknown>, rule as Record<string, Check>, `${name}.`);
    }
  }
}

/** Refuses an option that is unknown or wrong, by name. */
export function checkOptions(given: Record<string, unknown>): void {
  check(given, checks);
}
