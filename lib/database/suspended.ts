import type { Database } from './database';

/**
 * SQL: whether the account of a user is suspended, or banned, in the snapshot of the statement; false for a user without
 * an account. A value instead of EXISTS, which PostgreSQL may turn into a scan of all accounts.
 *
 * @param user not the bare name of a column, which could be one of the accounts.
 */
export function isSuspended({ accounts }: Database['tables'], user: string): string {
  return `((SELECT owner.suspended_at FROM ${accounts} owner WHERE owner.user_id = ${user}) IS NOT NULL)`;
}

/**
 * SQL: whether a review holds the account of a user, in the snapshot of the statement; false for a user without an account.
 *
 * @param user as for {@link isSuspended}.
 */
export function isUnderReview({ accounts }: Database['tables'], user: string): string {
  return `coalesce((SELECT owner.held_for <> '{}' FROM ${accounts} owner WHERE owner.user_id = ${user}), false)`;
}
