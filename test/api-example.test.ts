import path from 'node:path';
import express from 'express';
import { referralApi } from '../examples/api/client';
import { closeAll, listen } from './support/host';
import { buy, coupon, startApi } from './support/api';
import { codesIn, readMarkdown } from './support/markdown';

afterAll(closeAll);

test('the client does what it says', async () => {
  // The port first: the addresses of pages carry it.
  const { url, server } = await listen(express());
  const host = await startApi({
    baseUrl: url,
    commission: { ratio: '0.25', pendingDays: 0 },
    earnOuts: { payout: () => undefined },
  });
  server.removeAllListeners('request').on('request', host.app);
  const as = (user: string) => referralApi(`${url}/api/v2/referral/`, { authorization: user });
  const [anna, carl] = [as('anna'), as('carl')];
  await expect(referralApi(`${url}/api/v2/referral/`).config()).rejects.toMatchObject({
    status: 401,
    message: 'Sign in, or send credentials.',
  });

  await coupon(host, 'anna');
  expect(await carl.applyCoupon('of-anna')).toMatchObject({ code: 'OF-anna' });
  await carl.removeCoupon();
  await expect(carl.applyCoupon('nothing')).rejects.toMatchObject({ status: 400, body: { code: 'not_found' } });
  expect(await carl.applyCoupon('of-anna')).toMatchObject({ code: 'OF-anna' });
  for (let order = 1; order <= 101; order++) await buy(host, 'carl', '10.00', `order-${order}`);

  const credits = [];
  for await (const credit of anna.credits('available')) credits.push(credit.amount);
  expect(credits).toHaveLength(101);
  expect(await anna.config()).toMatchObject({ mode: 'credits', credits_earned: credits.reduce((a, b) => a + b) });
  await expect(anna.payOutTo('nowhere')).rejects.toMatchObject({
    status: 400,
    body: { paypal_payout_email: [{ code: 'invalid' }] },
  });
  expect(await anna.payOutTo('anna@shop.example')).toMatchObject({ mode: 'payout' });
});

test('the guide lists every endpoint', async () => {
  const { get } = await startApi();
  const { paths } = (await get('/openapi.json', 'anybody')) as { paths: Record<string, object> };
  const described = Object.entries(paths).flatMap(([address, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${address.slice(1)}`),
  );
  const { tables } = readMarkdown(path.join(__dirname, '..', 'examples', 'api', 'README.md'));
  const [, ...rows] = tables.find(([header]) => header![0] === 'endpoint')!;
  expect(rows.map(([endpoint]) => codesIn(endpoint!)[0]).sort()).toEqual(described.sort());
});
