import type { Referrals } from 'express-referrals';

/** Proves that what is stored adds up; it takes a while. */
export async function verified(referrals: Referrals): Promise<void> {
  const start = performance.now();
  const { ok, checked, problems } = await referrals.verify();
  const took = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`  verify(): ok ${ok}, ${checked} rows in ${took} s`, problems.slice(0, 3));
}
