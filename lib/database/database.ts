import { createHash } from 'node:crypto';
import {
  type DataSource,
  type EntityManager,
  QueryFailedError,
  type QueryRunner,
  QueryRunnerAlreadyReleasedError,
} from 'typeorm';
import { databaseUnavailable, invalid, referralError } from '../errors';
import { isManager } from '../input';
import type { Settings } from '../options';
import { registry } from '../registry';
import { explained } from './driver-errors';
import type { Query, Statement } from './named-parameters';
import { retryConflicts } from './retry';
import { entityOf } from './tables';
import { inTurn } from './turns';

/**
 * Runs our SQL: in the host's transaction where a manager is given, else on a connection of its own with a time limit,
 * so that a database that hangs costs a visitor that much and no more. A connection that hung is destroyed, so that the
 * host's pool recovers.
 */
export class Database {
  readonly dataSource: DataSource;
  readonly tables: Readonly<Record<keyof typeof entityOf, string>>;
  readonly #isPreparing: boolean;
  readonly #timeoutMs: number;
  readonly #underWay = new Set<Promise<unknown>>();
  /** The connections of our own transactions without a limit: only a loss releases one while it is in use. */
  readonly #ours = new WeakSet<QueryRunner>();
  #isClosed = false;

  constructor({ dataSource, preparedStatements }: Settings, timeoutMs: number) {
    this.dataSource = dataSource;
    this.#isPreparing = preparedStatements;
    this.#timeoutMs = timeoutMs;
    this.tables = Object.fromEntries(
      Object.entries(entityOf).map(([name, entity]) => [name, this.table(entity)]),
    ) as typeof this.tables;
  }

  /** An entity's table, quoted, with the host's schema. */
  table(entity: new () => object): string {
    const { tablePath } = this.dataSource.getMetadata(entity);
    return tablePath
      .split('.')
      .map((part) => this.dataSource.driver.escape(part))
      .join('.');
  }

  /** A SELECT list that names each column of an entity by its property, with a prefix where rows hold several entities. */
  columns(entity: new () => object, alias = '', prefix = ''): string {
    const from = alias && `${alias}.`;
    return this.dataSource
      .getMetadata(entity)
      .columns.map(({ databaseName, propertyName, type }) => {
        // As text, whatever parser the host has given its driver for numbers.
        const exact = type === 'numeric' ? '::text' : '';
        return `${from}${databaseName}${exact} AS "${prefix}${propertyName}"`;
      })
      .join(', ');
  }

  /** A row of our own SQL as an entity of this DataSource, its values as TypeORM would have them. */
  entity<T extends object>(entity: new () => T, row: object, prefix = ''): T {
    const values = row as Record<string, unknown>;
    const loaded: Record<string, unknown> = {};
    for (const { propertyName, transformer } of this.dataSource.getMetadata(entity).columns) {
      const value = values[prefix + propertyName];
      const isPlain = transformer === undefined || Array.isArray(transformer);
      loaded[propertyName] = isPlain ? value : (transformer.from(value) as unknown);
    }
    return registry.own(Object.assign(new entity(), loaded), this.dataSource);
  }

