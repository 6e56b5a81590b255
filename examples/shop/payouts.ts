import type { Payout as PayOut } from 'express-referrals';
import type { DataSource } from 'typeorm';
import { centsOf } from './cents';
import { Payout } from './entities';

/**
 * Sends the money of an earn-out; in this demo, it inserts a row. After a crash it is called again for the same
 * earn-out, with the same idempotency key. A payment provider takes the key as a header, and returns the first result
 * again.
 */
export function payouts({ manager }: DataSource): PayOut {
  return async ({ idempotencyKey, userId, payoutEmail, amount }) => {
    if (payoutEmail === null) throw new Error('There is no address to pay to.');
    const payout = { idempotencyKey, userId, email: payoutEmail, amountCents: centsOf(amount) };
    await manager.createQueryBuilder().insert().into(Payout).values(payout).orIgnore().execute();
  };
}
