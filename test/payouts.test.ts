import { createHash } from 'node:crypto';
import { type EarnOutReport, PayoutRefused, ReferralAccount, type ReferralEarnOut } from '../lib';
import { fresh, refer, refusalOf, startEarnings } from './support/earnings';
import { closeAll, waitFor } from './support/host';
import {
  addressOf,
  addsUp,
  earn,
  earner,
  earnOutsOf,
  hour,
  minute,
  type PayingHost,
  reported,
  startPaying,
  statusesOf,
  waiting,
} from './support/paying';

afterAll(closeAll);

describe('what the payout function does', () => {
  test.each<[what: string, result: unknown, reference: string | null]>([
    ['nothing', undefined, null],
    ['the reference alone', { reference: 'po_1' }, 'po_1'],
  ])('returns %s: completed', async (_what, result, reference) => {
    const host = await startPaying(() => result as undefined);
    const user = await earner(host, 5);
    expect(await host.referrals.runEarnOuts()).toEqual({ bound: 1, completed: 1, failed: 0, amount: '5.00' });
    const [earnOut] = await earnOutsOf(host, user);
    expect(earnOut).toMatchObject({ status: 'completed', reference, settledAt: host.clock.time, nextAttemptAt: null });
    expect(earnOut).toMatchObject({ claimedBy: null, claimedUntil: null, submittedAt: null });
    await addsUp(host);
  });

  test('returns submitted: in progress until the report, and not asked again', async () => {
    const host = await startPaying(() => ({ status: 'submitted', reference: 'po_2' }));
    const user = await earner(host, 5);
    const { referrals, clock, told, asked } = host;
    told.length = 0;
    expect(await referrals.runEarnOuts()).toEqual({ bound: 1, completed: 0, failed: 0, amount: '0.00' });
    const [submitted] = await earnOutsOf(host, user);
    expect(submitted).toMatchObject({ status: 'processing', reference: 'po_2', submittedAt: clock.time });
    expect(submitted).toMatchObject({ nextAttemptAt: null, claimedBy: null });
    clock.advanceDays(3);
    await referrals.runEarnOuts();
    expect(asked).toHaveLength(1);
    expect(told).toEqual([]);
    const settled = await referrals.earnOuts.settle({ reference: 'po_2', status: 'completed' });
    expect(settled).toMatchObject({ id: submitted!.id, status: 'completed', settledAt: clock.time });
    expect(told).toEqual([`earn-out ${user} payout 5.00 completed`]);
    expect(host.errors).toEqual([]);
    await addsUp(host);
  });

  test('throws PayoutRefused: failed, with its reason', async () => {
    const host = await startPaying(() => Promise.reject(new PayoutRefused('The address is closed.')));
    const user = await earner(host, 5);
    expect(await host.referrals.runEarnOuts()).toEqual({ bound: 1, completed: 0, failed: 1, amount: '0.00' });
    const [failed] = await earnOutsOf(host, user);
    expect(failed).toMatchObject({ status: 'failed', errorReason: 'The address is closed.', refusals: 1 });
    expect(failed!.nextAttemptAt).toEqual(new Date(host.clock.time.getTime() + hour));
    expect(await waiting(host, user)).toBe('5.00');
    expect(host.errors).toEqual([]);
    await addsUp(host);
  });

  const hostile = new Proxy({}, { ownKeys: () => { throw new Error('closed'); } }); // prettier-ignore
  test.each<[what: string, payout: () => unknown]>([
    ['returns a provider’s own object', () => ({ id: 'po_3', status: 'PENDING' })],
    ['returns a reference with a status of the provider’s', () => ({ reference: 'po_3', status: 'PENDING' })],
    ['returns a reference among other things', () => ({ reference: 'po_3', amount: 5 })],
    ['returns submitted without a reference', () => ({ status: 'submitted' })],
    ['returns an empty reference', () => ({ reference: '' })],
    ['returns a reference that is too long', () => ({ reference: 'x'.repeat(256) })],
    ['returns a reference that can’t be stored', () => ({ reference: 'a\0b' })],
    ['returns a number as reference', () => ({ reference: 7 })],
    ['returns an empty object', () => ({})],
    ['returns null', () => null],
    ['returns false', () => false],
    ['returns true', () => true],
    ['returns a text', () => 'po_3'],
    ['returns an array', () => ['po_3']],
    ['returns what can’t be read', () => hostile],
    ['throws an error', () => Promise.reject(new Error('socket hang up'))],
    ['throws before it returns', () => { throw new Error('no route'); }], // prettier-ignore
    ['throws a text', () => Promise.reject('declined')], // eslint-disable-line @typescript-eslint/prefer-promise-reject-errors
    ['throws nothing', () => Promise.reject(undefined)], // eslint-disable-line @typescript-eslint/prefer-promise-reject-errors
    ['throws what can’t be text', () => Promise.reject(Object.create(null) as Error)],
    [
      'throws a look-alike of a refusal',
      () => Promise.reject(Object.assign(new Error('no'), { name: 'PayoutRefused' })),
    ],
  ])('%s: nobody knows; it is asked again under the same key', async (_what, payout) => {
    let isClear = false;
    const host = await startPaying(() => (isClear ? undefined : (payout() as undefined)));
    const user = await earner(host, 5);
    const { referrals, clock, asked } = host;
    expect(await referrals.runEarnOuts()).toEqual({ bound: 1, completed: 0, failed: 0, amount: '0.00' });
    const [unclear] = await earnOutsOf(host, user);
    expect(unclear).toMatchObject({ status: 'processing', attempts: 1, claimedBy: null, reference: null });
    expect(unclear!.nextAttemptAt).toEqual(new Date(clock.time.getTime() + minute));
    expect(reported(host)).toEqual(['PAYOUT_UNCLEAR']);
    expect(await waiting(host, user)).toBe('0.00');
    isClear = true;
    clock.advance(minute);
    expect(await referrals.runEarnOuts()).toEqual({ bound: 0, completed: 1, failed: 0, amount: '5.00' });
    expect(asked.map(({ idempotencyKey }) => idempotencyKey)).toEqual(Array(2).fill(unclear!.idempotencyKey));
    await addsUp(host);
  });

  test('takes too long: nobody knows, and what it does later makes no difference', async () => {
    let end: (error: Error) => void = () => undefined;
    const host = await startPaying(() => new Promise((_resolve, reject) => (end = reject)), {
      earnOuts: { payoutTimeoutMs: 20 },
    });
    const user = await earner(host, 5);
    await host.referrals.runEarnOuts();
    expect(String(host.errors[0])).toMatch(/earnOuts\.payout did not end within 20 ms\. It stays in progress/);
    expect(reported(host)).toEqual(['PAYOUT_UNCLEAR']);
    end(new PayoutRefused('too late'));
    await new Promise(setImmediate);
    expect(await statusesOf(host, user)).toEqual(['5.00 processing']);
    await addsUp(host);
  });

  test('is told to onError with the error as its cause', async () => {
    const cause = new Error('socket hang up');
    const host = await startPaying(() => Promise.reject(cause));
    await earner(host, 5);
    await host.referrals.runEarnOuts();
    expect(host.errors.splice(0)).toMatchObject([{ code: 'PAYOUT_UNCLEAR', status: 500, cause }]);
  });
});

