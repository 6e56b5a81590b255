import { type ReferralAudit, type ReferralProgram, type Referrals } from '../lib';
import { startApi } from './support/api';
import { closeAll } from './support/host';
import { couponOf, type EarningsHost, fresh, refer, refusalOf, startEarnings } from './support/earnings';

afterAll(closeAll);

const staff = { by: 7, reason: 'the customer asked', requestId: 'req-1' };
const said = { actor: 'staff', by: '7', reason: 'the customer asked', requestId: 'req-1' };

let host: EarningsHost;
let referrals: Referrals;
beforeAll(async () => {
  host = await startEarnings({ earnOuts: { payout: () => ({ status: 'submitted', reference: fresh('bank') }) } });
  ({ referrals } = host);
});

/** The rows that work leaves. */
async function rowsOf(work: () => Promise<unknown>): Promise<ReferralAudit[]> {
  const before = await referrals.audit.count();
  await work();
  return referrals.audit.search({ skip: before, take: 100 });
}

const typeOf = async (): Promise<number> => (await referrals.creditTypes.create({ name: fresh('type') })).id;

describe('what staff change leaves one row, with what has changed, by whom and why', () => {
  test('of each kind of records', async () => {
    const type = await typeOf();
    const user = fresh();
    const [made] = await rowsOf(() =>
      referrals.programs.create({ name: 'spring', commission: { ratio: '0.1' } }, staff),
    );
    expect(made).toMatchObject({
      ...{
        ...said,
        call: 'programs.create',
        subject: 'program',
        userId: null,
        before: null,
        createdAt: host.clock.time,
      },
      after: { name: 'spring', commissionRatio: '0.10', rewardCreditAmount: null },
    });
    const program = Number(made!.subjectId);
    const code = await referrals.referralCodes.create({ user, program, code: 'SPRING' }, staff);
    const channel = await couponOf(host, user);
    const credit = { user, creditType: type, initialBalance: 5, durationDays: 9, reference: 'gift' };
    const account = await referrals.accounts.of(user);
    const calls: [string, () => Promise<unknown>, object][] = [
      [
        'programs.update',
        () => referrals.programs.update(program, { commission: { ratio: '0.2', maxPerReferee: 9 } }, staff),
        { before: { commissionRatio: '0.10', commissionMaxPerReferee: null }, after: { commissionRatio: '0.20', commissionMaxPerReferee: '9.00' } }, // prettier-ignore
      ],
      [
        'programs.update',
        async () => (await referrals.programs.get(program)).update({ name: 'summer' }, staff),
        { before: { name: 'spring' }, after: { name: 'summer' } },
      ],
      [
        'referralCodes.update',
        () => referrals.referralCodes.update(code, { program: null }, staff),
        { userId: user, after: expect.objectContaining({ programId: null }) },
      ],
      [
        'channels.update',
        () => referrals.channels.update(channel, { ongoingRate: '0.05' }, staff),
        { userId: user, before: { ongoingRate: '0.10' }, after: { ongoingRate: '0.05' } },
      ],
      [
        'credits.create',
        () => referrals.credits.create(credit, staff),
        { userId: user, before: null, after: expect.objectContaining({ initialBalance: '5.00' }) },
      ],
      [
        'accounts.update',
        () => referrals.accounts.update(account, { payoutEmail: 'a@b.example' }, staff),
        { userId: user, before: { payoutEmail: null }, after: { payoutEmail: 'a@b.example' } },
      ],
      [
        'signups.create',
        () => referrals.signups.create({ user: 'new', code: 'SPRING' }, staff),
        { userId: 'new', before: null, after: expect.objectContaining({ referrerId: user }) },
      ],
      [
        'purchases.create',
        () => referrals.purchases.create({ user: 'new', amount: 8, reference: 'p' }, staff),
        { userId: 'new', before: null, after: expect.objectContaining({ amount: '8.00' }) },
      ],
      ['creditTypes.delete', () => typeOf().then((id) => referrals.creditTypes.delete(id, staff)), { after: null }],
    ];
    for (const [call, work, expected] of calls) {
      const rows = (await rowsOf(work)).filter((row) => row.call === call);
      expect(rows).toHaveLength(1);
      expect(rows[0]).toMatchObject({ ...said, call, ...expected });
    }
  });

  test('and no second row for a call that changes nothing, or is repeated', async () => {
    const [type, user] = [await typeOf(), fresh()];
    await referrals.referralCodes.create({ user: fresh(), code: 'AGAIN' });
    const credit = { user, creditType: type, initialBalance: 5, durationDays: 9, reference: 'gift' };
    const [given] = await rowsOf(() => referrals.credits.create(credit));
    const correction = { credit: Number(given!.subjectId), value: 1, reference: 'more' };
    const program = await referrals.programs.create({ name: fresh() });
    const work = async (): Promise<void> => {
      await referrals.credits.create(credit);
      await referrals.creditTransactions.create(correction);
      await referrals.signups.create({ user, code: 'AGAIN' });
      await referrals.purchases.create({ user, amount: 8, reference: 'p' });
      await referrals.programs.update(program, { name: program.name });
      await referrals.accounts.of(user);
    };
    expect((await rowsOf(work)).map(({ call }) => call)).toEqual([
      ...['creditTransactions.create', 'signups.create', 'purchases.create'],
    ]);
    expect(await rowsOf(work)).toEqual([]);
    // Nor for the hooks of the host's.
    const hooks = async (): Promise<void> => {
      await referrals.recordPurchase(user, { amount: 8, reference: 'q' });
      await referrals.recordUsage(user, { amount: 8, reference: 'u' });
      await referrals.credits.spend(user, { amount: 1, reference: 's' });
    };
    expect(await rowsOf(hooks)).toEqual([]);
  });

  test('in the transaction of the change', async () => {
    const program = await referrals.programs.create({ name: fresh() });
    const undone = host.dataSource.transaction(async (manager) => {
      await referrals.programs.update(program, { name: fresh() }, { ...staff, manager });
      throw new Error('undone');
    });
    expect(await rowsOf(() => expect(undone).rejects.toThrow('undone'))).toEqual([]);
    await refer(host, fresh(), fresh(), { program });
    const refused = async (): Promise<void> => expect(await refusalOf(program.delete(staff))).toBe('IN_USE');
    expect(await rowsOf(refused)).toEqual([]);
  });

  test('in one statement for many records', async () => {
    const names = Array.from({ length: 20 }, () => ({ name: fresh('many') }));
    const rows = await rowsOf(() => referrals.programs.createMany(names, staff));
    expect(rows.map(({ call, after }) => [call, after!['name']])).toEqual(
      names.map(({ name }) => ['programs.createMany', name]),
    );
  });

  test('of payouts', async () => {
    const [user, buyer] = [fresh(), fresh()];
    await refer(host, user, buyer);
    const account = await referrals.accounts.of(user);
    await account.update({ mode: 'payout', payoutEmail: 'a@b.example' });
    await referrals.recordPurchase(buyer, { amount: 100, reference: 'a' });
    host.clock.advanceDays(31);
    await referrals.runEarnOuts();
    const [earnOut] = await referrals.earnOuts.search({ where: { userId: user } });
    const key = earnOut!.idempotencyKey;
    const subject = { subject: 'earn-out', subjectId: String(earnOut!.id), userId: user };
    const [retried] = await rowsOf(() => referrals.earnOuts.retry(earnOut!, staff));
    expect(retried).toMatchObject({ ...said, call: 'earnOuts.retry', ...subject });
    const payment = { key, amount: '25', user, at: host.clock.time };
    const reconciled = await rowsOf(() => referrals.earnOuts.reconcile([payment], staff));
    expect(reconciled).toEqual([expect.objectContaining({ ...said, ...subject, after: { status: 'completed' } })]);
    const settle = () => referrals.earnOuts.settle({ key, status: 'returned', by: 'hook', reason: 'closed' });
    const [settled, ...others] = await rowsOf(settle);
    expect(others).toEqual([]);
    expect(settled).toMatchObject({
      ...{ ...subject, call: 'earnOuts.settle', by: 'hook', reason: 'closed' },
      ...{ before: { status: 'completed' }, after: { status: 'returned' } },
    });
    expect(await rowsOf(settle)).toEqual([]);
  });
});

