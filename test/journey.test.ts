import { type Host, closeAll, startHost, Order, Product } from './support/host';
import { Referral, ReferralResponse } from '../lib';

afterAll(closeAll);

describe('from a shared link to a recorded purchase', () => {
  let host: Host;
  let referral: Referral;
  let product: Product;

  beforeAll(async () => {
    host = await startHost({}, (app, dataSource) => {
      app.post('/buy', async (req, res) => {
        const order = await dataSource.manager.save(new Order());
        res.json(await Referral.recordResponse(req, 'BOUGHT', { target: order }));
      });
    });
    product = await host.dataSource.manager.save(Object.assign(new Product(), { name: 'Teapot' }));
    referral = await Referral.create({ user: 'anna', redirectTo: '/teapot', label: 'mail', target: product });
  });

  test('a visitor clicks, looks around, signs in with a new session, and buys', async () => {
    const browser = host.browser();
    const click = await browser.get(new URL(referral.url).pathname);
    expect(click.status).toBe(302);
    expect(click.headers).toMatchObject({
      'location': '/teapot',
      'cache-control': 'no-store',
      'content-length': '0',
    });
    expect((await browser.get('/whose')).body).toEqual({ code: referral.code });

    expect((await browser.post('/login/bob')).status).toBe(204);
    const first = await browser.get('/whose');
    expect(first.body).toEqual({ code: referral.code });
    expect(first.headers['set-cookie']).toEqual([
      '__Host-referral=; Max-Age=0; Path=/; HttpOnly; Secure; SameSite=Lax',
    ]);
    expect((await browser.get('/whose')).headers['set-cookie']).toBeUndefined();

    const bought = await browser.post('/buy');
    expect(bought.body).toMatchObject({
      referralId: referral.id,
      userId: 'bob',
      action: 'BOUGHT',
      targetType: 'Order',
    });

    const responses = await Referral.responsesForReferrer('anna');
    expect(responses.map(({ action, userId }) => [action, userId])).toEqual([
      ['BOUGHT', 'bob'],
      ['RESPONDED', 'bob'],
    ]);
    expect(await responses[0]!.loadTarget()).toBeInstanceOf(Order);
    expect(await referral.loadTarget()).toEqual(product);
    expect(await referral.responseCount()).toBe(1);
    expect(host.errors).toEqual([]);
  });

  test('somebody who was never referred has no referral, records nothing, and costs no statement', async () => {
    const before = await host.dataSource.getRepository(ReferralResponse).count();
    expect((await host.browser().get('/whose')).body).toEqual({ code: null });
    expect((await host.browser().post('/buy')).body).toBeNull();
    expect(await host.dataSource.getRepository(ReferralResponse).count()).toBe(before);
  });
});
