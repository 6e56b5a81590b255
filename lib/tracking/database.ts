import { isNativeError } from 'node:util/types';
import type { DataSource, EntityManager, EntityMetadata, QueryRunner } from 'typeorm';
import { Referral } from '../entities/referral';
import { ReferralDailyCount } from '../entities/referral-daily-count';
import { ReferralResponse } from '../entities/referral-response';
import { databaseUnavailable, ReferralError, referralError } from '../errors';
import type { Settings } from '../options';
import { type Instance, registry } from '../registry';

/**
 * Runs our SQL: in the host's transaction where a manager is given, else on a connection of its own with a time limit,
 * so that a database that hangs costs a visitor that much and no more. A connection that hung is destroyed, so that the
 * host's pool recovers.
 */
export class Database {
  readonly dataSource: DataSource;
  /** Quoted, with the host's schema. */
  readonly tables: { referrals: string; responses: string; dailyCounts: string };
  /** SELECT lists that name each column by its property, for alias-free use behind a single table. */
  readonly columns: { referral: string; response: string };
  readonly #instance: Instance;
  readonly #timeoutMs: number;

  constructor({ dataSource, queryTimeoutMs }: Settings, instance: Instance) {
    this.dataSource = dataSource;
    this.#instance = instance;
    this.#timeoutMs = queryTimeoutMs;
    const table = (metadata: EntityMetadata): string =>
      metadata.tablePath
        .split('.')
        .map((part) => dataSource.driver.escape(part))
        .join('.');
    const columns = (metadata: EntityMetadata): string =>
      metadata.columns.map((column) => `${column.databaseName} AS "${column.propertyName}"`).join(', ');
    const referral = dataSource.getMetadata(Referral);
    const response = dataSource.getMetadata(ReferralResponse);
    this.tables = {
      referrals: table(referral),
      responses: table(response),
      dailyCounts: table(dataSource.getMetadata(ReferralDailyCount)),
    };
    this.columns = { referral: columns(referral), response: columns(response) };
  }

  /** A row of our own SQL as an entity of this instance. */
  referral(row: object): Referral {
    const referral = Object.assign(new Referral(), row);
    return registry.own(Object.assign(referral, { id: Number(referral.id) }), this.#instance);
  }

  /** A row of our own SQL as an entity of this instance. */
  response(row: object): ReferralResponse {
    const response = Object.assign(new ReferralResponse(), row);
    const numbers = { id: Number(response.id), referralId: Number(response.referralId) };
    return registry.own(Object.assign(response, numbers), this.#instance);
  }

  /** Rows of one statement. */
  async query<Row>(sql: string, parameters: unknown[], manager?: EntityManager): Promise<Row[]> {
    if (!manager) return this.#limited((runner) => runner.query(sql, parameters) as Promise<Row[]>);
    try {
      return await manager.query(sql, parameters);
    } catch (error) {
      throw explained(error);
    }
  }

  /** Work through TypeORM, on the given manager or within the time limit. */
  use<T>(work: (manager: EntityManager) => Promise<T>, manager?: EntityManager): Promise<T> {
    return manager ? work(manager) : this.#limited((runner) => work(runner.manager));
  }

  /** Several statements as one transaction: part of the host's where a manager is given. */
  transaction<T>(work: (manager: EntityManager) => Promise<T>, manager?: EntityManager): Promise<T> {
    if (manager) return work(manager);
    return this.#limited((runner) => runner.manager.transaction(work));
  }

  async #limited<T>(work: (runner: QueryRunner) => Promise<T>): Promise<T> {
    const runner = this.dataSource.createQueryRunner();
    let timer: NodeJS.Timeout | undefined;
    let client: { end(): Promise<void> } | undefined;
    let late = false;
    const limit = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        late = true;
        reject(databaseUnavailable(`no answer within ${this.#timeoutMs} ms`));
        client?.end().catch(() => undefined);
      }, this.#timeoutMs);
    });
    const worked = (async () => {
      try {
        client = (await runner.connect()) as typeof client;
        if (late) throw databaseUnavailable('no connection in time');
        return await work(runner);
      } catch (error) {
        throw explained(error, 'connection');
      } finally {
        client = undefined;
        await runner.release();
      }
    })();
    worked.catch(() => undefined); // it may settle after the limit has
    try {
      return await Promise.race([worked, limit]);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Gives errors of the driver their meaning; every other error is passed on as it is. */
function explained(error: unknown, scope: 'statement' | 'connection' = 'statement'): unknown {
  if (error instanceof ReferralError || !isNativeError(error)) return error;
  const { code } = error as { code?: unknown };
  // Codes of sockets may have five letters too (EPIPE), but no digit.
  const sqlState = typeof code === 'string' && /^(?=.*\d)[0-9A-Z]{5}$/.test(code) ? code : null;
  if (sqlState === '42P01' || sqlState === '42703' || sqlState === '3F000')
    return Object.assign(referralError('MIGRATIONS_NOT_RUN', error.message), { cause: error });
  const away = sqlState ? /^(08|53|57|58)/.test(sqlState) : error.name !== 'TypeError' && error.name !== 'RangeError';
  return scope === 'connection' && away ? databaseUnavailable(error.message, error) : error;
}
