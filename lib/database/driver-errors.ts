import { isNativeError } from 'node:util/types';
import { databaseUnavailable, ReferralError, referralError } from '../errors';

/**
 * Translates an error of the driver: to `MIGRATIONS_NOT_RUN` if a table or column is missing, and, with the scope
 * `connection`, to `DATABASE_UNAVAILABLE` if the database is unavailable. Returns every other error unchanged.
 *
 * @param scope `connection` if the error ended a statement outside of the host's transaction.
 */
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

/** The name of the constraint that a statement violated, or null. */
export function violatedConstraint(error: unknown): string | null {
  return (error as { constraint?: string } | null)?.constraint ?? null;
}

/**
 * Whether PostgreSQL refused a statement because of its data. False if the database is unavailable, or if a retry can
 * succeed.
 */
export function isRefusal(error: unknown): boolean {
  const sqlState = error instanceof ReferralError ? null : sqlStateOf(error);
  return sqlState !== null && !/^(08|25|40|53|55|57|58)/.test(sqlState);
}

/**
 * Whether PostgreSQL ended a statement for a deadlock or, under `REPEATABLE READ` and above, for a serialization
 * failure.
 */
export function isConflict(error: unknown): boolean {
  return ['40P01', '40001'].includes(sqlStateOf(error) ?? '');
}

/** Whether a statement exceeded `lock_timeout`. */
export function isLockTimeout(error: unknown): boolean {
  return sqlStateOf(error) === '55P03';
}

/** The SQLSTATE of an error, or null. A system error may have five letters too (EPIPE), but no digit. */
function sqlStateOf(error: unknown): string | null {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' && /^(?=.*\d)[0-9A-Z]{5}$/.test(code) ? code : null;
}

/** The messages of `pg` and its pool for a lost or missing connection. These errors have no code. */
const connectionTrouble =
  /^(Connection terminated|timeout exceeded|Client has encountered|Client was closed|Cannot use a pool|Query read timeout)/i;
