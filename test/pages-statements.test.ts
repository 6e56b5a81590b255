import { couponOf } from './support/earnings';
import { closeAll } from './support/host';
import { type RewardsHost, startRewards } from './support/rewards';

afterAll(closeAll);

let host: RewardsHost;
beforeAll(async () => {
  host = await startRewards({ commission: { ratio: '0.25' } }, (app) =>
    app.use('/referrals', (req, res, next) => host.referrals.pages(req, res, next)),
  );
});

test('each page of a user is at most five statements', async () => {
  const { referrals, dataSource, program } = host;
  await referrals.referralCodes.create({ code: 'BERT', label: 'b', user: 'bert', program });
  await couponOf(host, 'bert');
  for (const friend of ['fred', 'gina']) {
    await referrals.signups.create({ user: friend, code: 'BERT' });
    await referrals.recordUsage(friend, { amount: 60, reference: `usage of ${friend}` });
    await referrals.recordPurchase(friend, { amount: 100, reference: `order of ${friend}` });
  }
  const browser = host.browser();
  await browser.post('/login/bert');
  await browser.get('/referrals').expect(200); // links the visitor, and makes the account
  const paths = new Set(['/referrals', '/referrals/embed']);
  const read: Record<string, number> = {};
  const { logger } = dataSource;
  const logQuery = logger.logQuery.bind(logger);
  let count = 0;
  logger.logQuery = () => void count++;
  for (const path of paths) {
    count = 0;
    const { text } = await browser.get(path).expect(200);
    read[path] = count;
    // Pages, not files.
    for (const [, href] of text.matchAll(/href="(\/referrals[^"#.]*)"/g)) paths.add(href!.replaceAll('&amp;', '&'));
  }
  logger.logQuery = logQuery;
  expect(Object.keys(read)).toEqual(
    expect.arrayContaining(
      ['', '/links', '/coupons', '/friends', '/credits', '/commissions', '/payouts', '/settings', '/embed'].map(
        (page) => expect.stringMatching(`^/referrals${page}/?$`) as string,
      ),
    ),
  );
  expect(Object.entries(read).filter(([, statements]) => statements > 5)).toEqual([]);
});
