import { type CreateReferralInput, Referral, type ReferralProgram } from '../lib';
import {
  closeAll,
  Country,
  type Host,
  openDataSource,
  Order,
  OrderLine,
  Product,
  startHost,
  User,
} from './support/host';
import { startProcess } from './support/processes';

afterAll(closeAll);

let host: Host;
beforeAll(async () => {
  host = await startHost();
});

describe('the same (user, redirectTo, label, target)', () => {
  test('gives the same row; anything else another', async () => {
    const given = { user: 7, redirectTo: '/', label: 'x', target: { type: 'post', id: 1 } };
    const { id, code } = await Referral.create(given);
    expect(await Referral.create({ ...given, user: { id: 7n }, target: { type: 'post', id: '1' } })).toMatchObject({
      id,
      code,
    });
    const others = [
      { ...given, user: 8 },
      { ...given, user: null },
      { ...given, redirectTo: '/?' },
      { ...given, label: '' },
      { ...given, target: { type: 'post', id: 2 } },
      { ...given, target: { type: 'page', id: 1 } },
      { ...given, target: null },
    ];
    const ids = await Promise.all(others.map(async (other) => (await Referral.create(other)).id));
    expect(new Set([id, ...ids]).size).toBe(others.length + 1);
    expect((await Referral.create({ redirectTo: '/' })).id).toBe(
      (await Referral.create({ redirectTo: '/', user: null })).id,
    );
  });

  test('at once over several connections makes one row', async () => {
    const created = await Promise.all(
      Array.from({ length: 100 }, () => Referral.create({ user: 'crowd', redirectTo: '/crowd' })),
    );
    expect(new Set(created.map(({ id }) => id)).size).toBe(1);
    expect(await host.dataSource.getRepository(Referral).countBy({ userId: 'crowd' })).toBe(1);
  });

  test('at once from several processes makes one row', async () => {
    const { schema } = host.dataSource.options as { schema: string };
    const answers = await Promise.all(
      Array.from({ length: 4 }, () => startProcess<number[]>('creator.js', { env: { SCHEMA: schema } })),
    );
    const ids = answers.flatMap(({ said }) => said);
    expect(ids).toHaveLength(100);
    expect(new Set(ids).size).toBe(1);
    expect(await host.dataSource.getRepository(Referral).countBy({ userId: 'processes' })).toBe(1);
  });

  test('has room for the longest of everything', async () => {
    const long = {
      user: '𝄞'.repeat(64),
      redirectTo: `/${'ä'.repeat(2047)}`,
      label: '漢'.repeat(100),
      target: { type: '漢'.repeat(128), id: '漢'.repeat(128) },
      code: 'c'.repeat(100),
    };
    const made = await Referral.create(long);
    expect(made).toMatchObject({ userId: long.user, redirectTo: long.redirectTo, label: long.label });
    expect((await Referral.create(long)).id).toBe(made.id);
  });
});

describe("in the host's transaction", () => {
  test('a rollback leaves nothing, a commit everything', async () => {
    const work = (fail: boolean): Promise<Referral> =>
      host.dataSource.transaction(async (manager) => {
        const user = await manager.save(Object.assign(new User(), { name: 'in transaction' }));
        const referral = await Referral.create({ user, redirectTo: '/tx' }, { manager });
        expect(referral.userId).toBe(user.id);
        if (fail) throw new Error('the host changed its mind');
        return referral;
      });
    await expect(work(true)).rejects.toThrow('changed its mind');
    expect(await host.dataSource.getRepository(Referral).countBy({ redirectTo: '/tx' })).toBe(0);
    const { code } = await work(false);
    expect((await Referral.findByCode(code))?.redirectTo).toBe('/tx');
  });

  test('waits for another that is making the same row, and takes over if that one rolls back', async () => {
    const given = { user: 'waiting', redirectTo: '/' };
    let proceed!: () => void;
    const gate = new Promise<void>((resolve) => (proceed = resolve));
    let made!: () => void;
    const isMade = new Promise<void>((resolve) => (made = resolve));
    const first = host.dataSource
      .transaction(async (manager) => {
        await Referral.create(given, { manager });
        made();
        await gate;
        throw new Error('rolled back');
      })
      .catch(() => undefined);
    await isMade;
    const second = Referral.create(given);
    proceed();
    await first;
    expect(await host.dataSource.getRepository(Referral).countBy({ id: (await second).id })).toBe(1);
  });
});

