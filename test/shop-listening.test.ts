import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import path from 'node:path';
import pg from 'pg';
import { openDatabase } from '../examples/shop/database';
import { createWaitingServer, listen, serve } from '../examples/shop/listening';
import { freePort } from './postgres/free-port';
import { databaseUrl } from './support/host';

test('until there is an app, a request is answered with 503; afterwards by the app', async () => {
  const server = createWaitingServer();
  const address = `http://127.0.0.1:${await listen(server, '0')}`;
  try {
    for (const [method, to] of [
      ['GET', '/'],
      ['HEAD', '/ready'],
      ['POST', '/login'],
    ] as const) {
      const { status, headers } = await fetch(address + to, { method, signal: unanswered() });
      expect([status, headers.get('retry-after'), headers.get('cache-control')]).toEqual([503, '1', 'no-store']);
    }
    serve(server, (_req, res) => res.end('open'));
    const answers = await Promise.all(Array.from({ length: 5 }, () => fetch(address)));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect(await answers[0]!.text()).toBe('open');
  } finally {
    server.close();
    server.closeAllConnections();
  }
});

test('a shop whose start waits for the database answers 503, and is open as soon as it goes on', async () => {
  const admin = new pg.Client(databaseUrl());
  await admin.connect();
  const name = `shop_${randomBytes(6).toString('hex')}`;
  await admin.query(`CREATE DATABASE ${name}`);
  const url = Object.assign(new URL(databaseUrl()), { pathname: `/${name}` }).href;
  const locker = new pg.Client(url);
  locker.on('error', () => undefined); // the database is dropped at the end
  let shop: ChildProcess | undefined;
  try {
    await (await openDatabase(url)).destroy(); // the migrations have run, so that they do not wait for the lock
    await locker.connect();
    await locker.query('BEGIN; LOCK TABLE shop_users'); // the shop waits for it after it has begun to listen
    const address = `http://localhost:${await freePort()}`;
    const file = path.join(__dirname, '..', 'examples', 'shop', 'server.ts');
    const env = { ...process.env, DATABASE_URL: url, PORT: new URL(address).port, NODE_ENV: undefined };
    shop = spawn(process.execPath, ['--import', 'tsx', file], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    const { status, headers } = await firstAnswer(address, shop);
    expect([status, headers.get('retry-after')]).toEqual([503, '1']);
    await locker.query('COMMIT');
    let said = '';
    for await (const text of shop.stdout!) if ((said += String(text)).includes(`The shop is open at ${address}`)) break;
    expect((await fetch(address)).status).toBe(200);
    // The passwords that it has printed are new.
    expect(said.match(/^Log in as (partner|staff) with \1@shop.example and [\w-]{20}$/gm)).toHaveLength(2);
  } finally {
    if (shop && shop.exitCode === null) {
      const ended = once(shop, 'exit');
      shop.kill('SIGKILL');
      await ended;
    }
    await locker.end();
    await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
    await admin.end();
  }
});

/** Ends a request that nobody answers, so that the test fails instead of waiting. */
const unanswered = (): AbortSignal => AbortSignal.timeout(60_000);

/** Asks until something listens there. */
async function firstAnswer(address: string, server: ChildProcess): Promise<Response> {
  for (;;) {
    try {
      return await fetch(address, { signal: unanswered() });
    } catch (error) {
      if (server.exitCode !== null || (error as Error).name === 'TimeoutError') throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
