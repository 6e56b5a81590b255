import { randomInt } from 'node:crypto';
import fc from 'fast-check';
import { quotientInCents } from '../lib/rewards/commissions/quotient';
import { type EarningsHost, fresh, refer, startEarnings } from './support/earnings';
import { closeAll } from './support/host';

afterAll(closeAll);

let host: EarningsHost;
beforeAll(async () => {
  host = await startEarnings();
});

/** `CASES=200000 SEED=… npx jest test/refund-shares` for more, or the same again. */
const cases = Number(process.env['CASES'] ?? 3000);
const seed = Number(process.env['SEED'] ?? randomInt(2 ** 31));

/** Of a purchase of `paid`, which earned `earned`, so much was refunded: all in 1/10,000, and earned in whole cents. */
interface Refunded {
  paid: bigint;
  earned: bigint;
  back: bigint;
}

const decimal = (units: bigint): string => `${units / 10_000n}.${String(units % 10_000n).padStart(4, '0')}`;

/** What the refund takes back, rounded half up to whole cents. */
const taken = ({ paid, earned, back }: Refunded): bigint => ((2n * earned * back + 100n * paid) / (200n * paid)) * 100n;

/** `x` with `a x` = 1 modulo `m`, or null if there is none. */
function inverse(a: bigint, m: bigint): bigint | null {
  let [r, s, x, y] = [a % m, m, 1n, 0n];
  while (s !== 0n) [r, s, x, y] = [s, r % s, y, x - (r / s) * y];
  return r === 1n ? ((x % m) + m) % m : null;
}

const paid = fc.bigInt({ min: 1n, max: 10n ** 16n - 1n });
const share = fc.bigInt({ min: 1n, max: 10_000n });
const any = fc.record({ paid, rate: share, back: share }).map(({ paid, rate, back }): Refunded => {
  const earned = (((paid * rate) / 10_000n + 50n) / 100n) * 100n;
  return { paid, earned, back: (paid * back) / 10_000n };
});
/** The share is just below half a cent, or just above: nothing else tells an exact quotient from a rounded one. */
const close = fc.record({ paid, rate: share, isAbove: fc.boolean() }).map(({ paid: any, rate, isAbove }): Refunded => {
  const paid = any | 1n;
  const cents = ((paid * rate) / 10_000n + 50n) / 100n;
  const factor = inverse(cents, paid);
  const half = (paid + (isAbove ? 1n : -1n)) / 2n;
  return { paid, earned: cents * 100n, back: factor === null ? paid : (half * factor) % paid };
});

test('the smallest share that was rounded twice', async () => {
  const [referrer, buyer] = [fresh('referrer'), fresh('buyer')];
  await refer(host, referrer, buyer, { commissionRatio: '0.1583' });
  const { commission } = await host.referrals.recordPurchase(buyer, { amount: '1040603.7545', reference: 'inv' });
  expect(commission!.earned).toBe('164727.57');
  const refund = { purchase: 'inv', reference: 're', amount: '926878.3251' };
  // The share is 146724.8349999999995…, which is below the half cent.
  const { commission: lowered } = await host.referrals.recordRefund(buyer, refund);
  expect(lowered!.amount).toBe('18002.74');
  expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
});

test(`${cases} shares, rounded once (SEED=${seed})`, async () => {
  const sampled = fc.sample(fc.oneof(any, close), { seed, numRuns: cases });
  const column = (name: keyof Refunded): string[] => sampled.map((one) => decimal(one[name]));
  const rows = await host.dataSource.query<{ taken: string }[]>(
    `SELECT ${quotientInCents('earned * back', 'paid', 2)}::text AS taken
     FROM unnest($1::numeric[], $2::numeric[], $3::numeric[]) WITH ORDINALITY AS given (paid, earned, back, n) ORDER BY n`,
    [column('paid'), column('earned'), column('back')],
  );
  expect(rows.map((row) => row.taken)).toEqual(sampled.map((one) => decimal(taken(one)).slice(0, -2)));
});

test(`refunds in parts take back what they would at once, and verify agrees (SEED=${seed})`, async () => {
  const sampled = fc.sample(close, { seed, numRuns: 25 });
  for (const one of sampled) {
    const [referrer, buyer] = [fresh('referrer'), fresh('buyer')];
    await refer(host, referrer, buyer, { commissionRatio: '1', commissionMaxPerReferee: decimal(one.earned || 100n) });
    const { commission } = await host.referrals.recordPurchase(buyer, { amount: decimal(one.paid), reference: 'inv' });
    if (!commission) continue; // a purchase of less than half a cent
    const earned = BigInt(commission.earned.replace('.', '')) * 100n;
    const parts = [one.back / 3n, one.back - one.back / 3n].filter((part) => part > 0n);
    let back = 0n;
    for (const part of parts) {
      back += part;
      const refund = { purchase: 'inv', reference: String(back), amount: decimal(part) };
      const { commission: lowered } = await host.referrals.recordRefund(buyer, refund);
      const left = earned - taken({ paid: one.paid, earned, back });
      expect([one, lowered!.amount]).toEqual([one, decimal(left).slice(0, -2)]);
    }
  }
  expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
});
