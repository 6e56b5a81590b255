import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { freePort } from '../postgres/free-port';
import { waitFor } from './host';

/** Whether PgBouncer is installed: `apt-get install pgbouncer`. */
export const hasPgBouncer = (() => {
  try {
    execFileSync('pgbouncer', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

/** Starts PgBouncer in transaction mode, with so many connections to the server. */
export async function startPgBouncer(
  serverUrl: string,
  poolSize: number,
): Promise<{ url: string; stop(): Promise<void> }> {
  const { hostname, port, pathname, username, password } = new URL(serverUrl);
  const folder = mkdtempSync(path.join(os.tmpdir(), 'pgbouncer-'));
  const file = path.join(folder, 'pgbouncer.ini');
  const own = await freePort();
  const server = { host: hostname, port, dbname: pathname.slice(1), user: username, password };
  const settings = {
    ...{ listen_addr: '127.0.0.1', listen_port: own, unix_socket_dir: '', auth_type: 'any', pool_mode: 'transaction' },
    ...{ default_pool_size: poolSize, ignore_startup_parameters: 'extra_float_digits' },
  };
  const lines = (entries: object): string[] =>
    Object.entries(entries).map(([name, value]) => `${name} = ${String(value)}`);
  const database = Object.entries(server).map(([name, value]) => `${name}=${decodeURIComponent(value)}`);
  writeFileSync(file, ['[databases]', `* = ${database.join(' ')}`, '[pgbouncer]', ...lines(settings), ''].join('\n'));
  chmodSync(folder, 0o755);
  const isRoot = process.getuid?.() === 0; // as which it refuses to run
  const child = spawn('pgbouncer', ['--quiet', ...(isRoot ? ['--user', 'nobody'] : []), file], { stdio: 'ignore' });
  await waitFor(
    () =>
      new Promise((resolve) => {
        const socket = connect(own, '127.0.0.1');
        socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
        socket.once('connect', () => socket.destroy());
      }),
  );
  const url = Object.assign(new URL(serverUrl), { hostname: '127.0.0.1', port: `${own}` });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return {
    url: url.href,
    async stop() {
      child.kill('SIGKILL');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
