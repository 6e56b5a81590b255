import { detailedError, type ReferralError } from '../../errors';

/**
 * Thrown by the host's function `earnOuts.payout`: the provider has refused the payment, and surely neither has made it
 * nor will make it under this key. The earn-out becomes `failed`, and its amount is free again. Every other error means
 * that the result is not known.
 *
 * @example
 * if (answer.status === 'rejected') throw new PayoutRefused('The address does not accept payments.');
 */
export class PayoutRefused extends Error {
  override readonly name = 'PayoutRefused';

  /** @param reason Why, for the referrer; up to 500 characters are stored. */
  constructor(reason: string, options?: ErrorOptions) {
    super(reason, options);
  }
}

/** Creates the error of a payout without a clear result, with what the host's function threw as its cause. */
export function payoutUnclear(
  earnOut: { id: number; idempotencyKey: string; nextAttemptAt: Date | null },
  result: string,
  cause?: unknown,
): ReferralError {
  const { id, idempotencyKey, nextAttemptAt } = earnOut;
  return detailedError('PAYOUT_UNCLEAR', { cause }, id, idempotencyKey, result, nextAttemptAt);
}
