import type { DataSource } from 'typeorm';
import { closeAll, openDataSource, startHost, waitFor } from './support/host';

/** Limits that a host may have given its role, in milliseconds. */
const limitMs = 2000;

let direct: DataSource;
beforeAll(async () => {
  direct = await openDataSource();
});
afterAll(closeAll);

test.each(['runEarnOuts', 'verify'] as const)('%s is not ended by the limits of its role', async (name) => {
  const [server] = await direct.query<{ version: number }[]>(
    `SELECT current_setting('server_version_num')::int AS version`,
  );
  const limits = ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout'];
  if (server!.version >= 170_000) limits.push('transaction_timeout');
  const { schema } = direct.options as { schema: string };
  const role = `limited_${name.toLowerCase()}_${process.pid}`;
  const limited = await (async () => {
    await direct.query(`CREATE ROLE ${role} SUPERUSER LOGIN PASSWORD 'limited'`);
    for (const limit of limits) await direct.query(`ALTER ROLE ${role} SET ${limit} = ${limitMs}`);
    const url = Object.assign(new URL((direct.options as { url: string }).url), {
      username: role,
      password: 'limited',
    });
    return openDataSource({ url: url.href, schema, migrate: false });
  })();
  expect(await limited.query(`SELECT current_setting('statement_timeout') AS value`)).toEqual([{ value: '2s' }]);
  const { referrals } = await startHost({ dataSource: limited });

  let call: Promise<unknown> | undefined;
  await direct.transaction(async (manager) => {
    await manager.query(`LOCK TABLE "${schema}".referral_account_totals`); // it waits for this as long as the test likes
    call = referrals[name]();
    call.catch(() => undefined);
    await waitFor(async () => {
      const [row] = await direct.query<{ isLonger: boolean; isThere: boolean }[]>(
        `SELECT count(*) > 0 AS "isThere",
           coalesce(bool_or(clock_timestamp() - xact_start > interval '1 millisecond' * $2), false) AS "isLonger"
         FROM pg_stat_activity WHERE usename = $1 AND wait_event_type = 'Lock'`,
        [role, 2 * limitMs],
      );
      if (!row!.isThere) await Promise.race([call, new Promise(setImmediate)]); // throws if it was ended
      return row!.isLonger;
    });
  });
  await call;
  await referrals.close();
  await limited.destroy();
  await direct.query(`DROP ROLE ${role}`);
});
