import { browserOf } from './support/browser';
import { closeAll } from './support/host';
import { type RewardsHost, startRewards } from './support/rewards';

afterAll(closeAll);

let host: RewardsHost;
beforeAll(async () => {
  host = await startRewards({}, (app) =>
    app.use('/referrals', (req, res, next) => host.referrals.pages(req, res, next)),
  );
});

test('without a user', async () => {
  const response = await browserOf(host.app).get('/referrals').expect(401);
  expect(response.text).toContain('Sign in');
});

test('a user', async () => {
  const browser = host.browser();
  await browser.post('/login/anna');
  await browser.get('/referrals').expect(200);
});
