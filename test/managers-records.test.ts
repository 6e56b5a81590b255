import type { EntityManager } from 'typeorm';
import {
  type ReferralCode,
  type ReferralCredit,
  type ReferralCreditTransaction,
  ReferralCreditType,
  type ReferralProgram,
  type ReferralSignup,
  type Referrals,
} from '../lib';
import { closeAll, openDataSource, startHost, StatementLog, TestClock } from './support/host';

afterAll(closeAll);

const log = new StatementLog();
const clock = new TestClock();
let referrals: Referrals;
let transaction: <T>(work: (manager: EntityManager) => Promise<T>) => Promise<T>;
let type: ReferralCreditType;
let program: ReferralProgram;
let code: ReferralCode;
let bare: ReferralCode;
let signup: ReferralSignup;
let credit: ReferralCredit;
let reward: ReferralCredit;
let entry: ReferralCreditTransaction;

beforeAll(async () => {
  const dataSource = await openDataSource({ logging: true, logger: log });
  ({ referrals } = await startHost({ dataSource, clock: clock.read }));
  transaction = (work) => dataSource.transaction(work);
  type = await referrals.creditTypes.create({ name: 'shop credit', product: 'credit', refundable: true });
  const terms = { durationDays: 30, type };
  program = await referrals.programs.create({
    name: 'launch',
    referralCredit: { amount: 5, ...terms },
    rewardCredit: { amount: '10.5', ...terms, durationDays: 60 },
  });
  code = await referrals.referralCodes.create({ code: 'Anna', user: 'anna', program, label: 'card' });
  bare = await referrals.referralCodes.create({ code: 'Bare', user: 'bob' });
  signup = await referrals.signups.create({ user: 'bob', code: 'anna' });
  [credit, reward] = (await signup.credits()) as [ReferralCredit, ReferralCredit];
  entry = await referrals.creditTransactions.create({ credit, value: '-1.25', description: 'a gift' });
  for (const record of [type, program, code, bare, signup, credit, reward, entry]) await record.refresh();
});

/** What a call answers, and how many statements it took. */
async function counted<T>(call: () => Promise<T>): Promise<[T, number]> {
  log.statements = [];
  const answer = await call();
  return [answer, log.statements.length];
}

describe('related records', () => {
  type Loading = { refresh(): Promise<unknown> };
  test.each<[string, () => Loading, (record: never) => Promise<unknown>, () => unknown]>([
    ["a type's credits", () => type, (of: ReferralCreditType) => of.credits(), () => [credit.id, reward.id]],
    ["a program's codes", () => program, (of: ReferralProgram) => of.referralCodes(), () => [code.id]],
    ["a program's type", () => program, (of: ReferralProgram) => of.referralCreditType(), () => type.id],
    ["a program's reward type", () => program, (of: ReferralProgram) => of.rewardCreditType(), () => type.id],
    ["a code's referrals", () => code, (of: ReferralCode) => of.referrals(), () => [signup.id]],
    ["a code's program", () => code, (of: ReferralCode) => of.program(), () => program.id],
    ["a code's type", () => code, (of: ReferralCode) => of.referralCreditType(), () => type.id],
    ["a code's reward type", () => code, (of: ReferralCode) => of.rewardCreditType(), () => type.id],
    ["a sign-up's code", () => signup, (of: ReferralSignup) => of.referralCode(), () => code.id],
    ["a sign-up's own codes", () => signup, (of: ReferralSignup) => of.ownReferralCodes(), () => [bare.id]],
    ["a sign-up's credits", () => signup, (of: ReferralSignup) => of.credits(), () => [credit.id, reward.id]],
    ["a credit's type", () => credit, (of: ReferralCredit) => of.creditType(), () => type.id],
    ["a credit's transactions", () => credit, (of: ReferralCredit) => of.transactions(), () => [entry.id]],
    ["a credit's sign-up", () => credit, (of: ReferralCredit) => of.signup(), () => signup.id],
    ["an entry's credit", () => entry, (of: ReferralCreditTransaction) => of.credit(), () => credit.id],
  ])('%s: loaded once, also by calls at once, until a refresh', async (_what, of, load, expected) => {
    const record = of() as never;
    const [[first, again], statements] = await counted(() => Promise.all([load(record), load(record)]));
    const ids = Array.isArray(first) ? (first as { id: number }[]).map(({ id }) => id) : (first as { id: number }).id;
    expect(ids).toEqual(expected());
    expect(again).toBe(first);
    expect(statements).toBeGreaterThan(0);
    expect(await counted(() => load(record))).toEqual([first, 0]);
    expect(await load(record)).toBe(first);
    await of().refresh();
    const [anew, later] = await counted(() => load(record));
    expect(anew).not.toBe(first);
    expect(anew).toEqual(first);
    expect(later).toBe(statements);
  });

  test('that there are none of cost no statement', async () => {
    await bare.refresh();
    const none = (): Promise<unknown[]> =>
      Promise.all([bare.program(), bare.referralCreditType(), bare.rewardCreditType()]);
    expect(await counted(none)).toEqual([[null, null, null], 0]);
    expect(await bare.referrals()).toEqual([]);
    const grant = await referrals.credits.create({ user: 'c', creditType: type, initialBalance: 1, durationDays: 1 });
    expect(await counted(() => grant.signup())).toEqual([null, 0]);
  });

  test('are tried again where loading failed', async () => {
    const record = await referrals.credits.get(credit.id);
    await transaction(async (manager) => {
      await manager.query('SELECT 1/0').catch(() => undefined); // from now on nothing works in here
      await expect(record.creditType({ manager })).rejects.toThrow('aborted');
    }).catch(() => undefined);
    expect((await record.creditType()).id).toBe(type.id);
  });

  test("are read in the host's transaction", async () => {
    await transaction(async (manager) => {
      const made = await referrals.programs.create({ name: 'uncommitted' }, { manager });
      const own = await referrals.referralCodes.create({ code: 'uncommitted', program: made }, { manager });
      expect((await own.program({ manager }))?.id).toBe(made.id);
      expect((await made.referralCodes({ manager })).map(({ id }) => id)).toEqual([own.id]);
      throw new Error('rolled back');
    }).catch((error: Error) => expect(error.message).toBe('rolled back'));
    expect(await referrals.programs.getByName('uncommitted', { optional: true })).toBeNull();
  });
});

