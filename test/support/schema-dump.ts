import type { EntityManager } from 'typeorm';
import { columnsOf, constraintsOf, indexesOf, otherObjects, type Table, tables } from './schema-catalog';

/**
 * The tables of a schema as SQL, without the schema's name: per table its columns, constraints, indexes and comments;
 * foreign keys last, because they need the other tables. Throws if the schema holds something else, for example a view.
 */
export async function dumpSchema(manager: EntityManager, schema: string, without: readonly string[]): Promise<string> {
  return manager.transaction(async (inTransaction) => {
    // Then the catalog's functions leave the schema's name out.
    await inTransaction.query(`SELECT set_config('search_path', quote_ident($1), true)`, [schema]);
    const others = await otherObjects(inTransaction, schema);
    if (others.length > 0) throw new Error(`The dump of a schema knows tables only, but found ${others.join(', ')}.`);
    const found = (await tables(inTransaction, schema)).filter(({ name }) => !without.includes(name));
    const parts: string[] = [];
    const foreignKeys: string[] = [];
    for (const table of found) {
      parts.push(await dumpTable(inTransaction, table));
      for (const { name, definition } of await constraintsOf(inTransaction, table.oid, 'foreign keys'))
        foreignKeys.push(`ALTER TABLE ${table.quoted} ADD CONSTRAINT ${name}\n  ${definition};\n`);
    }
    return [...parts, foreignKeys.join('')].join('\n');
  });
}

async function dumpTable(manager: EntityManager, table: Table): Promise<string> {
  const columns = await columnsOf(manager, table.oid);
  const constraints = await constraintsOf(manager, table.oid, 'all but foreign keys');
  const lines = [
    ...columns.map(({ name, definition }) => `  ${name} ${definition}`),
    ...constraints.map(({ name, definition }) => `  CONSTRAINT ${name} ${definition}`),
  ];
  const comments = [
    ...(table.comment ? [`COMMENT ON TABLE ${table.quoted} IS ${table.comment};`] : []),
    ...columns.flatMap(({ name, comment }) =>
      comment ? [`COMMENT ON COLUMN ${table.quoted}.${name} IS ${comment};`] : [],
    ),
  ];
  const indexes = (await indexesOf(manager, table.oid)).map((definition) => `${definition};`);
  const settings = table.settings ? ` WITH (${table.settings})` : '';
  const create = `CREATE ${table.isUnlogged ? 'UNLOGGED ' : ''}TABLE ${table.quoted} (\n${lines.join(',\n')}\n)${settings};`;
  return `${[create, ...indexes, ...comments].join('\n')}\n`;
}
