import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/** A payment, as the bank reports it. */
export interface BankPayment {
  id: string;
  /** The key under which it was requested. */
  key: string;
  cents: number;
  /** `'paid'`, `'pending'`, `'refused'`, or what the bank adds some day. */
  status: string;
  reason?: string;
}

/** What the bank sends to the shop's webhook. */
export interface BankReport {
  /** A payment as JSON. */
  body: string;
  signature: string;
}

/**
 * A bank for the demo, in place of a payment provider's API. Like a real one, it pays once for each key, and decides
 * some payments later. Unlike a real one, it lives in the memory of the shop's process. The address says what happens:
 *
 * - `refused@…`: the payment is refused.
 * - `later@…`: the payment is pending, until the bank reports that it is paid.
 * - `lost@…`: the payment is made, but the first response is lost.
 */
export class Bank {
  readonly #secret = randomBytes(32);
  readonly #payments = new Map<string, BankPayment>();
  /** The keys of payments that the shop has not been told the result of. */
  readonly #unreported = new Set<string>();

  /** Returns the payment of a key. The first request makes it, later ones return it. */
  async pay({ key, to, cents }: { key: string; to: string; cents: number }): Promise<BankPayment> {
    await new Promise(setImmediate); // a real bank is asked over the network
    const known = this.#payments.get(key);
    if (known && known.cents !== cents) throw new Error(`The key ${key} stands for another payment.`);
    if (known) return { ...known };
    const payment: BankPayment = { id: `bank-${key.slice(0, 8)}`, key, cents, status: 'paid' };
    const [name] = to.split('@');
    if (name === 'refused') Object.assign(payment, { status: 'refused', reason: 'The bank knows no such account.' });
    if (name === 'later') payment.status = 'pending';
    this.#payments.set(key, payment);
    if (payment.status === 'pending') this.#unreported.add(key);
    if (name === 'lost') throw new Error('The connection to the bank was lost.');
    return { ...payment };
  }

  /** Pays what is pending, and sends a report of each payment. If `send` fails, the report is sent again next time. */
  async report(send: (report: BankReport) => Promise<void>): Promise<void> {
    for (const key of this.#unreported) {
      const payment = this.#payments.get(key)!;
      payment.status = 'paid';
      const body = JSON.stringify(payment);
      try {
        await send({ body, signature: this.#sign(body) });
        this.#unreported.delete(key);
      } catch (error) {
        console.error(error);
      }
    }
  }

  /** Returns the payment of a report, or null if the report is not from this bank. */
  verify({ body, signature }: BankReport): BankPayment | null {
    const [expected, given] = [Buffer.from(this.#sign(body)), Buffer.from(signature)];
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return null;
    return JSON.parse(body) as BankPayment;
  }

  #sign(body: string): string {
    return createHmac('sha256', this.#secret).update(body).digest('hex');
  }
}