describe('records', () => {
  test('refresh in place what others have changed, and forget what is related', async () => {
    const record = await referrals.creditTypes.create({ name: 'before' });
    expect(await record.credits()).toEqual([]);
    await referrals.creditTypes.update(record.id, { name: 'after' });
    await referrals.credits.create({ user: 'd', creditType: record, initialBalance: 1, durationDays: 1 });
    expect(record.name).toBe('before');
    expect(await record.credits()).toEqual([]);
    expect(await record.refresh()).toBe(record);
    expect(record.name).toBe('after');
    expect(await record.credits()).toHaveLength(1);
  });

  test('update themselves, as their manager does, and answer themselves', async () => {
    const record = await referrals.referralCodes.create({ code: 'changing', user: 'e' });
    expect(await record.program()).toBeNull();
    expect(await record.update({ program, label: 'changed' })).toBe(record);
    expect(record).toMatchObject({ label: 'changed', programId: program.id, name: 'changing (launch)' });
    expect((await record.program())?.id).toBe(program.id);
    await expect(record.update({ allowedUses: -2 })).rejects.toMatchObject({ code: 'INVALID_INPUT' });
    expect(record.allowedUses).toBe(-1);
    await expect(entry.update({})).rejects.toMatchObject({ code: 'NOT_CHANGEABLE' });
    await expect(signup.update({})).rejects.toMatchObject({ code: 'NOT_CHANGEABLE' });
  });

  test('delete themselves; what is left of one is gone for all that it does', async () => {
    const record = await referrals.programs.create({ name: 'short-lived' });
    const same = await referrals.programs.get(record.id);
    await record.delete();
    const gone = { code: 'NOT_FOUND', message: expect.stringContaining(String(record.id)) };
    await expect(same.refresh()).rejects.toMatchObject(gone);
    await expect(same.update({ name: 'x' })).rejects.toMatchObject(gone);
    await expect(same.update({})).rejects.toMatchObject(gone);
    await expect(same.delete()).rejects.toMatchObject(gone);
    expect(await same.referralCodes()).toEqual([]);
    expect(same.toJSON()).toMatchObject({ name: 'short-lived' });
  });

  test("change and delete in the host's transaction, and follow its rollback with refresh", async () => {
    const record = await referrals.creditTypes.create({ name: 'steady' });
    await transaction(async (manager) => {
      await record.update({ name: 'shaken' }, { manager });
      expect(record.name).toBe('shaken');
      expect((await referrals.creditTypes.get(record.id)).name).toBe('steady');
      await record.delete({ manager });
      await expect(record.refresh({ manager })).rejects.toMatchObject({ code: 'NOT_FOUND' });
      throw new Error('rolled back');
    }).catch((error: Error) => expect(error.message).toBe('rolled back'));
    expect((await record.refresh()).name).toBe('steady');
  });

  test('are plain objects to JSON, with all that is loaded and nothing else', async () => {
    const columns = { id: expect.any(Number), createdAt: clock.time };
    const terms = {
      ...{ referralCreditAmount: '5.00', referralCreditDuration: 30, referralCreditTypeId: type.id },
      ...{ rewardCreditAmount: '10.50', rewardCreditDuration: 60, rewardCreditTypeId: type.id },
      ...{ beforeRewardUsageThreshold: '0.00', commissionRatio: null, commissionMaxPerReferee: null },
      ...{ commissionAmount: null, commissionMonths: null, commissionPurchases: null, commissionSignup: null },
      ...{ commissionQualify: null, commissionMaxPerReferrer: null, commissionPeriod: null },
      ...{ rewardLimitCount: null, rewardLimitPeriod: null },
    };
    expect(type.toJSON()).toEqual({
      ...{ id: type.id, name: 'shop credit', product: 'credit', refundable: true, createdAt: expect.any(Date) },
      ...{ onlyForProducts: [], onlyForProductCategories: [] },
    });
    expect(program.toJSON()).toEqual({ ...terms, id: program.id, name: 'launch', createdAt: expect.any(Date) });
    expect((await code.refresh()).toJSON()).toEqual({
      ...{ ...columns, ...terms, code: 'Anna', name: 'Anna (launch)', userId: 'anna', label: 'card', redirectTo: '/' },
      ...{ targetType: null, targetId: null, expiredAt: null, allowedUses: -1, uses: 1, referralIds: ['bob'] },
      ...{ programId: program.id, programName: 'launch' },
      ...{ referralCreditTypeName: 'shop credit', rewardCreditTypeName: 'shop credit' },
    });
    expect((await credit.refresh()).toJSON()).toEqual({
      ...{ ...columns, userId: 'bob', kind: 'referral', name: `launch: credit for sign-up ${signup.id} with Anna` },
      ...{ creditTypeId: type.id, initialBalance: '5.00', currentBalance: '3.75', refereeId: 'bob', isExpired: false },
      ...{ startDate: clock.time, expiryDate: new Date(clock.time.getTime() + 30 * 86_400_000) },
      ...{ voucherCode: null, reference: null },
    });
    expect(entry.toJSON()).toEqual({
      ...{ ...columns, userId: 'bob', creditId: credit.id, kind: 'adjustment', value: '-1.25' },
      ...{ description: 'a gift', reference: null },
    });
    expect(signup.toJSON()).toMatchObject({ ...terms, userId: 'bob', referrerId: 'anna', source: 'code' });
    expect(JSON.parse(JSON.stringify({ code }))).toMatchObject({ code: { code: 'Anna', rewardCreditAmount: '10.50' } });
    expect(JSON.stringify([bare])).not.toContain('refresh');
  });

  test('with some fields know what they are, and load the rest with refresh', async () => {
    const some = await referrals.credits.get(credit.id, { fields: ['name'] });
    expect(some.toJSON()).toEqual({
      ...{ id: credit.id, userId: 'bob', name: credit.name, creditTypeId: credit.creditTypeId, refereeId: 'bob' },
      ...{ expiryDate: credit.expiryDate, isExpired: credit.isExpired },
    });
    expect((await some.creditType()).id).toBe(credit.creditTypeId);
    expect((await some.transactions()).map(({ id }) => id)).toEqual([entry.id]);
    expect((await some.refresh()).toJSON()).toEqual(credit.toJSON());
    expect(await referrals.credits.get(credit.id, { fields: ['isExpired'], plain: true })).toEqual({
      isExpired: false,
    });
    const { id } = code;
    const referees = await referrals.referralCodes.get(id, { fields: ['referralIds'] });
    expect(referees.toJSON()).toMatchObject({ id, referralIds: ['bob'] });
    expect(referees.code).toBeUndefined();
    expect((await referrals.referralCodes.get(id, { fields: ['code'] })).referralIds).toBeUndefined();
    expect((await referrals.referralCodes.get(id, { fields: ['name'] })).name).toBe('Anna (launch)');
  });

  test('have a name that can be asked for alone', async () => {
    const { id } = code;
    expect(await referrals.referralCodes.get(id, { fields: ['name'], plain: true })).toEqual({ name: 'Anna (launch)' });
    expect((await referrals.referralCodes.get(id, { fields: ['name'] })).toJSON()).toEqual({
      ...{ id, code: 'Anna', programName: 'launch' }, // what it is made of is loaded with it, and its keys
      ...{
        programId: code.programId,
        referralCreditTypeId: expect.any(Number),
        rewardCreditTypeId: expect.any(Number),
      },
      name: 'Anna (launch)',
    });
  });

  test('expire at the very time of their expiryDate', () => {
    const { time } = clock;
    clock.time = new Date(reward.expiryDate.getTime() - 1);
    expect([credit.isExpired, reward.isExpired]).toEqual([true, false]);
    clock.time = reward.expiryDate;
    expect(reward.isExpired).toBe(true);
    expect(reward.toJSON()).toMatchObject({ isExpired: true });
    clock.time = time;
  });

  test('belong to the instance that they came from, and to none once it is closed', async () => {
    const other = await startHost();
    const far = await other.referrals.creditTypes.create({ name: 'shop credit', product: 'elsewhere' });
    expect(await far.refresh()).toMatchObject({ product: 'elsewhere' });
    expect(await far.credits()).toEqual([]);
    expect(await type.refresh()).toMatchObject({ product: 'credit' });
    const loaded = await other.dataSource.getRepository(ReferralCreditType).findOneBy({ id: far.id });
    expect(await loaded!.update({ product: 'changed' })).toMatchObject({ product: 'changed' });
    await other.referrals.close();
    await expect(far.refresh()).rejects.toMatchObject({ code: 'NO_INSTANCE' });
    expect(() => far.toJSON()).toThrow(expect.objectContaining({ code: 'NO_INSTANCE' }));
    await expect(other.referrals.creditTypes.get(far.id)).rejects.toMatchObject({ code: 'CLOSED' });
  });

  test('add up', async () => {
    expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
  });
});
