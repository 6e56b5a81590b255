import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Postgres, startPostgres } from '../../examples/embedded-postgres';

declare global {
  var testPostgres: Postgres | undefined;
}

/** One server for the whole run; every test file works in a schema of its own. */
export default async function globalSetup(): Promise<void> {
  const folder = path.join(tmpdir(), `express-referrals-${randomBytes(6).toString('hex')}`);
  // fsync is kept off where nothing that a test shows depends on it: the data is thrown away.
  globalThis.testPostgres = await startPostgres({
    folder,
    persistent: false,
    settings: { fsync: 'off', max_connections: '200' },
  });
  process.env['TEST_DATABASE_URL'] = globalThis.testPostgres.url;
}
