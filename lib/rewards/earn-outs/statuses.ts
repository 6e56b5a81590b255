/** SQL: whether the provider has paid an earn-out, also if its money came back. */
export function isPaidOut(earnOut: string): string {
  return `${earnOut}.status IN ('completed', 'returned')`;
}

/** SQL: whether an earn-out was not paid, or its money came back. */
export function isUnpaid(earnOut: string): string {
  return `${earnOut}.status IN ('failed', 'returned')`;
}

/**
 * SQL: whether an earn-out that is found by its key is in progress. A negation, because `status = 'processing'` could
 * lead PostgreSQL to an index of all earn-outs in progress, which is slow while many of them are.
 */
export function isInProgress(earnOut: string): string {
  return `${earnOut}.status NOT IN ('completed', 'failed', 'returned')`;
}

/** SQL: the columns of a claim and of the wait for an approval, as they are without them. */
export const unclaimed = 'claimed_by = NULL, claimed_until = NULL, awaits_approval = false';

/** SQL: whether a claim holds the earn-out `e`; true for null, if the caller needs none. */
export function isClaimedBy(claim: string): string {
  return `(${claim}::varchar IS NULL OR e.claimed_by = ${claim})`;
}
