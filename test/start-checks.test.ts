import type { DataSource } from 'typeorm';
import { createReferrals } from '../lib';
import { baseUrl, closeAll, openDataSource, patient, secret } from './support/host';

afterEach(closeAll);

/** The first error that `onError` gets of an instance on a DataSource; null if it starts without one. */
async function startError(dataSource: DataSource): Promise<Error | null> {
  const errors: unknown[] = [];
  const referrals = createReferrals({
    ...{ dataSource, baseUrl, secret, user: () => null, ...patient() },
    onError: (error) => errors.push(error),
  });
  await referrals.close(); // which waits for what the start reads
  await new Promise(setImmediate);
  return (errors[0] as Error | undefined) ?? null;
}

describe('MIGRATIONS_NOT_RUN names what is missing', () => {
  test('nothing after the migrations', async () => {
    expect(await startError(await openDataSource())).toBeNull();
  });

  test('each table of a schema without any', async () => {
    const error = await startError(await openDataSource({ migrate: false }));
    expect(error).toMatchObject({ code: 'MIGRATIONS_NOT_RUN' });
    expect(error!.message).toMatch(/missing: the table \S+ \S+"referrals", the table \S+ \S+"referral_responses",/);
    expect(error!.message).not.toMatch(/the (column|index|constraint)/);
  });

  test('what `synchronize: true` does not make', async () => {
    const dataSource = await openDataSource({ migrate: false });
    await dataSource.synchronize();
    const error = await startError(dataSource);
    expect(error).toMatchObject({ code: 'MIGRATIONS_NOT_RUN' });
    const unsynchronised = dataSource.entityMetadatas
      .filter(({ givenTableName }) => givenTableName?.startsWith('referral'))
      .flatMap(({ indices }) => indices.filter(({ synchronize }) => !synchronize).map(({ name }) => name));
    expect(unsynchronised.length).toBeGreaterThan(0);
    for (const name of unsynchronised) expect(error!.message).toContain(`the index ${name} of `);
    expect(error!.message).not.toMatch(/the (table|column|constraint)/);
  });

  test.each([
    ['DROP INDEX @ix_referrals_owner', 'the index ix_referrals_owner of '],
    ['ALTER TABLE @referral_responses DROP COLUMN user_agent', 'the column user_agent of '],
    ['ALTER TABLE @referral_usages DROP CONSTRAINT pk_referral_usages', 'the constraint pk_referral_usages of '],
    [
      'ALTER TABLE @referral_programs DROP CONSTRAINT ck_referral_programs_commission',
      'the constraint ck_referral_programs_',
    ],
    ['ALTER TABLE @referrals DROP CONSTRAINT fk_referrals_program', 'the constraint fk_referrals_program of '],
    ['DROP TABLE @referral_signup_refusals', /the table \S+ \S+"referral_signup_refusals"\)/],
  ])('after %s', async (statement: string, missing: string | RegExp) => {
    const dataSource = await openDataSource();
    const { schema } = dataSource.options as { schema: string };
    await dataSource.query(statement.replace('@', `"${schema}".`));
    const error = await startError(dataSource);
    expect(error).toMatchObject({ code: 'MIGRATIONS_NOT_RUN' });
    expect(error!.message).toMatch(missing);
    expect(error!.message.match(/the (table|column|index|constraint) /g)).toHaveLength(1);
  });
});
