import request from 'supertest';
import { type DataSource, ILike, Like, Not, Or } from 'typeorm';
import { migrations, Referral, type ReferralCode, runMigrations } from '../lib';
import { fold, folded } from '../lib/database/folding';
import { couponOf, type EarningsHost, refusalOf, startEarnings } from './support/earnings';
import { closeAll, createDatabase, openDataSource } from './support/host';

afterAll(closeAll);

/**
 * Databases by the rules of their `lower` and `ILIKE`: Turkish ones turn I into ı, the ordinary ones turn İ into i, and
 * C leaves both as they are.
 */
const locales = [
  ['tr-TR', `LOCALE_PROVIDER icu ICU_LOCALE 'tr-TR'`],
  ['C.UTF-8', `LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'`],
] as const;

/** Spellings of a code that are the code. */
const spellings = (code: string): string[] => [
  ...new Set([code, code.toLowerCase(), code.toUpperCase(), code[0]!.toUpperCase() + code.slice(1).toLowerCase()]),
];

/** Texts that some rules fold to "VIP50-KISS", and that are other texts nevertheless. */
const lookAlikes = [
  ...['VİP50-KISS', 'vıp50-kıss', 'VIP50-\u212aISS', 'vip50-ki\u017fs'],
  ...['\uff36\uff29\uff30\uff15\uff10-KISS', 'VIP50-KISS\u0307'],
];

