import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { DataSource, DataSourceOptions } from 'typeorm';
import { type CuttingProxy, type CuttingProxyOptions, startCuttingProxy } from './support/cutting-proxy';
import { closeAll, databaseUrl, despiteLimit, type Host, openDataSource, startHost, waitFor } from './support/host';
import { startRewards, type RewardsHost } from './support/rewards';
import { localhost } from './support/tls';

/** Without a limit, on the same tables. */
let direct: RewardsHost;
let folder: string;
beforeAll(async () => {
  direct = await startRewards({ clock: undefined });
  folder = mkdtempSync(path.join(tmpdir(), 'referrals-'));
});
afterAll(async () => {
  await closeAll();
  rmSync(folder, { recursive: true });
});

/** A host whose only connection leads through a proxy that gives it a cancel key of its own, as a pooler does. */
async function startBehind(
  how: CuttingProxyOptions,
  place: (proxy: CuttingProxy) => Partial<Extract<DataSourceOptions, { type: 'postgres' }>>,
): Promise<{ proxy: CuttingProxy; behind: DataSource; own: Host; stop: () => Promise<void> }> {
  const { schema } = direct.dataSource.options as { schema: string };
  const { port, username, password, pathname } = new URL(databaseUrl(schema));
  const proxy = await startCuttingProxy(Number(port), how);
  const database = pathname.slice(1);
  const account = { username, password, database, url: undefined };
  const behind = await openDataSource({ ...account, ...place(proxy), schema, migrate: false, poolSize: 1 });
  const own = await startHost({ dataSource: behind, queryTimeoutMs: 30 }); // 300 ms for money
  const stop = async (): Promise<void> => {
    await own.referrals.close();
    await behind.destroy();
    await proxy.stop();
  };
  return { proxy, behind, own, stop };
}

/** How many statements of ours wait for a lock. */
async function waiting(): Promise<number> {
  const { schema } = direct.dataSource.options as { schema: string };
  const [row] = await direct.dataSource.query<{ count: number }[]>(
    `SELECT count(*)::int AS count FROM pg_stat_activity
     WHERE wait_event_type = 'Lock' AND query LIKE '%' || $1 || '%' AND pid <> pg_backend_pid()`,
    [schema],
  );
  return row!.count;
}

const proxies: Record<string, Parameters<typeof startBehind>> = {
  'by address': [{}, ({ port }) => ({ host: '127.0.0.1', port })],
  'by name': [{}, ({ port }) => ({ host: 'localhost', port })],
  'by TLS': [{ tls: localhost }, ({ port }) => ({ host: 'localhost', port, ssl: { ca: localhost.cert } })],
  'by a socket of the file system': [{ path: 'to be set' }, () => ({ host: folder, port: 5432 })],
};

describe.each(Object.entries(proxies))('a pool of one connection, %s', (_name, [how, place]) => {
  test('a statement that is given up is cancelled where it runs, and is not done when its lock is free', async () => {
    const { proxy, behind, own, stop } = await startBehind(
      { ...how, ...(how.path && { path: path.join(folder, '.s.PGSQL.5432') }) },
      place,
    );
    const user = `user of ${_name}`;
    const { referrals, dataSource, program } = direct;
    const creditType = program.referralCreditTypeId!;
    await referrals.credits.create({ user, creditType, initialBalance: '5', durationDays: 30 });
    const credits = `"${(dataSource.options as { schema: string }).schema}".referral_credits`;
    await despiteLimit(() => own.referrals.credits.balance(user));

    const before = proxy.cancelled; // of a slow machine
    await dataSource.transaction(async (manager) => {
      await manager.query(`SELECT FROM ${credits} WHERE user_id = $1 FOR UPDATE`, [user]);
      const call = own.referrals.credits.spend(user, { amount: '5', reference: 's' });
      await expect(call).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE', outcome: 'unknown' });
      await waitFor(async () => (await waiting()) === 0); // though the lock is still held
    });
    expect(proxy.cancelled).toBe(before + 1);
    expect(await referrals.credits.balance(user)).toBe('5.00');

    // A transaction that is given up before its COMMIT never commits.
    await dataSource.transaction(async (manager) => {
      await manager.query(`SELECT FROM ${credits} WHERE user_id = $1 FOR UPDATE`, [user]);
      const [credit] = await manager.query<{ id: string }[]>(`SELECT id FROM ${credits} WHERE user_id = $1`, [user]);
      await despiteLimit(() => own.referrals.credits.balance(user)); // the pool has its connection again
      const call = own.referrals.credits.update(Number(credit!.id), { name: 'late' });
      await expect(call).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE', outcome: 'none' });
      await waitFor(async () => (await waiting()) === 0);
    });
    expect(await referrals.credits.count({ where: { name: 'late' } })).toBe(0);
    expect(await despiteLimit(() => behind.query('SELECT 1 AS one'))).toEqual([{ one: 1 }]);
    await stop();
  });
});

test('a call that finds no connection in time does not begin later', async () => {
  const { behind, own, stop } = await startBehind({}, ({ port }) => ({ host: '127.0.0.1', port }));
  const user = 'late';
  await behind.transaction(async () => {
    const call = own.referrals.accounts.of(user);
    await expect(call).rejects.toMatchObject({
      ...{ code: 'DATABASE_UNAVAILABLE', outcome: 'none', message: expect.stringContaining('no connection within') },
    });
  });
  expect(await despiteLimit(() => behind.query('SELECT 1 AS one'))).toEqual([{ one: 1 }]);
  expect(await direct.referrals.accounts.count({ where: { userId: user } })).toBe(0);
  await stop();
});
