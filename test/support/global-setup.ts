import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Postgres, startPostgres } from '../postgres/start';

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
    // Two files at once may have a dozen processes each, with a pool each, beside those that were killed a moment ago.
    settings: { fsync: 'off', max_connections: '500' },
  });
  process.env['TEST_DATABASE_URL'] = process.env['TEST_SERVER_URL'] = globalThis.testPostgres.url;
  process.env['TEST_DATABASES'] = `test_${randomBytes(6).toString('hex')}`;
  // On a slow machine a statement may take long: only a test about the limit sets one that is met. Calls on credits and commissions wait
  // ten times as long, which is still less than a test may take.
  process.env['TEST_QUERY_TIMEOUT_MS'] = '150000';
}
