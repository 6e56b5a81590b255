import type { Database } from '../../database/database';
import { driverOf } from '../../database/driver';
import { missingParts, presentParts } from '../../database/missing-parts';
import { tableOfMigrations } from '../../database/names';

/** The connections of the pool of this process. */
export interface PoolState {
  max: number | null;
  open: number;
  idle: number;
  /** How many statements wait for a connection. */
  waiting: number;
}

/** The state of database and connections. */
export interface Health {
  /** The version of PostgreSQL, such as `'17.2'`. */
  postgres: string;
  /** The newest migration of the package that has run; null if the host keeps migrations elsewhere, or it can't be read. */
  newestMigration: string | null;
  /** Migrations that the DataSource knows and that have not run. */
  pendingMigrations: string[];
  /** What the migrations would have made, and is missing. */
  missingParts: string[];
  pool: PoolState;
}

/** Reads the state of the database, and of this process' connections to it. */
export async function health(database: Database): Promise<Health> {
  const { dataSource } = database;
  const parts = presentParts(database, `current_setting('server_version') AS postgres`);
  const [row] = await database.query<{ postgres: string; present: string[] }>(parts);
  const ran = await migrationsThatRan(database);
  const known = dataSource.migrations.map((migration) => migration.name ?? migration.constructor.name);
  return {
    postgres: row!.postgres.split(' ')[0]!,
    newestMigration: ran?.at(-1) ?? null,
    pendingMigrations: ran === null ? [] : known.filter((name) => !ran.includes(name)),
    missingParts: missingParts(database, row!.present),
    pool: poolState(database),
  };
}

/** The names in TypeORM's table of migrations, oldest first; null if the role may not read it. */
async function migrationsThatRan(database: Database): Promise<string[] | null> {
  const table = tableOfMigrations(database.dataSource);
  try {
    const rows = await database.query<{ name: string }>(`SELECT name FROM ${table} ORDER BY "timestamp", id`);
    return rows.map(({ name }) => name);
  } catch {
    return null;
  }
}

function poolState({ dataSource }: Database): PoolState {
  const pool = driverOf(dataSource).master as unknown as Partial<PgPool> | undefined;
  return {
    max: pool?.options?.max ?? null,
    open: pool?.totalCount ?? 0,
    idle: pool?.idleCount ?? 0,
    waiting: pool?.waitingCount ?? 0,
  };
}

/** The counts of `pg.Pool`. */
interface PgPool {
  options: { max?: number };
  totalCount: number;
  idleCount: number;
  waitingCount: number;
}
