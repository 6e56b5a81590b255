import { randomBytes } from 'node:crypto';
import { DataSource, DefaultNamingStrategy } from 'typeorm';
import { createReferrals, entities, migrations, runMigrations } from '../lib';
import { resultsOfAll } from './support/all-calls';
import { baseUrl, closeAll, databaseUrl, openDataSource, patient, secret } from './support/host';

afterEach(closeAll);

const snake = (text: string): string => text.replace(/([a-z])([A-Z])/g, '$1_$2').toLowerCase();
const camel = (text: string): string => text.replace(/_([a-z])/g, (_all, letter: string) => letter.toUpperCase());

/** As `typeorm-naming-strategies` has it: given names stay. */
class GivenSnakeStrategy extends DefaultNamingStrategy {
  override tableName(target: string, given: string | undefined): string {
    return given ? given : snake(target);
  }
  override columnName(property: string, given: string | undefined, prefixes: string[]): string {
    return snake(prefixes.concat('').join('_')) + (given ? given : snake(property));
  }
  override joinColumnName(relation: string, referenced: string): string {
    return snake(`${relation}_${referenced}`);
  }
  eagerJoinRelationAlias(alias: string, path: string): string {
    return `${alias}__${path.replace('.', '_')}`;
  }
}

/** Snake, whatever was given: tables of other names. */
class PlainSnakeStrategy extends DefaultNamingStrategy {
  override tableName(target: string): string {
    return snake(target);
  }
  override columnName(property: string, given: string | undefined): string {
    return snake(given ?? property);
  }
  override joinColumnName(relation: string, referenced: string): string {
    return snake(`${relation}_${referenced}`);
  }
}

/** Other names of tables, with capitals and spaces, and of joins. */
class LoudStrategy extends DefaultNamingStrategy {
  override tableName(target: string, given: string | undefined): string {
    return (given ?? target).toUpperCase();
  }
  override prefixTableName(prefix: string, table: string): string {
    return `${prefix} of ${table}`;
  }
  override joinColumnName(relation: string): string {
    return `join_${relation}`;
  }
}

/** Columns by their properties, whatever was given. */
class SnakeOfPropertyStrategy extends DefaultNamingStrategy {
  override columnName(property: string): string {
    return snake(property);
  }
}

class PlainCamelStrategy extends DefaultNamingStrategy {
  override tableName(target: string, given: string | undefined): string {
    return camel(given ?? target);
  }
  override columnName(property: string, given: string | undefined): string {
    return camel(given ?? property);
  }
}

let expected: Record<string, string>;
beforeAll(async () => {
  expected = await resultsOfAll();
  await closeAll();
});

describe('names that work', () => {
  test.each([
    ['an entityPrefix', { entityPrefix: 'app_' }],
    ['a strategy that keeps given names', { namingStrategy: new GivenSnakeStrategy() }],
    ['plain snake', { namingStrategy: new PlainSnakeStrategy() }],
    ['a strategy with an entityPrefix', { namingStrategy: new LoudStrategy(), entityPrefix: 'tables' }],
  ])('%s', async (_name, options) => {
    expect(await resultsOfAll(options)).toEqual(expected);
    const dataSource = await openDataSource({ ...options, entities });
    expect((await dataSource.driver.createSchemaBuilder().log()).upQueries).toEqual([]);
    for (let left = migrations.length; left > 0; left--) await dataSource.undoLastMigration();
    // A DataSource for migrations may have no entities.
    const { schema } = dataSource.options as { schema: string };
    const bare = await openDataSource({ ...options, schema, entities: [], migrate: false });
    expect(await runMigrations(bare)).toHaveLength(migrations.length);
    expect((await dataSource.driver.createSchemaBuilder().log()).upQueries).toEqual([]);
  });
});

