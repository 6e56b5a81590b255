import request from 'supertest';
import type { EntityManager } from 'typeorm';
import { Referral, ReferralAlias } from '../lib';
import { firefox } from './support/browser';
import { closeAll, cookieOf, openDataSource, startHost, waitFor } from './support/host';
import { type RewardsHost, startRewards } from './support/rewards';

afterAll(closeAll);

let host: RewardsHost;
let count = 0;
const fresh = (word = 'code'): string => `${word}-${++count}`;

beforeAll(async () => {
  host = await startRewards({ clock: undefined }, (app) => {
    app.post('/register/:id', async (req, res) => void res.json(await Referral.recordSignup(req, req.params.id)));
  });
  host.app.use('/api/v2/referral', host.referrals.api);
});

/** The code of the error that a call is refused with. */
const refusalOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => 'made',
    (error: { code?: string }) => error.code,
  );

const promo = { promoType: 'percent_off', promoValue: '0.10' } as const;

/** The two kinds of codes, and how they are made, renamed and deleted. */
const kinds = {
  'referral code': {
    make: (user: string, code: string) => host.referrals.referralCodes.create({ user, code, label: code }),
    rename: (id: number, code: string, manager?: EntityManager) =>
      host.referrals.referralCodes.update(id, { code }, { ...(manager && { manager }) }),
    remove: (id: number) => host.referrals.referralCodes.delete(id),
  },
  'channel': {
    make: (user: string, code: string) => host.referrals.channels.create({ user, code, ...promo }),
    rename: (id: number, code: string, manager?: EntityManager) =>
      host.referrals.channels.update(id, { code }, { ...(manager && { manager }) }),
    remove: (id: number) => host.referrals.channels.delete(id),
  },
};

describe.each(Object.entries(kinds))('after a %s got another code', (_kind, { make, rename, remove }) => {
  let id: number;
  let owner: string;
  let old: string;
  let now: string;

  beforeEach(async () => {
    [owner, old, now] = [fresh('owner'), fresh('Old'), fresh('New')];
    ({ id } = await make(owner, old));
  });

  test('those who came before are attributed to it', async () => {
    const browser = host.browser();
    await browser.get(`/r/${old}`);
    await rename(id, now);
    expect((await browser.get('/whose')).body).toEqual({ code: now });
    const { body: signup } = await browser.post(`/register/${fresh('user')}`);
    expect(signup).toMatchObject({ referralId: id, referrerId: owner, source: 'attribution' });
  });

  test('printed links and typed codes go on working, and show the new code', async () => {
    const { referrals } = host;
    await rename(id, now);
    for (const code of [old, old.toUpperCase(), old.toLowerCase(), now]) {
      const click = await request(host.app).get(`/r/${code}`).set('User-Agent', firefox);
      expect([click.status, cookieOf(click)]).toEqual([302, expect.stringContaining(`=v2.${id}.`)]);
      const page = await request(host.app).get(`/whose?referral_code=${code}`).set('User-Agent', firefox);
      expect(page.body).toEqual({ code: now });
      expect(await Referral.findByCode(code)).toMatchObject({ id, code: now });
      expect(await referrals.referralCodes.getByCode(code)).toMatchObject({ id, code: now });
      expect(await referrals.signups.create({ user: fresh(), code })).toMatchObject({ referralId: id });
      expect(await Referral.recordSignup(null, fresh(), { code: ` ${code} ` })).toMatchObject({ source: 'code' });
      const { purchase } = await referrals.recordPurchase(fresh(), { amount: 10, reference: fresh(), code });
      expect(purchase).toMatchObject({ referralId: id, referrerId: owner });
      const offer = await request(host.app).get(`/api/v2/referral/code/info/?referral_code=${code}`);
      expect([offer.status, offer.body.referral_code]).toEqual([200, now]);
    }
    const referral = (await Referral.findByCode(old))!;
    expect(referral.url).toBe(`https://shop.example/r/${now}`);
    expect(await referral.responseCount()).toBe(8);
  });

  test('nobody else gets the old one, nor those that were deleted, and the owner gets it back', async () => {
    const { referrals, dataSource } = host;
    await rename(id, now);
    const taken = async (code: string): Promise<void> => {
      const other = await Referral.create({ redirectTo: '/', label: fresh() });
      const coupon = await referrals.channels.create({ user: fresh(), code: fresh(), ...promo });
      for (const one of [code, code.toUpperCase()]) {
        expect(await refusalOf(Referral.create({ user: fresh(), redirectTo: '/', code: one }))).toBe('CODE_TAKEN');
        expect(await refusalOf(Referral.create({ user: owner, redirectTo: '/x', code: one }))).toBe('CODE_TAKEN');
        expect(await refusalOf(referrals.referralCodes.create({ user: fresh(), code: one }))).toBe('CODE_TAKEN');
        expect(await refusalOf(referrals.channels.create({ user: fresh(), code: one, ...promo }))).toBe('CODE_TAKEN');
        expect(await refusalOf(referrals.referralCodes.update(other.id, { code: one }))).toBe('CODE_TAKEN');
        expect(await refusalOf(referrals.channels.update(coupon.id, { code: one }))).toBe('CODE_TAKEN');
        await dataSource.transaction(async (manager) => {
          const inHosts = { manager };
          expect(await refusalOf(Referral.create({ redirectTo: '/y', code: one }, inHosts))).toBe('CODE_TAKEN');
          expect(await refusalOf(referrals.channels.update(coupon.id, { code: one }, inHosts))).toBe('CODE_TAKEN');
          await Referral.create({ redirectTo: '/', label: fresh() }, inHosts); // the transaction is still usable
        });
      }
    };
    await taken(old);
    expect(await rename(id, old)).toMatchObject({ code: old });
    await taken(now);
    expect(await rename(id, old.toUpperCase())).toMatchObject({ code: old.toUpperCase() });
    await remove(id);
    await taken(old);
    await taken(now);
    for (const code of [old, now]) {
      expect(await Referral.findByCode(code)).toBeNull();
      expect((await request(host.app).get(`/r/${code}`)).status).toBe(404);
      expect(await host.referrals.explainSignup(await refusedSignup(code))).toMatchObject({ reason: 'unknown-code' });
    }
  });
});

