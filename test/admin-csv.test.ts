import { closeAll, openDataSource } from './support/host';
import { startProcess } from './support/processes';

afterAll(closeAll);

const rows = 300_000;

/** All rows at once would take several times this memory. */
const megabytes = 64;

test.each(['signups.csv', 'responses.csv'])('%s of very many rows needs little memory', async (list) => {
  const dataSource = await openDataSource();
  const { schema } = dataSource.options as { schema: string };
  const sql = (text: string): Promise<unknown> => dataSource.query(text.replaceAll('@', `"${schema}".`));
  await sql(`INSERT INTO @referrals (user_id, code, redirect_to) VALUES ('anna', 'ANNA', '/')`);
  if (list === 'signups.csv')
    await sql(`INSERT INTO @referral_signups (user_id, referral_id, referrer_id, source, weighed)
      SELECT 'user-' || n, 1, 'anna', 'code', '{"rule":"typed-code","candidates":[]}' FROM generate_series(1, ${rows}) n`);
  else
    await sql(`INSERT INTO @referral_responses (referral_id, action, user_agent, created_at, touched_at)
      SELECT 1, 'RESPONDED', repeat('Firefox ', 20), now() - n * interval '7 seconds', now() FROM generate_series(1, ${rows}) n`);
  await sql(`VACUUM ANALYZE @referral_${list.slice(0, -4)}`);
  const { said } = await startProcess('admin-csv.js', {
    args: [list],
    env: { SCHEMA: schema },
    execArgv: [`--max-old-space-size=${megabytes}`],
  });
  expect(said).toEqual({ status: 200, lines: rows + 1 });
});
