import { type Payout, PayoutRefused, type Referrals } from 'express-referrals';
import type { Bank, BankReport } from './bank';
import { centsOf } from './cents';
import { HttpError } from './http-error';

/**
 * Sends the money of an earn-out. What the bank throws is not caught: nobody knows then whether it has paid, and this
 * function is called again with the same key. The shop has no table of payouts, because the earn-out has all of it.
 */
export function payouts(bank: Bank): Payout {
  return async ({ idempotencyKey: key, payoutEmail, amount }) => {
    const { id, status, reason } = await bank.pay({ key, to: payoutEmail!, cents: centsOf(amount) });
    if (status === 'paid') return { reference: id };
    if (status === 'pending') return { status: 'submitted', reference: id }; // the bank reports the result later
    if (status === 'refused') throw new PayoutRefused(reason ?? 'The bank refused the payment.');
    throw new Error(`The payment ${id} has the unknown status ${status}.`);
  };
}

/** Stores what the bank reports about a payment. It may report the same more than once. */
export async function settle({ earnOuts }: Referrals, bank: Bank, report: BankReport): Promise<void> {
  const payment = bank.verify(report);
  if (!payment) throw new HttpError(403, 'This report is not from the bank.');
  const { key, id: reference, status, reason } = payment;
  if (status === 'paid') await earnOuts.settle({ key, reference, status: 'completed' });
  if (status === 'refused') await earnOuts.settle({ key, reference, status: 'failed', reason });
}
