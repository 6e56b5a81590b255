import type { Payout as PayOut } from 'express-referrals';
import type { DataSource } from 'typeorm';
import { centsOf } from './cents';
import { Payout } from './entities';

/**
 * Sends an earn-out's money: here, a row of the shop's own. It may be asked twice for the same, after a crash, and so
 * passes the key on; a provider of payments takes it as a header, and answers the same the second time.
 */
export function payouts({ manager }: DataSource): PayOut {
  return async ({ idempotencyKey, userId, payoutEmail, amount }) => {
    if (payoutEmail === null) throw new Error('There is no address to pay to.');
    const payout = { idempotencyKey, userId, email: payoutEmail, amountCents: centsOf(amount) };
    await manager.createQueryBuilder().insert().into(Payout).values(payout).orIgnore().execute();
  };
}
