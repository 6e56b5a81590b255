import { dropAll } from './migrated-databases';

export default async function globalTeardown(): Promise<void> {
  if (!globalThis.testPostgres) return;
  await dropAll();
  await globalThis.testPostgres.stop();
}