async function refusedSignup(code: string): Promise<string> {
  const user = fresh('user');
  expect(await Referral.recordSignup(null, user, { code })).toBeNull();
  return user;
}

test('a coupon is applied by the code that it once had', async () => {
  const { id } = await kinds.channel.make(fresh('owner'), 'SPRING');
  await kinds.channel.rename(id, 'SUMMER');
  expect(await host.referrals.coupons.apply('cleo', 'spring')).toMatchObject({ channelId: id, code: 'SUMMER' });
});

test('the code of a referral that the host deletes stays taken', async () => {
  const { dataSource } = host;
  const [byTypeorm, bySql, byTarget] = [fresh(), fresh(), fresh()];
  const made = await Promise.all(
    [byTypeorm, bySql, byTarget].map((code) => Referral.create({ redirectTo: '/', label: code, code })),
  );
  await dataSource.manager.delete(Referral, made[0]!.id);
  const { schema } = dataSource.options as { schema: string };
  await dataSource.query(`DELETE FROM "${schema}".referrals WHERE id = ${made[1]!.id}`);
  await dataSource.manager.remove(made[2]!);
  for (const code of [byTypeorm, bySql, byTarget])
    expect(await refusalOf(Referral.create({ redirectTo: '/', label: fresh(), code }))).toBe('CODE_TAKEN');
});

test('a rolled back referral leaves its code free, and so does one that was refused', async () => {
  const code = fresh();
  const failing = host.dataSource.transaction(async (manager) => {
    await Referral.create({ redirectTo: '/', code, label: fresh() }, { manager });
    throw new Error('rolled back');
  });
  await expect(failing).rejects.toThrow('rolled back');
  const label = fresh();
  await Referral.create({ redirectTo: '/', label });
  expect(await refusalOf(Referral.create({ redirectTo: '/', label, code }))).toBe('REFERRAL_EXISTS');
  expect(await Referral.create({ redirectTo: '/', label: fresh(), code })).toMatchObject({ code });
});

