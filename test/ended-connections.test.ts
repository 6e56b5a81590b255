import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import path from 'node:path';
import type { DataSource } from 'typeorm';
import { type CuttingProxy, startCuttingProxy } from './support/cutting-proxy';
import { endBackend } from './support/end-backend';
import { closeAll, databaseUrl, openDataSource, startHost, waitFor } from './support/host';
import { freePort } from './postgres/free-port';

let admin: DataSource;
let proxy: CuttingProxy;
let server: ChildProcess;
let url: string;
let errors = '';
const application = `quickstart ${process.pid}`;

const end = (pid: number): Promise<void> => endBackend(admin, pid);

/** The quickstart, as a reader runs it, behind a proxy. */
beforeAll(async () => {
  const schema = `ended_${randomBytes(4).toString('hex')}`;
  admin = await openDataSource({ schema, migrate: false });
  const given = new URL(databaseUrl());
  proxy = await startCuttingProxy(Number(given.port), { end });
  given.port = String(proxy.port);
  given.searchParams.set('options', `-c search_path=${schema}`);
  given.searchParams.set('application_name', application);
  const port = await freePort();
  const file = path.join(__dirname, '..', 'examples', 'quickstart', 'server.mjs');
  const env = { ...process.env, PORT: String(port), DATABASE_URL: given.href };
  server = spawn(process.execPath, [file], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  server.stderr!.on('data', (data) => (errors += String(data)));
  url = String((await once(server.stdout!, 'data'))[0]).trim();
});
afterAll(async () => {
  if (server.exitCode === null && server.signalCode === null) {
    server.kill();
    await once(server, 'exit');
  }
  await closeAll();
  await proxy.stop();
});

/** The status of a page that asks the database, for a visitor who has signed in. Throws if the process has ended. */
async function ask(cookie: string): Promise<number> {
  if (server.exitCode !== null) throw new Error(`The quickstart ended with ${server.exitCode}: ${errors}`);
  return (await fetch(`${url}/me`, { headers: { cookie }, redirect: 'manual' })).status;
}

/** Its backends, by state. */
function backends(): Promise<{ pid: number; state: string }[]> {
  return admin.query('SELECT pid, state FROM pg_stat_activity WHERE application_name = $1', [application]);
}

test('the quickstart goes on when PostgreSQL ends its connections: idle, working, or as they are made', async () => {
  const body = new URLSearchParams({ name: 'Anna' });
  const registered = await fetch(`${url}/register`, {
    ...{ method: 'POST', body, redirect: 'manual' },
    headers: { origin: url },
  });
  const cookie = registered.headers.get('set-cookie')!.split(';')[0]!;
  expect(await ask(cookie)).toBe(200);

  const ended = { idle: 0, working: 0, new: 0 };
  for (let round = 0; round < 25; round++) {
    // All of them at once, as in a restart: idle in the even rounds, with requests under way in the odd ones.
    await waitFor(async () => (await ask(cookie)) === 200);
    const requests = round % 2 === 0 ? [] : Array.from({ length: 8 }, () => ask(cookie));
    await waitFor(async () => (await backends()).length > 0);
    for (const { pid, state } of await backends()) {
      await end(pid);
      ended[state === 'idle' ? 'idle' : 'working']++;
    }
    await Promise.all(requests);
    // The next one as soon as it is ready, before anybody has it.
    for (const { pid } of await backends()) await end(pid);
    proxy.loseAt(0, 'ended after');
    await waitFor(async () => {
      await ask(cookie);
      return proxy.heal() || (proxy.loseAt(0, 'ended after'), false);
    });
    ended.new++;
  }
  await waitFor(async () => (await ask(cookie)) === 200);
  expect([server.exitCode, ended.idle > 0, ended.new]).toEqual([null, true, 25]);
});

test('listeners are added once for each client, and removed by close()', async () => {
  const dataSource = await openDataSource({ poolSize: 2 });
  const { master: pool } = dataSource.driver as unknown as {
    master: NodeJS.EventEmitter & { _clients: NodeJS.EventEmitter[] };
  };
  const count = (): number[] => [
    ...['error', 'acquire', 'remove'].map((event) => pool.listenerCount(event)),
    ...pool._clients.map((client) => client.listenerCount('error')),
  ];
  await Promise.all([dataSource.query('SELECT 1'), dataSource.query('SELECT 1')]);
  const before = count();
  const { referrals } = await startHost({ dataSource });
  for (let n = 0; n < 5; n++) await Promise.all([referrals.credits.count(), referrals.accounts.count()]);
  expect(count()).toEqual(before.map((listeners) => listeners + 1));
  await referrals.close();
  expect(count()).toEqual(before);
});
