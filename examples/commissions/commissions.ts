import type { ReferralChannel, ReferralEarnOut, Referrals, ReferralsOptions } from 'express-referrals';
import type { EntityManager } from 'typeorm';

interface User {
  id: number;
}

/** A payment provider that pays once for each idempotency key. */
export interface Provider {
  pay(payment: { to: string; amount: string; key: string }): Promise<void>;
}

/** Returns options: `createReferrals({ …, ...earnings(paypal) })`. */
export function earnings(provider: Provider): Pick<ReferralsOptions, 'commission' | 'earnOuts'> {
  return {
    commission: { ratio: '0.25', maxPerReferee: '100', pendingDays: 30 }, // a quarter of what referees pay
    earnOuts: {
      every: { days: 7 },
      minimum: '10',
      // The key is the same for each retry, also after a crash. Throw only if the money was certainly not sent.
      payout: ({ payoutEmail, amount, idempotencyKey }: ReferralEarnOut) =>
        provider.pay({ to: payoutEmail!, amount, key: idempotencyKey }),
    },
  };
}

/**
 * For your staff: creates a coupon that earns its owner 30% of what buyers pay in their first year, and 10% after it.
 */
export function sponsor({ channels }: Referrals, owner: User): Promise<ReferralChannel> {
  return channels.create({
    user: owner,
    code: 'SUMMER20',
    description: '20% off the first purchase',
    promoType: 'percent_off',
    promoValue: '0.20',
    isRecurring: false,
    endDate: null,
    initialRate: '0.30',
    ongoingRate: '0.10',
    initialRatePeriodDays: 365,
    maxEarningsPerReferred: '100',
  });
}

/**
 * Runs the checkout in the transaction of the order: the coupon lowers the price, and the purchase earns a commission.
 */
export async function buy(
  referrals: Referrals,
  buyer: User,
  order: { reference: string; price: string },
  manager: EntityManager,
): Promise<string> {
  const { total, code } = await referrals.quote(buyer, order.price, { manager }); // code: 'SUMMER20', or null
  // Your own table. To retry an order, read the total from here, because a redeemed coupon is not quoted again.
  const sql = 'INSERT INTO orders (reference, total, coupon) VALUES ($1, $2, $3)';
  await manager.query(sql, [order.reference, total, code]);
  await referrals.recordPurchase(buyer, { amount: total, reference: order.reference, manager });
  return total;
}

/** Gives the customer money back, and lowers the commission of the referrer in proportion. */
export async function refund(
  referrals: Referrals,
  buyer: User,
  back: { order: string; reference: string; amount?: string },
): Promise<string | null> {
  const { order: purchase, reference, amount } = back; // without an amount: all that is left
  const { commission } = await referrals.recordRefund(buyer, { purchase, reference, amount });
  return commission && commission.amount;
}

/** Pays each account that is due. Call it from cron every hour, in any number of processes. */
export async function payEarnings(referrals: Referrals): Promise<void> {
  const { completed, failed, amount } = await referrals.runEarnOuts({
    onProgress: (progress) => console.log(progress),
  });
  console.log(`${completed} earn-outs, ${amount} in total; ${failed} failed and are tried again in the next run`);
}