describe('names that are refused', () => {
  const refusal = (dataSource: DataSource): unknown => {
    try {
      createReferrals({ dataSource, baseUrl, secret, user: () => null, ...patient() });
    } catch (error) {
      return error;
    }
    return null;
  };

  test.each([
    [new PlainCamelStrategy(), /naming strategy PlainCamelStrategy renames the column "\w+_\w+" to "\w+[A-Z]\w+"/],
    [new SnakeOfPropertyStrategy(), /naming strategy SnakeOfPropertyStrategy renames the column "\w+" to "\w+"/],
  ])('by a strategy for columns: %p', async (namingStrategy, sentence) => {
    const dataSource = await openDataSource({ namingStrategy, entities, migrate: false });
    const error = { code: 'NAMES_UNSUPPORTED', message: expect.stringMatching(sentence) };
    expect(refusal(dataSource)).toMatchObject(error);
    expect(refusal(dataSource)).toMatchObject({
      message: expect.stringContaining('return customName if there is one'),
    });
    await expect(runMigrations(dataSource)).rejects.toMatchObject(error);
    await expect(dataSource.runMigrations()).rejects.toMatchObject(error);
    const { schema } = dataSource.options as { schema: string };
    const tables = await dataSource.query(`SELECT tablename FROM pg_tables WHERE schemaname = $1`, [schema]);
    expect(tables).toEqual([{ tablename: 'migrations' }]);
  });

  test.each(['a.b', 'a"b', '"a"', 'a".b'])('the schema %s', async (start) => {
    const schema = `${start}${randomBytes(6).toString('hex')}`;
    const dataSource = new DataSource({ type: 'postgres', url: databaseUrl(), schema, entities, migrations });
    await dataSource.initialize();
    const error = {
      code: 'NAMES_UNSUPPORTED',
      message: expect.stringContaining(`can't quote the name ${JSON.stringify(schema)}`),
    };
    expect(refusal(dataSource)).toMatchObject(error);
    await expect(runMigrations(dataSource)).rejects.toMatchObject(error);
    await dataSource.destroy();
  });

  test.each(['app.', 'my"'])('the entityPrefix %s', async (entityPrefix) => {
    const dataSource = await openDataSource({ entityPrefix, entities: [...entities], migrate: false });
    expect(refusal(dataSource)).toMatchObject({ code: 'NAMES_UNSUPPORTED' });
    await expect(runMigrations(dataSource)).rejects.toMatchObject({ code: 'NAMES_UNSUPPORTED' });
  });
});

describe('what is called like something of ours', () => {
  test.each([
    ['a table', 'CREATE TABLE @referrals (mine int)', 'relation "referrals"'],
    ['a view', 'CREATE VIEW @referral_accounts AS SELECT 1 AS mine', 'relation "referral_accounts"'],
    ['a type', `CREATE TYPE @referral_credits AS ENUM ('mine')`, 'type "referral_credits"'],
    [
      'an index',
      'CREATE TABLE @mine (id int); CREATE INDEX ix_referrals_user ON @mine (id)',
      'relation "ix_referrals_user"',
    ],
  ])('%s: the migration says so and what to do, and has made nothing', async (_what, statement, name) => {
    for (const mode of ['all', 'each', 'none'] as const) {
      const dataSource = await openDataSource({ migrate: false, entities, migrationsTransactionMode: mode });
      const { schema } = dataSource.options as { schema: string };
      await dataSource.query(statement.replaceAll('@', `"${schema}".`));
      const count = async () =>
        (await dataSource.query(`SELECT FROM pg_class WHERE relnamespace = $1::regnamespace`, [`"${schema}"`])).length;
      const before = await count();
      await expect(runMigrations(dataSource)).rejects.toMatchObject({
        code: 'TABLE_EXISTS',
        message: expect.stringMatching(
          new RegExp(`${name} already exists\\. If it is yours, rename it, or .* \`entityPrefix\``),
        ),
      });
      expect(await count()).toBe(before);
    }
  });

  test('beside it, with an entityPrefix', async () => {
    const dataSource = await openDataSource({ migrate: false, entities, entityPrefix: 'program_' });
    const { schema } = dataSource.options as { schema: string };
    await dataSource.query(`CREATE TABLE "${schema}".referrals (mine int)`);
    await runMigrations(dataSource);
    expect(await dataSource.query(`SELECT * FROM "${schema}".program_referrals`)).toEqual([]);
  });
});