  /** A statement that each connection plans once: for those that take longer to plan than to run. */
  prepared(statement: string): Prepared;
  prepared<P extends object>(statement: Statement<P>): Statement<P>;
  prepared<P extends object>(statement: Statement<P> | string): Statement<P> | Prepared {
    if (typeof statement === 'string') {
      if (!this.#isPreparing) return { text: statement };
      return {
        text: statement,
        name: `referrals_${createHash('sha256').update(statement).digest('hex').slice(0, 32)}`,
      };
    }
    if (!this.#isPreparing) return statement;
    const name = `referrals_${createHash('sha256').update(statement.text).digest('hex').slice(0, 32)}`;
    return { text: statement.text, with: (parameters) => ({ ...statement.with(parameters), name }) };
  }

  /** The rows of one statement: on the given manager, else on a connection of its own within the time limit. */
  async query<Row>(
    query: string | Query | Prepared,
    parameters?: unknown[] | EntityManager,
    within?: EntityManager,
  ): Promise<Row[]> {
    const values = Array.isArray(parameters) ? parameters : [];
    const manager = Array.isArray(parameters) ? within : parameters;
    const sent: Query =
      typeof query === 'string' ? { text: query, values } : 'values' in query ? query : { ...query, values };
    if (!manager) return this.#limited((runner) => this.#send(sent, runner));
    this.#own(manager);
    try {
      // A manager outside of a transaction has no runner of its own.
      return await inTurn(manager, () => this.#send(sent, manager.queryRunner ?? manager));
    } catch (error) {
      throw explained(error);
    }
  }

  /**
   * TypeORM has no prepared statements: those are sent to the runner's client directly, and to the host's logger, like all others.
   * TypeORM's subscribers (`beforeQuery`, `afterQuery`) do not see them.
   */
  async #send<Row>({ text, values, name }: Query, through: QueryRunner | EntityManager): Promise<Row[]> {
    const parameters = [...values];
    if (name === undefined || !('connect' in through)) return (await through.query(text, parameters)) as Row[];
    // A released runner's client may serve another transaction by now, which would then take the statement.
    if (through.isReleased) throw new QueryRunnerAlreadyReleasedError();
    const client = (await through.connect()) as Client;
    const { logger } = this.dataSource;
    logger.logQuery(text, parameters, through);
    try {
      return (await client.query<Row>({ name, text, values: parameters })).rows;
    } catch (error) {
      logger.logQueryError(error as Error, text, parameters, through);
      throw new QueryFailedError(text, parameters, error as Error);
    }
  }

  /** Work through TypeORM, on the given manager or within the time limit. */
  async use<T>(work: (manager: EntityManager) => Promise<T>, manager?: EntityManager): Promise<T> {
    return manager ? inTurn(this.#own(manager), () => work(manager)) : this.#limited((runner) => work(runner.manager));
  }

  /**
   * Several statements as one transaction of our own, begun again should PostgreSQL end it for a conflict with others; in the host's,
   * as one savepoint.
   */
  async transaction<T>(work: (manager: EntityManager) => Promise<T>, manager?: EntityManager): Promise<T> {
    return manager
      ? inTurn(this.#own(manager), () => manager.transaction(work))
      : retryConflicts(() => this.#limited((runner) => runner.manager.transaction('READ COMMITTED', work)));
  }

  /**
   * A statement that may fail without failing the host's transaction, and without keeping what it has locked. By itself, it is
   * begun again as a transaction is.
   */
  async attempt<T>(work: (manager?: EntityManager) => Promise<T>, manager?: EntityManager): Promise<T> {
    if (manager?.queryRunner?.isTransactionActive) return this.transaction(work, manager);
    return retryConflicts(() => work(manager));
  }

  /**
   * A transaction of our own that takes as long as it takes, whatever limits the host has set; as a snapshot, all of it reads as of
   * one moment.
   */
  async unlimited<T>(kind: 'snapshot' | 'ordinary', work: (manager: EntityManager) => Promise<T>): Promise<T> {
    if (this.#isClosed) throw referralError('CLOSED');
    const isolation = kind === 'snapshot' ? 'REPEATABLE READ' : 'READ COMMITTED';
    const owned = async (manager: EntityManager): Promise<T> => {
      this.#ours.add(manager.queryRunner!);
      const limits = ['statement_timeout', 'idle_in_transaction_session_timeout'];
      await manager.query(`SELECT ${limits.map((name) => `set_config('${name}', '0', true)`).join(', ')}`);
      return work(manager);
    };
    const worked = this.dataSource.transaction(isolation, owned).finally(() => this.#underWay.delete(worked));
    this.#underWay.add(worked);
    try {
      return await worked;
    } catch (error) {
      throw explained(error, 'connection');
    }
  }

  /** Refuses what is no manager of this DataSource, before anything is written to another database. */
  #own(manager: EntityManager): EntityManager {
    if (!isManager(manager) || manager.connection !== this.dataSource)
      throw invalid('manager', 'an EntityManager of the DataSource that createReferrals was given', manager);
    if (manager.queryRunner?.isReleased && this.#ours.has(manager.queryRunner))
      throw databaseUnavailable('the connection was lost');
    if (manager.queryRunner?.isReleased)
      throw invalid(
        'manager',
        'the EntityManager of a transaction that is under way, not of one that is over',
        manager,
      );
    return manager;
  }

  /** Takes no more work of our own, and waits for what is under way. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled(this.#underWay);
  }

  async #limited<T>(work: (runner: QueryRunner) => Promise<T>): Promise<T> {
    if (this.#isClosed) throw referralError('CLOSED');
    const runner = this.dataSource.createQueryRunner();
    let client: Client | undefined;
    let isLate = false;
    const worked = (async () => {
      try {
        client = (await runner.connect()) as Client;
        if (isLate) throw databaseUnavailable('no connection in time');
        return await work(runner);
      } catch (error) {
        throw explained(error, 'connection');
      } finally {
        client = undefined;
        await runner.release();
      }
    })();
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        isLate = true;
        if (client) this.#giveUp(client);
        reject(
          databaseUnavailable(
            `no answer within ${this.#timeoutMs} ms; should the call wait for a lock of your own transaction, pass it the manager`,
          ),
        );
      }, this.#timeoutMs);
    });
    const answer = Promise.race([worked, limit]).finally(() => {
      clearTimeout(timer);
      this.#underWay.delete(answer);
    });
    worked.catch(() => undefined); // it may settle after the limit has
    this.#underWay.add(answer);
    return answer;
  }

  /** Drops a connection that does not answer, so that the pool makes another, and calls its statement off at the server. */
  #giveUp(client: Client): void {
    client.end().catch(() => undefined);
    if (client.processID)
      this.dataSource.query('SELECT pg_cancel_backend($1)', [client.processID]).catch(() => undefined);
  }
}

/** What we use of a client of `pg`. */
interface Client {
  query<Row>(config: { name: string; text: string; values: unknown[] }): Promise<{ rows: Row[] }>;
  end(): Promise<void>;
  /** The server's process of this connection. */
  processID?: number | null;
}

export interface Prepared {
  readonly text: string;
  readonly name?: string;
}