test('asking for a referral by a code that it once had returns it', async () => {
  const given = { user: fresh(), redirectTo: '/', label: 'own', code: fresh('Old') };
  const { id } = await Referral.create(given);
  await host.referrals.referralCodes.update(id, { code: fresh('New') });
  expect(await Referral.create(given)).toMatchObject({ id, code: `New-${count}` });
  expect(await refusalOf(Referral.create({ ...given, code: fresh() }))).toBe('REFERRAL_EXISTS');
});

test('a program of its own goes with a renamed code', async () => {
  const { referralCodes, programs } = host.referrals;
  const code = fresh();
  const made = await referralCodes.create({ user: fresh(), code, commissionRatio: '0.5' });
  await made.update({ code: fresh() });
  await made.delete();
  expect(await programs.getByName(code, { optional: true })).toBeNull();
});

describe('at the same moment', () => {
  /** Does the first in a transaction, begins the second, and commits once the second waits, or at once if it never does. */
  async function during<T>(
    first: (manager: EntityManager) => Promise<unknown>,
    second: () => Promise<T>,
    isToCommit: boolean,
  ): Promise<T> {
    const { dataSource } = host;
    const { schema } = dataSource.options as { schema: string };
    let began: Promise<T> | undefined;
    let isOver = false;
    const undone = new Error('undone');
    const work = dataSource.transaction(async (manager) => {
      await first(manager);
      began = second().finally(() => (isOver = true));
      began.catch(() => undefined);
      await waitFor(async () => {
        const [row] = await dataSource.query<{ waiting: number }[]>(
          `SELECT count(*)::int AS waiting FROM pg_locks l JOIN pg_stat_activity a USING (pid)
           WHERE NOT l.granted AND a.datname = current_database() AND a.query LIKE '%' || $1 || '%'`,
          [schema],
        );
        return isOver || row!.waiting > 0;
      });
      if (!isToCommit) throw undone;
    });
    await work.catch((error: unknown) => {
      if (error !== undone) throw error;
    });
    return began!;
  }

  const make = async (code = fresh()): Promise<Referral> => Referral.create({ redirectTo: '/', label: fresh(), code });
  const rename = (id: number, code: string, manager?: EntityManager) =>
    host.referrals.referralCodes.update(id, { code }, { ...(manager && { manager }) });

  test.each([true, false])('one renames away from a code, another wants it (committed: %s)', async (isToCommit) => {
    const { id, code } = await make();
    const free = fresh();
    const wanting = () => refusalOf(make(code));
    expect(await during((manager) => rename(id, free, manager), wanting, isToCommit)).toBe('CODE_TAKEN');
    const other = await make();
    const renaming = () => refusalOf(rename(other.id, code));
    expect(await during((manager) => rename(id, fresh(), manager), renaming, isToCommit)).toBe('CODE_TAKEN');
  });

  test.each([true, false])('one renames to a code, another wants it (committed: %s)', async (isToCommit) => {
    const [first, second] = [await make(), await make()];
    const wanted = fresh();
    const result = isToCommit ? 'CODE_TAKEN' : 'made';
    const renaming = () => refusalOf(rename(second.id, wanted));
    expect(await during((manager) => rename(first.id, wanted, manager), renaming, isToCommit)).toBe(result);
    const next = fresh();
    const making = () => refusalOf(make(next));
    expect(await during((manager) => rename(first.id, next, manager), making, isToCommit)).toBe(result);
  });

  test.each([true, false])('one is deleted, another wants its code (committed: %s)', async (isToCommit) => {
    const { id, code } = await make();
    const wanting = () => refusalOf(make(code));
    expect(await during((manager) => manager.delete(Referral, id), wanting, isToCommit)).toBe('CODE_TAKEN');
  });

  test('a code that is made and deleted while another call has its snapshot already is refused by the key', async () => {
    const { dataSource } = host;
    const { schema } = dataSource.options as { schema: string };
    const { id } = await host.referrals.programs.create({ name: fresh('program') });
    const code = fresh();
    const areWaiting = async (): Promise<boolean> => {
      const [row] = await dataSource.query<{ waiting: number }[]>(
        `SELECT count(*)::int AS waiting FROM pg_stat_activity
         WHERE wait_event_type = 'Lock' AND datname = current_database() AND query LIKE '%' || $1 || '%'`,
        [schema],
      );
      return row!.waiting === 2;
    };
    const want = (inHosts: boolean): Promise<unknown> => {
      const given = { redirectTo: '/', label: fresh(), code, program: id };
      if (!inHosts) return refusalOf(Referral.create(given));
      return refusalOf(dataSource.transaction((manager) => Referral.create(given, { manager })));
    };
    const results = await dataSource.transaction(async (manager) => {
      await manager.query(`SELECT FROM "${schema}".referral_programs WHERE id = ${id} FOR UPDATE`);
      const wanted = [want(false), want(true)];
      await waitFor(areWaiting);
      await dataSource.manager.delete(Referral, (await make(code)).id);
      return wanted;
    });
    expect(await Promise.all(results)).toEqual(['CODE_TAKEN', 'CODE_TAKEN']);
    expect(await Referral.findByCode(code)).toBeNull();
  });

  test('twenty calls for one code, made and renamed: one gets it', async () => {
    const code = fresh();
    const others = await Promise.all(Array.from({ length: 10 }, () => make()));
    const results = await Promise.all([
      ...others.map(({ id }) => refusalOf(rename(id, code))),
      ...others.map(() => refusalOf(make(code))),
    ]);
    expect(results.filter((one) => one === 'made')).toHaveLength(1);
    expect(new Set(results)).toEqual(new Set(['made', 'CODE_TAKEN']));
    expect(await host.dataSource.getRepository(ReferralAlias).countBy({ code })).toBe(1);
  });

  test('two that swap their codes get neither, and do not wait for each other', async () => {
    const [a, b] = [await make(), await make()];
    const results = await Promise.all([refusalOf(rename(a.id, b.code)), refusalOf(rename(b.id, a.code))]);
    expect(results).toEqual(['CODE_TAKEN', 'CODE_TAKEN']);
  });
});

