import { Referral, ReferralResponse } from '../lib';
import { closeAll, cookieOf, startHost } from './support/host';

afterAll(closeAll);

test('click, look around, register, buy', async () => {
  const host = await startHost({}, (app) => {
    app.post('/buy', async (req, res) => {
      const response = await Referral.recordResponse(req, 'BOUGHT', { target: { type: 'order', id: 7 } });
      res.json({ response });
    });
  });
  const referral = await Referral.create({ user: 'anna', redirectTo: '/welcome' });
  expect(referral.url).toBe(`https://shop.example/r/${referral.code}`);
  const browser = host.browser();
  const click = await browser.get(`/r/${referral.code}`).set('X-Forwarded-Proto', 'https');
  expect(click.status).toBe(302);
  expect(click.headers.location).toBe('https://shop.example/welcome');
  console.log(click.headers, host.errors);
  const own = cookieOf(click)!;
  expect((await browser.get('/whose').set('Cookie', own)).body).toEqual({ code: referral.code });
  const login = await browser.post('/login/bob').set('Cookie', own);
  expect(login.status).toBe(204);
  const sid = cookieOf(login, 'connect.sid')!;
  const whose = await browser.get('/whose').set('Cookie', `${own}; ${sid}`);
  expect(whose.body).toEqual({ code: referral.code });
  expect(whose.headers['set-cookie']).toEqual(['referral=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax']);
  const bought = await browser.post('/buy').set('Cookie', sid);
  console.log(bought.body);
  expect(await host.dataSource.getRepository(ReferralResponse).find()).toHaveLength(2);
  expect(await referral.responseCount()).toBe(1);
  console.log(await referral.filteredResponses());
});
