import { Client } from 'pg';
import type { Bench } from './bench';
import type { Child } from './child';
import { linkCount, type Schema } from './fill';
import { openSchema, thisCheckout } from './open-schema';
import type { RecorderOptions, Writing, Written } from './recorder-run';

const batch = 128;
/** The clicks that wait at any time when the recorder is kept busy: each batch is then as large as it may be. */
const waiting = 4000;
const rowsByHand = 1000;
/** The clicks after a checkpoint whose WAL is counted: what PostgreSQL writes about each page it touches first is spread over them. */
const clicksAfterCheckpoint = 20_000;

/** What it costs to write clicks, without HTTP. */
export async function recorder(bench: Bench): Promise<void> {
  await batches(bench);
  await wal(bench);
  await ingest(bench);
}

/** A recorder in its own process. */
async function start(bench: Bench, schema: string, checkout = thisCheckout): Promise<Child> {
  const options: RecorderOptions = { checkout, databaseUrl: bench.databaseUrl, schema };
  const child = bench.start('recorder-run.ts', options);
  await child.next();
  return child;
}

function write(child: Child, writing: Writing): Promise<Written> {
  return child.ask<Written>(writing);
}

/** The CPU of PostgreSQL a click, of this checkout and of the other one in turn. */
async function batches(bench: Bench): Promise<void> {
  const { against, seconds } = bench.options;
  if (Number.isNaN(bench.postgresCpu())) {
    for (const id of ['batch cpu', 'batch cpu, against'] as const) bench.scores.skip(id, 'no /proc on this system');
    return;
  }
  const contenders = [await contender(bench, thisCheckout, 'ours')];
  if (against) contenders.push(await contender(bench, against, 'against'));
  await bench.eachRound(contenders, async ({ child, costs }) => {
    const before = bench.postgresCpu();
    const { clicks } = await write(child, { how: 'batches', count: batch, until: { seconds } });
    costs.push((bench.postgresCpu() - before) / clicks);
  });
  for (const { child } of contenders) await child.stop();
  const [ours, theirs] = contenders.map(({ costs }) => costs);
  bench.scores.addMedian('batch cpu', ours!);
  if (theirs) bench.scores.addRatio('batch cpu, against', ours!, theirs);
  else bench.scores.skip('batch cpu, against', 'without --against');
}

/** A recorder on a schema of its own, warmed up. */
async function contender(bench: Bench, checkout: string, schema: string): Promise<{ child: Child; costs: number[] }> {
  const dataSource = await openSchema(bench.databaseUrl, schema, 1, checkout);
  await dataSource.query(`INSERT INTO "${schema}".referrals (user_id, label, code, redirect_to)
    SELECT 'owner', n, 'LINK' || n, '/' FROM generate_series(1, ${linkCount}) n`);
  await dataSource.destroy();
  const child = await start(bench, schema, checkout);
  await write(child, { how: 'batches', count: batch, until: { clicks: 5000 } });
  return { child, costs: [] };
}

async function wal(bench: Bench): Promise<void> {
  const schema: Schema = 'big';
  const child = await start(bench, schema);
  const client = new Client(bench.databaseUrl);
  await client.connect();
  const position = async (): Promise<number> => {
    const { rows } = await client.query<{ at: string }>(`SELECT pg_current_wal_insert_lsn() - '0/0' AS at`);
    return Number(rows[0]!.at);
  };
  const perClick: number[] = [];
  await bench.eachRound([child], async () => {
    await client.query('CHECKPOINT');
    const before = await position();
    const until = { clicks: bench.options.isQuick ? batch : clicksAfterCheckpoint };
    const { clicks } = await write(child, { how: 'batches', count: batch, until });
    perClick.push(((await position()) - before) / clicks);
  });
  await client.end();
  await child.stop();
  bench.scores.addMedian('wal', perClick);
}

async function ingest(bench: Bench): Promise<void> {
  const schema: Schema = 'some';
  const child = await start(bench, schema);
  const rates = { 'flow': [] as number[], 'by hand': [] as number[] };
  const contenders = [
    { how: 'flow', count: waiting },
    { how: 'by hand', count: rowsByHand },
  ] as const;
  const { seconds } = bench.options;
  for (const { how, count } of contenders) await write(child, { how, count, until: { seconds } });
  await bench.eachRound(contenders, async ({ how, count }) => {
    rates[how].push((await write(child, { how, count, until: { seconds } })).perSecond);
  });
  await child.stop();
  bench.scores.addMedian('ingest', rates.flow);
  bench.scores.addRatio('ingest, by hand', rates.flow, rates['by hand']);
}