describe('codes', () => {
  test('are ten characters that can not be mistaken for each other', async () => {
    const { code, url } = await Referral.create({ redirectTo: '/', label: 'code' });
    expect(code).toMatch(/^[2-9A-HJKMNP-Z]{10}$/);
    expect(url).toBe(`https://shop.example/r/${code}`);
  });

  test('of the host are kept as given, and are one without regard to case', async () => {
    const given = { redirectTo: '/', label: 'given', code: 'Anna_2026-x' };
    const made = await Referral.create(given);
    expect(made.code).toBe('Anna_2026-x');
    expect((await Referral.create(given)).id).toBe(made.id);
    expect((await Referral.create({ ...given, code: 'ANNA_2026-X' })).id).toBe(made.id);
    expect((await Referral.findByCode('aNNA_2026-X'))?.id).toBe(made.id);
    await expect(Referral.create({ ...given, label: 'other' })).rejects.toMatchObject({
      code: 'CODE_TAKEN',
      status: 409,
    });
    await expect(Referral.create({ ...given, code: 'different' })).rejects.toMatchObject({
      code: 'REFERRAL_EXISTS',
      field: 'code',
      message: expect.stringContaining('"Anna_2026-x"'),
    });
    expect(await Referral.findByCode('different')).toBeNull();
  });

  test('that clash are made again; when none is free, the error says so', async () => {
    const codes = ['AAA', 'aaa', 'BBB'];
    const drafts: unknown[] = [];
    const own = await startHost({
      generateCode: (draft) => {
        drafts.push(draft);
        return codes.length > 1 ? codes.shift()! : codes[0]!;
      },
    });
    const { manager } = own.dataSource;
    expect((await Referral.create({ redirectTo: '/', label: '1', user: 5 }, { manager })).code).toBe('AAA');
    expect(drafts[0]).toEqual({ userId: '5', label: '1', redirectTo: '/', targetType: null, targetId: null });
    expect((await Referral.create({ redirectTo: '/', label: '2' }, { manager })).code).toBe('BBB');
    await expect(Referral.create({ redirectTo: '/', label: '3' }, { manager })).rejects.toMatchObject({
      code: 'CODES_EXHAUSTED',
      message: expect.stringContaining('"BBB"'),
    });
    await own.referrals.close();
  });

  test.each(['', 'with space', 'x'.repeat(101), 'ä', 7 as unknown as string])(
    'generateCode: %p is refused',
    async (code) => {
      const own = await startHost({ generateCode: () => Promise.resolve(code) });
      const { manager } = own.dataSource;
      await expect(Referral.create({ redirectTo: '/' }, { manager })).rejects.toMatchObject({
        code: 'INVALID_INPUT',
        field: 'generateCode',
      });
      await own.referrals.close();
    },
  );
});

