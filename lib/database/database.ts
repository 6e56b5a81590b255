import { AsyncLocalStorage } from 'node:async_hooks';
import { type EntityManager, QueryFailedError, type QueryRunner, QueryRunnerAlreadyReleasedError } from 'typeorm';
import { invalid } from '../errors';
import { isManager } from '../input';
import type { Settings } from '../options';
import { renewAttachment } from './attachment';
import { ConnectionWork, OwnWork } from './connection-work';
import type { Client } from './driver';
import { countQuery, type Find, findQuery } from './find';
import { wasLost } from './lost-connections';
import { Mapping } from './mapping';
import type { Query, Statement } from './named-parameters';
import { PreparedStatements, retryUnprepared } from './prepared-statements';
import { parameterOf, resultTypes } from './result-types';
import { retryConflicts } from './retry';
import { inTurn } from './turns';
import { afterCommit, closed, databaseUnavailable } from './unavailable';

/**
 * Runs the package's SQL. With a manager of the host's, it runs in the host's transaction. Without one, it runs on a
 * connection of its own, with a time-out: a database that hangs delays a visitor by that time at most. After a time-out
 * the connection is closed, so that the pool replaces it.
 */
export class Database extends Mapping {
  readonly #preparedStatements: PreparedStatements;
  readonly #timeoutMs: number;
  readonly #underWay = new Set<Promise<unknown>>();
  #isClosed = false;
  /** Set in the work of `finish`. */
  readonly #finishing = new AsyncLocalStorage<true>();

  constructor({ dataSource, preparedStatements, currency }: Settings, timeoutMs: number) {
    super(dataSource, currency);
    this.#preparedStatements = new PreparedStatements(preparedStatements);
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Makes a statement a prepared one, which each connection plans once: for statements that take longer to plan than to
   * run.
   */
  prepared<P extends object>(statement: Statement<P>): Statement<P> {
    return this.#preparedStatements.prepared(statement);
  }

  /** Returns the rows of one statement. */
  async query<Row>(query: string | Query, manager?: EntityManager): Promise<Row[]> {
    const sent = typeof query === 'string' ? { text: query, values: [] } : query;
    return this.#on(manager, (on) => this.#send(sent, on));
  }

  /**
   * Sends a statement through the runner's client directly: TypeORM supports neither prepared statements nor parsers of
   * our own. The host's logger gets it like all other statements. TypeORM's subscribers (`beforeQuery`, `afterQuery`) do
   * not see it.
   */
  async #send<Row>({ text, values, name }: Query, on: ConnectionWork): Promise<Row[]> {
    const { runner } = on;
    const parameters = values.map(parameterOf);
    // Another transaction may be using the client of a released runner by now: the statement would become part of it.
    if (runner.isReleased) throw new QueryRunnerAlreadyReleasedError();
    const client = (await runner.connect()) as Client;
    const { logger, options } = this.dataSource;
    logger.logQuery(text, parameters, runner);
    on.sending();
    const startedAt = Date.now();
    const { rows } = await this.#preparedStatements
      .send(name, runner.isTransactionActive, (name) =>
        client.query<Row>({ name, text, values: parameters, types: resultTypes }),
      )
      .catch((error: Error) => {
        logger.logQueryError(error, text, parameters, runner);
        throw new QueryFailedError(text, parameters, error);
      });
    on.answered();
    const ms = Date.now() - startedAt;
    if (options.maxQueryExecutionTime && ms > options.maxQueryExecutionTime)
      logger.logQuerySlow(ms, text, parameters, runner);
    return rows;
  }

  /** Returns the entities that match, as TypeORM's `find` does. */
  async find<T extends object>(entity: new () => T, find: Find, manager?: EntityManager): Promise<T[]> {
    const { query, read } = findQuery(this, entity, find);
    return (await this.query<object>(query, manager)).map(read);
  }

  /** Returns how many entities match. */
  async count(entity: new () => object, where: object, manager?: EntityManager): Promise<number> {
    const [row] = await this.query<{ count: string }>(countQuery(this, entity, where), manager);
    return Number(row!.count);
  }

  /** Runs work through TypeORM: on the given manager, else within the time-out. */
  async use<T>(work: (manager: EntityManager) => Promise<T>, manager?: EntityManager): Promise<T> {
    return this.#on(manager, ({ runner }) => work(runner.manager));
  }

