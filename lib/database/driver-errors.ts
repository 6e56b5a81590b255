import { isNativeError } from 'node:util/types';
import { databaseUnavailable, ReferralError, referralError } from '../errors';

/** Gives errors of the driver their meaning; every other error is passed on as it is. */
export function explained(error: unknown, scope: 'statement' | 'connection' = 'statement'): unknown {
  if (error instanceof ReferralError || !isNativeError(error)) return error;
  const { code } = error as { code?: unknown };
  const sqlState = sqlStateOf(error);
  if (sqlState === '42P01' || sqlState === '42703' || sqlState === '3F000')
    return Object.assign(referralError('MIGRATIONS_NOT_RUN', error.message), { cause: error });
  const isAway = sqlState
    ? /^(08|53|57|58)/.test(sqlState)
    : error.name === 'AggregateError' || /^E[A-Z_]+$/.test(String(code)) || connectionTrouble.test(error.message);
  return scope === 'connection' && isAway ? databaseUnavailable(error.message, error) : error;
}

/** The name of the constraint that a statement would have violated, or null. */
export function violatedConstraint(error: unknown): string | null {
  return (error as { constraint?: string } | null)?.constraint ?? null;
}

/** Whether PostgreSQL refused what a statement would have written, as against being away or asking to try again. */
export function isRefusal(error: unknown): boolean {
  const sqlState = error instanceof ReferralError ? null : sqlStateOf(error);
  return sqlState !== null && !/^(08|25|40|53|55|57|58)/.test(sqlState);
}

/**
 * Whether PostgreSQL ended a statement because it and others waited for each other in a circle, or, where the server's default is a
 * stricter isolation, because another was first.
 */
export function isConflict(error: unknown): boolean {
  return ['40P01', '40001'].includes(sqlStateOf(error) ?? '');
}

/** Whether a statement gave up to wait for a lock. */
export function isLockTimeout(error: unknown): boolean {
  return sqlStateOf(error) === '55P03';
}

/** PostgreSQL's code of an error; null for any other error. Codes of sockets may have five letters too (EPIPE), but no digit. */
function sqlStateOf(error: unknown): string | null {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' && /^(?=.*\d)[0-9A-Z]{5}$/.test(code) ? code : null;
}

/** How `pg` and its pool say that there is no connection, for want of a code. */
const connectionTrouble =
  /^(Connection terminated|timeout exceeded|Client has encountered|Client was closed|Cannot use a pool|Query read timeout)/i;
