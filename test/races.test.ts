import pg from 'pg';
import type { EntityManager } from 'typeorm';
import { Referral, type ReferralCreditType } from '../lib';
import { closeAll, waitFor } from './support/host';
import { type RewardsHost, startRewards } from './support/rewards';

afterAll(closeAll);

let host: RewardsHost;
let anything: ReferralCreditType;
let count = 0;
beforeAll(async () => {
  host = await startRewards({ clock: undefined });
  anything = await host.referrals.creditTypes.create({ name: 'anything', refundable: true });
});

const schema = (): string => `"${(host.dataSource.options as { schema: string }).schema}"`;

async function userWith(...balances: string[]): Promise<string> {
  const user = `user ${++count}`;
  for (const [index, initialBalance] of balances.entries())
    await host.referrals.credits.create({ user, creditType: anything, initialBalance, durationDays: index + 1 });
  return user;
}

/** Does the first in a transaction, begins the second, and commits once the second waits for a lock. */
async function whileWaiting<T>(
  first: (manager: EntityManager) => Promise<unknown>,
  second: () => Promise<T>,
): Promise<T> {
  const { dataSource } = host;
  let began: Promise<T> | undefined;
  await dataSource.transaction(async (manager) => {
    await first(manager);
    began = second();
    began.catch(() => undefined);
    await waitFor(async () => {
      const [row] = await dataSource.query<{ waiting: number }[]>(
        `SELECT count(*)::int AS waiting FROM pg_locks l JOIN pg_stat_activity a USING (pid)
         WHERE NOT l.granted AND a.datname = current_database() AND a.query LIKE '%' || $1 || '%'`,
        [schema()],
      );
      return row!.waiting > 0;
    });
  });
  return began!;
}

describe('a sign-up that waits for its code finds it as it is then', () => {
  const make = (label: string, given: object = {}) =>
    Referral.create({ user: 'anna', redirectTo: '/', label, code: label, program: host.program, ...given });
  const signUp = (code: string) => Referral.recordSignup(null, `${code} ${++count}`, { code });
  const reason = async () => (await host.referrals.explainSignup(`${lastCode} ${count}`)).reason;
  let lastCode: string;
  const change = (code: string, set: string) => (manager: EntityManager) => {
    lastCode = code;
    return manager.query(`UPDATE ${schema()}.referrals SET ${set} WHERE code = '${code}'`);
  };

  test('with terms of its own', async () => {
    const { referrals } = host;
    const { id, code } = await make('OWN-TERMS', { program: null });
    const terms = { referralCreditAmount: '30', referralCreditDuration: 10, referralCreditType: anything };
    const signup = await whileWaiting(
      (manager) => referrals.referralCodes.update(id, terms, { manager }),
      () => signUp(code),
    );
    expect(signup).toMatchObject({ referralCreditAmount: '30.00' });
    expect(await signup!.credits()).toHaveLength(1);
  });

  test('with another owner', async () => {
    const { code } = await make('SOLD');
    const signup = await whileWaiting(change(code, `user_id = 'boris'`), () => signUp(code));
    expect(signup).toMatchObject({ referrerId: 'boris' });
  });

  test('renamed', async () => {
    const { code } = await make('RENAMED');
    expect(await whileWaiting(change(code, `code = 'NEW-NAME'`), () => signUp(code))).toMatchObject({
      referrerId: 'anna',
    });
  });

  test('expired', async () => {
    const { code } = await make('EXPIRED');
    expect(await whileWaiting(change(code, `expired_at = now()`), () => signUp(code))).toBeNull();
    expect(await reason()).toBe('expired');
  });

  test('deleted', async () => {
    const { code } = await make('DELETED');
    const remove = (manager: EntityManager) => manager.delete(Referral, { code });
    lastCode = code;
    expect(await whileWaiting(remove, () => signUp(code))).toBeNull();
    expect(await reason()).toBe('unknown-code');
  });

  test('used up', async () => {
    const { code } = await make('LAST', { allowedUses: 1 });
    const first = (manager: EntityManager) => Referral.recordSignup(null, `${code} first`, { code, manager });
    lastCode = code;
    expect(await whileWaiting(first, () => signUp(code))).toBeNull();
    expect(await reason()).toBe('used-up');
  });
});

describe('a spend that waits', () => {
  test('has what a refund has given back meanwhile', async () => {
    const { credits } = host.referrals;
    const user = await userWith('50', '50');
    await credits.spend(user, { amount: '48', reference: 'x' });
    const spend = await whileWaiting(
      (manager) => credits.refund({ user, reference: 'x', manager }),
      () => credits.spend(user, { amount: '30', reference: 'y' }),
    );
    expect(spend).toMatchObject({ covered: '30.00' });
    expect(await credits.balance(user)).toBe('70.00');
  });

  test('goes on to the next credit, where others have taken of the first', async () => {
    const { credits } = host.referrals;
    const user = await userWith('10', '10');
    const spend = await whileWaiting(
      (manager) => credits.spend(user, { amount: '8', reference: 'x', manager }),
      () => credits.spend(user, { amount: '9', reference: 'y' }),
    );
    expect(spend).toMatchObject({ covered: '9.00' });
    expect(await credits.balance(user)).toBe('3.00');
  });

  test('does not take what has been ended meanwhile', async () => {
    const { credits } = host.referrals;
    const user = await userWith('10');
    const spend = whileWaiting(
      (manager) =>
        manager.query(
          `UPDATE ${schema()}.referral_credits SET start_date = start_date - interval '2 days',
             expiry_date = now() - interval '1 minute' WHERE user_id = $1`,
          [user],
        ),
      () => credits.spend(user, { amount: '5', reference: 'x' }),
    );
    await expect(spend).rejects.toMatchObject({ code: 'INSUFFICIENT_CREDIT' });
  });
});

