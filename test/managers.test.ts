import { ArrayContains, Between, In, IsNull, LessThan, Like, MoreThan, Not, Or } from 'typeorm';
import { entities, type WithManager } from '../lib';
import { closeAll, type Host, Product, startHost } from './support/host';

afterAll(closeAll);

/** What all managers have, with anything as input. */
interface Manager {
  get(id: unknown, options?: object): Promise<Row | null>;
  list(ids: unknown, options?: object): Promise<Row[]>;
  search(search?: object): Promise<Row[]>;
  create(input: unknown, options?: WithManager): Promise<Row>;
  createMany(inputs: unknown, options?: WithManager): Promise<Row[]>;
  update(record: unknown, changes: unknown, options?: WithManager): Promise<Row>;
  delete(record: unknown, options?: WithManager): Promise<void>;
}
type Row = Record<string, unknown> & { id: number; toJSON(): Record<string, unknown> };

const names = ['creditTypes', 'programs', 'referralCodes', 'credits', 'creditTransactions', 'signups'] as const;
type Name = (typeof names)[number];
/** A field of each that tells its records apart. */
const label = { creditTypes: 'name', programs: 'name', referralCodes: 'code', credits: 'name', creditTransactions: 'description', signups: 'userId' } as const; // prettier-ignore
const words = { creditTypes: 'credit type', programs: 'program', referralCodes: 'referral code', credits: 'credit', creditTransactions: 'credit transaction', signups: 'sign-up' } as const; // prettier-ignore

let host: Host;
const ids = {} as Record<Name, number[]>;
const of = (name: Name): Manager => host.referrals[name] as unknown as Manager;
const labels = (name: Name, rows: Row[]): unknown[] => rows.map((row) => row[label[name]]);
const counts = (): Promise<number[]> =>
  Promise.all(entities.map((entity) => host.dataSource.getRepository(entity).count()));
const idsOf = (records: { id: number }[]): number[] => records.map(({ id }) => id);

beforeAll(async () => {
  host = await startHost();
  const { creditTypes, programs, referralCodes, credits, creditTransactions, signups } = host.referrals;
  const types = await creditTypes.createMany([
    { name: 'one', onlyForProducts: ['tea', 'cake'], refundable: true },
    { name: 'two', product: 'credit' },
    { name: 'three', onlyForProductCategories: ['books'] },
  ]);
  const terms = { durationDays: 30, type: types[0]! };
  const made = await programs.createMany([
    { name: 'one', rewardCredit: { amount: '10', ...terms }, beforeRewardUsageThreshold: '0.5' },
    { name: 'two', rewardCredit: { amount: '10.0001', ...terms, type: types[1]! }, beforeRewardUsageThreshold: 50 },
    { name: 'three' },
  ]);
  const codes = await referralCodes.createMany([
    { code: 'one', user: 'anna', program: made[0]! },
    { code: 'two', user: 'bob', program: made[1]!, allowedUses: 7 },
    { code: 'three', expiredAt: new Date('2040-01-01T00:00:00Z') },
  ]);
  const given = { user: 'carl', creditType: types[1]!, durationDays: 10 };
  const all = await credits.createMany([
    { ...given, name: 'one', initialBalance: '10', voucherCode: 'V-1' },
    { ...given, name: 'two', initialBalance: '20.5', voucherCode: 'V_2' },
    { ...given, name: 'three', initialBalance: '3', reference: 'invoice' },
  ]);
  const entries = await creditTransactions.createMany(
    ['one', 'two', 'three'].map((description, index) => ({ credit: all[0]!, value: index + 1, description })),
  );
  const signedUp = await signups.createMany(['one', 'two', 'three'].map((user) => ({ user, code: user })));
  ids.creditTypes = idsOf(types);
  ids.programs = idsOf(made);
  ids.referralCodes = idsOf(codes);
  ids.creditTransactions = idsOf(entries);
  ids.signups = idsOf(signedUp);
  ids.credits = idsOf(all);
});

