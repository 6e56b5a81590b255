import express from 'express';
import { createReferrals, entities, migrations, runMigrations } from 'express-referrals';
import request from 'supertest';
import { DataSource } from 'typeorm';
import { bill, checkOut, invite, launch, signUp } from '../examples/credits/credits';
import { correctBalance, giveBack, launchLimited, reserve } from '../examples/credits/staff';
import { databaseUrl, patient, TestClock } from './support/host';

test("the staff's example does what it says", async () => {
  const schema = 'credits staff example';
  const dataSource = new DataSource({ type: 'postgres', url: databaseUrl(), schema, entities, migrations });
  await dataSource.initialize();
  await dataSource.query(`CREATE SCHEMA "${schema}"`);
  await runMigrations(dataSource);
  const clock = new TestClock();
  const secret = 'a secret of at least thirty-two characters';
  const options = { dataSource, baseUrl: 'https://shop.example', secret, user: () => null, clock: clock.read };
  const referrals = createReferrals({ ...options, ...patient() });
  try {
    const { credits, signups } = referrals;
    const [anna, carl] = [{ id: 1 }, { id: 2 }];
    const { code } = await invite(anna, await launchLimited(referrals));
    for (const user of [2, 3, 4]) await signups.create({ user, code });
    expect(await credits.balance(anna)).toBe('40.00');

    const until = new Date(clock.time.getTime() + 60_000);
    for (let again = 0; again < 2; again++)
      expect(await reserve(referrals, carl, { reference: 'cart-1', amount: '8', until })).toBe('8.00');
    expect(await credits.balance(carl)).toBe('2.00');
    clock.advance(60_000);
    expect(await credits.balance(carl)).toBe('10.00');
    await credits.spend(carl, { amount: '10', reference: 'invoice-1' });
    const back = { invoice: 'invoice-1', amount: '4', reference: 'refund-1' };
    for (let again = 0; again < 2; again++) expect(await giveBack(referrals, carl, back)).toBe('4.00');
    const change = { amount: '-1.50', reference: 'case-7', by: 9, reason: 'charged twice' };
    for (let again = 0; again < 2; again++) expect(await correctBalance(referrals, carl, change)).toBe('2.50');
    expect(await referrals.audit.search({ where: { call: 'credits.adjust' } })).toMatchObject([{ by: '9' }]);
    expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
  } finally {
    await referrals.close();
    await dataSource.query(`DROP SCHEMA "${schema}" CASCADE`);
    await dataSource.destroy();
  }
});

test('the example does what it says', async () => {
  const schema = 'credits example';
  const dataSource = new DataSource({ type: 'postgres', url: databaseUrl(), schema, entities, migrations });
  await dataSource.initialize();
  await dataSource.query(`CREATE SCHEMA "${schema}"`);
  await runMigrations(dataSource);
  const secret = 'a secret of at least thirty-two characters';
  const options = { dataSource, baseUrl: 'https://shop.example', secret, user: () => null };
  const referrals = createReferrals({ ...options, ...patient() });
  try {
    const [anna, carl] = [{ id: 1 }, { id: 2 }];
    const { code } = await invite(anna, await launch(referrals));
    const app = express();
    app.use(referrals.middleware);
    app.post('/register', express.json(), async (req, res) => {
      res.json(await dataSource.transaction((manager) => signUp(referrals, req, carl, manager)));
    });
    await request(app).post('/register').send({}).expect('null');
    await request(app).post('/register').send({ code: 'NOBODY' }).expect('"This code does not work."');
    await request(app).post('/register').send({ code }).expect('null');

    const balance = (user: { id: number }) => referrals.credits.balance(user, { productCategory: 'instances' });
    expect(await balance(carl)).toBe('25.00');
    for (let again = 0; again < 2; again++) expect(await bill(referrals, carl, 881, '10')).toBe('10.00');
    let paid = 0;
    const attempt = (reference: string, pay: () => Promise<boolean>) =>
      checkOut(referrals, carl, { reference, amount: '5', pay });
    const refuse = () => Promise.resolve(false);
    const crash = () => Promise.reject(new Error('no network'));
    const accept = () => Promise.resolve(++paid > 0);
    for (let again = 0; again < 2; again++) expect(await attempt('order-1, first', refuse)).toBe(false);
    await expect(attempt('order-1, second', crash)).rejects.toThrow('no network');
    expect(await balance(carl)).toBe('10.00'); // whether that was paid is not known: it stays held
    for (let again = 0; again < 2; again++) expect(await attempt('order-1, second', accept)).toBe(true);
    expect(paid).toBe(1);
    expect((await launch(referrals)).name).toBe('launch');
    expect([await balance(carl), await balance(anna)]).toEqual(['10.00', '0.00']);
    expect(await bill(referrals, carl, 882, '40')).toBe('10.00');
    expect([await balance(carl), await balance(anna)]).toEqual(['0.00', '40.00']);
    expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
  } finally {
    await referrals.close();
    await dataSource.query(`DROP SCHEMA "${schema}" CASCADE`);
    await dataSource.destroy();
  }
});
