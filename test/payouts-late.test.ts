import { PayoutRefused, type ReferralError } from '../lib';
import { fresh, refer, refusalOf } from './support/earnings';
import { closeAll, openDataSource, waitFor } from './support/host';
import { addsUp, earn, earner, earnOutsOf, hour, minute, reported, startPaying, statusesOf } from './support/paying';

afterAll(closeAll);

const day = 24 * hour;

describe('an answer of the provider that comes after the lease', () => {
  test('paid, after a refusal was stored: it is booked, and not paid again', async () => {
    let calls = 0;
    const host = await startPaying(async () => {
      if (++calls !== 1) throw new PayoutRefused('no funds at the moment');
      host.clock.advance(6 * minute + 1);
      await host.referrals.runEarnOuts(); // another process asks under the same key, and is refused
      return { reference: 'late' };
    });
    const user = await earner(host, 10);
    expect(await host.referrals.runEarnOuts()).toMatchObject({ completed: 1, amount: '10.00' });
    expect(await earnOutsOf(host, user)).toMatchObject([{ status: 'completed', reference: 'late' }]);
    expect(reported(host)).toEqual(['PAYOUT_CONTRADICTED']);
    host.clock.advance(30 * day);
    await host.referrals.runEarnOuts();
    expect(host.asked).toHaveLength(2);
    await addsUp(host);
  });

  test('paid, while another process asks: completed', async () => {
    let calls = 0;
    const host = await startPaying(async () => {
      if (++calls === 2) throw new Error('in flight');
      host.clock.advance(6 * minute + 1);
      await host.referrals.runEarnOuts();
      return { reference: 'first' };
    });
    const user = await earner(host, 10);
    expect(await host.referrals.runEarnOuts()).toMatchObject({ completed: 1 });
    expect(await earnOutsOf(host, user)).toMatchObject([{ status: 'completed', reference: 'first' }]);
    expect(reported(host)).toEqual(['PAYOUT_UNCLEAR']);
    await addsUp(host);
  });

  test('paid, after it was reported that the money came back: it stays returned', async () => {
    const host = await startPaying(async ({ idempotencyKey }) => {
      await host.referrals.earnOuts.settle({ key: idempotencyKey, status: 'returned' });
      return { reference: 'po_back' };
    });
    const user = await earner(host, 10);
    expect(await host.referrals.runEarnOuts()).toMatchObject({ completed: 0 });
    expect(await earnOutsOf(host, user)).toMatchObject([{ status: 'returned', reference: 'po_back' }]);
    expect(reported(host)).toEqual([]);
    await addsUp(host);
  });

  test('submitted, after it was reported as failed: told, and found by its reference', async () => {
    const host = await startPaying(async ({ idempotencyKey }) => {
      await host.referrals.earnOuts.settle({ key: idempotencyKey, status: 'failed' });
      return { status: 'submitted', reference: 'po_late' };
    });
    const user = await earner(host, 10);
    await host.referrals.runEarnOuts();
    expect(await earnOutsOf(host, user)).toMatchObject([{ status: 'failed', reference: 'po_late' }]);
    expect(reported(host)).toEqual(['PAYOUT_CONTRADICTED']);
    await host.referrals.earnOuts.settle({ reference: 'po_late', status: 'completed' });
    expect(await statusesOf(host, user)).toEqual(['10.00 completed']);
    await addsUp(host);
  });

  test('refused, after it was reported as completed: told, and it stays completed', async () => {
    const host = await startPaying(async ({ idempotencyKey }) => {
      await host.referrals.earnOuts.settle({ key: idempotencyKey, status: 'completed' });
      throw new PayoutRefused('no');
    });
    const user = await earner(host, 10);
    await host.referrals.runEarnOuts();
    expect(await statusesOf(host, user)).toEqual(['10.00 completed']);
    expect(reported(host)).toEqual(['PAYOUT_CONTRADICTED']);
    await addsUp(host);
  });

  test('its reference is kept if the report came first', async () => {
    const host = await startPaying(async ({ idempotencyKey }) => {
      await host.referrals.earnOuts.settle({ key: idempotencyKey, status: 'completed' });
      return { reference: 'po_1' };
    });
    const user = await earner(host, 10);
    await host.referrals.runEarnOuts();
    expect(reported(host)).toEqual([]);
    await host.referrals.earnOuts.settle({ reference: 'po_1', status: 'returned' });
    expect(await statusesOf(host, user)).toEqual(['10.00 returned']);
    await addsUp(host);
  });
});

