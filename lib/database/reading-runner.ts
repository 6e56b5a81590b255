import type { QueryRunner } from 'typeorm';
import type { Client } from './driver';
import { parameterOf, resultTypes } from './result-types';

/**
 * Returns a view of a query runner for the queries of TypeORM's query builder: their results are read with the package's
 * parsers instead of the host's. Only for queries: the state of a transaction is the runner's own.
 */
export function readingRunner(runner: QueryRunner): QueryRunner {
  const connect = async (): Promise<Pick<Client, 'query'>> => {
    const client = (await runner.connect()) as Client;
    const query = (text: string, values: readonly unknown[] = []) =>
      client.query({ text, values: values.map(parameterOf), types: resultTypes });
    return { query } as unknown as Client;
  };
  return Object.create(runner, { connect: { value: connect } }) as QueryRunner;
}
