import { createHash } from 'node:crypto';
import type { Settings } from '../../options';

/** The parameters that decide when an account is due, and for how much. */
export interface EarnOutTerms {
  /** The time of the injected clock, or of an earlier statement; null for that of the statement. */
  now: Date | null;
  /** The option `earnOuts.every` in milliseconds. */
  period: number;
  /** Whether the host has the option `earnOuts.payout`. */
  isPayoutOffered: boolean;
  /** The option `earnOuts.minimum`, for accounts without a minimum of their own. */
  minimum: string;
  /** The option `earnOuts.addressHoldDays` in milliseconds. */
  addressHold: number;
}

export const termNames = { now: true, period: true, isPayoutOffered: true, minimum: true, addressHold: true } as const;

export function termsOf(
  { everyMs, payout, minimum, addressHoldMs }: Settings['earnOuts'],
  now: Date | null,
): EarnOutTerms {
  return { now, period: everyMs, isPayoutOffered: payout !== null, minimum, addressHold: addressHoldMs };
}

/** A hash of the terms, without the time: an `integer` of PostgreSQL that is even and not 0. */
export function hashOf({ period, isPayoutOffered, minimum, addressHold }: EarnOutTerms): number {
  const text = JSON.stringify([period, isPayoutOffered, minimum, addressHold]);
  return createHash('sha256').update(text).digest().readInt32BE() & ~1 || 2;
}