describe('an existing referral with another value than the given one', () => {
  const soon = new Date('2026-12-24T18:00:00.123Z');
  const later = new Date('2026-12-24T18:00:00.124Z');
  const limited = { user: 'limits', redirectTo: '/limited', expiredAt: soon, allowedUses: 5 };
  const open = { user: 'limits', redirectTo: '/open' };
  let programs: ReferralProgram[];

  beforeAll(async () => {
    programs = [
      await host.referrals.programs.create({ name: 'a' }),
      await host.referrals.programs.create({ name: 'b' }),
    ];
    await Referral.create({ ...limited, code: 'LIMITED', program: programs[0]! });
    await Referral.create({ ...open, code: 'OPEN' });
  });

  test.each<[field: string, existing: CreateReferralInput, given: () => Partial<CreateReferralInput>]>([
    ['expiredAt', limited, () => ({ expiredAt: later })],
    ['expiredAt', limited, () => ({ expiredAt: null })],
    ['expiredAt', open, () => ({ expiredAt: soon })],
    ['expiredAt', open, () => ({ expiredAt: soon, program: programs[1]! })],
    ['allowedUses', limited, () => ({ allowedUses: 4 })],
    ['allowedUses', limited, () => ({ allowedUses: -1 })],
    ['allowedUses', open, () => ({ allowedUses: 0, program: programs[1]! })],
    ['allowedUses', open, () => ({ allowedUses: 2_147_483_647 })],
    ['code', open, () => ({ code: 'LIMITED', program: programs[1]! })],
    ['program', limited, () => ({ program: programs[1]! })],
  ])('is refused with the name of the field, and not changed: %s of %j', async (field, existing, given) => {
    const rows = () => host.dataSource.getRepository(Referral).findBy({ userId: 'limits' });
    const before = await rows();
    const call = (options = {}) => Referral.create({ ...existing, ...given() }, options);
    const refusal = {
      code: 'REFERRAL_EXISTS',
      status: 409,
      field,
      message: expect.stringContaining(`its ${field} is`),
    };
    await expect(call()).rejects.toMatchObject(refusal);
    await host.dataSource.transaction((manager) => expect(call({ manager })).rejects.toMatchObject(refusal));
    expect(await rows()).toEqual(before);
  });

  test('is returned if the values are the same, or not given', async () => {
    const same = [limited, { ...limited, expiredAt: undefined }, { user: 'limits', redirectTo: '/limited' }];
    for (const input of same as CreateReferralInput[])
      expect(await Referral.create(input)).toMatchObject({ code: 'LIMITED', expiredAt: soon, allowedUses: 5 });
    for (const input of [open, { ...open, expiredAt: null, allowedUses: -1 }])
      expect(await Referral.create(input)).toMatchObject({ code: 'OPEN', expiredAt: null, allowedUses: -1 });
  });

  test('is the same for a time that the database has with microseconds', async () => {
    const { id } = await Referral.create({ ...open, label: 'exact', expiredAt: soon });
    const { schema } = host.dataSource.options as { schema: string };
    await host.dataSource.query(
      `UPDATE "${schema}".referrals SET expired_at = '2026-12-24T18:00:00.123999Z' WHERE id = $1`,
      [id],
    );
    const [stored] = await host.dataSource.getRepository(Referral).findBy({ id });
    expect(await Referral.create({ ...open, label: 'exact', expiredAt: stored!.expiredAt })).toMatchObject({ id });
  });
});

