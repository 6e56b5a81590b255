import type { ActionName } from '../lib/http/admin/actions/action';
import { actions } from '../lib/http/admin/actions/actions';
import { closeAll, waitFor } from './support/host';
import { confirmationOf, mount, StaffBrowser, type StaffHost, startStaff, textOf } from './support/staff';
import { staffCases, staffOptions } from './support/staff-actions-world';

const names = [...actions.keys()] as ActionName[];
const events = [
  ...([
    'creditGranted',
    'creditSpent',
    'commissionRejected',
    'refundUndone',
    'earnOut',
    'payoutAddressChanged',
  ] as const),
  ...(['reviewOpened', 'signup', 'commissionEarned', 'commissionReverted', 'purchase'] as const),
];

let host: StaffHost;
let sue: StaffBrowser;
let told: string[];

beforeAll(async () => {
  host = await startStaff(staffOptions, { applicationName: 'the pages of staff' });
  sue = new StaffBrowser(host);
  told = [];
  for (const event of events) host.tracking.events.on(event, () => void told.push(event));
});
afterAll(async () => {
  await host.close();
  await closeAll();
});

/** A fingerprint of all rows of our tables. */
async function rowsNow(): Promise<string> {
  const { schema } = host.dataSource.options as { schema: string };
  const tables: { name: string }[] = await host.dataSource.query(
    `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = $1 AND table_name LIKE 'referral%'
     ORDER BY 1`,
    [schema],
  );
  const parts = tables.map(
    ({ name }) => `SELECT '${name}', md5(string_agg(t::text, ',' ORDER BY t::text)) FROM "${schema}"."${name}" t`,
  );
  return JSON.stringify(await host.dataSource.query(parts.join(' UNION ALL ')));
}

/** How many transactions of the host's are open. */
async function openTransactions(): Promise<number> {
  const rows: unknown[] = await host.dataSource.query(
    `SELECT FROM pg_stat_activity WHERE application_name = 'the pages of staff' AND state LIKE 'idle in transaction%'`,
  );
  return rows.length;
}

describe.each(names)('%s', (name) => {
  const { call = name } = actions.get(name)!;

  test('form, preview that writes nothing, doing, and doing again', async () => {
    const { query, fields, isDone, leadsTo } = await staffCases[name](host);
    const page = await sue.get(`/actions/${name}?${new URLSearchParams(query).toString()}`);
    expect([page.status, textOf(page)]).toEqual([200, expect.stringContaining('Reason')]);

    const before = await rowsNow();
    told.length = 0;
    const preview = await sue.preview(name, query, { ...fields, reason: 'because of <this>' });
    expect([preview.status, textOf(preview)]).toEqual([200, expect.stringContaining('because of <this>')]);
    expect(textOf(preview)).not.toContain('It changes nothing');
    expect(await rowsNow()).toBe(before);
    expect(await openTransactions()).toBe(0);
    expect(told).toEqual([]);
    expect(await isDone()).toBe(false);

    const { action, fields: sent } = confirmationOf(preview);
    const done = await sue.send(action, sent);
    expect([done.status, textOf(done)]).toEqual([303, expect.anything()]);
    const to = new URL(done.headers['location']!, 'https://shop.example');
    expect(to.searchParams.get('done')).toBe(name);
    to.searchParams.delete('done');
    expect(`${to.pathname}${to.search}`.slice(mount.length)).toMatch(leadsTo);
    await waitFor(isDone);
    const kept = await host.rewards.managers.audit.search({ where: { requestId: sent['key']! } });
    expect(kept.map(({ by, reason }) => [by, reason])).toEqual(kept.map(() => ['sue', 'because of <this>']));
    expect(kept.map((row) => row.call)).toContain(call);

    const after = await rowsNow();
    const again = await sue.send(action, sent);
    expect([again.status, again.headers['location']]).toEqual([303, done.headers['location']]);
    expect(await rowsNow()).toBe(after);
    expect(host.errors).toEqual([]);
  });
});
