import { createHash } from 'node:crypto';
import { type EntityManager, QueryFailedError, type QueryRunner, QueryRunnerAlreadyReleasedError } from 'typeorm';
import { databaseUnavailable, invalid, referralError } from '../errors';
import { isManager } from '../input';
import type { Settings } from '../options';
import { explained } from './driver-errors';
import { Mapping } from './mapping';
import type { Query, Statement } from './named-parameters';
import { own, released } from './own-runners';
import { retryConflicts } from './retry';
import { inTurn } from './turns';

/**
 * Runs the package's SQL. With a manager of the host's, it runs in the host's transaction. Without one, it runs on a
 * connection of its own, with a time-out: a database that hangs delays a visitor by that time at most. After a time-out
 * the connection is closed, so that the pool replaces it.
 */
export class Database extends Mapping {
  readonly #isPreparing: boolean;
  readonly #timeoutMs: number;
  readonly #underWay = new Set<Promise<unknown>>();
  /**
   * Query runners of our own transactions without a time-out. If one is released while in use, its connection was lost.
   */
  readonly #ours = new WeakSet<QueryRunner>();
  #isClosed = false;

  constructor({ dataSource, preparedStatements }: Settings, timeoutMs: number) {
    super(dataSource);
    this.#isPreparing = preparedStatements;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Makes a statement a prepared one, which each connection plans once: for statements that take longer to plan than to
   * run.
   */
  prepared<P extends object>(statement: Statement<P>): Statement<P> {
    if (!this.#isPreparing) return statement;
    const name = `referrals_${createHash('sha256').update(statement.text).digest('hex').slice(0, 32)}`;
    const { text, valuesOf } = statement;
    return { text, valuesOf, with: (parameters) => ({ text, name, values: valuesOf(parameters) }) };
  }

  /** Returns the rows of one statement. */
  async query<Row>(query: string | Query, manager?: EntityManager): Promise<Row[]> {
    const sent = typeof query === 'string' ? { text: query, values: [] } : query;
    if (!manager) return this.#limited((runner) => this.#send(sent, runner));
    this.#checked(manager);
    try {
      // A manager outside of a transaction has no runner of its own.
      return await inTurn(manager, () => this.#send(sent, manager.queryRunner ?? manager));
    } catch (error) {
      throw explained(error);
    }
  }

  /**
   * TypeORM does not support prepared statements, so they are sent through the runner's client directly. The host's
   * logger gets them like all other statements. TypeORM's subscribers (`beforeQuery`, `afterQuery`) do not see them.
   */
  async #send<Row>({ text, values, name }: Query, through: QueryRunner | EntityManager): Promise<Row[]> {
    const parameters = values as unknown[];
    if (name === undefined || !('connect' in through)) return (await through.query(text, parameters)) as Row[];
    // Another transaction may be using the client of a released runner by now: the statement would become part of it.
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

  /** Runs work through TypeORM: on the given manager, else within the time-out. */
  async use<T>(work: (manager: EntityManager) => Promise<T>, manager?: EntityManager): Promise<T> {
    if (manager) return inTurn(this.#checked(manager), () => work(manager));
    return this.#limited((runner) => work(runner.manager));
  }

  /**
   * Runs several statements as one transaction of our own, and retries it after a deadlock or a serialization failure.
   * In the host's transaction they run in one savepoint, without a retry. A manager without a query runner, such as
   * `dataSource.manager`, has no transaction.
   */
  async transaction<T>(work: (manager: EntityManager) => Promise<T>, manager?: EntityManager): Promise<T> {
    if (manager && this.#checked(manager).queryRunner) return inTurn(manager, () => manager.transaction(work));
    return retryConflicts(() => this.#limited((runner) => runner.manager.transaction('READ COMMITTED', work)));
  }

  /**
   * Runs one statement that may fail. In the host's transaction it runs in a savepoint, so that a failure neither
   * aborts the transaction nor leaves row locks. Outside of a transaction it is retried after a deadlock or a
   * serialization failure.
   */
  async attempt<T>(work: (manager?: EntityManager) => Promise<T>, manager?: EntityManager): Promise<T> {
    if (manager?.queryRunner?.isTransactionActive) return this.transaction(work, manager);
    return retryConflicts(() => work(manager));
  }

  /**
   * Runs a transaction of our own without a time-out: it also turns off the time-outs that the host has set for its
   * connections. The kind `snapshot` (REPEATABLE READ) reads all data in one snapshot.
   */
  async unlimited<T>(kind: 'snapshot' | 'ordinary', work: (manager: EntityManager) => Promise<T>): Promise<T> {
    if (this.#isClosed) throw referralError('CLOSED');
    const isolation = kind === 'snapshot' ? 'REPEATABLE READ' : 'READ COMMITTED';
    let runner: QueryRunner | undefined;
    const owned = async (manager: EntityManager): Promise<T> => {
      runner = manager.queryRunner!;
      own(runner);
      this.#ours.add(runner);
      const limits = ['statement_timeout', 'idle_in_transaction_session_timeout'];
      await manager.query(`SELECT ${limits.map((name) => `set_config('${name}', '0', true)`).join(', ')}`);
      return work(manager);
    };
    const worked = this.dataSource.transaction(isolation, owned).finally(() => {
      this.#underWay.delete(worked);
      if (runner) released(runner);
    });
    this.#underWay.add(worked);
    try {
      return await worked;
    } catch (error) {
      throw explained(error, 'connection');
    }
  }

  /**
   * Returns the manager, or throws if it does not belong to this DataSource: its writes would go to another database.
   */
  #checked(manager: EntityManager): EntityManager {
    if (!isManager(manager) || manager.connection !== this.dataSource)
      throw invalid('manager', 'an EntityManager of the DataSource that createReferrals was given', manager);
    if (!manager.queryRunner?.isReleased) return manager;
    if (this.#ours.has(manager.queryRunner)) throw databaseUnavailable('the connection was lost');
    throw invalid('manager', 'the EntityManager of a transaction that is under way, not of one that is over', manager);
  }

  /** Refuses new work outside of the host's transactions, and waits for the work in progress. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled(this.#underWay);
  }

  async #limited<T>(work: (runner: QueryRunner) => Promise<T>): Promise<T> {
    if (this.#isClosed) throw referralError('CLOSED');
    const runner = this.dataSource.createQueryRunner();
    own(runner);
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
        await runner.release().finally(() => released(runner));
      }
    })();
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        isLate = true;
        if (client) this.#giveUp(client);
        reject(
          databaseUnavailable(
            `no answer within ${this.#timeoutMs} ms; if the call waits for a lock of your own transaction, pass it the manager`,
          ),
        );
      }, this.#timeoutMs);
    });
    const limited = Promise.race([worked, limit]).finally(() => {
      clearTimeout(timer);
      this.#underWay.delete(limited);
    });
    worked.catch(() => undefined); // it may reject after the time-out, when the race is over
    this.#underWay.add(limited);
    return limited;
  }

  /**
   * Closes a connection that does not respond, so that the pool makes another one, and cancels its statement on the
   * server.
   */
  #giveUp(client: Client): void {
    client.end().catch(() => undefined);
    if (client.processID)
      this.dataSource.query('SELECT pg_cancel_backend($1)', [client.processID]).catch(() => undefined);
  }
}

/** The part of `pg`'s client that this class uses. */
interface Client {
  query<Row>(config: { name: string; text: string; values: unknown[] }): Promise<{ rows: Row[] }>;
  end(): Promise<void>;
  /** The id of the server process of this connection. */
  processID?: number | null;
}