test('an unclear payout is asked for after 1, 5 and 30 minutes, 2, 12 and 24 hours, then waits for staff', async () => {
  const host = await startPaying(() => Promise.reject(new Error('HTTP 500')));
  const user = await earner(host, 5);
  const { referrals, clock, asked, told } = host;
  told.length = 0;
  const waits = [minute, 5 * minute, 30 * minute, 2 * hour, 12 * hour, 24 * hour];
  for (const [index, wait] of waits.entries()) {
    await referrals.runEarnOuts();
    expect(asked).toHaveLength(index + 1);
    clock.advance(wait - 1);
    await referrals.runEarnOuts();
    expect(asked).toHaveLength(index + 1);
    clock.advance(1);
  }
  expect(told).toEqual([]);
  await referrals.runEarnOuts();
  expect(asked).toHaveLength(7);
  expect(told).toEqual([`earn-out ${user} payout 5.00 processing`]);
  expect(String(host.errors.at(-1))).toMatch(/It is not tried again.*earnOuts\.settle/);
  expect(reported(host)).toEqual(Array(7).fill('PAYOUT_UNCLEAR'));
  clock.advanceDays(365);
  expect(await referrals.runEarnOuts()).toEqual({ bound: 0, completed: 0, failed: 0, amount: '0.00' });
  expect(asked).toHaveLength(7);
  expect(await earnOutsOf(host, user)).toMatchObject([{ status: 'processing', attempts: 7, nextAttemptAt: null }]);
  expect(new Set(asked.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(1);
  await addsUp(host);

  const retried = await referrals.earnOuts.retry(asked[0]!);
  expect(retried).toMatchObject({ status: 'processing', attempts: 0, nextAttemptAt: clock.time });
  await referrals.runEarnOuts();
  expect(asked).toHaveLength(8);
  expect((await earnOutsOf(host, user))[0]!.nextAttemptAt).toEqual(new Date(clock.time.getTime() + minute));
  await addsUp(host);
});

describe('a claim', () => {
  test('keeps others away until it ends, also one whose process has died', async () => {
    const host = await startPaying(() => undefined);
    const user = await earner(host, 5);
    const { referrals, clock, asked, dataSource, schema } = host;
    const left = { claimed: new Date(clock.time.getTime() + 6 * minute) };
    await expect(referrals.runEarnOuts({ onProgress: () => Promise.reject(new Error('killed')) })).rejects.toThrow(
      'killed',
    );
    await dataSource.query(
      `UPDATE ${schema}.referral_earn_outs SET claimed_by = 'gone/1', claimed_until = $1, next_attempt_at = $1, attempts = 1`,
      [left.claimed],
    );
    const [claimed] = await earnOutsOf(host, user);
    expect(await refusalOf(referrals.earnOuts.retry(claimed!))).toBe('NOT_CHANGEABLE');
    clock.advance(6 * minute - 1);
    await referrals.runEarnOuts();
    expect(asked).toEqual([]);
    clock.advance(1);
    expect(await referrals.runEarnOuts()).toMatchObject({ completed: 1 });
    expect(asked).toMatchObject([{ attempts: 2, claimedUntil: new Date(clock.time.getTime() + 6 * minute) }]);
    await addsUp(host);
  });

  test('that was lost to a report of a failure: that it was paid is booked all the same', async () => {
    const host = await startPaying(async ({ idempotencyKey }) => {
      await host.referrals.earnOuts.settle({ key: idempotencyKey, status: 'failed', reason: 'bounced' });
    });
    const user = await earner(host, 5);
    expect(await host.referrals.runEarnOuts()).toEqual({ bound: 1, completed: 1, failed: 0, amount: '5.00' });
    expect(await statusesOf(host, user)).toEqual(['5.00 completed']);
    expect(reported(host)).toEqual(['PAYOUT_CONTRADICTED']);
    await addsUp(host);
  });

  test('and a report that agree make one payment', async () => {
    const host = await startPaying(async ({ idempotencyKey }) => {
      await host.referrals.earnOuts.settle({ key: idempotencyKey, reference: 'po_4', status: 'completed' });
    });
    const user = await earner(host, 5);
    await host.referrals.runEarnOuts();
    expect(await earnOutsOf(host, user)).toMatchObject([{ status: 'completed', reference: 'po_4' }]);
    expect(reported(host)).toEqual([]);
    await addsUp(host);
  });

  test('holds no connection while the host pays', async () => {
    const host = await startPaying(async () => {
      const { master } = host.dataSource.driver as unknown as { master: Pool };
      // The other lanes look for payouts of their own, and find none.
      await waitFor(() => Promise.resolve(master.totalCount === master.idleCount));
    });
    await earner(host, 5);
    expect(await host.referrals.runEarnOuts()).toMatchObject({ completed: 1 });
  });
});

interface Pool {
  totalCount: number;
  idleCount: number;
}

describe('settle', () => {
  type Status = ReferralEarnOut['status'];
  type Report = EarnOutReport['status'];

  /** A host with one earn-out of 5.00 that has a status. */
  async function having(status: Status): Promise<{ host: PayingHost; user: string; key: string }> {
    const host = await startPaying(() => ({ status: 'submitted', reference: fresh('po') }));
    const user = await earner(host, 5);
    await host.referrals.runEarnOuts();
    const [{ idempotencyKey: key }] = (await earnOutsOf(host, user)) as [ReferralEarnOut];
    if (status !== 'processing') await host.referrals.earnOuts.settle({ key, status });
    host.told.length = 0;
    return { host, user, key };
  }

  test.each<[before: Status, report: Report, after: Status, told: boolean, error: string[]]>([
    ['processing', 'completed', 'completed', true, []],
    ['processing', 'failed', 'failed', true, []],
    ['processing', 'returned', 'returned', true, []],
    ['completed', 'completed', 'completed', false, []],
    ['completed', 'failed', 'returned', true, ['PAYOUT_CONTRADICTED']],
    ['completed', 'returned', 'returned', true, []],
    ['failed', 'failed', 'failed', false, []],
    ['failed', 'returned', 'failed', false, []],
    ['failed', 'completed', 'completed', true, ['PAYOUT_CONTRADICTED']],
    ['returned', 'returned', 'returned', false, []],
    ['returned', 'failed', 'returned', false, []],
    ['returned', 'completed', 'completed', true, ['PAYOUT_CONTRADICTED']],
  ])('%s, then reported as %s: %s', async (before, status, after, isTold, errors) => {
    const { host, user, key } = await having(before);
    const settled = await host.referrals.earnOuts.settle({ key, status, reason: 'as the provider says' });
    expect(settled.status).toBe(after);
    expect(host.told).toEqual(isTold ? [`earn-out ${user} payout 5.00 ${after}`] : []);
    expect(reported(host)).toEqual(errors);
    const isPaid = after === 'completed';
    expect(await waiting(host, user)).toBe(isPaid ? '0.00' : '5.00');
    expect(await settled.commissions()).toHaveLength(isPaid ? 1 : 0);
    await addsUp(host);
    // The same report again changes nothing, and tells nobody.
    const again = await host.referrals.earnOuts.settle({ key, status, reason: 'again' });
    expect({ ...again }).toEqual({ ...settled });
    expect(reported(host)).toEqual([]);
    await addsUp(host);
  });

  test('keeps the reason, cut and cleaned, and says something without one', async () => {
    for (const [given, kept] of [
      ['Account closed', 'Account closed'],
      ['x'.repeat(2000), 'x'.repeat(500)],
      [undefined, 'The payment failed.'],
      [null, 'The payment failed.'],
      ['', 'The payment failed.'],
    ] as const) {
      const { host, key } = await having('processing');
      const failed = await host.referrals.earnOuts.settle({ key, status: 'failed', reason: given });
      expect(failed.errorReason).toBe(kept);
    }
  });

  test('with key and reference keeps the reference, and finds the earn-out by either', async () => {
    const host = await startPaying(() => Promise.reject(new Error('timeout')));
    const user = await earner(host, 5);
    await host.referrals.runEarnOuts();
    reported(host);
    const [{ idempotencyKey: key }] = (await earnOutsOf(host, user)) as [ReferralEarnOut];
    const { settle } = { settle: (report: EarnOutReport) => host.referrals.earnOuts.settle(report) };
    expect(await settle({ key, reference: 'po_9', status: 'completed' })).toMatchObject({ reference: 'po_9' });
    expect(await settle({ key, reference: 'other', status: 'completed' })).toMatchObject({ reference: 'po_9' });
    expect(await settle({ reference: 'po_9', status: 'completed' })).toMatchObject({ idempotencyKey: key });
  });

  test('refuses what it can’t find or settle', async () => {
    const host = await startPaying(() => ({ status: 'submitted', reference: 'the same' }));
    const { referrals } = host;
    const [first, second] = [await earner(host, 5), await earner(host, 6)];
    await refer(host, 'credits', `credits's buyer`);
    await earn(host, 'credits', 5);
    host.clock.advanceDays(7);
    await referrals.runEarnOuts();
    const [inCredits] = await earnOutsOf(host, 'credits');
    const settle = (report: object) => refusalOf(referrals.earnOuts.settle(report as EarnOutReport));
    expect(await settle({ key: 'unknown', status: 'failed' })).toBe('NOT_FOUND');
    expect(await settle({ reference: 'unknown', status: 'failed' })).toBe('NOT_FOUND');
    expect(await settle({ reference: 'the same', status: 'failed' })).toBe('AMBIGUOUS');
    expect(await settle({ key: inCredits!.idempotencyKey, status: 'failed' })).toBe('NOT_CHANGEABLE');
    expect(await settle({ status: 'failed' })).toBe('INVALID_INPUT key');
    expect(await settle({ key: 7, status: 'failed' })).toBe('INVALID_INPUT key');
    expect(await settle({ key: 'k', reference: '', status: 'failed' })).toBe('INVALID_INPUT reference');
    expect(await settle({ key: 'k', status: 'paid' })).toBe('INVALID_INPUT status');
    expect(await settle({ key: 'k' })).toBe('INVALID_INPUT status');
    expect(await settle({ key: 'k', status: 'failed', reason: 7 })).toBe('INVALID_INPUT reason');
    expect(await settle({ key: 'k', status: 'failed', why: 'x' })).toBe('INVALID_INPUT why');
    expect(await refusalOf(referrals.earnOuts.settle(null as never))).toBe('INVALID_INPUT earnOuts.settle');
    expect([...(await statusesOf(host, first)), ...(await statusesOf(host, second))]).toEqual([
      ...['5.00 processing', '6.00 processing'],
    ]);
    await addsUp(host);
  });

  test('is rolled back with the host’s transaction, and then tells nobody', async () => {
    const { host, user, key } = await having('processing');
    const { dataSource, referrals } = host;
    const rolledBack = dataSource.transaction(async (manager) => {
      await referrals.earnOuts.settle({ key, status: 'failed', manager });
      throw new Error('rolled back');
    });
    await expect(rolledBack).rejects.toThrow('rolled back');
    expect(await statusesOf(host, user)).toEqual(['5.00 processing']);
    expect(host.told).toEqual([]);
    await dataSource.transaction((manager) => referrals.earnOuts.settle({ key, status: 'returned', manager }));
    expect(await statusesOf(host, user)).toEqual(['5.00 returned']);
    expect(host.told).toEqual([`earn-out ${user} payout 5.00 returned`]);
    await addsUp(host);
  });

  test('many reports of one payment at once: one change', async () => {
    const { host, user, key } = await having('processing');
    const reports: Report[] = ['completed', 'completed', 'completed', 'completed'];
    await Promise.all(reports.map((status) => host.referrals.earnOuts.settle({ key, status })));
    expect(host.told).toEqual([`earn-out ${user} payout 5.00 completed`]);
    const all: Report[] = ['failed', 'returned', 'completed', 'failed', 'completed', 'returned'];
    await Promise.all(all.map((status) => host.referrals.earnOuts.settle({ key, status })));
    reported(host);
    await addsUp(host);
  });

  test('completed after failed: what has gone elsewhere meanwhile is a debt of the next earn-outs', async () => {
    const host = await startPaying(() => ({ status: 'submitted', reference: fresh('po') }));
    const { referrals, clock } = host;
    const user = await earner(host, 10);
    await referrals.runEarnOuts();
    const [{ idempotencyKey: first }] = (await earnOutsOf(host, user)) as [ReferralEarnOut];
    await referrals.earnOuts.settle({ key: first, status: 'failed' });
    clock.advance(hour);
    await referrals.runEarnOuts();
    const { idempotencyKey: second } = (await earnOutsOf(host, user))[1]!;
    expect(second).not.toBe(first);
    await referrals.earnOuts.settle({ key: second, status: 'completed' });
    const paidAfterAll = await referrals.earnOuts.settle({ key: first, status: 'completed' });
    expect(paidAfterAll).toMatchObject({ status: 'completed', errorReason: null, commissionCount: 0 });
    expect(reported(host)).toEqual(['PAYOUT_CONTRADICTED']);
    expect(await waiting(host, user)).toBe('-10.00');
    await addsUp(host);
    clock.advanceDays(7);
    await earn(host, user, 4);
    expect(await referrals.runEarnOuts()).toMatchObject({ bound: 0 });
    await earn(host, user, 9);
    expect(await referrals.runEarnOuts()).toMatchObject({ bound: 1 });
    expect(await statusesOf(host, user)).toEqual(['10.00 completed', '10.00 completed', '3.00 processing']);
    await addsUp(host);
    // The payment that was booked comes back: its amount is free, and so is the debt that was subtracted.
    await referrals.earnOuts.settle({ key: first, status: 'returned' });
    expect(await waiting(host, user)).toBe('10.00');
    await addsUp(host);
  });
});

describe('after refusals', () => {
  const waits = [hour, 6 * hour, 24 * hour, 72 * hour];

  async function refusedFiveTimes(): Promise<{ host: PayingHost; user: string; allow: () => void }> {
    let isRefused = true;
    const host = await startPaying(() => {
      if (isRefused) throw new PayoutRefused('closed');
    });
    const user = await earner(host, 5);
    for (const [index, wait] of waits.entries()) {
      await host.referrals.runEarnOuts();
      expect(host.asked).toHaveLength(index + 1);
      host.clock.advance(wait - 1);
      await host.referrals.runEarnOuts();
      expect(host.asked).toHaveLength(index + 1);
      host.clock.advance(1);
    }
    await host.referrals.runEarnOuts();
    expect(host.asked).toHaveLength(5);
    host.clock.advanceDays(100);
    await host.referrals.runEarnOuts();
    expect(host.asked).toHaveLength(5);
    return { host, user, allow: () => (isRefused = false) };
  }

  test('the account waits 1, 6, 24 and 72 hours, with a row and a key an attempt, then for staff', async () => {
    const { host, user } = await refusedFiveTimes();
    const earnOuts = await earnOutsOf(host, user);
    expect(earnOuts.map(({ status, refusals }) => `${status} ${refusals}`)).toEqual([
      ...['failed 1', 'failed 2', 'failed 3', 'failed 4', 'failed 5'],
    ]);
    expect(earnOuts.at(-1)!.nextAttemptAt).toBeNull();
    expect(new Set(earnOuts.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(5);
    await addsUp(host);
  });

  test('retry ends the waiting', async () => {
    const { host, user, allow } = await refusedFiveTimes();
    await host.referrals.earnOuts.retry((await earnOutsOf(host, user)).at(-1)!);
    allow();
    expect(await host.referrals.runEarnOuts()).toMatchObject({ bound: 1, completed: 1, amount: '5.00' });
    await addsUp(host);
  });

  test('a changed address ends the waiting, the same one does not', async () => {
    const { host, user, allow } = await refusedFiveTimes();
    allow();
    const account = await host.referrals.accounts.of(user);
    await account.update({ payoutEmail: addressOf(user) });
    await host.referrals.runEarnOuts();
    expect(host.asked).toHaveLength(5);
    await account.update({ payoutEmail: 'new@example.org' });
    host.clock.advanceDays(3); // the address is held
    expect(await host.referrals.runEarnOuts()).toMatchObject({ bound: 1, completed: 1, amount: '5.00' });
    expect(host.asked.at(-1)!.payoutEmail).toBe('new@example.org');
    await addsUp(host);
  });

  test('counting begins anew after a completed one, and goes on after a returned one', async () => {
    let isRefused = true;
    const host = await startPaying(() => {
      if (isRefused) throw new PayoutRefused('closed');
    });
    const { referrals, clock } = host;
    const user = await earner(host, 5);
    const refusals = async () => (await earnOutsOf(host, user)).map((earnOut) => earnOut.refusals);
    await referrals.runEarnOuts();
    clock.advance(hour);
    await referrals.runEarnOuts();
    expect(await refusals()).toEqual([1, 2]);
    clock.advance(6 * hour);
    isRefused = false;
    await referrals.runEarnOuts();
    const { idempotencyKey: key } = (await earnOutsOf(host, user)).at(-1)!;
    await referrals.earnOuts.settle({ key, status: 'returned' });
    expect(await refusals()).toEqual([1, 2, 3]);
    clock.advance(24 * hour - 1);
    expect(await referrals.runEarnOuts()).toMatchObject({ bound: 0 });
    clock.advance(1);
    expect(await referrals.runEarnOuts()).toMatchObject({ completed: 1 });
    clock.advanceDays(7);
    await earn(host, user, 6);
    isRefused = true;
    await referrals.runEarnOuts();
    expect(await refusals()).toEqual([1, 2, 3, 0, 1]);
    await addsUp(host);
  });

  test('retry of a completed one is refused, and of one in credit does nothing', async () => {
    const host = await startPaying(() => undefined);
    const user = await earner(host, 5);
    await host.referrals.runEarnOuts();
    const [completed] = await earnOutsOf(host, user);
    expect(await refusalOf(host.referrals.earnOuts.retry(completed!))).toBe('NOT_CHANGEABLE');
    expect(await refusalOf(host.referrals.earnOuts.retry(4711))).toBe('NOT_FOUND');
    expect(await refusalOf(host.referrals.earnOuts.retry('x' as never))).toBe('INVALID_INPUT id');
  });
});

describe('the key', () => {
  const keyOf = (user: string, refused: string | null, parts: string[]): string => {
    const text = `${postgresJson([user, 'payout', refused])}\n${parts.sort().join('\n')}`;
    const hex = createHash('sha256').update(text).digest('hex').slice(0, 32);
    const uuid = `${hex.slice(0, 12)}8${hex.slice(13, 16)}a${hex.slice(17)}`;
    return uuid.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  };
  /** `json_build_array` of PostgreSQL. */
  const postgresJson = (values: unknown[]): string => `[${values.map((value) => JSON.stringify(value)).join(', ')}]`;

  test('is a UUID from the SHA-256 of the account, the mode, the refused attempt and what is bound', async () => {
    let isRefused = true;
    const host = await startPaying(() => {
      if (isRefused) throw new PayoutRefused('closed');
    });
    const { referrals, clock } = host;
    const user = await earner(host, 5, fresh('anna "Ö" '));
    const { buyer, reference } = await earn(host, user, 7, fresh('in "voice" '));
    await referrals.recordRefund(buyer, { purchase: reference, reference: 'back', amount: 4 });
    const [other] = await referrals.purchases.search({ where: { userId: buyer } });
    const parts = [
      postgresJson(['purchase', buyer, other!.reference]),
      postgresJson(['purchase', buyer, reference]),
      postgresJson(['refund', buyer, 'back']),
    ];
    await referrals.runEarnOuts();
    isRefused = false;
    clock.advance(hour);
    await referrals.runEarnOuts();
    const keys = (await earnOutsOf(host, user)).map(({ idempotencyKey }) => idempotencyKey);
    expect(keys).toEqual([keyOf(user, null, parts), keyOf(user, keys[0]!, parts)]);
    await addsUp(host);
  });

  test('never repeats, however reports contradict each other', async () => {
    const host = await startPaying(() => ({ status: 'submitted', reference: fresh('po') }));
    const { referrals, clock } = host;
    const user = await earner(host, 5);
    const settleAll = async (status: EarnOutReport['status']): Promise<void> => {
      for (const { idempotencyKey: key } of await earnOutsOf(host, user))
        await referrals.earnOuts.settle({ key, status });
    };
    for (const status of ['failed', 'completed', 'returned', 'completed', 'failed', 'failed', 'returned'] as const) {
      await referrals.runEarnOuts();
      await settleAll(status);
      await addsUp(host);
      clock.advanceDays(10);
      for (const earnOut of await earnOutsOf(host, user))
        if (earnOut.status === 'failed' || earnOut.status === 'returned') await referrals.earnOuts.retry(earnOut);
    }
    reported(host);
    const keys = (await earnOutsOf(host, user)).map(({ idempotencyKey }) => idempotencyKey);
    expect(keys.length).toBeGreaterThan(2);
    expect(new Set(keys).size).toBe(keys.length);
  });
});

describe('reconcile', () => {
  test('books forgotten payments over the oldest available amounts, and the rest as a debt', async () => {
    const host = await startPaying(() => undefined);
    const { referrals, clock } = host;
    const user = await earner(host, 5);
    for (const amount of [3, 4]) {
      clock.advance(minute);
      await earn(host, user, amount);
    }
    const at = new Date(clock.time.getTime() - hour);
    const payments = [
      { key: 'aaaaaaaa-0000-8000-a000-000000000001', reference: 'po_1', amount: '8.00', user, at },
      { key: 'aaaaaaaa-0000-8000-a000-000000000002', amount: 10, user: { id: 'nobody yet' }, at },
    ];
    expect(await referrals.earnOuts.reconcile(payments)).toEqual({ known: 0, completed: 0, booked: 2, debt: '10.00' });
    await addsUp(host);
    const [booked] = await earnOutsOf(host, user);
    expect(booked).toMatchObject({ status: 'completed', mode: 'payout', amount: '8.00', reference: 'po_1' });
    expect(booked).toMatchObject({ settledAt: at, createdAt: clock.time, commissionCount: 2 });
    expect((await booked!.commissions()).map(({ amount, paidAt }) => [amount, paidAt])).toEqual([
      ...[['5.00', at], ['3.00', at]], // prettier-ignore
    ]);
    expect(await waiting(host, user)).toBe('4.00');
    expect(await waiting(host, 'nobody yet')).toBe('-10.00');
    expect(await referrals.earnOuts.reconcile(payments)).toEqual({ known: 2, completed: 0, booked: 0, debt: '0.00' });
    clock.advanceDays(7);
    expect(await referrals.runEarnOuts()).toMatchObject({ completed: 1, amount: '4.00' });
    await addsUp(host);
  });

  test('a payment of more than was available leaves a debt, which the next earn-out subtracts', async () => {
    const host = await startPaying(() => undefined);
    const { referrals, clock } = host;
    const user = await earner(host, 5);
    await earn(host, user, 4);
    const key = 'aaaaaaaa-0000-8000-a000-000000000003';
    const result = await referrals.earnOuts.reconcile([{ key, amount: '6.50', user, at: clock.time }]);
    expect(result).toEqual({ known: 0, completed: 0, booked: 1, debt: '1.50' });
    expect(await waiting(host, user)).toBe('2.50');
    await addsUp(host);
    clock.advanceDays(7);
    expect(await referrals.runEarnOuts()).toMatchObject({ completed: 1, amount: '2.50' });
    await addsUp(host);
  });

  test('completes an earn-out that is known in another status', async () => {
    const host = await startPaying(() => Promise.reject(new Error('timeout')));
    const { referrals, clock } = host;
    const [open, failed] = [await earner(host, 5), await earner(host, 6)];
    await referrals.runEarnOuts();
    const payments = (await Promise.all([open, failed].map(async (user) => (await earnOutsOf(host, user))[0]!))).map(
      ({ idempotencyKey: key, amount, userId: user }) => ({ key, amount, user, at: clock.time }),
    );
    await referrals.earnOuts.settle({ key: payments[1]!.key, status: 'failed' });
    reported(host);
    expect(await referrals.earnOuts.reconcile(payments)).toEqual({ known: 0, completed: 2, booked: 0, debt: '0.00' });
    expect([...(await statusesOf(host, open)), ...(await statusesOf(host, failed))]).toEqual([
      ...['5.00 completed', '6.00 completed'],
    ]);
    await addsUp(host);
  });

  test('refuses the whole list before it books any of it', async () => {
    const host = await startPaying(() => undefined);
    const { referrals, clock } = host;
    const user = await earner(host, 5);
    await referrals.runEarnOuts();
    const [{ idempotencyKey: key }] = (await earnOutsOf(host, user)) as [ReferralEarnOut];
    const at = clock.time;
    const good = { key: 'aaaaaaaa-0000-8000-a000-000000000004', amount: 1, user, at };
    for (const [field, wrong] of [
      ['payments[1]', { ...good, key, amount: 6 }],
      ['payments[1]', { ...good, key, amount: 5, user: 'somebody else' }],
      ['payments[1].key', { ...good, amount: 2 }],
      ['payments[1].key', { ...good, key: '' }],
      ['payments[1].key', { ...good, key: 'x'.repeat(37) }],
      ['payments[1].amount', { ...good, amount: 0 }],
      ['payments[1].amount', { ...good, amount: 'NaN' }],
      ['payments[1].user', { ...good, user: null }],
      ['payments[1].at', { ...good, at: null }],
      ['payments[1].at', { ...good, at: new Date(NaN) }],
      ['payments[1].reference', { ...good, reference: 7 }],
      ['id', { ...good, id: 7 }],
      ['payments[1]', null],
    ] as const)
      expect(await refusalOf(referrals.earnOuts.reconcile([good, wrong as never]))).toBe(`INVALID_INPUT ${field}`);
    expect(await refusalOf(referrals.earnOuts.reconcile('all' as never))).toBe('INVALID_INPUT payments');
    expect(await earnOutsOf(host, user)).toHaveLength(1);
    expect(await referrals.earnOuts.reconcile([])).toEqual({ known: 0, completed: 0, booked: 0, debt: '0.00' });
    await addsUp(host);
  });

  test('the same list in several processes at once: each payment once', async () => {
    const host = await startPaying(() => undefined);
    const { referrals, clock } = host;
    const user = await earner(host, 5);
    const list = Array.from({ length: 5 }, (_, index) => ({
      ...{ key: `aaaaaaaa-0000-8000-a000-00000000001${index}`, amount: 2, user, at: clock.time },
    }));
    await Promise.all([1, 2, 3].map(() => referrals.earnOuts.reconcile(list)));
    expect(await statusesOf(host, user)).toEqual(Array(5).fill('2.00 completed'));
    expect(await waiting(host, user)).toBe('-5.00');
    await addsUp(host);
  });
});

describe('what an account sees', () => {
  test('the minimum is of both modes together, as far as they can be paid', async () => {
    const host = await startPaying(() => undefined, { earnOuts: { minimum: '50' } });
    const { referrals, clock } = host;
    const user = await earner(host, 49);
    const account = await referrals.accounts.of(user);
    await account.update({ mode: 'credits' });
    await earn(host, user, 0.99);
    expect(await referrals.runEarnOuts()).toMatchObject({ bound: 0 });
    await earn(host, user, 48.01);
    expect(await referrals.runEarnOuts()).toMatchObject({ bound: 2, completed: 2, amount: '98.00' });
    clock.advanceDays(7);
    await account.update({ payoutEmail: null });
    await addsUp(host);
  });

  test('what can’t be paid does not count for the minimum, and is said to be blocked', async () => {
    const host = await startPaying(() => undefined, { earnOuts: { minimum: '50' } });
    const { referrals } = host;
    const user = await earner(host, 49);
    const account = await referrals.accounts.of(user);
    expect((await referrals.accounts.totals(user)).blocked).toBeNull();
    await account.update({ mode: 'credits', payoutEmail: null });
    await earn(host, user, 20);
    expect(await referrals.runEarnOuts()).toMatchObject({ bound: 0 });
    const blocked = async () => (await referrals.accounts.totals(user)).blocked;
    expect(await blocked()).toEqual({ amount: '49.00', reason: 'no-payout-address' });
    await account.update({ payoutEmail: 'back@example.org' });
    expect(await blocked()).toBeNull();
    host.clock.advanceDays(3); // the address is held
    expect(await referrals.runEarnOuts()).toMatchObject({ bound: 2, amount: '69.00' });
    expect(await blocked()).toBeNull();
    await addsUp(host);
  });

  test('without the option earnOuts.payout it is blocked by that', async () => {
    const host = await startPaying(() => undefined);
    const user = await earner(host, 5);
    await host.referrals.close();
    const { dataSource, clock } = host;
    const without = await startEarnings({ dataSource, clock: clock.read });
    const blocked = { amount: '5.00', reason: 'no-payout-option' };
    expect((await without.referrals.accounts.totals(user)).blocked).toEqual(blocked);
  });

  test('nextEarnOutAt is the past moment while an earn-out is due, and the next period otherwise', async () => {
    const host = await startPaying(() => undefined, { earnOuts: { minimum: '10' } });
    const { referrals, clock } = host;
    const user = await earner(host, 9);
    const { createdAt } = await referrals.accounts.of(user);
    const period = (count: number): Date => new Date(createdAt.getTime() + count * 7 * 24 * hour);
    const next = async () => (await referrals.accounts.totals(user)).nextEarnOutAt;
    clock.advance(hour);
    expect(await next()).toEqual(period(2)); // 9 are not due
    await earn(host, user, 1);
    expect(await next()).toEqual(period(1));
    await referrals.runEarnOuts();
    expect(await next()).toEqual(period(2));
    await earn(host, user, 10);
    expect(await next()).toEqual(period(2)); // this period has had its earn-out
    clock.advanceDays(7);
    expect(await next()).toEqual(period(2));
    await referrals.runEarnOuts();
    expect(await next()).toEqual(period(3));
  });

  test('a commission says when it was paid', async () => {
    const host = await startPaying(() => ({ status: 'submitted', reference: 'po_5' }));
    const { referrals, clock } = host;
    const user = await earner(host, 5);
    const paidAt = async () => (await referrals.commissions.search({ where: { userId: user } }))[0]!.paidAt;
    expect(await paidAt()).toBeNull();
    await referrals.runEarnOuts();
    expect(await paidAt()).toBeNull();
    clock.advanceDays(1);
    await referrals.earnOuts.settle({ reference: 'po_5', status: 'completed' });
    expect(await paidAt()).toEqual(clock.time);
    const [plain] = await referrals.commissions.search({ where: { userId: user }, fields: ['paidAt'], plain: true });
    expect(plain).toEqual({ paidAt: clock.time });
    const [commission] = await referrals.commissions.search({ where: { userId: user } });
    expect(commission!.status).toBe('available');
    await referrals.earnOuts.settle({ reference: 'po_5', status: 'returned' });
    await commission!.refresh();
    expect(commission!.paidAt).toBeNull();
  });
});

describe('who is due is found', () => {
  test('after the host has lowered the minimum, or the period', async () => {
    const host = await startPaying(() => undefined, { earnOuts: { minimum: '50' } });
    const { dataSource, clock } = host;
    const user = await earner(host, 20);
    expect(await host.referrals.runEarnOuts()).toMatchObject({ bound: 0 });
    await host.referrals.close();
    const lower = await startPaying(() => undefined, { dataSource, clock: clock.read, earnOuts: { minimum: '10' } });
    expect(await lower.referrals.runEarnOuts()).toMatchObject({ bound: 1, completed: 1 });
    await earn(host, user, 20).catch(() => undefined);
    await earn(lower, user, 20);
    clock.advanceDays(1);
    expect(await lower.referrals.runEarnOuts()).toMatchObject({ bound: 0 });
    await lower.referrals.close();
    const daily = await startPaying(() => undefined, {
      dataSource,
      clock: clock.read,
      earnOuts: { every: { days: 1 } },
    });
    expect(await daily.referrals.runEarnOuts()).toMatchObject({ bound: 1, completed: 1 });
    await addsUp(daily);
  });

  test('without reading accounts that wait for something', async () => {
    const host = await startPaying(() => undefined, { earnOuts: { minimum: '50' }, commission: { pendingDays: 30 } });
    const { referrals, dataSource, schema, clock } = host;
    const due = async (): Promise<number> => {
      const [row] = await dataSource.query<{ count: string }[]>(
        `SELECT count(*) FROM ${schema}.referral_account_totals WHERE due_at <= $1`,
        [clock.time],
      );
      return Number(row!.count);
    };
    const user = await earner(host, 20);
    await referrals.runEarnOuts();
    expect(await due()).toBe(0); // pending
    clock.advanceDays(23);
    expect(await due()).toBe(1);
    expect(await referrals.runEarnOuts()).toMatchObject({ bound: 0 });
    expect(await due()).toBe(0); // below the minimum
    await earn(host, user, 30);
    clock.advanceDays(30);
    expect(await due()).toBe(1);
    expect(await referrals.runEarnOuts()).toMatchObject({ bound: 1 });
    await earn(host, user, 60);
    expect(await due()).toBe(0);
    clock.advanceDays(30);
    expect(await referrals.runEarnOuts()).toMatchObject({ bound: 1 });
    await addsUp(host);
  });
});

describe('verify with the provider', () => {
  test('finds a completed payout that was not paid, and a failed one that was', async () => {
    const answers = new Map<string, string>();
    const host = await startPaying(({ userId }) => {
      if (userId.startsWith('refused')) throw new PayoutRefused('closed');
      if (userId.startsWith('unclear')) throw new Error('timeout');
    });
    const { referrals } = host;
    const users = ['paid', 'refused', 'unclear'].map((word) => fresh(word));
    for (const user of users) await earner(host, 5, user);
    for (let attempt = 0; attempt < 8; attempt++) {
      await referrals.runEarnOuts();
      host.clock.advanceDays(2);
    }
    reported(host);
    const ask = (key: string) => (answers.get(key) ?? 'unknown') as 'paid';
    expect(await referrals.verify({ payouts: ask })).toMatchObject({ ok: true });
    const all = await referrals.earnOuts.search();
    for (const { idempotencyKey, status } of all)
      answers.set(idempotencyKey, status === 'completed' ? 'paid' : 'not paid');
    expect(await referrals.verify({ payouts: (key) => Promise.resolve(ask(key)) })).toMatchObject({ ok: true });
    for (const { idempotencyKey, status } of all)
      answers.set(idempotencyKey, status === 'completed' ? 'not paid' : 'paid');
    const { ok, problems } = await referrals.verify({ payouts: ask });
    expect(ok).toBe(false);
    expect(problems.map(({ invariant, id, expected, found }) => [invariant, id, expected, found])).toEqual(
      all.map(({ id, status }) => {
        if (status === 'completed') return ['a completed payout was paid', id, 'paid', 'not paid'];
        if (status === 'failed') return ['a failed payout was not paid', id, 'not paid', 'paid'];
        return ['a payout that waits for staff was not paid', id, 'not paid', 'paid'];
      }),
    );
    expect(await refusalOf(referrals.verify({ payouts: () => 'yes' as never }))).toBe('INVALID_INPUT payouts');
    expect(await refusalOf(referrals.verify({ payouts: 'yes' as never }))).toBe('INVALID_INPUT payouts');
    expect(await refusalOf(referrals.verify({ payout: ask } as never))).toBe('INVALID_INPUT payout');
  });
});

/** What else is changed of a completed payout that is set back, so that it is paid again. */
const setBacks = [
  'next_attempt_at = now()',
  'next_attempt_at = NULL',
  'next_attempt_at = now(), reference = NULL',
  'next_attempt_at = now(), reference = NULL, attempts = 0',
  'next_attempt_at = now(), attempts = 0',
  'next_attempt_at = now(), updated_at = now()',
  `next_attempt_at = updated_at + interval '1 minute', claimed_by = 'host/1', claimed_until = updated_at + interval '1 minute'`,
  `next_attempt_at = now(), claimed_by = 'host/1', claimed_until = now(), attempts = 0`,
  `next_attempt_at = now(), claimed_by = 'host/1', claimed_until = now() + interval '1 hour'`,
  'submitted_at = settled_at, attempts = 0',
  'submitted_at = created_at, next_attempt_at = now()',
  'submitted_at = settled_at, reference = NULL',
];

describe('verify asks the provider', () => {
  test('about a payout in progress that nobody is paying, and not about one that may be paid at this moment', async () => {
    const host = await startPaying(() => {
      throw new Error('timeout');
    });
    const user = await earner(host, 5);
    await host.referrals.runEarnOuts();
    reported(host);
    const asked: string[] = [];
    const payouts = (key: string) => {
      asked.push(key);
      return 'paid' as const;
    };
    host.clock.advance(6 * minute);
    expect(await host.referrals.verify({ payouts })).toMatchObject({ ok: true });
    expect(asked).toEqual([]);
    host.clock.advance(1);
    const [{ id, idempotencyKey }] = (await earnOutsOf(host, user)) as [ReferralEarnOut];
    expect((await host.referrals.verify({ payouts })).problems).toEqual([
      {
        invariant: 'a payout in progress was not paid',
        table: 'referral_earn_outs',
        id,
        expected: 'not paid',
        found: 'paid',
      },
    ]);
    expect(asked).toEqual([idempotencyKey]);
    const { dataSource, schema, clock } = host;
    await dataSource.query(`UPDATE ${schema}.referral_earn_outs SET claimed_by = 'host/1', claimed_until = $1`, [
      new Date(clock.time.getTime() + 1),
    ]);
    await host.referrals.verify({ payouts });
    expect(asked).toHaveLength(1);
    clock.advance(1);
    await host.referrals.verify({ payouts });
    expect(asked).toHaveLength(2);
  });

  test('no more once it has failed, and ends when all calls have ended', async () => {
    const host = await startPaying(() => undefined);
    for (let user = 0; user < 12; user++) await earner(host, 5);
    await host.referrals.runEarnOuts();
    let [asked, underWay] = [0, 0];
    let release!: () => void;
    const released = new Promise<void>((resolve) => (release = resolve));
    const verified = host.referrals.verify({
      payouts: async () => {
        const call = ++asked;
        underWay++;
        await (call === 2 ? Promise.resolve() : released);
        underWay--;
        if (call === 2) throw new Error('the provider is away');
        return 'paid' as const;
      },
    });
    let isOver = false;
    verified.catch(() => undefined).finally(() => (isOver = true));
    while (asked < 5 || underWay > 4) await new Promise(setImmediate);
    for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
    expect([asked, underWay, isOver]).toEqual([5, 4, false]);
    release();
    await expect(verified).rejects.toThrow('the provider is away');
    expect([asked, underWay]).toEqual([5, 0]);
  });
});

test('verify has nothing against what is booked over commissions that came after the payment', async () => {
  const host = await startPaying(() => {
    throw new PayoutRefused('closed');
  });
  const { referrals, clock } = host;
  const user = await earner(host, 5, fresh('late'));
  const paidAt = clock.time;
  await referrals.runEarnOuts();
  const [{ idempotencyKey: key }] = (await earnOutsOf(host, user)) as [ReferralEarnOut];
  const [bought] = await referrals.purchases.search({ where: { userId: `${user}'s buyer` } });
  await referrals.recordRefund(`${user}'s buyer`, { purchase: bought!.reference, reference: 'all' });
  clock.advanceDays(3);
  await earn(host, user, 5);
  expect(await referrals.earnOuts.reconcile([{ key, amount: 5, user, at: paidAt }])).toMatchObject({
    completed: 1,
    debt: '0.00',
  });
  await addsUp(host);
});

describe('verify finds damage to earn-outs', () => {
  let host: PayingHost;
  beforeAll(async () => {
    host = await startPaying(({ userId }) => {
      if (userId.startsWith('refused')) throw new PayoutRefused('closed');
      return { reference: fresh('po') };
    });
    for (const word of ['paid', 'refused', 'other', 'again']) await earner(host, 5, word);
    await refer(host, 'credits', `credits's buyer`);
    await earn(host, 'credits', 5);
    host.clock.advanceDays(7);
    await host.referrals.runEarnOuts();
    await earn(host, 'again', 5);
    host.clock.advanceDays(7);
    await host.referrals.runEarnOuts();
    const at = host.clock.time;
    const key = 'aaaaaaaa-0000-8000-a000-000000000099';
    await host.referrals.earnOuts.reconcile([{ key, amount: 3, user: 'paid', at }]);
    await addsUp(host);
  });

  test.each([
    ['a completed payout set back', `UPDATE earn_outs SET status = 'processing' WHERE user_id = 'other'`],
    [
      'a completed payout set back, with its time',
      `UPDATE earn_outs SET status = 'processing', settled_at = NULL, claimed_until = now() WHERE user_id = 'other'`,
    ],
    ...setBacks.map((how): [string, string] => [
      `a completed payout set back: ${how}`,
      `UPDATE earn_outs SET status = 'processing', settled_at = NULL, ${how} WHERE user_id = 'other'`,
    ]),
    [
      'credit that was given, set back',
      `UPDATE earn_outs SET status = 'processing', settled_at = NULL WHERE user_id = 'credits'`,
    ],
    [
      'a booked payment set back',
      `UPDATE earn_outs SET status = 'processing', settled_at = NULL, next_attempt_at = updated_at
        WHERE user_id = 'paid' AND refused_at IS NOT NULL`,
    ],
    [
      'an earlier payout set back to how it was when it was made',
      `UPDATE earn_outs e SET status = 'processing', settled_at = NULL, next_attempt_at = created_at, attempts = 0,
        reference = NULL, updated_at = created_at
        WHERE user_id = 'again' AND id = (SELECT min(id) FROM earn_outs WHERE user_id = 'again')`,
    ],
    [
      'a completed payout that failed',
      `UPDATE earn_outs SET status = 'failed', error_reason = 'x' WHERE user_id = 'other'`,
    ],
    ['a failed earn-out deleted', `DELETE FROM earn_outs WHERE user_id = 'refused'`],
    ['a failed earn-out completed', `UPDATE earn_outs SET status = 'completed' WHERE user_id = 'refused'`],
    ['a completed earn-out deleted', `DELETE FROM earn_outs WHERE user_id = 'other'`],
    ['an earn-out moved', `UPDATE earn_outs SET user_id = 'somebody' WHERE user_id = 'other'`],
    [
      'an earn-out copied',
      `INSERT INTO earn_outs (user_id, mode, amount, commissions, status, idempotency_key, settled_at)
        SELECT user_id, mode, amount, commissions, status, 'another', settled_at FROM earn_outs WHERE user_id = 'other'`,
    ],
    ['an amount raised', `UPDATE earn_outs SET amount = amount + 1 WHERE user_id = 'other'`],
    ['an amount that is none', `UPDATE earn_outs SET amount = 'NaN' WHERE user_id = 'other'`],
    ['an entry that is none', `UPDATE earn_out_entries SET amount = 'NaN' WHERE earn_out_id IS NULL`],
    ['a debt deleted', `DELETE FROM earn_out_entries WHERE earn_out_id IS NULL`],
    ['a debt lowered', `UPDATE earn_out_entries SET amount = amount / 2 WHERE earn_out_id IS NULL`],
    ['an entry of no earn-out', `UPDATE earn_out_entries SET earn_out_id = 4711 WHERE earn_out_id IS NOT NULL`],
    ['the paid sum lowered', `UPDATE accounts SET payouts_paid = 0 WHERE user_id = 'other'`],
    ['the count lowered', `UPDATE accounts SET earn_outs = 0 WHERE user_id = 'refused'`],
    ['a commission unbound', `UPDATE commissions SET earn_out_id = NULL WHERE user_id = 'other'`],
    ['a credit of an earn-out deleted', `DELETE FROM credits WHERE user_id = 'credits'`],
  ])('%s', async (_what, damage) => {
    const { dataSource, schema, referrals } = host;
    const tables = ['earn_outs', 'earn_out_entries', 'accounts', 'commissions', 'credits'];
    const sql = damage.replace(
      new RegExp(`\\b(FROM|UPDATE|INTO) (${tables.join('|')})\\b`, 'g'),
      `$1 ${schema}.referral_$2`,
    );
    const rolledBack = dataSource.transaction(async (manager) => {
      await manager.query(`SET LOCAL session_replication_role = replica`);
      for (const table of tables) {
        const checks = await manager.query<{ conname: string }[]>(
          `SELECT conname FROM pg_constraint WHERE conrelid = $1::regclass AND contype IN ('c', 'f')`,
          [`${schema}.referral_${table}`],
        );
        for (const { conname } of checks)
          await manager.query(`ALTER TABLE ${schema}.referral_${table} DROP CONSTRAINT "${conname}" CASCADE`);
      }
      await manager.query(sql);
      expect((await referrals.verify({ manager })).ok).toBe(false);
      throw new Error('rolled back');
    });
    await expect(rolledBack).rejects.toThrow('rolled back');
    await addsUp(host);
  });
});

test('five at once at most, or as many as the option says', async () => {
  for (const [concurrency, most] of [
    [undefined, 5],
    [2, 2],
    [9, 8],
  ] as const) {
    // prettier-ignore
    let [now, seen] = [0, 0];
    const host = await startPaying(
      async () => {
        seen = Math.max(seen, ++now);
        await new Promise((resolve) => setTimeout(resolve, 20));
        now--;
      },
      { earnOuts: { ...(concurrency !== undefined && { concurrency }) } },
    );
    for (let user = 0; user < 8; user++) await earner(host, 5);
    await host.referrals.runEarnOuts();
    expect(host.asked).toHaveLength(8);
    expect(seen).toBeLessThanOrEqual(most);
    expect(await host.dataSource.getRepository(ReferralAccount).countBy({ earnOutCount: 1 })).toBe(8);
  }
});
