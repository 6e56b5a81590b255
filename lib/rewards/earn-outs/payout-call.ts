import type { ReferralEarnOut } from '../../entities/referral-earn-out';
import { lengths } from '../../limits';
import type { Payout } from '../../options';
import { quoted, show } from '../../shown';
import { PayoutRefused } from './payout-errors';

/** What a call of the option `earnOuts.payout` says about the payment. */
export type PayoutOutcome =
  | { status: 'completed'; reference: string | null }
  | { status: 'submitted'; reference: string }
  | { status: 'failed'; reason: string }
  | { status: 'unclear'; result: string; cause?: unknown };

/** Calls the option `earnOuts.payout`, and waits for it for a limited time. Never throws. */
export async function callPayout(payout: Payout, earnOut: ReferralEarnOut, timeoutMs: number): Promise<PayoutOutcome> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<PayoutOutcome>((resolve) => {
    const result = `did not end within ${timeoutMs} ms`;
    timer = setTimeout(() => resolve({ status: 'unclear', result }), timeoutMs);
  });
  try {
    return await Promise.race([outcomeOf(payout, earnOut), late]);
  } finally {
    clearTimeout(timer);
  }
}

async function outcomeOf(payout: Payout, earnOut: ReferralEarnOut): Promise<PayoutOutcome> {
  let result: unknown;
  try {
    result = await payout(earnOut);
  } catch (error) {
    if (error instanceof PayoutRefused) return { status: 'failed', reason: reasonOf(error.message) };
    return { status: 'unclear', result: `threw ${messageOf(error)}`, cause: error };
  }
  try {
    return meaningOf(result) ?? { status: 'unclear', result: `returned ${show(result)}, which has no meaning here` };
  } catch {
    return { status: 'unclear', result: 'returned an object that can’t be read' };
  }
}

/**
 * Returns what a result means; null for one that is not exactly as documented. A provider's own object, such as
 * `{ id, status: 'PENDING' }`, must not count as paid.
 */
function meaningOf(result: unknown): PayoutOutcome | null {
  if (result === undefined) return { status: 'completed', reference: null };
  if (typeof result !== 'object' || result === null || !isPlain(result)) return null;
  const { reference, status, ...rest } = result as Record<string, unknown>;
  if (!isReference(reference) || Object.keys(rest).length > 0) return null;
  if (!('status' in result)) return { status: 'completed', reference };
  return status === 'submitted' ? { status, reference } : null;
}

/** A class of the provider's client may have values that are no own properties. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function isReference(value: unknown): value is string {
  return (
    typeof value === 'string' && value.length > 0 && value.length <= lengths.reference && value === storable(value)
  );
}

/** Returns the reason for the referrer, as text that PostgreSQL can store. */
export function reasonOf(message: string): string {
  return storable(message.slice(0, lengths.description)) || 'without a reason';
}

/** Removes what PostgreSQL can't store. A cut can leave one half of a surrogate pair. */
function storable(text: string): string {
  return text.replace(/\0|\p{Surrogate}/gu, '');
}

function messageOf(error: unknown): string {
  try {
    const message: unknown = (error as { message?: unknown } | null | undefined)?.message;
    return typeof message === 'string' ? quoted(message) : show(error);
  } catch {
    return 'a value that can’t be read';
  }
}
