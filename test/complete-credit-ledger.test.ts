import { entities } from '../lib';
import { CompleteCreditLedger1795000000000 } from '../migrations/1795000000000-complete-credit-ledger';
import { startCreditWorld } from './support/credit-world';
import { closeAll } from './support/host';

afterAll(closeAll);

test('the migration completes the ledger of a database in use', async () => {
  const { dataSource, referrals, schema } = await startCreditWorld();
  const rows = async (): Promise<Record<string, unknown[]>> => {
    const found: Record<string, unknown[]> = {};
    for (const entity of entities) {
      const { tableName } = dataSource.getMetadata(entity);
      // The opening balances of older credits get ids of their own.
      found[tableName] = await dataSource.query(
        `SELECT to_jsonb(t) - CASE to_jsonb(t) ->> 'kind' WHEN 'grant' THEN 'id' ELSE '' END AS row
         FROM ${schema}.${tableName} t ORDER BY 1`,
      );
    }
    return found;
  };
  // Of a hold that was captured as a whole, the older schema does not know when.
  await dataSource.query(`UPDATE ${schema}.referral_credit_spends SET captured_at = created_at, refunded_at = CASE
      WHEN refunded > 0 THEN refunded_at WHEN refunded = 0 THEN created_at END
    WHERE kind = 'spend' OR captured IN (0, covered) AND reference <> 'released'`);
  const before = await rows();
  const migration = new CompleteCreditLedger1795000000000();
  const runner = dataSource.createQueryRunner();
  await migration.down(runner);
  expect(await dataSource.query(`SELECT FROM ${schema}.referral_credit_transactions WHERE kind = 'grant'`)).toEqual([]);
  await dataSource.query(`DELETE FROM ${schema}.migrations WHERE name = $1`, [migration.name]);
  await runner.startTransaction();
  await migration.up(runner);
  await runner.commitTransaction();
  await runner.release();
  expect(await rows()).toEqual(before);
  expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
});