test('codes and visitors of today are in the tables after the migration', async () => {
  const dataSource = await openDataSource();
  const { schema } = dataSource.options as { schema: string };
  const aliases = `SELECT to_regclass('"${schema}".referral_aliases') IS NOT NULL AS exist`;
  while ((await dataSource.query<{ exist: boolean }[]>(aliases))[0]!.exist) await dataSource.undoLastMigration();
  const referral = `INSERT INTO "${schema}".referrals (code, redirect_to, label) VALUES`;
  await dataSource.query(`${referral} ('Old-One', '/', 'a'), ('IRIS', '/', 'b')`);
  const visitor = '3f1d3a52-5d1c-4d1e-9d43-0d7d5d7b8d11';
  await dataSource.query(
    `INSERT INTO "${schema}".referral_responses (referral_id, visitor_id, user_id, action)
     SELECT id, $1, u, 'RESPONDED' FROM "${schema}".referrals, (VALUES ('7'), (NULL), ('8')) AS users (u)`,
    [visitor],
  );
  await dataSource.runMigrations();
  const own = await startHost({ dataSource });
  const { manager } = dataSource;
  const made = (await Referral.findByCode('old-one', { manager }))!;
  await own.referrals.referralCodes.update(made.id, { code: 'New-One' });
  expect(await Referral.findByCode('OLD-ONE', { manager })).toMatchObject({ id: made.id, code: 'New-One' });
  expect(await refusalOf(Referral.create({ redirectTo: '/', code: 'iris', label: 'c' }, { manager }))).toBe(
    'CODE_TAKEN',
  );
  const owners = await dataSource.query(`SELECT visitor_id, user_id FROM "${schema}".referral_visitors`);
  expect(owners).toEqual([{ visitor_id: visitor, user_id: '7' }]);
  await own.referrals.close();
});
