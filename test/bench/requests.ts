import type { AppName } from './app';
import type { Bench } from './bench';
import { linkPaths, type Schema, userAgent } from './fill';
import { Connections, type Load, type Requests } from './load';
import type { RowId } from './rows';
import { shown, median } from './scores';
import type { ServerOptions, Usage } from './server';

/** The connections that everything is measured at. */
const connectionCounts = [64, 512];
/** Requests that warm a server up: after these, V8 has compiled what a request needs. */
const usualWarmUp = 5000;

export const headers = { 'user-agent': userAgent, 'accept': 'text/html,*/*;q=0.8', 'accept-language': 'en' };

/** Who asks: new visitors, the same ones again with their cookie, or ones who have a cookie from a click. */
type Visitors = 'new' | 'back' | 'referred';

/** A server that is started in each round, and its visitors. */
interface Contender {
  name: string;
  app: AppName;
  schema: Schema;
  visitors: readonly Visitors[];
}

/** What one load of a server measured. */
type Figures = Pick<Load, 'perSecond' | 'p50' | 'p99'> & {
  /** Of the server and of PostgreSQL, in microseconds a request. */
  cpu: number;
  postgresCpu: number;
  /** Of our package, in all. */
  statements: number;
};

function contender(app: AppName, schema: Schema, visitors: readonly Visitors[], name: string = app): Contender {
  return { name, app, schema, visitors };
}

const contenders = [
  contender('node redirect', 'empty', ['new']),
  contender('node click', 'empty', ['new']),
  contender('bare redirect', 'empty', ['new']),
  contender('listener', 'empty', ['new', 'back']),
  contender('listener', 'big', ['new'], 'listener, big table'),
  contender('router', 'empty', ['new', 'back']),
  contender('by hand', 'some', ['new']),
  contender('by hand, prepared', 'some', ['new']),
  contender('no-op page', 'empty', ['new', 'referred']),
  contender('page', 'empty', ['new']),
  contender('referred page', 'empty', ['referred']),
];

/** What it costs to record clicks, and to know whom a visitor came through. */
export async function requests(bench: Bench): Promise<void> {
  bench.become('load');
  const measured = new Map<string, Figures[]>();
  const warmUp = bench.options.isQuick ? connectionCounts[0]! : usualWarmUp;
  const cookie = await cookieOfAClick(bench);
  const requestsOf = (app: AppName, visitors: Visitors): Requests => ({
    paths: app.endsWith('page') ? ['/page'] : linkPaths,
    headers: visitors === 'referred' ? { ...headers, cookie } : headers,
    isReturning: visitors === 'back',
  });
  await bench.eachRound(contenders, async ({ name, app, schema, visitors }) => {
    const server = bench.start('server.ts', { app, schema, databaseUrl: bench.databaseUrl } satisfies ServerOptions);
    const { url } = await server.next<{ url: string }>();
    const usage = (): Promise<Usage> => server.ask<Usage>({});
    const warming = await Connections.open(url, connectionCounts[0]!);
    for (const who of visitors) noFailures(name, await warming.load(requestsOf(app, who), { requests: warmUp }));
    warming.close();
    for (const count of connectionCounts) {
      for (const who of visitors) {
        const connections = await Connections.open(url, count);
        const [before, postgresBefore] = [await usage(), bench.postgresCpu()];
        const load = await connections.load(requestsOf(app, who), { seconds: bench.options.seconds });
        const [after, postgresAfter] = [await usage(), bench.postgresCpu()];
        connections.close();
        noFailures(name, load);
        const key = keyOf(name, who, count);
        measured.set(key, measured.get(key) ?? []);
        measured.get(key)!.push({
          ...load,
          cpu: (after.cpu - before.cpu) / load.requests,
          postgresCpu: (postgresAfter - postgresBefore) / load.requests,
          statements: after.statements - before.statements,
        });
      }
    }
    await server.stop();
  });
  printFigures(measured);
  score(bench, measured);
}

/** A cookie that any server of ours accepts. */
async function cookieOfAClick(bench: Bench): Promise<string> {
  const options: ServerOptions = { app: 'router', schema: 'empty', databaseUrl: bench.databaseUrl };
  const server = bench.start('server.ts', options);
  const { url } = await server.next<{ url: string }>();
  const visitor = await Connections.open(url, 1);
  noFailures('router', await visitor.load({ paths: linkPaths, headers, isReturning: true }, { requests: 1 }));
  const [cookie] = visitor.cookies;
  visitor.close();
  await server.stop();
  return cookie!;
}

export function noFailures(name: string, { failures }: Load): void {
  if (failures.length > 0) throw new Error(`${failures.length} requests of "${name}" failed: ${failures[0]}`);
}

function keyOf(name: string, visitors: Visitors, connections: number): string {
  return `${name}${{ new: '', back: ', with the cookie', referred: ', referred' }[visitors]}, ${connections}`;
}

function printFigures(measured: ReadonlyMap<string, readonly Figures[]>): void {
  const columns = {
    'requests/s': 'perSecond',
    'p50 ms': 'p50',
    'p99 ms': 'p99',
    'server CPU µs': 'cpu',
    'PostgreSQL CPU µs': 'postgresCpu',
  } as const;
  console.log(`\n| medians; connections | ${Object.keys(columns).join(' | ')} |`);
  console.log(`|---|${'---|'.repeat(Object.keys(columns).length)}`);
  for (const [key, figures] of measured) {
    const medians = Object.values(columns).map((column) => median(figures.map((one) => one[column])));
    console.log(`| ${key} | ${medians.map((value) => (Number.isNaN(value) ? 'n/a' : shown(value))).join(' | ')} |`);
  }
  console.log();
}

function score({ scores }: Bench, measured: ReadonlyMap<string, readonly Figures[]>): void {
  const compare = (id: RowId, figure: keyof Figures, some: string, others: string): void => {
    const [ours, theirs] = [some, others].map((key) => measured.get(key)!.map((one) => one[figure]));
    scores.addRatio(id, ours!, theirs!);
  };
  compare('node redirect cpu', 'cpu', 'node redirect, 64', 'bare redirect, 64');
  compare('node click cpu', 'cpu', 'node click, 64', 'bare redirect, 64');
  compare('listener cpu, 64', 'cpu', 'listener, 64', 'bare redirect, 64');
  compare('listener cpu, 512', 'cpu', 'listener, 512', 'bare redirect, 512');
  compare('router cpu, 64', 'cpu', 'router, 64', 'bare redirect, 64');
  compare('router cpu, 512', 'cpu', 'router, 512', 'bare redirect, 512');
  compare('listener cpu, back', 'cpu', 'listener, with the cookie, 64', 'bare redirect, 64');
  compare('router cpu, back', 'cpu', 'router, with the cookie, 64', 'bare redirect, 64');
  compare('listener rate', 'perSecond', 'listener, 512', 'bare redirect, 512');
  compare('router rate', 'perSecond', 'router, 512', 'bare redirect, 512');
  compare('by hand', 'perSecond', 'router, 512', 'by hand, 512');
  compare('by hand, prepared', 'perSecond', 'router, 512', 'by hand, prepared, 512');
  compare('big table', 'perSecond', 'listener, big table, 512', 'listener, 512');
  compare('page', 'perSecond', 'page, 64', 'no-op page, 64');
  compare('referred page', 'perSecond', 'referred page, referred, 64', 'no-op page, referred, 64');
  const pages = [...measured].filter(([key]) => key.startsWith('page') || key.startsWith('referred page'));
  const statements = pages.flatMap(([, figures]) => figures).reduce((sum, one) => sum + one.statements, 0);
  scores.add('page statements', statements);
}
