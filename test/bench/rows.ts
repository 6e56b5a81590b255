import type { Numbers, Part } from './options';

/** A bound on every Node, or on some majors. */
type Bound = number | Readonly<Record<number, number>>;

/** One line of the table that a run ends with. Without a bound, it only tells. */
export interface Row {
  measured: string;
  /** Of the figure; a ratio has none. */
  unit?: string;
  atMost?: Bound;
  atLeast?: Bound;
}

const onListener = { 20: 0.33, 22: 0.45, 24: 0.9 };
const onRouter = { 20: 1.05, 22: 1.05, 24: 1.4 };

/** All that a run measures, with what it must reach. Ratios are medians of pairs that were measured one after the other. */
export const rowsOf = ({ responses, connections, commissions }: Numbers) =>
  ({
    requests: {
      'node redirect cpu': { measured: `server CPU of a redirect by node:http alone ${toBare(64)}` },
      'node click cpu': { measured: `server CPU of a click that node:http and a batched INSERT commit ${toBare(64)}` },
      'listener cpu, 64': { measured: cpuOf('listener', 64), atMost: onListener },
      'listener cpu, 512': { measured: cpuOf('listener', 512), atMost: onListener },
      'router cpu, 64': { measured: cpuOf('router', 64), atMost: onRouter },
      'router cpu, 512': { measured: cpuOf('router', 512), atMost: onRouter },
      'listener cpu, back': { measured: cpuOf('listener', 64, 'who comes back with the cookie') },
      'router cpu, back': { measured: cpuOf('router', 64, 'who comes back with the cookie') },
      'listener rate': { measured: rateOf('listener', 'a bare redirect'), atLeast: { 20: 1.5 } },
      'router rate': { measured: rateOf('router', 'a bare redirect') },
      'by hand': { measured: rateOf('router', 'a SELECT and an INSERT by hand'), atLeast: 2.5 },
      'by hand, prepared': { measured: rateOf('router', 'the same by hand, prepared') },
      'big table': { measured: `clicks/s with ${responses} responses against none, 512 connections`, atLeast: 0.95 },
      'page': { measured: 'a page, never referred, against one with a middleware that does nothing', atLeast: 0.98 },
      'referred page': {
        measured: 'a page of a referred visitor with `referralForRequest` against one without the package',
        atLeast: 0.9,
      },
      'page statements': { measured: 'statements of these pages', unit: '', atMost: 0 },
    },
    recorder: {
      'batch cpu': { measured: "PostgreSQL's CPU a click, batches of 128", unit: 'µs', atMost: 35 },
      'batch cpu, against': { measured: 'the same against the other checkout', atMost: 0.75 },
      'wal': { measured: `WAL a click at ${responses} responses, after a checkpoint`, unit: 'B', atMost: 900 },
      'ingest': { measured: 'clicks/s through the recorder of one process', unit: '/s', atLeast: 25_000 },
      'ingest, by hand': { measured: 'the same against `unnest` inserts of 1,000 rows by hand', atLeast: 0.4 },
    },
    lists: {
      'for referrer': { measured: `responsesForReferrer(), ${responses / 5} against 100`, atMost: 2 },
      'filtered': { measured: `filteredResponses(), ${responses / 5} against 100`, atMost: 2 },
      'count': { measured: 'responseCount(), a year of days against one', atMost: 5 },
      'for request': { measured: `referralForRequest(), ${responses} stored against 10000`, atMost: 1.3 },
    },
    crowd: {
      'crowd failures': { measured: `${connections} connections: errors and lost connections`, unit: '', atMost: 0 },
      // In a closed loop, an even share for each is connections / requests a second.
      'crowd p99': { measured: `${connections} connections: p99 against an even share`, atMost: 3 },
      'crowd memory': { measured: `${connections} connections: memory of the server`, unit: 'MB', atMost: 250 },
      'crowd next': { measured: `${connections} connections: the next request after them`, unit: 'ms', atMost: 50 },
    },
    credits: {
      'spends': { measured: 'spends/s on distinct users, against prepared statements', atLeast: 0.8 },
      'spends, hot': { measured: 'spends/s on one hot user, against prepared statements', atLeast: 0.8 },
      'sign-ups': { measured: 'sign-ups/s on one hot code, against prepared statements', atLeast: 0.8 },
    },
    api: {
      'credits page': { measured: `credit/, first page, ${commissions} against 100`, atMost: 3 },
      'credits page, moved': { measured: 'the same, totals just moved', atMost: 3 },
      'far page': { measured: `credit/, a far page of ${commissions} against the first of 100`, atMost: 30 },
      'config': { measured: `config/, ${commissions} against 100`, atMost: 2 },
      'config, moved': { measured: 'the same, totals just moved', atMost: 2 },
      'purchases': { measured: 'first purchases/s, distinct referrers, against prepared statements', atLeast: 0.8 },
      'purchases, hot': { measured: 'first purchases/s, one hot referrer, against prepared statements', atLeast: 0.8 },
      'renewals': { measured: 'renewals/s, distinct referrers, against prepared statements', atLeast: 0.8 },
      'renewals, hot': { measured: 'renewals/s, one hot referrer, against prepared statements', atLeast: 0.8 },
    },
    pages: {
      'overview': { measured: `a user's overview, 1000 links and ${commissions} commissions against 10`, atMost: 2 },
      'overview, all time': { measured: 'the same of all time', atMost: 2 },
      'links page': { measured: 'the page of links of these users', atMost: 2 },
      'friends page': { measured: 'the page of their friends', atMost: 2 },
      'commissions page': { measured: 'the page of their commissions', atMost: 2 },
      'overview data': { measured: 'what the overview reads, without the page' },
      'overview data, all time': { measured: 'the same of all time' },
      'links data': { measured: 'what the page of links reads' },
      'friends data': { measured: 'what the page of friends reads' },
      'commissions data': { measured: 'what the page of commissions reads' },
    },
  }) satisfies Record<Part, Record<string, Row>>;

type Rows = ReturnType<typeof rowsOf>;
export type RowId = { [P in Part]: keyof Rows[P] }[Part];

function cpuOf(way: string, connections: number, who = ''): string {
  const click = who === '' ? 'a click' : `a click of a visitor ${who}`;
  return `server CPU of ${click} through the ${way} ${toBare(connections)}`;
}

function toBare(connections: number): string {
  return `against a bare redirect, ${connections} connections`;
}

function rateOf(way: string, other: string): string {
  return `clicks/s through the ${way} against ${other}, 512 connections`;
}