describe('bad input is refused by name before anything is written', () => {
  test.each<[string, object]>([
    ['redirectTo', {}],
    ['redirectTo', { redirectTo: '' }],
    ['redirectTo', { redirectTo: 7 }],
    ['redirectTo', { redirectTo: `/${'x'.repeat(2048)}` }],
    ['redirectTo', { redirectTo: 'https://elsewhere.example/' }],
    ['label', { redirectTo: '/', label: 'x'.repeat(101) }],
    ['label', { redirectTo: '/', label: 7 }],
    ['label', { redirectTo: '/', label: '\u0000' }],
    ['user', { redirectTo: '/', user: '' }],
    ['user', { redirectTo: '/', user: 1.5 }],
    ['user', { redirectTo: '/', user: Number.NaN }],
    ['user', { redirectTo: '/', user: true }],
    ['user', { redirectTo: '/', user: 'x'.repeat(129) }],
    ['user.id', { redirectTo: '/', user: {} }],
    ['user.id', { redirectTo: '/', user: { id: null } }],
    ['target', { redirectTo: '/', target: 'Product 7' }],
    ['target', { redirectTo: '/', target: {} }],
    ['target', { redirectTo: '/', target: new Product() }],
    ['target.type', { redirectTo: '/', target: { type: '', id: 1 } }],
    ['target.id', { redirectTo: '/', target: { type: 'post' } }],
    ['target.id', { redirectTo: '/', target: { type: 'post', id: {} } }],
    ['code', { redirectTo: '/', code: '' }],
    ['code', { redirectTo: '/', code: 'a b' }],
    ['code', { redirectTo: '/', code: null }],
    ['expiredAt', { redirectTo: '/', expiredAt: new Date('never') }],
    ['expiredAt', { redirectTo: '/', expiredAt: '2026-01-01' }],
    ['redirect_to', { redirectTo: '/', redirect_to: '/' }],
    ['referral', null as unknown as object],
  ])('%s of %j', async (field, input) => {
    const before = await host.dataSource.getRepository(Referral).count();
    await expect(Referral.create(input as never)).rejects.toMatchObject({
      name: 'ReferralError',
      code: 'INVALID_INPUT',
      status: 400,
      field,
      message: expect.stringMatching(/ takes .*, but got | has no field /),
    });
    expect(await host.dataSource.getRepository(Referral).count()).toBe(before);
  });
});

describe('targets', () => {
  test('of every kind of primary key are kept as text and loaded again', async () => {
    const { manager } = host.dataSource;
    const targets = [
      await manager.save(Object.assign(new Product(), { name: 'integer' })),
      await manager.save(new Order()),
      await manager.save(Object.assign(new Country(), { code: 'CH' })),
      await manager.save(Object.assign(new User(), { name: 'bigint' })),
      await manager.save(Object.assign(new OrderLine(), { order: 'A"7', line: 3 })),
    ];
    for (const target of targets) {
      const { id } = await Referral.create({ redirectTo: '/', target });
      const referral = (await host.dataSource.getRepository(Referral).findOneBy({ id }))!;
      expect(referral.targetType).toBe(target.constructor.name);
      expect(await referral.loadTarget()).toEqual(target);
    }
    const [product] = targets as [Product];
    const same = await Referral.create({ redirectTo: '/', target: { type: 'Product', id: product.id } });
    expect(same.id).toBe((await Referral.create({ redirectTo: '/', target: product })).id);
  });

  test.each([
    ['nothing at all', null],
    ['a word of the host', { type: 'newsletter', id: 7 }],
    ['a row that is gone', { type: 'Product', id: 999_999 }],
    ['an id that is no key', { type: 'Product', id: 'seven' }],
    ['an id out of range', { type: 'Product', id: '99999999999999999999' }],
    ['an id that is no uuid', { type: 'Order', id: '7' }],
    ['one key of two', { type: 'OrderLine', id: 'A' }],
    ['keys that are no texts', { type: 'OrderLine', id: '[null,null]' }],
    ['keys that are objects', { type: 'OrderLine', id: '[{"a":1},1]' }],
  ])('load null for %s', async (_what, target) => {
    const referral = await Referral.create({ redirectTo: '/', target });
    expect(await referral.loadTarget()).toBeNull();
  });
});

test("a malformed id does not abort the host's transaction", async () => {
  const referral = await Referral.create({ redirectTo: '/', target: { type: 'Product', id: 'abc' } });
  await host.dataSource.transaction(async (manager) => {
    expect(await referral.loadTarget({ manager })).toBeNull();
    expect(await manager.count(Product)).toEqual(expect.any(Number));
  });
});

test('urls carry the path that the site and the links live below', async () => {
  const dataSource = await openDataSource();
  const own = await startHost({ dataSource, baseUrl: 'https://example.org/shop/', linkPath: '/invite/' });
  const referral = await Referral.create({ redirectTo: '/', code: 'X' }, { manager: dataSource.manager });
  expect(referral.url).toBe('https://example.org/shop/invite/X');
  await own.referrals.close();
});