describe.each(names)('%s', (name) => {
  const missing = 900_000_001;

  test('are read by id, as records or plain, whole or in some fields', async () => {
    const id = ids[name][1]!;
    const record = (await of(name).get(id))!;
    expect(record).toMatchObject({ id, [label[name]]: 'two' });
    expect(typeof record['refresh']).toBe('function');
    const plain = (await of(name).get(id, { plain: true }))!;
    expect(Object.getPrototypeOf(plain)).toBe(Object.prototype);
    expect(plain).toEqual(record.toJSON());
    expect(await of(name).get(id, { plain: true, fields: [label[name]] })).toEqual({ [label[name]]: 'two' });
    expect(await of(name).get(id, { plain: true, fields: [] })).toEqual({});
    const some = (await of(name).get(id, { fields: [label[name]] }))!;
    expect(some).toMatchObject({ id, [label[name]]: 'two' });
    expect(some['createdAt']).toBeUndefined();
    expect((await of(name).get(id, { fields: [] }))!.id).toBe(id);
    expect(await of(name).search({ fields: ['id'], plain: true, take: 1 })).toEqual([{ id: ids[name][0] }]);
  });

  test('are listed in the order that is asked for, with what is asked for twice', async () => {
    const [a, b, c] = ids[name];
    expect(labels(name, await of(name).list([c, a, c, b]))).toEqual(['three', 'one', 'three', 'two']);
    expect(labels(name, await of(name).list([b, b], { plain: true, fields: [label[name]] }))).toEqual(['two', 'two']);
    expect(await of(name).list([])).toEqual([]);
    const { manager } = host.dataSource;
    expect(labels(name, await of(name).list([{ id: a }], { manager }))).toEqual(['one']);
  });

  test('say which ids are missing, each once, unless they are optional', async () => {
    const [a, b] = ids[name];
    const notFound = { name: 'ReferralError', code: 'NOT_FOUND', status: 404 };
    await expect(of(name).get(missing)).rejects.toMatchObject({
      ...notFound,
      message: `There is no ${words[name]} with the id ${missing}.`,
    });
    await expect(of(name).list([missing, a, missing + 1, missing, b])).rejects.toMatchObject({
      ...notFound,
      message: `There is no ${words[name]} with the ids ${missing}, ${missing + 1}.`,
    });
    await expect(of(name).get(Number.MAX_SAFE_INTEGER)).rejects.toMatchObject(notFound);
    expect(await of(name).get(missing, { optional: true })).toBeNull();
    expect(labels(name, await of(name).list([missing, b, missing, a], { optional: true }))).toEqual(['two', 'one']);
    expect(await of(name).list([missing], { optional: true, plain: true })).toEqual([]);
    await expect(of(name).update(missing, {})).rejects.toMatchObject(notFound);
    await expect(of(name).delete(missing)).rejects.toMatchObject(notFound);
  });

  test.each([
    undefined,
    null,
    '1',
    10n ** 200n,
    0,
    -1,
    1.5,
    NaN,
    Infinity,
    2 ** 53,
    true,
    [1],
    {},
    { id: '1' },
    "1' OR '1'='1",
  ])('refuse the id %p', async (id) => {
    const refusal = { code: 'INVALID_INPUT', field: 'id', message: expect.stringContaining('a whole number from 1') };
    await expect(of(name).get(id)).rejects.toMatchObject(refusal);
    await expect(of(name).list([ids[name][0], id])).rejects.toMatchObject(refusal);
    await expect(of(name).update(id, {})).rejects.toMatchObject(refusal);
    await expect(of(name).delete(id)).rejects.toMatchObject(refusal);
  });

  test('list as many ids as there are', async () => {
    const many = Array.from({ length: 30_000 }, (_, index) => missing + index);
    expect(labels(name, await of(name).list([...many, ids[name][0]], { optional: true }))).toEqual(['one']);
  });

  // More than the parameters that a statement can have.
  test('list more ids than a statement has parameters', async () => {
    const many = Array.from({ length: 70_000 }, (_, index) => missing + index);
    expect(labels(name, await of(name).list([...many, ids[name][0]], { optional: true }))).toEqual(['one']);
  });

  test('are searched oldest first, or as ordered, in pages that do not overlap', async () => {
    expect(labels(name, await of(name).search())).toEqual(['one', 'two', 'three']);
    expect(labels(name, await of(name).search({}))).toEqual(['one', 'two', 'three']);
    expect(labels(name, await of(name).search({ order: { id: 'DESC' } }))).toEqual(['three', 'two', 'one']);
    expect(labels(name, await of(name).search({ order: { [label[name]]: 'asc' } }))).toEqual(['one', 'three', 'two']);
    const pages = [0, 1, 2, 3].map((skip) => of(name).search({ order: { createdAt: 'DESC' }, take: 1, skip }));
    const byTime = [...(await of(name).search())] as unknown as { id: number; createdAt: Date }[];
    byTime.sort((a, b) => b.createdAt.getTime() - a.createdAt.getTime() || a.id - b.id);
    expect((await Promise.all(pages)).flat().map(({ id }) => id)).toEqual(byTime.map(({ id }) => id));
    const nullsLast = { direction: 'DESC', nulls: 'LAST' } as const;
    expect(labels(name, await of(name).search({ order: { id: nullsLast } }))).toEqual(['three', 'two', 'one']);
    expect(labels(name, await of(name).search({ take: 2 }))).toEqual(['one', 'two']);
    expect(labels(name, await of(name).search({ skip: 1 }))).toEqual(['two', 'three']);
  });

  // With joins, TypeORM takes 0 for no limit.
  (name === 'referralCodes' ? test : test)('take none where none is to be taken', async () => {
    expect(await of(name).search({ take: 0 })).toEqual([]);
  });

  test('are searched by field: one value, null, operators, and any of several', async () => {
    const [a, b, c] = ids[name];
    const found = async (where: object): Promise<unknown[]> => labels(name, await of(name).search({ where }));
    expect(await found({ [label[name]]: 'two' })).toEqual(['two']);
    expect(await found({ [label[name]]: Like('t%') })).toEqual(['two', 'three']);
    expect(await found({ id: In([c, a]) })).toEqual(['one', 'three']);
    expect(await found({ id: In([]) })).toEqual([]);
    expect(await found({ id: MoreThan(a) })).toEqual(['two', 'three']);
    expect(await found({ id: Not(Between(a, b)) })).toEqual(['three']);
    expect(await found({ id: MoreThan(a), [label[name]]: Like('%e') })).toEqual(['three']);
    expect(await found([{ id: a }, { [label[name]]: 'three' }])).toEqual(['one', 'three']);
    expect(await found({ createdAt: LessThan(new Date(0)) })).toEqual([]);
    expect(await found({ id: null })).toEqual([]);
    expect(await found({ [label[name]]: "' OR '1'='1" })).toEqual([]);
    expect(await found({ [label[name]]: "'; DROP TABLE referral_credits; --" })).toEqual([]);
    expect(await found({})).toHaveLength(3);
  });

  test.each<[string, object]>([
    ['where', { where: 'name' }],
    ['where', { where: null }],
    ['where', { where: [null] }],
    ['where.nothing', { where: { nothing: 1 } }],
    ['where.constructor', { where: { constructor: 1 } }],
    ['where.toString', { where: [{ toString: IsNull() }] }],
    ['where.__proto__', { where: JSON.parse('{"__proto__":1}') as object }],
    ['where.id = 1 OR 1', { where: { 'id = 1 OR 1': 1 } }],
    ['where.id', { where: { id: '1' } }],
    ['where.id', { where: { id: undefined } }],
    ['where.id', { where: { id: 1.5 } }],
    ['where.id', { where: { id: { type: 'raw', value: '1=1' } } }],
    ['where.id', { where: { id: In([1, '2']) } }],
    ['where.id', { where: { id: Not(In(['2'])) } }],
    ['where.createdAt', { where: { createdAt: '2026-01-01' } }],
    ['where.createdAt', { where: { createdAt: MoreThan(new Date(NaN)) } }],
    ['order', { order: 'id' }],
    ['order', { order: null }],
    ['order.nothing', { order: { nothing: 'ASC' } }],
    ['order.constructor', { order: { constructor: 'ASC' } }],
    ['order.__proto__', { order: JSON.parse('{"__proto__":"ASC"}') as object }],
    ['order.id; DROP TABLE referrals', { order: { 'id; DROP TABLE referrals': 'ASC' } }],
    ['order.id', { order: { id: 'ASC; DROP TABLE referrals' } }],
    ['order.id', { order: { id: 2 } }],
    ['order.id', { order: { id: { direction: 'ASC', nulls: 'MIDDLE' } } }],
    ['take', { take: -1 }],
    ['take', { take: 1.5 }],
    ['take', { take: '1' }],
    ['skip', { skip: NaN }],
    ['fields', { fields: 'id' }],
    ['fields', { fields: ['nothing'] }],
    ['fields', { fields: ['__proto__'] }],
    ['fields', { fields: ['constructor'] }],
    ['fields', { fields: ['id, (SELECT 1)'] }],
    ['fields', { fields: [null] }],
    ['optional', { optional: true }],
    ['limit', { limit: 1 }],
  ])('refuse a search with a wrong %s: %j', async (field, search) => {
    await host.dataSource.transaction(async (manager) => {
      await expect(of(name).search({ ...search, manager })).rejects.toMatchObject({
        name: 'ReferralError',
        code: 'INVALID_INPUT',
        field,
        message: expect.stringMatching(/ takes .+, but got | has no field /s),
      });
      expect(await manager.count(Product)).toEqual(expect.any(Number)); // it never reached the database
    });
  });

  test('refuse options that there are not, and text that can not be', async () => {
    const wrong = { code: 'INVALID_INPUT', field: 'where.' + label[name] };
    await expect(of(name).search({ where: { [label[name]]: true } })).rejects.toMatchObject(wrong);
    await expect(of(name).search({ where: { [label[name]]: 'a\u0000' } })).rejects.toMatchObject(wrong);
    await expect(of(name).search({ where: { [label[name]]: Like('a\u0000%') } })).rejects.toMatchObject(wrong);
    const [id] = ids[name];
    await expect(of(name).get(id, { take: 1 })).rejects.toMatchObject({ code: 'INVALID_INPUT', field: 'take' });
    await expect(of(name).get(id, { fields: ['nothing'] })).rejects.toMatchObject({ field: 'fields' });
    await expect(of(name).get(id, { fields: 'name' })).rejects.toMatchObject({ field: 'fields' });
    await expect(of(name).list('1')).rejects.toMatchObject({ code: 'INVALID_INPUT', field: 'ids' });
    await expect(of(name).search('name' as never)).rejects.toMatchObject({ code: 'INVALID_INPUT', field: 'search' });
  });

  test('refuse input that is none, and fields that there are not; nothing is written', async () => {
    const before = await counts();
    const invalid = (field: string): object => ({ code: 'INVALID_INPUT', status: 400, field });
    for (const input of [undefined, null, 7, 'name', []])
      await expect(of(name).create(input)).rejects.toMatchObject(invalid(`${name}.create`));
    await expect(of(name).create({ nothing: 1 })).rejects.toMatchObject(invalid('nothing'));
    await expect(of(name).create({ id: 1 })).rejects.toMatchObject(invalid('id'));
    await expect(of(name).create(JSON.parse('{"__proto__":{}}'))).rejects.toMatchObject(invalid('__proto__'));
    await expect(of(name).createMany({})).rejects.toMatchObject(invalid('inputs'));
    await expect(of(name).createMany('ab')).rejects.toMatchObject(invalid('inputs'));
    await expect(of(name).createMany([null])).rejects.toMatchObject(invalid(`${name}.create`));
    expect(await of(name).createMany([])).toEqual([]);
    expect(await counts()).toEqual(before);
  });
});

