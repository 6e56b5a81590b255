import { isNativeError } from 'node:util/types';
import { type CallOutcome, databaseUnavailable, ReferralError, referralError } from '../errors';

/** How far a piece of work has come. It tells what a lost connection means for the work. */
export type Stage =
  /** It waits for a connection: nothing was sent. */
  | 'connecting'
  /** It runs statements that PostgreSQL commits one by one. */
  | 'statements'
  /** It runs in a transaction, which PostgreSQL rolls back with the connection. */
  | 'transaction'
  /** `COMMIT` was sent. */
  | 'committing'
  /** PostgreSQL has committed it. What fails from now on is the host's: a subscriber or a logger. */
  | 'committed';

/**
 * What failed after a commit. Such an error may have a SQLSTATE or a constraint, of a statement of the host's. It must
 * not be taken for that of ours, which would be made again.
 */
const failedAfterCommit = new WeakSet<object>();

/**
 * Translates what a piece of work on a connection has thrown: to `MIGRATIONS_NOT_RUN` if a table or column is missing,
 * and to `DATABASE_UNAVAILABLE` if PostgreSQL could not be reached, ended the connection, or could not complete the
 * work. Returns every other error unchanged.
 *
 * @param isLost whether the connection was lost. TypeORM then releases the query runner, and throws errors of its own
 * where the work goes on.
 */
export function explained(error: unknown, stage: Stage, isLost: boolean): unknown {
  if (stage === 'committed' && typeof error === 'object' && error !== null) failedAfterCommit.add(error);
  if (error instanceof ReferralError || stage === 'committed') return error;
  if (stage === 'connecting') return databaseUnavailable(detailOf(error), 'none', error);
  if (!isNativeError(error)) return error;
  const sqlState = sqlStateOf(error);
  if (sqlState === '42P01' || sqlState === '42703' || sqlState === '3F000')
    return Object.assign(referralError('MIGRATIONS_NOT_RUN', error.message), { cause: error });
  const isAway = sqlState === null ? isOfDriver(error) && (isLost || isTrouble(error)) : isOutage(sqlState, error);
  return isAway ? databaseUnavailable(detailOf(error), outcomeOf(error, stage), error) : error;
}

function outcomeOf(error: Error, stage: Stage): CallOutcome {
  // After its option `query_timeout`, `pg` stops waiting, but does not cancel the statement: a host can still commit it.
  if (error.message.includes(readTimeout)) return 'unknown';
  return stage === 'transaction' || isReported(error) ? 'none' : 'unknown';
}

/**
 * Whether PostgreSQL has reported that it did not complete the statement, and keeps the connection: it was cancelled, or
 * memory or disk are full. Every other outage ends the connection, perhaps after a commit whose result was lost.
 */
function isReported(error: Error): boolean {
  return (error as { severity?: unknown }).severity === 'ERROR' && /^(53|57014)/.test(sqlStateOf(error) ?? '');
}

/**
 * Whether a SQLSTATE stands for an outage: of the connection, of resources, by an operator, or of the system. Time-outs
 * of transactions (25P03, 25P04) end the connection too, as every error does that is `FATAL`.
 */
function isOutage(sqlState: string, error: Error): boolean {
  return /^(08|53|57|58|25P0[34])/.test(sqlState) || (error as { severity?: unknown }).severity === 'FATAL';
}

/**
 * Whether an error is one of TypeORM's: of a statement, or of a query runner that was released. By name, because an
 * application may load TypeORM twice.
 */
function isOfDriver(error: Error): boolean {
  return 'driverError' in error || /^(QueryRunner\w*AlreadyReleased|TransactionNotStarted)Error$/.test(error.name);
}

function isTrouble(error: Error): boolean {
  return /^E[A-Z_]+$/.test(String((error as { code?: unknown }).code)) || connectionTrouble.test(error.message);
}

const readTimeout = 'Query read timeout';

/** The messages of `pg` for a lost connection. These errors have no code. */
const connectionTrouble = new RegExp(
  `^(Connection terminated|Client has encountered|Client was closed|${readTimeout})`,
  'i',
);

/** Returns the message of an error. If several addresses were tried, `node:net` gives none, but a code. */
function detailOf(error: unknown): string {
  const { message, code } = (error ?? {}) as { message?: unknown; code?: unknown };
  return String(message || code || error);
}

/** The name of the constraint that a statement violated, or null. */
export function violatedConstraint(error: unknown): string | null {
  if (isAfterCommit(error)) return null;
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

/**
 * Whether PostgreSQL has reported that it did not complete a statement, so that nothing of it is committed. It is safe to
 * make such a statement again.
 */
export function isRolledBack(error: unknown): boolean {
  return !(error instanceof ReferralError) && sqlStateOf(error) !== null;
}

function isAfterCommit(error: unknown): boolean {
  return typeof error === 'object' && error !== null && failedAfterCommit.has(error);
}

/** The SQLSTATE of an error, or null. A system error may have five letters too (EPIPE), but no digit. */
function sqlStateOf(error: unknown): string | null {
  if (isAfterCommit(error)) return null;
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' && /^(?=.*\d)[0-9A-Z]{5}$/.test(code) ? code : null;
}
