import express from 'express';
import { createReferrals, entities, migrations, runMigrations } from 'express-referrals';
import request from 'supertest';
import { DataSource } from 'typeorm';
import { buy, earnings, payEarnings, refund, sponsor } from '../examples/commissions/commissions';
import { databaseUrl, patient, TestClock } from './support/host';

test('the example does what it says', async () => {
  const schema = 'commissions_example';
  const extra = { options: `-c search_path=${schema}` };
  const dataSource = new DataSource({ type: 'postgres', url: databaseUrl(), schema, extra, entities, migrations });
  await dataSource.initialize();
  await dataSource.query(`CREATE SCHEMA "${schema}"`);
  await runMigrations(dataSource);
  await dataSource.query('CREATE TABLE orders (reference text PRIMARY KEY, total numeric, coupon text)');
  const secret = 'a secret of at least thirty-two characters';
  const clock = new TestClock();
  const paid: object[] = [];
  const provider = { pay: (payment: object) => Promise.resolve(void paid.push(payment)) };
  const referrals = createReferrals({
    ...{ dataSource, baseUrl: 'https://shop.example', secret, clock: clock.read, ...patient() },
    ...earnings(provider),
    user: (req) => req.get('authorization'),
  });
  try {
    const [anna, carl] = [{ id: 1 }, { id: 2 }];
    const channel = await sponsor(referrals, anna);
    const app = express();
    app.use('/api/v2/referral', referrals.api);
    const as = (user: { id: number }) => ({ authorization: String(user.id) });
    const applied = await request(app).post('/api/v2/referral/coupon-code/').set(as(carl)).send({ code: 'summer20' });
    expect(applied.body).toMatchObject({ code: 'SUMMER20', promo_value: '0.20' });
    const order = (reference: string, price: string) =>
      dataSource.transaction((manager) => buy(referrals, carl, { reference, price }, manager));
    expect(await order('inv-1', '49.00')).toBe('39.20');
    expect(await order('inv-2', '49.00')).toBe('49.00');
    expect(await dataSource.query('SELECT coupon FROM orders ORDER BY 1')).toEqual([
      { coupon: 'SUMMER20' },
      { coupon: null },
    ]);
    expect(await refund(referrals, carl, { order: 'inv-1', reference: 're-1', amount: '10.00' })).toBe('8.76');

    await request(app)
      .patch('/api/v2/referral/config/')
      .set(as(anna))
      .send({ mode: 'payout', paypal_payout_email: 'anna@shop.example' })
      .expect(200);
    expect(await order('inv-3', '100.00')).toBe('100.00');
    clock.advanceDays(30);
    const printed = jest.spyOn(console, 'log').mockImplementation(() => undefined);
    for (let again = 0; again < 2; again++) await payEarnings(referrals);
    expect(printed.mock.calls.at(-1)![0]).toMatch(/^0 earn-outs, 0\.00/);
    printed.mockRestore();
    expect(paid).toEqual([{ to: 'anna@shop.example', amount: '30.00', key: expect.any(String) }]);
    expect(await referrals.credits.balance(anna)).toBe('23.46'); // 8.76 of inv-1, 14.70 of inv-2

    expect(await refund(referrals, carl, { order: 'inv-3', reference: 're-2' })).toBe('0.00');
    expect(await referrals.accounts.totals(anna)).toMatchObject({
      payoutsEarned: '-30.00',
      totalPayoutsEarned: '0.00',
    });
    expect(await channel.refresh()).toMatchObject({ totalUses: 1, totalCommission: '23.46', totalRevenue: '78.20' });
    expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
  } finally {
    await referrals.close();
    await dataSource.query(`DROP SCHEMA "${schema}" CASCADE`);
    await dataSource.destroy();
  }
});