test('a user who changes the payout address in the API is the author', async () => {
  const api = await startApi({ earnOuts: { payout: () => undefined } });
  await api.ask('PATCH', '/config/', { as: 'anna', send: { mode: 'payout', paypal_payout_email: 'a@b.example' } });
  const [row, ...others] = await api.referrals.audit.search({ where: { userId: 'anna' } });
  expect(others).toEqual([]);
  expect(row).toMatchObject({
    ...{ actor: 'user', by: 'anna', call: 'accounts.update', subject: 'account' },
    ...{ before: { mode: 'credits', payoutEmail: null }, after: { mode: 'payout', payoutEmail: 'a@b.example' } },
  });
});

describe('what staff say is checked before anything is written', () => {
  test.each<[string, object]>([
    ['by', { by: '' }],
    ['by', { by: 1.5 }],
    ['by', { by: 'x'.repeat(129) }],
    ['reason', { reason: 7 }],
    ['reason', { reason: 'x'.repeat(501) }],
    ['requestId', { requestId: '' }],
    ['who', { who: 'me' }],
  ])('%s: %j', async (field, options) => {
    const program: ReferralProgram = await referrals.programs.create({ name: fresh() });
    const refused = { code: 'INVALID_INPUT', field };
    const before = await referrals.audit.count();
    await expect(referrals.programs.create({ name: fresh() }, options)).rejects.toMatchObject(refused);
    await expect(referrals.programs.createMany([{ name: fresh() }], options)).rejects.toMatchObject(refused);
    await expect(referrals.programs.update(program, { name: fresh() }, options)).rejects.toMatchObject(refused);
    await expect(referrals.programs.delete(program, options)).rejects.toMatchObject(refused);
    await expect(program.update({ name: fresh() }, options)).rejects.toMatchObject(refused);
    await expect(program.delete(options)).rejects.toMatchObject(refused);
    expect(await referrals.audit.count()).toBe(before);
  });
});

test('rows of the audit are neither made, changed nor deleted by hand', async () => {
  await referrals.programs.create({ name: fresh() });
  const [row] = await referrals.audit.search({ order: { id: 'DESC' }, take: 1 });
  expect(await refusalOf(referrals.audit.create({}))).toBe('NOT_CREATABLE');
  expect(await refusalOf(row!.update({}))).toBe('NOT_CHANGEABLE');
  expect(await refusalOf(row!.delete())).toBe('IN_USE');
});
