import type { EntityManager } from 'typeorm';
import type { Database } from '../../database/database';
import { type Statement, statement } from '../../database/named-parameters';
import { userColumns } from '../../entities/user-columns';

type Table = keyof typeof userColumns;

export interface RenameParameters {
  from: string;
  to: string;
}

/**
 * Gives the rows of a user another id, in all columns of some tables, and returns how many rows those are. It is one
 * statement, because foreign keys between our tables contain the id: PostgreSQL checks them at the end of a statement,
 * when both sides have the new id.
 */
function renameStatement(database: Database, tables: readonly Table[]): Statement<RenameParameters> {
  return statement<RenameParameters>({ from: true, to: true }, ($) => {
    const renamed = (name: Table): string => {
      const columns: readonly string[] = userColumns[name];
      const values = columns.map(
        (column) => `${column} = CASE ${column} WHEN ${$.from} THEN ${$.to} ELSE ${column} END`,
      );
      return `renamed_${name} AS (
        UPDATE ${database.tables[name]} SET ${values.join(', ')}
        WHERE ${columns.map((column) => `${column} = ${$.from}`).join(' OR ')} RETURNING 1
      )`;
    };
    const counts = tables.map((name) => `(SELECT count(*) FROM renamed_${name})`);
    return `WITH ${tables.map(renamed).join(', ')} SELECT ${counts.join(' + ')} AS rows`;
  });
}

/** Gives the rows of a user in some tables another id. Returns how many those are. */
export async function renameRows(
  database: Database,
  users: RenameParameters,
  tables: readonly Table[],
  manager: EntityManager,
): Promise<number> {
  const [row] = await database.query<{ rows: string }>(renameStatement(database, tables).with(users), manager);
  return Number(row!.rows);
}

/** Returns whether any row of some tables has a user's id. */
export function hasRowsStatement(database: Database, tables: readonly Table[]): Statement<{ user: string }> {
  return statement<{ user: string }>({ user: true }, ($) => {
    const rows = tables.flatMap((name) =>
      userColumns[name].map((column) => `EXISTS (SELECT FROM ${database.tables[name]} WHERE ${column} = ${$.user})`),
    );
    return `SELECT ${rows.join(' OR ')} AS "hasRows"`;
  });
}
