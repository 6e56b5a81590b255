import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Referral } from '../lib';
import { couponOf, refer } from './support/earnings';
import { closeAll, openDataSource, startHost, StatementLog, TestClock } from './support/host';
import { launch } from './support/rewards';

afterAll(closeAll);

const file = path.join(__dirname, 'statements.json');

/** A statement without comments and white space. */
const stripped = (text: string, schema: string): string =>
  text
    .replace(/--[^\n]*/g, ' ')
    .replaceAll(`"${schema}".`, '')
    .replace(/\s+/g, ' ')
    .replace(/\( /g, '(')
    .replace(/ \)/g, ')')
    // verify() reads the ids as JSON.
    .replace('SELECT to_json(id)::text AS id, expected::text', 'SELECT id, expected::text')
    .trim();

/** Not the sum of the rows that verify() checks: its tables are in the order of the invariants. */
const isCompared = (digest: string): boolean => !digest.includes(' SELECT (SELECT count(*) FROM ');

test('the statements are those that they were', async () => {
  const log = new StatementLog();
  const dataSource = await openDataSource({ logger: log, logging: true });
  const clock = new TestClock();
  const host = await startHost({
    dataSource,
    clock: clock.read,
    commission: { ratio: '0.25' },
    earnOuts: { payout: () => undefined },
  });
  const { referrals } = host;
  log.statements = [];
  const program = await launch(referrals);
  const { code } = await Referral.create({ user: 'anna', redirectTo: '/', program });
  const browser = host.browser();
  const agent = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';
  await browser.get(`/r/${code}`).set('User-Agent', agent).expect(302);
  await browser.post('/login/carl').expect(204);
  await browser.get('/whose').expect(200);
  await Referral.recordSignup(null, 'carl', { code });
  await Referral.recordSignup(null, 'dora', { code: 'nobody' });
  await referrals.explainSignup('dora');
  await referrals.recordUsage('carl', { amount: '60', reference: 'used' });
  await referrals.credits.balance('carl');
  await referrals.credits.spend('carl', { amount: '3', reference: 'spent' });
  await referrals.credits.refund({ reference: 'spent' });
  await referrals.credits.hold('carl', { amount: '5', reference: 'held' });
  await referrals.credits.capture({ reference: 'held', amount: '1' });
  const coupon = await couponOf(host, 'eve', { code: 'TENOFF' });
  await referrals.coupons.apply('carl', coupon.code);
  await referrals.coupons.of('carl');
  await referrals.quote('carl', '100');
  await referrals.recordPurchase('carl', { amount: '100', reference: 'order' });
  await referrals.recordRefund('carl', { purchase: 'order', reference: 'back', amount: '10' });
  await refer(host, 'fred', 'gina');
  const account = await referrals.accounts.of('fred');
  await referrals.accounts.update(account, { mode: 'payout', payoutEmail: 'fred@shop.example' });
  await referrals.recordPurchase('gina', { amount: '100', reference: 'order' });
  await referrals.recordPurchase('hugo', { amount: '100', reference: 'order' });
  clock.advanceDays(60);
  await referrals.accounts.totals('fred');
  await referrals.runEarnOuts();
  await Referral.responsesForReferrer('anna');
  await referrals.channels.search();
  await referrals.verify();
  const { schema } = dataSource.options as { schema: string };
  const digests = [...new Set(log.statements.map((text) => stripped(text, schema)))]
    .map((text) => `${createHash('sha256').update(text).digest('hex').slice(0, 16)} ${text.slice(0, 60)}`)
    .sort();
  if (process.env['WRITE_STATEMENTS'] || !existsSync(file))
    writeFileSync(file, JSON.stringify(digests, null, 1) + '\n');
  const kept = JSON.parse(readFileSync(file, 'utf8')) as string[];
  expect(digests.filter(isCompared)).toEqual(kept.filter(isCompared));
});