describe('operators of TypeORM', () => {
  const found = async (name: Name, where: object): Promise<unknown[]> => labels(name, await of(name).search({ where }));

  test.each<[string, Name, () => object, string[]]>([
    ['lists that contain', 'creditTypes', () => ({ onlyForProducts: ArrayContains(['tea']) }), ['one']],
    ['lists that contain all', 'creditTypes', () => ({ onlyForProducts: ArrayContains(['tea', 'soup']) }), []],
    ['truth', 'creditTypes', () => ({ refundable: false }), ['two', 'three']],
    ['null', 'creditTypes', () => ({ product: null }), ['one', 'three']],
    ['IsNull', 'creditTypes', () => ({ product: IsNull() }), ['one', 'three']],
    ['amounts, as numbers', 'credits', () => ({ initialBalance: MoreThan('9') }), ['one', 'two']],
    ['amounts, of any scale', 'credits', () => ({ initialBalance: '20.5000' }), ['two']],
    ['amounts, from numbers', 'credits', () => ({ initialBalance: In([3, 20.5]) }), ['two', 'three']],
    ['dates', 'credits', () => ({ expiryDate: MoreThan(new Date()) }), ['one', 'two', 'three']],
    ['wildcards', 'credits', () => ({ voucherCode: Like('V\\_%') }), ['two']],
    ['terms of a program', 'referralCodes', () => ({ rewardCreditAmount: MoreThan('10') }), ['two']],
    ["a program's name", 'referralCodes', () => ({ programName: 'one' }), ['one']],
    ['no program', 'referralCodes', () => ({ programName: null }), ['three']],
    ["a type's name", 'referralCodes', () => ({ rewardCreditTypeName: Like('t%') }), ['two']],
    ['terms and own', 'referralCodes', () => ({ rewardCreditAmount: '10', userId: 'bob' }), []],
    ['either of two', 'referralCodes', () => ({ rewardCreditAmount: Or(IsNull(), LessThan('10.0001')) }), ['one', 'three']], // prettier-ignore
    ['or', 'referralCodes', () => [{ programName: 'two' }, { userId: null }], ['two', 'three']] as never,
  ])('find %s', async (_what, name, where, expected) => {
    expect(await found(name, where())).toEqual(expected);
  });

  test('order codes by the terms of their programs, in pages', async () => {
    const order = { rewardCreditAmount: 'DESC' };
    const pages = [0, 1, 2].map((skip) => of('referralCodes').search({ order, take: 1, skip }));
    expect(labels('referralCodes', (await Promise.all(pages)).flat())).toEqual(['three', 'two', 'one']); // nulls first
    const where = { programName: Like('%') };
    const last = await of('referralCodes').search({ where, order: { programName: 'DESC' }, take: 1, fields: ['code'] });
    expect(labels('referralCodes', last)).toEqual(['two']);
  });

  test('find what is not null', async () => {
    expect(await found('credits', { reference: Not(IsNull()) })).toEqual(['three']);
  });

  // PostgreSQL would refuse them, and the host's transaction would be lost.
  test.each<[string, Name, object]>([
    ['onlyForProducts', 'creditTypes', { onlyForProducts: 'tea' }],
    ['onlyForProducts', 'creditTypes', { onlyForProducts: Like('tea') }],
    ['name', 'creditTypes', { name: ArrayContains(['one']) }],
    ['initialBalance', 'credits', { initialBalance: Like('10') }],
    ['id', 'credits', { id: MoreThan([1]) }],
    ['id', 'credits', { id: In(1 as never) }],
    ['allowedUses', 'referralCodes', { allowedUses: 2 ** 40 }],
    ['createdAt', 'credits', { createdAt: MoreThan(new Date(-8.64e15)) }],
  ])('refuse what does not fit %s', async (field, name, where) => {
    await expect(found(name, where)).rejects.toMatchObject({ code: 'INVALID_INPUT', field: `where.${field}` });
  });
});

test('all of it adds up', async () => {
  expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
});
