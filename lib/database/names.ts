import { type DataSource, getMetadataArgsStorage } from 'typeorm';
import { entities } from '../entities';
import { referralError } from '../errors';

const isOurs = new Set<unknown>(entities);

/** The names that the entities give to their tables, each with the name of its class. */
const classOf: ReadonlyMap<string, string> = new Map(
  getMetadataArgsStorage()
    .tables.filter(({ target }) => isOurs.has(target))
    .map(({ target, name }) => [name!, (target as { name: string }).name]),
);

/**
 * Returns the name that a table has in the host's database: with the host's `entityPrefix`, and as the host's naming
 * strategy has it. Returns every other name, such as that of an index, unchanged. It needs no metadata of entities,
 * because a DataSource for migrations may have none.
 */
export function tableNameOf({ namingStrategy, options }: DataSource, given: string): string {
  const target = classOf.get(given);
  if (target === undefined) return given;
  const name = namingStrategy.tableName(target, given);
  return options.entityPrefix ? namingStrategy.prefixTableName(options.entityPrefix, name) : name;
}

/**
 * Throws if the package can't work with the names in a DataSource. Its SQL has the columns' own names, and TypeORM
 * takes a schema or table with a dot apart, and does not escape quotes.
 */
export function refuseNames(dataSource: DataSource): void {
  const { namingStrategy, options } = dataSource;
  const { schema = '' } = options as { schema?: string };
  const unquotable = [schema, ...[...classOf.keys()].map((given) => tableNameOf(dataSource, given))].find((name) =>
    /[".]/.test(name),
  );
  if (unquotable !== undefined)
    throw referralError(
      'NAMES_UNSUPPORTED',
      `TypeORM can't quote the name ${JSON.stringify(unquotable)} of a schema or table`,
      'Give the option `schema` or `entityPrefix` of the DataSource a value without quotes and dots.',
    );
  for (const { target, propertyName, options: column } of getMetadataArgsStorage().columns) {
    const given = column.name;
    if (given === undefined || !isColumnOfOurs(target)) continue;
    const renamed = namingStrategy.columnName(propertyName, given, []);
    if (renamed === given) continue;
    throw referralError(
      'NAMES_UNSUPPORTED',
      `the naming strategy ${namingStrategy.constructor.name} renames the column "${given}" to "${renamed}"`,
      'In its columnName(propertyName, customName, prefixes), return customName if there is one; ' +
        'or give the package a DataSource of its own without that strategy.',
    );
  }
}

/** Whether a column is declared by an entity of the package, or by a class that such an entity extends. */
function isColumnOfOurs(target: unknown): boolean {
  return entities.some((entity) => entity === target || entity.prototype instanceof (target as new () => object));
}

/** Returns TypeORM's table of the migrations that have run, quoted. */
export function tableOfMigrations({ driver, options }: DataSource): string {
  const { schema } = options as { schema?: string };
  return [schema, options.migrationsTableName ?? 'migrations']
    .filter((part) => part !== undefined)
    .map((part) => driver.escape(part))
    .join('.');
}