describe('an account is not left behind', () => {
  test('by a report that the refusal which waits for staff was paid', async () => {
    const host = await startPaying(() => Promise.reject(new PayoutRefused('no')));
    const { referrals, clock } = host;
    const user = await earner(host, 10);
    for (let attempt = 0; attempt < 5; attempt++) {
      await referrals.runEarnOuts();
      clock.advance(4 * day);
    }
    await earn(host, user, 20);
    expect(await referrals.runEarnOuts()).toMatchObject({ bound: 0 }); // it waits for staff
    const [last] = (await earnOutsOf(host, user)).slice(-1);
    await referrals.earnOuts.settle({ key: last!.idempotencyKey, status: 'completed' });
    clock.advanceDays(7);
    expect(await referrals.runEarnOuts()).toMatchObject({ bound: 1 });
    await addsUp(host);
  });

  test('by a credit of an earlier period that is given now', async () => {
    const host = await startPaying(() => undefined);
    const { referrals, clock, dataSource, schema } = host;
    await refer(host, 'saver', `saver's buyer`);
    await referrals.accounts.of('saver');
    await earn(host, 'saver', 10);
    clock.advanceDays(7);
    await dataSource.query(`CREATE FUNCTION ${schema}.full() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN RAISE EXCEPTION USING ERRCODE = '53100', MESSAGE = 'disk full'; END $$`);
    await dataSource.query(`CREATE TRIGGER is_full BEFORE INSERT ON ${schema}.referral_credits
      FOR EACH ROW EXECUTE FUNCTION ${schema}.full()`);
    await expect(referrals.runEarnOuts()).rejects.toThrow();
    await dataSource.query(`DROP TRIGGER is_full ON ${schema}.referral_credits`);
    await earn(host, 'saver', 20);
    clock.advanceDays(7);
    expect(await referrals.runEarnOuts()).toMatchObject({ completed: 1, amount: '10.00' });
    expect(await referrals.runEarnOuts()).toMatchObject({ completed: 1, amount: '20.00' });
    await addsUp(host);
  });

  test('by processes that die in every attempt: then it waits for staff, who are told', async () => {
    const host = await startPaying(() => undefined);
    const { referrals, clock, told, dataSource, schema, asked } = host;
    const user = await earner(host, 10);
    const killed = { onProgress: () => Promise.reject(new Error('killed')) };
    await expect(referrals.runEarnOuts(killed)).rejects.toThrow('killed'); // bound, and not paid
    await dataSource.query(
      `UPDATE ${schema}.referral_earn_outs SET attempts = 7, claimed_by = 'gone/1', claimed_until = $1, next_attempt_at = $1`,
      [clock.time],
    );
    told.length = 0;
    await referrals.runEarnOuts();
    expect(asked).toEqual([]);
    expect(told).toEqual([`earn-out ${user} payout 10.00 processing`]);
    expect(reported(host)).toEqual(['PAYOUT_UNCLEAR']);
    const [earnOut] = await earnOutsOf(host, user);
    expect(earnOut).toMatchObject({ status: 'processing', nextAttemptAt: null, claimedBy: null, attempts: 7 });
    await referrals.runEarnOuts();
    expect(reported(host)).toEqual([]);
    await referrals.earnOuts.retry(earnOut!);
    expect(await referrals.runEarnOuts()).toMatchObject({ completed: 1 });
    await addsUp(host);
  });

  test.each([
    ['its binding', 'referral_earn_outs', 'BEFORE INSERT'],
    ['its completion', 'referral_earn_outs', 'BEFORE UPDATE OF status'],
  ])('if the host’s database refuses another one: %s', async (what, table, event) => {
    const host = await startPaying(({ userId }) => ({ reference: `po of ${userId}` }));
    const { referrals, clock, dataSource, schema } = host;
    const users = [await earner(host, 10), await earner(host, 10), await earner(host, 10)];
    await dataSource.query(`CREATE FUNCTION ${schema}.odd() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN IF NEW.user_id = '${users[1]}' THEN RAISE EXCEPTION 'not this one'; END IF; RETURN NEW; END $$`);
    await dataSource.query(`CREATE TRIGGER is_odd ${event} ON ${schema}.${table}
      FOR EACH ROW EXECUTE FUNCTION ${schema}.odd()`);
    expect(await referrals.runEarnOuts()).toMatchObject({ bound: what === 'its binding' ? 2 : 3, completed: 2 });
    expect(host.errors.splice(0)).toHaveLength(1);
    await dataSource.query(`DROP TRIGGER is_odd ON ${schema}.${table}`);
    clock.advance(10 * minute);
    expect(await referrals.runEarnOuts()).toMatchObject({ completed: 1 });
    for (const user of users) expect(await statusesOf(host, user)).toEqual(['10.00 completed']);
    await addsUp(host);
  });
});