test('spends, refunds and new credit of one user at once, in transactions and not, end without a deadlock', async () => {
  const { referrals, dataSource } = host;
  const { credits } = referrals;
  const user = await userWith('5', '5', '5', '5');
  const failures = new Set<unknown>();
  const workers = Array.from({ length: 9 }, async (_, worker) => {
    for (let n = 0; n < 25; n++) {
      const reference = `${worker} ${n}`;
      const days = 1 + ((worker * 7 + n * 13) % 90);
      const work = async (manager?: EntityManager) => {
        const which = (worker + n) % 3;
        if (which === 0)
          await credits.create({ user, creditType: anything, initialBalance: '2', durationDays: days }, { manager });
        else await credits.spend(user, { amount: String(1 + (n % 5)), reference, partial: n % 2 === 0, manager });
        if (which === 2) await credits.refund({ user, reference, manager });
      };
      const done = n % 2 === 0 ? work() : dataSource.transaction((manager) => work(manager));
      await done.catch((error: { code?: string }) => failures.add(error.code));
    }
  });
  await Promise.all(workers);
  expect([...failures].filter((code) => code !== 'INSUFFICIENT_CREDIT')).toEqual([]);
});

test('a manager whose transaction is over is refused: its connection is another’s', async () => {
  const { referrals, dataSource } = host;
  const user = await userWith('10');
  const kept = await dataSource.transaction((manager) => Promise.resolve(manager));
  const calls: (() => Promise<unknown>)[] = [
    () => referrals.credits.spend(user, { amount: '1', reference: 'late', manager: kept }),
    () => referrals.credits.balance(user, { manager: kept }),
    () => referrals.recordUsage(user, { amount: '1', reference: 'late', manager: kept }),
    () => Referral.recordSignup(null, user, { code: 'LATE', manager: kept }),
    () => referrals.credits.search({ manager: kept }),
    () => referrals.verify({ manager: kept }),
  ];
  for (const call of calls) await expect(call()).rejects.toMatchObject({ code: 'INVALID_INPUT', field: 'manager' });
  for (const wrong of [dataSource, {}, dataSource.createQueryRunner(), dataSource.getRepository(Referral)])
    await expect(
      referrals.credits.spend(user, { amount: '1', reference: 'late', manager: wrong as never }),
    ).rejects.toMatchObject({ code: 'INVALID_INPUT', field: 'manager' });
  expect(await referrals.credits.balance(user)).toBe('10.00');
});

test('credit that another gave since a transaction began can be spent in it', async () => {
  const { referrals, dataSource } = host;
  const user = `user ${++count}`;
  await dataSource.transaction(async (manager) => {
    await manager.query('SELECT 1');
    await referrals.credits.create({ user, creditType: anything, initialBalance: '5', durationDays: 1 });
    expect(await referrals.credits.balance(user, { manager })).toBe('5.00');
    await referrals.credits.spend(user, { amount: '5', reference: 'a', manager });
  });
  expect(await referrals.credits.balance(user)).toBe('0.00');
});

test('amounts are exact, also where the host’s driver makes floats of numeric', async () => {
  const { credits } = host.referrals;
  const user = await userWith('9999999999999999.9999');
  const parser = pg.types.getTypeParser(pg.types.builtins.NUMERIC);
  pg.types.setTypeParser(pg.types.builtins.NUMERIC, parseFloat);
  try {
    expect(await credits.balance(user)).toBe('9999999999999999.9999');
    const spend = await credits.spend(user, { amount: '0.0009', reference: 'a' });
    expect(spend).toMatchObject({ covered: '0.0009', captured: '0.0009' });
    expect(await credits.balance(user)).toBe('9999999999999999.999');
    expect((await credits.search({ where: { userId: user } }))[0]!.initialBalance).toBe('9999999999999999.9999');
  } finally {
    pg.types.setTypeParser(pg.types.builtins.NUMERIC, parser);
  }
});

test('a side that a trigger of the host’s refuses, by a code of its own, does not block the other', async () => {
  const { referrals, dataSource, errors, program } = host;
  await dataSource.query(`CREATE FUNCTION ${schema()}.refuse() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN RAISE EXCEPTION ''no rewards today'' USING ERRCODE = ''RF001''; END'`);
  await dataSource.query(`CREATE TRIGGER refuse BEFORE INSERT ON ${schema()}.referral_credits FOR EACH ROW
    WHEN (NEW.kind = 'reward') EXECUTE FUNCTION ${schema()}.refuse()`);
  const { code } = await Referral.create({ user: 'trig', redirectTo: '/', program });
  const signup = await Referral.recordSignup(null, 'triggered', { code });
  await referrals.recordUsage('triggered', { amount: 50, reference: 'all' });
  expect(errors).toMatchObject([{ code: 'RF001' }]);
  expect(await signup!.refresh()).toMatchObject({ recordedUsage: '50.00' });
  await dataSource.query(`DROP TRIGGER refuse ON ${schema()}.referral_credits`);
  await referrals.recordUsage('triggered', { amount: 50, reference: 'all' });
  expect(await referrals.credits.balance('trig')).toBe('40.00');
});

test('and all of it adds up', async () => {
  expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
});