  /**
   * Runs several statements as one transaction of our own, and retries it after a deadlock or a serialization failure.
   * In the host's transaction they run in one savepoint, without a retry. A manager without a query runner, such as
   * `dataSource.manager`, has no transaction.
   */
  async transaction<T>(work: (manager: EntityManager) => Promise<T>, manager?: EntityManager): Promise<T> {
    const run = (): Promise<T> =>
      retryUnprepared(() => this.#on(manager, (on) => on.transaction('READ COMMITTED', work)));
    return manager?.queryRunner ? run() : retryConflicts(run);
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
   * Runs a later step of a call whose steps are committed one by one: if it can't be completed, the call has happened
   * in part. In the host's transaction no step is committed.
   */
  async nextStep<T>(step: () => Promise<T>, manager: EntityManager | undefined): Promise<T> {
    try {
      return await step();
    } catch (error) {
      throw manager?.queryRunner?.isTransactionActive ? error : afterCommit(error);
    }
  }

  /**
   * Runs a transaction of our own without a time-out: it also turns off those that the host has set for its role or
   * its connections. The kind `snapshot` (REPEATABLE READ) reads all data in one snapshot.
   */
  async unlimited<T>(kind: 'snapshot' | 'ordinary', work: (manager: EntityManager) => Promise<T>): Promise<T> {
    this.#refuseIfClosed();
    renewAttachment(this.dataSource);
    const isolation = kind === 'snapshot' ? 'REPEATABLE READ' : 'READ COMMITTED';
    const worked = new OwnWork(this.dataSource).run((on) =>
      on.transaction(isolation, async (manager) => {
        await manager.query(withoutLimits);
        return work(manager);
      }),
    );
    return this.#tracked(worked);
  }

  /** Runs work on a connection: on that of the host's manager if it has one, else on one of our own. */
  async #on<T>(manager: EntityManager | undefined, work: (on: ConnectionWork) => Promise<T>): Promise<T> {
    renewAttachment(this.dataSource);
    if (!manager) return this.#limited(work);
    if (!isManager(manager) || manager.connection !== this.dataSource)
      throw invalid('manager', 'an EntityManager of the DataSource that createReferrals was given', manager);
    const { queryRunner } = manager;
    // A manager outside of a transaction has no connection of its own.
    if (!queryRunner) return this.#limited(work);
    return inTurn(manager, () => {
      refuseReleased(queryRunner, manager);
      return new ConnectionWork(queryRunner).run(work);
    });
  }

  /**
   * Does work that `close()` waits for, and whose statements are run also after that was called: something has happened
   * outside, and the work stores what.
   */
  finish<T>(work: () => Promise<T>): Promise<T> {
    return this.#tracked(this.#finishing.run(true, work));
  }

  /** Refuses new work outside of the host's transactions, and waits for the work in progress. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled(this.#underWay);
  }

  #refuseIfClosed(): void {
    if (this.#isClosed && !this.#finishing.getStore()) throw closed();
  }

  async #limited<T>(work: (on: OwnWork) => Promise<T>): Promise<T> {
    this.#refuseIfClosed();
    const own = new OwnWork(this.dataSource);
    const worked = own.run(work);
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        const { error, cancelled } = own.giveUp(this.#timeoutMs);
        if (cancelled) void this.#tracked(cancelled);
        reject(error);
      }, this.#timeoutMs);
    });
    worked.catch(() => undefined); // it may reject after the time-out, when the race is over
    return this.#tracked(Promise.race([worked, limit]).finally(() => clearTimeout(timer)));
  }

  /** Makes `close()` wait for work. */
  #tracked<T>(work: Promise<T>): Promise<T> {
    const tracked = work.finally(() => this.#underWay.delete(tracked));
    this.#underWay.add(tracked);
    return tracked;
  }
}

/**
 * Throws if the connection of a transaction is no longer the transaction's: if it was lost, or if the transaction is
 * over. Its statements would become part of another's transaction.
 */
function refuseReleased(runner: QueryRunner, manager: EntityManager): void {
  if (!runner.isReleased) return;
  if (wasLost(runner)) throw databaseUnavailable('the connection was lost', 'none');
  throw invalid('manager', 'the EntityManager of a transaction that is under way, not of one that is over', manager);
}

/** Turns off every limit that the host or a role may have set, for one transaction. The last is PostgreSQL 17's. */
const withoutLimits = `SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '0', true),
  set_config('idle_in_transaction_session_timeout', '0', true),
  CASE WHEN current_setting('transaction_timeout', true) IS NOT NULL
    THEN set_config('transaction_timeout', '0', true) END`;
