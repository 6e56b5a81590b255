import type { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';
import type { DataSource, QueryRunner } from 'typeorm';

/** The parts of TypeORM's driver and of `pg` that the package uses. Their own types do not name all of them. */

/** TypeORM's driver for PostgreSQL. */
export interface Driver {
  /** The pool that query runners take their connections from; undefined once the DataSource is destroyed. */
  readonly master: Pool | undefined;
  readonly slaves?: readonly Pool[];
  /** The query runners that have a connection now. */
  readonly connectedQueryRunners: readonly (QueryRunner & { databaseConnection?: Client })[];
}

/** `pg.Pool`. It emits `acquire` and `remove` with a client, and `error` for a client that is idle. */
export interface Pool extends EventEmitter {
  /** What each client of the pool is made with. */
  readonly options: object;
}

/** A statement, as `pg` takes it. */
export interface ClientQuery {
  readonly text: string;
  readonly values: unknown[];
  /** The name of the prepared statement. */
  readonly name?: string;
  /** What reads the values of the result, by the OID of their type. Default: the parsers of the host. */
  readonly types: { getTypeParser(oid: number): (text: string) => unknown };
}

/** `pg.Client`. Without `connection`, it is that of `pg-native`. */
export interface Client extends EventEmitter {
  query<Row>(config: ClientQuery): Promise<{ rows: Row[] }>;
  end(): Promise<void>;
  readonly connection?: Connection;
  /** False while a statement is under way. */
  readonly readyForQuery?: boolean;
  readonly host: string;
  readonly port: number;
  readonly ssl: boolean | object;
  readonly sslNegotiation?: string;
  /** What PostgreSQL or a pooler wants to be told in a cancel request. */
  readonly processID?: number | null;
  readonly secretKey?: number | null;
}

/**
 * `pg.Connection`: a socket that speaks the protocol. It emits `connect`, with TLS then `sslconnect`, and `end` when
 * the socket is closed.
 */
export interface Connection extends EventEmitter {
  readonly stream: Duplex & { remoteAddress?: string };
  ssl: boolean | object;
  connect(port: number | string, host?: string): void;
  requestSsl(): void;
  cancel(processID: number, secretKey: number): void;
}

export function driverOf(dataSource: DataSource): Driver {
  return dataSource.driver as unknown as Driver;
}
