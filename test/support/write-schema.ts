import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startPostgres } from '../postgres/start';
import { schemaAfterMigrations, schemaFile } from './schema-file';

async function main(): Promise<void> {
  const folder = path.join(tmpdir(), `express-referrals-schema-${randomBytes(6).toString('hex')}`);
  const postgres = await startPostgres({ folder, persistent: false });
  try {
    writeFileSync(schemaFile, await schemaAfterMigrations(postgres.url));
    console.log(`Wrote ${path.relative('', schemaFile)}`);
  } finally {
    await postgres.stop();
  }
}

void main();