const firefox = { 'User-Agent': 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0' };

describe.each(locales)('on a database with the rules of %s', (name, locale) => {
  let host: EarningsHost;
  let dataSource: DataSource;
  let spring: Referral;

  beforeAll(async () => {
    dataSource = await openDataSource({ url: await createDatabase(locale) });
    host = await startEarnings({ dataSource }, (app) => {
      app.post('/register/:user', async (req, res) => {
        const signup = await Referral.recordSignup(req, req.params.user, { code: req.query['code'] as string });
        res.json({ by: signup && signup.referrerId });
      });
      app.use('/api', (req, res, next) => host.referrals.api(req, res, next));
    });
    spring = await Referral.create({ user: 'anna', redirectTo: '/', label: 'Spring mailing', code: 'SPRING' });
  });
  afterAll(() => host.referrals.close()); // so that the static methods find the instance of the next database

  test('the database has them', async () => {
    const [row] = await dataSource.query<{ i: string; dotted: string }[]>(
      `SELECT lower('I') AS i, lower('İ') AS dotted`,
    );
    expect(row).toEqual(name === 'tr-TR' ? { i: 'ı', dotted: 'i' } : { i: 'i', dotted: 'i' });
  });

  test('a link leads on in any case, also from the cache; look-alikes lead nowhere', async () => {
    for (const code of [...spellings('SPRING'), ...spellings('SPRING')]) await request(host.app).get(`/r/${code}`).set(firefox).expect(302); // prettier-ignore
    for (const code of ['SPRıNG', 'SPRİNG', '\u017fpring']) await request(host.app).get(`/r/${encodeURIComponent(code)}`).set(firefox).expect(404); // prettier-ignore
    expect(await spring.responseCount()).toBe(6);
  });

  test('who came through a link is attributed, in the request in which they sign in too', async () => {
    const browser = host.browser();
    await browser.get('/r/spring').set(firefox).expect(302);
    expect((await browser.get('/whose').set(firefox)).body).toEqual({ code: 'SPRING' });
    await browser.post('/login/visitor').expect(204);
    expect((await browser.get('/whose').set(firefox)).body).toEqual({ code: 'SPRING' });
  });

  test('nobody else gets the code in another case, by any call', async () => {
    const { referralCodes, channels } = host.referrals;
    const other = await referralCodes.create({ user: 'eve', code: 'EVE-I', label: 'hers' });
    const coupon = await couponOf(host, 'eve');
    for (const code of spellings('SPRING')) {
      expect(await refusalOf(Referral.create({ user: 'eve', redirectTo: '/', label: code, code }))).toBe('CODE_TAKEN');
      expect(await refusalOf(referralCodes.create({ user: 'eve', label: code, code }))).toBe('CODE_TAKEN');
      expect(await refusalOf(referralCodes.update(other, { code }))).toBe('CODE_TAKEN');
      expect(await refusalOf(couponOf(host, 'eve', { code }))).toBe('CODE_TAKEN');
      expect(await refusalOf(channels.update(coupon, { code }))).toBe('CODE_TAKEN');
      // The owner's own referral is the same in any case.
      const same = { user: 'anna', redirectTo: '/', label: 'Spring mailing', code };
      expect(await Referral.create(same)).toMatchObject({ id: spring.id, code: 'SPRING' });
    }
    for (const code of lookAlikes)
      expect(await refusalOf(Referral.create({ user: 'eve', redirectTo: '/', label: 'x', code }))).toBe(
        'INVALID_INPUT code',
      );
    await other.update({ code: 'eve-i' }); // to another case of its own
    expect(await Referral.findByCode('EVE-I')).toMatchObject({ id: other.id, code: 'eve-i' });
  });

  test('a typed code signs up in any case, and is the same when it is typed again', async () => {
    for (const code of spellings('SPRING')) {
      const user = `typed ${code}`;
      expect(await Referral.recordSignup(null, user, { code: ` ${code} ` })).toMatchObject({ referralId: spring.id });
      for (const again of spellings('SPRING'))
        expect(await host.referrals.signups.create({ user, code: again })).toMatchObject({ userId: user });
      const sent = await request(host.app).post(`/register/form ${code}`).query({ code });
      expect(sent.body).toEqual({ by: 'anna' });
    }
    for (const code of ['SPRıNG', 'SPRİNG', '\u017fpring'])
      expect(await Referral.recordSignup(null, 'nobody', { code })).toBeNull();
  });

  test('a sign-up stands by its code after a renaming to another case', async () => {
    const code = await host.referrals.referralCodes.create({ user: 'ivan', code: 'IVAN', label: 'ivan' });
    await host.referrals.signups.create({ user: 'of ivan', code: 'IVAN' });
    await code.update({ code: 'ivan' });
    for (const typed of spellings('IVAN'))
      expect(await host.referrals.signups.create({ user: 'of ivan', code: typed })).toMatchObject({
        userId: 'of ivan',
      });
  });

  test('a coupon is applied, shown and redeemed in any case; look-alikes are none', async () => {
    const { coupons, channels } = host.referrals;
    const recordPurchase = host.referrals.recordPurchase.bind(host.referrals);
    const { id } = await couponOf(host, 'anna', { code: 'VIP50-KISS' });
    for (const code of spellings('VIP50-KISS')) {
      const buyer = `buyer ${code}`;
      expect(await coupons.apply(buyer, code)).toMatchObject({ channelId: id, code: 'VIP50-KISS' });
      const { commission } = await recordPurchase(buyer, { reference: '1', amount: 10 });
      expect(commission).toMatchObject({ channelId: id });
      expect(await channels.getByCode(code)).toMatchObject({ id });
      const info = await request(host.app).get('/api/code/info/').query({ referral_code: code }).expect(200);
      expect(info.body).toMatchObject({ referral_code: 'VIP50-KISS' });
      const sent = await recordPurchase(`named ${code}`, { reference: '1', amount: 10, code });
      expect(sent.purchase).toMatchObject({ referralId: id });
    }
    for (const code of lookAlikes) {
      expect(await refusalOf(coupons.apply('somebody', code))).toBe('COUPON_NOT_FOUND');
      expect(await channels.getByCode(code, { optional: true })).toBeNull();
      expect(await host.referrals.referralCodes.getByCode(code, { optional: true })).toBeNull();
      expect(await Referral.findByCode(code)).toBeNull();
      await request(host.app).get('/api/code/info/').query({ referral_code: code }).expect(404);
      expect(await refusalOf(recordPurchase('named', { reference: '1', amount: 10, code }))).toBe('NOT_FOUND');
    }
  });

  test('a search with ILike folds A to Z alone, in codes, labels, names and addresses, however it is nested', async () => {
    const { referralCodes, programs, channels, accounts } = host.referrals;
    const codes = async (where: object): Promise<string[]> =>
      (await referralCodes.search({ where })).map(({ code }: ReferralCode) => code).filter((code) => code === 'SPRING');
    for (const text of spellings('SPRING')) {
      expect(await codes({ code: ILike(text) })).toEqual(['SPRING']);
      expect(await codes({ label: ILike(`${text}%`) })).toEqual(['SPRING']);
      expect(await codes({ code: Or(ILike('nothing'), ILike(text)), label: ILike('%MAILING') })).toEqual(['SPRING']);
      expect(await codes({ code: Not(ILike(text)) })).toEqual([]);
      expect(await codes([{ code: ILike('nothing') }, { code: ILike(text) }])).toEqual(['SPRING']);
    }
    for (const text of ['SPRıNG', 'SPRİNG', '\u017fpring']) expect(await codes({ code: ILike(text) })).toEqual([]);
    expect(await codes({ code: Like('SPRI%') })).toEqual(['SPRING']);
    expect(await codes({ code: Like('spri%') })).toEqual([]);
    expect(await referralCodes.count({ where: { code: ILike('spring') } })).toBe(1);

    await programs.create({ name: 'INVITE' });
    expect(await programs.search({ where: { name: ILike('invite') } })).toHaveLength(1);
    expect(await channels.search({ where: { code: ILike('vip50-%') } })).toHaveLength(1);
    const account = await accounts.of('anna');
    await accounts.update(account, { payoutEmail: 'INFO@shop.example' });
    expect(await accounts.search({ where: { payoutEmail: ILike('info@SHOP.example') } })).toHaveLength(1);
    expect(await accounts.search({ where: { payoutEmail: ILike('ınfo@shop.example') } })).toEqual([]);
  });

  test('`fold` and its SQL are the same for every character', async () => {
    const surrogates = (point: number): boolean => point >= 0xd800 && point < 0xe000;
    const points = Array.from({ length: 0x1ffff }, (_, index) => index + 1).filter((point) => !surrogates(point));
    const all = points.map((point) => String.fromCodePoint(point)).join('');
    const [row] = await dataSource.query<{ text: string }[]>(`SELECT ${folded('$1::text')} AS text`, [all]);
    expect(row!.text === fold(all)).toBe(true);
    const characters = [...all];
    expect([...fold(all)].filter((character, index) => character !== characters[index])).toHaveLength(26);
  });

  test('the look-up uses the unique index', async () => {
    await dataSource.transaction(async (manager) => {
      await manager.query('SET LOCAL enable_seqscan = off');
      const plan = await manager.query<object[]>(
        `EXPLAIN SELECT FROM ${host.schema}.referrals WHERE ${folded('code')} = ${folded('$1')}`,
        ['spring'],
      );
      expect(JSON.stringify(plan)).toContain('uq_referrals_code');
    });
  });

  test('and all of it adds up', async () => {
    expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
  });
});

describe('the migration', () => {
  const before = migrations.slice(
    0,
    migrations.findIndex(({ name }) => name.startsWith('FoldCodesAsAscii')),
  );
  const open = async (locale: string): Promise<{ old: DataSource; table: string; schema: string; url: string }> => {
    const url = await createDatabase(locale);
    const old = await openDataSource({ url, migrations: before, migrate: false });
    await runMigrations(old);
    const { schema } = old.options as { schema: string };
    return { old, table: `"${schema}"."referrals"`, schema, url };
  };
  const migrated = async ({ url, schema }: { url: string; schema: string }): Promise<DataSource> => {
    const dataSource = await openDataSource({ url, schema, migrate: false });
    await runMigrations(dataSource);
    return dataSource;
  };
  const insert = (table: string, codes: string[]): string =>
    `INSERT INTO ${table} (label, code, redirect_to) VALUES ${codes.map((code) => `(gen_random_uuid(), '${code}', '/')`).join(', ')}`; // prettier-ignore

  test('names the codes that only Turkish rules kept apart, changes nothing, and runs once they are renamed', async () => {
    const made = await open(locales[0][1]);
    const { old, table } = made;
    await old.query(insert(table, ['SPRING', 'summer', 'spring', 'IVIN', 'iVIN', 'ivin', 'x']));
    const failure = await migrated(made).catch((error: Error) => error.message);
    expect(failure).toMatch(/"SPRING" \(id 1\), "spring" \(id 3\); "IVIN" \(id 4\), "iVIN" \(id 5\), "ivin" \(id 6\)/);
    expect(failure).toContain(`UPDATE ${table} SET "code" = 'ANOTHER' WHERE "id" = 1`);
    expect(failure).not.toMatch(/summer|"x"/);
    await old.query(`UPDATE ${table} SET code = 'SPRING-2' WHERE id = 3`);
    await old.query(`UPDATE ${table} SET code = 'IVIN-' || id WHERE id IN (5, 6)`);
    const dataSource = await migrated(made);
    await expect(dataSource.query(insert(table, ['Spring']))).rejects.toThrow('uq_referrals_code');
    await dataSource.query(insert(table, ['ı', 'İ', 'ſ', '\u212a', 'k']));
  });

  test('goes both ways on a database with ordinary rules, whatever is stored', async () => {
    const made = await open(locales[1][1]);
    await made.old.query(insert(made.table, ['SPRING', 'ÉTÉ', 'VİP50', 'K7M2PQ']));
    const dataSource = await migrated(made);
    expect(await dataSource.getRepository(Referral).count()).toBe(4);
    for (let count = migrations.length; count > before.length; count--) await dataSource.undoLastMigration();
    await expect(dataSource.query(insert(made.table, ['été']))).rejects.toThrow('uq_referrals_code');
    await runMigrations(dataSource);
  });
});
