import type { Request, RequestHandler } from 'express';
import {
  type EarnOutReport,
  PayoutRefused,
  type ReferralChannel,
  type ReferralEarnOut,
  type Referrals,
  type ReferralsOptions,
} from 'express-referrals';
import { type EntityManager, In } from 'typeorm';

interface User {
  id: number;
}

/** A payment, as the provider reports it. */
export interface Payment {
  /** The provider's reference. */
  id: string;
  /** The key under which the payment was requested. */
  key: string;
  /** `'paid'`, `'pending'`, `'refused'`, `'returned'`, or what the provider adds some day. */
  status: string;
  /** Why it was refused or returned, for the user. */
  reason?: string;
}

/** A payment provider that pays once for each key, however often it is asked. */
export interface Provider {
  /** Returns the payment of a key. Throws if the result is not known: a time-out, a lost connection, a 409 or a 500. */
  pay(request: { key: string; amount: string; to: string; user: string }): Promise<Payment>;
  /** Returns the payment that a webhook reports. Throws if the signature is wrong. */
  verify(body: Buffer, signature: string): Payment;
}

/** Returns options: `createReferrals({ …, ...earnings(paypal) })`. */
export function earnings(provider: Provider): Pick<ReferralsOptions, 'commission' | 'earnOuts'> {
  return {
    commission: { ratio: '0.25', maxPerReferee: '100', pendingDays: 30 }, // a quarter of what referees pay
    earnOuts: {
      every: { days: 7 },
      minimum: '10',
      payout: async ({ idempotencyKey: key, amount, payoutEmail, userId }) => {
        // Errors of the provider pass: the result is not known then, and the same key is tried again later.
        const { id, status, reason } = await provider.pay({ key, amount, to: payoutEmail!, user: userId });
        if (status === 'paid') return { reference: id };
        if (status === 'pending') return { status: 'submitted', reference: id }; // the webhook tells the result
        // The user surely does not have the money, and will not get it under this key.
        if (status === 'refused' || status === 'returned') throw new PayoutRefused(reason ?? `It was ${status}.`);
        throw new Error(`The payment ${id} has the unknown status ${status}.`);
      },
    },
  };
}

const statuses = new Map<string, EarnOutReport['status']>([
  ['paid', 'completed'],
  ['refused', 'failed'],
  ['returned', 'returned'],
]);

/**
 * The webhook of the provider. Mount it before other parsers of bodies, because the signature is that of the raw body:
 * `app.post('/payments', express.raw({ type: 'application/json' }), paymentReports(referrals, provider))`.
 */
export function paymentReports({ earnOuts }: Referrals, provider: Provider): RequestHandler {
  return async (req, res) => {
    const { key, id, ...payment } = provider.verify(req.body as Buffer, req.get('Signature') ?? '');
    const status = statuses.get(payment.status);
    // Safe to repeat. An error becomes a response of status 400 or above, after which the provider reports it again.
    if (status) await earnOuts.settle({ key, reference: id, status, reason: payment.reason });
    res.sendStatus(204);
  };
}

/**
 * For your staff: payouts that nothing happens to until somebody acts. For one in progress, look up the key at the
 * provider and call `settle`, or `retry` to ask once more. For a refused one, change the address, or call `retry`.
 */
export function payoutsForStaff({ earnOuts }: Referrals): Promise<ReferralEarnOut[]> {
  const waiting = { mode: 'payout', nextAttemptAt: null } as const;
  return earnOuts.search({
    where: [
      { ...waiting, status: 'processing', submittedAt: null, awaitsApproval: false },
      { ...waiting, status: In(['failed', 'returned']) },
    ],
  });
}

/** For your staff: payouts that wait for `approve`, with the option `earnOuts.approve`. */
export function payoutsToApprove({ earnOuts }: Referrals): Promise<ReferralEarnOut[]> {
  return earnOuts.search({ where: { awaitsApproval: true } });
}

/** For your staff: holds what looks wrong, so that nothing of it is paid until somebody has looked at it. */
export function suspect({ commissions }: Referrals, ids: number[], by: User, reason: string): Promise<unknown> {
  return commissions.hold(ids, { by: by.id, reason });
}

/** For your staff: what they found. What is rejected is taken back for good, also if it was paid. */
export async function decide(
  { commissions }: Referrals,
  ids: number[],
  { isFraud, by, reason }: { isFraud: boolean; by: User; reason: string },
): Promise<void> {
  if (isFraud) await commissions.reject(ids, { by: by.id, reason });
  else await commissions.release(ids, { by: by.id, reason });
}

/** For the provider's webhook: a dispute that you have won puts back what its refund took. */
export async function disputeWon(referrals: Referrals, buyer: User, dispute: { refund: string }): Promise<void> {
  await referrals.undoRefund(buyer, { reference: dispute.refund, reason: 'The dispute was won.' });
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

/** For your staff: a better deal for one partner, in the place of what everybody else earns. */
export async function giveDeal({ accounts }: Referrals, partner: User): Promise<void> {
  await accounts.update(await accounts.of(partner), {
    commission: {
      ...{ ratio: '0.40', months: 12 }, // of what referees pay in their first year
      ...{ signup: '5.00', qualify: true }, // for each sign-up, once trialEnded is called for it
      maxPerReferrer: { amount: '1000', period: 'month' },
    },
  });
}

/** The user stays after the trial: whoever has referred them earns what the terms say of a sign-up. Safe to repeat. */
export async function trialEnded(referrals: Referrals, user: User, trial: string): Promise<string | null> {
  const { commission } = await referrals.qualify(user, { reference: trial });
  return commission && commission.earned;
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

/** The metadata of a checkout at your payment provider: who it is for, and the visitor, if nobody is known yet. */
export function checkoutMetadata(referrals: Referrals, req: Request, buyer: User): Record<string, string> {
  const visitorId = referrals.visitorId(req);
  return { buyer: String(buyer.id), ...(visitorId !== null && { visitorId }) };
}

/** For the provider's webhook, which may come before the buyer's first page after sign-in. Providers repeat it. */
export async function paid(
  referrals: Referrals,
  payment: { id: string; amount: string; metadata: Record<string, string> },
): Promise<void> {
  const { id: reference, amount, metadata } = payment;
  await referrals.recordPurchase(metadata['buyer']!, { amount, reference, visitorId: metadata['visitorId'] });
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

/** Pays each account that is due. Call it from cron every few minutes, in any number of processes. */
export async function payEarnings(referrals: Referrals): Promise<void> {
  const { completed, failed, amount } = await referrals.runEarnOuts({
    onProgress: (progress) => console.log(progress),
  });
  console.log(`${completed} earn-outs completed, ${amount} in total; ${failed} refused`);
}
