import { isNativeError } from 'node:util/types';
import { type CallOutcome, ReferralError, referralError } from '../errors';
import { databaseUnavailable } from './unavailable';

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
  if (stage === 'connecting') return databaseUnavailable(`no connection, ${reasonOf(error)}`, 'none', error);
  if (!isNativeError(error)) return error;
  const sqlState = sqlStateOf(error);
  if (sqlState === '42P01' || sqlState === '42703' || sqlState === '3F000')
    return Object.assign(referralError('MIGRATIONS_NOT_RUN', error.message), { cause: error });
  const isAway = sqlState === null ? isOfDriver(error) && (isLost || isTrouble(error)) : isOutage(sqlState, error);
  return isAway ? databaseUnavailable(reasonOf(error), outcomeOf(error, stage), error) : error;
}

function outcomeOf(error: Error, stage: Stage): CallOutcome {
  // After its option `query_timeout`, `pg` stops waiting, but does not cancel the statement: a host can still commit it.
  if (error.message.includes(readTimeout)) return 'unknown';
  return stage === 'transaction' || isReported(error) ? 'none' : 'unknown';
}

/**
 * Whether PostgreSQL has reported that it did not complete the statement, and keeps the connection: it was cancelled, not
 * allowed, or memory or disk are full. Every other outage ends the connection, perhaps after a commit whose result was lost.
 */
function isReported(error: Error): boolean {
  const sqlState = sqlStateOf(error) ?? '';
  const severity = severityOf(error);
  // In words that are not known, out of memory or disk can be the end of the connection. A cancelled statement is not.
  if (severity === null) return sqlState === '57014';
  return severity === 'ERROR' && /^(28|3D000|53|55000|57014)/.test(sqlState);
}

/**
 * The SQLSTATEs of an outage: of the connection (08), because the role or the database is refused (28, 3D000) or the
 * database takes no connections (55000), because resources are missing (53), by an operator (57), of the system (58), and
 * the time-outs of transactions that end the connection (25P03, 25P04). PostgreSQL also has 55000 for a statement that
 * an object does not allow in its state: no statement of ours meets that on tables as the migrations make them, so it
 * comes from what the host has added to them, and the error says so in its cause.
 */
const outages = /^(08|28|53|57|58|25P0[34])|^(3D000|55000)$/;

/** Whether a SQLSTATE stands for an outage. Every error that is `FATAL` or `PANIC` ends the connection. */
function isOutage(sqlState: string, error: Error): boolean {
  return outages.test(sqlState) || severityOf(error) === 'FATAL' || severityOf(error) === 'PANIC';
}

const severities = ['ERROR', 'FATAL', 'PANIC'] as const;

/**
 * How severe an error is; null if PostgreSQL said it in another language: its setting `lc_messages` translates the word,
 * and `pg` does not pass on the one that is not translated. Then only the SQLSTATE tells.
 */
function severityOf(error: Error): (typeof severities)[number] | null {
  const { severity } = error as { severity?: unknown };
  return severities.find((known) => known === severity) ?? null;
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

/**
 * Returns what a message may say of an error of the driver: its SQLSTATE or the code of the system. Its own text can name
 * hosts, ports, roles and the values of rows, so that is only in the error's `cause`.
 */
function reasonOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown };
  const sqlState = sqlStateOf(error);
  if (sqlState !== null) return `SQLSTATE ${sqlState}`;
  return typeof code === 'string' && /^E[A-Z_]{1,30}$/.test(code) ? code : 'the connection was lost or refused';
}

/** The name of the constraint that a statement violated, or null. */
export function violatedConstraint(error: unknown): string | null {
  if (isAfterCommit(error)) return null;
  return (error as { constraint?: string } | null)?.constraint ?? null;
}

/** Whether PostgreSQL refused a statement because a number does not fit its column. */
export function isOutOfRange(error: unknown): boolean {
  return !(error instanceof ReferralError) && sqlStateOf(error) === '22003';
}

/**
 * Whether PostgreSQL refused a statement because of its data. False if the database is unavailable, or if a retry can
 * succeed.
 */
export function isRefusal(error: unknown): boolean {
  const sqlState = error instanceof ReferralError ? null : sqlStateOf(error);
  return sqlState !== null && !outages.test(sqlState) && !/^(25|40|55)/.test(sqlState);
}

/**
 * Whether PostgreSQL ended a statement for a deadlock or, under `REPEATABLE READ` and above, for a serialization
 * failure.
 */
export function isConflict(error: unknown): boolean {
  return ['40P01', '40001'].includes(sqlStateOf(error) ?? '');
}

/**
 * Whether PostgreSQL could not prepare a statement, or run the prepared one: it is missing or there already on the
 * connection (26000, 42P05), or what it returns has other types than before (0A000, which unprepared statements have too).
 */
export function canNotPrepare(error: unknown): boolean {
  return ['26000', '42P05', '0A000'].includes(sqlStateOf(error) ?? '');
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
