import { createHash, randomBytes } from 'node:crypto';
import { Client } from 'pg';

// A migrated schema has a database of its own, a copy of a template in which the migrations have run once. A copy takes a tenth of the time
// that they take, because PostgreSQL copies the files; and the catalog stays as small as that of a host's database.

interface Copy {
  url: string;
  /** Drops it, with the connections that are left. */
  drop: () => Promise<void>;
}

/** The name of the migrated schema in a copy; whoever made the copy renames it. */
export const copiedSchema = 'copied';

/** What the databases of this run are called. */
const prefix = (): string => process.env['TEST_DATABASES']!;

/** The database that all tests can use, on the server of the run, or on what a test or the project "Citus" names instead. */
const sharedUrl = (): string => process.env['TEST_DATABASE_URL']!;

/** Whether tests use the server of the run, which has the templates. */
export const isServerOfRun = (): boolean => sharedUrl() === process.env['TEST_SERVER_URL'];

/** Of this test file, by schema. */
const copies = new Map<string, Copy>();

/** The URL of the database that has a schema; without one, of the database that all tests can use. */
export const databaseUrl = (schema?: string): string => copies.get(schema ?? '')?.url ?? sharedUrl();

/** @param fill migrates the schema {@link copiedSchema} in the database of the URL, and leaves no connection to it. */
export async function copyMigrated(schema: string, fill: (url: string) => Promise<void>): Promise<Copy> {
  const name = newName();
  await onServer(async (admin) => {
    template ??= makeTemplate(admin, fill);
    await admin.query(`CREATE DATABASE ${name} TEMPLATE ${await template}`);
  });
  const drop = async (): Promise<void> => {
    copies.delete(schema);
    await onServer((admin) => admin.query(`DROP DATABASE ${name} WITH (FORCE)`));
  };
  const copy = { url: urlOf(name), drop };
  copies.set(schema, copy);
  return copy;
}

/** The name of the template. */
let template: Promise<string> | undefined;

/** The first file that needs the template of its TypeORM makes it, while the others wait. */
async function makeTemplate(admin: Client, fill: (url: string) => Promise<void>): Promise<string> {
  const major = createHash('sha256').update(require.resolve('typeorm')).digest('hex').slice(0, 8);
  const name = `${prefix()}_template_${major}`;
  await admin.query('SELECT pg_advisory_lock(hashtext($1))', [name]); // until the connection ends
  const { rowCount } = await admin.query('SELECT FROM pg_database WHERE datname = $1', [name]);
  if (rowCount === 0) {
    const unfinished = newName();
    await admin.query(`CREATE DATABASE ${unfinished}`);
    await fill(urlOf(unfinished));
    await admin.query(`ALTER DATABASE ${unfinished} RENAME TO ${name}`);
  }
  return name;
}

/** Drops what the run has left on its server; for the end of the run. */
export const dropAll = (): Promise<void> =>
  onServer(async (admin) => {
    const { rows } = await admin.query<{ datname: string }>(
      'SELECT datname FROM pg_database WHERE starts_with(datname, $1)',
      [prefix()],
    );
    for (const { datname } of rows) await admin.query(`DROP DATABASE ${datname} WITH (FORCE)`);
  });

const newName = (): string => `${prefix()}_${randomBytes(6).toString('hex')}`;

const urlOf = (database: string): string => Object.assign(new URL(sharedUrl()), { pathname: `/${database}` }).href;

async function onServer<T>(work: (admin: Client) => Promise<T>): Promise<T> {
  const admin = new Client(sharedUrl());
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.end();
  }
}