describe('reconcile', () => {
  test('leaves a payment that came back as it is, also with the same list again', async () => {
    const host = await startPaying(() => undefined);
    const { referrals, clock } = host;
    const user = await earner(host, 10);
    await referrals.runEarnOuts();
    const key = (await earnOutsOf(host, user))[0]!.idempotencyKey;
    const list = [{ key, reference: 'po_9', amount: '10', user, at: clock.time }];
    const known = { known: 1, completed: 0, booked: 0, debt: '0.00' };
    expect(await referrals.earnOuts.reconcile(list)).toEqual(known);
    await referrals.earnOuts.settle({ reference: 'po_9', status: 'returned' });
    expect(await referrals.earnOuts.reconcile(list)).toEqual(known);
    expect(await earnOutsOf(host, user)).toMatchObject([{ status: 'returned', reference: 'po_9' }]);
    await addsUp(host);
  });

  test('compares amounts of one key exactly', async () => {
    const host = await startPaying(() => undefined);
    const payment = { key: fresh('key'), user: 'rich', at: host.clock.time };
    const [less, more] = ['900719925474099.21', '900719925474099.22'];
    const twice = (one: string, other: string) =>
      refusalOf(host.referrals.earnOuts.reconcile([{ ...payment, amount: one }, { ...payment, amount: other }])); // prettier-ignore
    expect(await twice(less, more)).toBe('INVALID_INPUT payments[1].key');
    expect(await twice('10.50', '10.5')).toBe('nothing');
  });
});

test('a contradiction is told after the host’s commit, and not if the transaction is rolled back', async () => {
  const host = await startPaying(() => undefined);
  const { referrals, dataSource } = host;
  const user = await earner(host, 10);
  await referrals.runEarnOuts();
  const key = (await earnOutsOf(host, user))[0]!.idempotencyKey;
  const report = (isKept: boolean): Promise<unknown> =>
    dataSource.transaction(async (manager) => {
      await referrals.earnOuts.settle({ key, status: 'failed', manager });
      expect(reported(host)).toEqual([]);
      if (!isKept) throw new Error('rolled back');
    });
  await expect(report(false)).rejects.toThrow('rolled back');
  expect(reported(host)).toEqual([]);
  await report(true);
  expect(reported(host)).toEqual(['PAYOUT_CONTRADICTED']);
});

test('close() waits for a payout, and what it says is stored', async () => {
  let release = (): void => undefined;
  const host = await startPaying(() => new Promise((resolve) => (release = () => resolve({ reference: 'po_last' }))));
  const { referrals, asked } = host;
  const user = await earner(host, 10);
  const run = referrals.runEarnOuts().catch((error: ReferralError) => error.code);
  await waitFor(() => Promise.resolve(asked.length === 1));
  let isClosed = false;
  const closing = referrals.close().then(() => (isClosed = true));
  expect(await refusalOf(referrals.accounts.totals(user))).toBe('CLOSED');
  expect(isClosed).toBe(false);
  release();
  await closing;
  const stored = `SELECT status, reference FROM ${host.schema}.referral_earn_outs`;
  expect(await host.dataSource.query(stored)).toEqual([{ status: 'completed', reference: 'po_last' }]);
  expect(await run).toBe('CLOSED');
});

test('two processes with different options do not keep each other from ending', async () => {
  const host = await startPaying(() => undefined, { earnOuts: { minimum: '1' } });
  const { dataSource, clock, schema } = host;
  await dataSource.query(
    `INSERT INTO ${schema}.referral_accounts (user_id) SELECT 'u' || n FROM generate_series(1, 20000) n`,
  );
  await dataSource.query(`INSERT INTO ${schema}.referral_account_totals (user_id, channel_id, mode, matured_until)
    SELECT user_id, 0, 'credits', now() FROM ${schema}.referral_accounts`);
  const again = await openDataSource({ schema: schema.slice(1, -1), migrate: false });
  const options = { dataSource: again, clock: clock.read, earnOuts: { minimum: '2' } };
  const other = await startPaying(() => undefined, options);
  const runs = [host, other].map(({ referrals }) => referrals.runEarnOuts());
  expect(await Promise.all(runs)).toEqual([
    expect.objectContaining({ bound: 0 }),
    expect.objectContaining({ bound: 0 }),
  ]);
});
