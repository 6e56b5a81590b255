import type { DataSource } from 'typeorm';

/** A copy of all rows of ours, and of the numbers that identities continue with, as of one moment. */
export class Backup {
  readonly #dataSource: DataSource;
  readonly #from: string;
  readonly #to: string;

  private constructor(dataSource: DataSource, from: string, to: string) {
    this.#dataSource = dataSource;
    this.#from = from;
    this.#to = to;
  }

  static async take(dataSource: DataSource): Promise<Backup> {
    const { schema } = dataSource.options as { schema: string };
    const backup = new Backup(dataSource, schema, `${schema} backup ${++backups}`);
    await backup.#copy();
    return backup;
  }

  async #copy(): Promise<void> {
    await this.#dataSource.transaction('REPEATABLE READ', async (manager) => {
      await manager.query(`CREATE SCHEMA "${this.#to}"`);
      for (const { name, identity } of await this.#tables()) {
        await manager.query(`CREATE TABLE "${this.#to}"."${name}" AS TABLE "${this.#from}"."${name}"`);
        if (identity !== null)
          await manager.query(
            `CREATE TABLE "${this.#to}"."${name} next" AS SELECT last_value, is_called FROM ${identity}`,
          );
      }
    });
  }

  /** Makes the tables what they were. Nothing that was committed since then is left. */
  async restore(): Promise<void> {
    const tables = await this.#tables();
    await this.#dataSource.transaction(async (manager) => {
      await manager.query(`SET LOCAL session_replication_role = replica`); // no triggers of foreign keys
      await manager.query(`TRUNCATE ${tables.map(({ name }) => `"${this.#from}"."${name}"`).join(', ')}`);
      for (const { name, identity } of tables) {
        await manager.query(
          `INSERT INTO "${this.#from}"."${name}" OVERRIDING SYSTEM VALUE SELECT * FROM "${this.#to}"."${name}"`,
        );
        if (identity !== null)
          await manager.query(`SELECT setval('${identity}', last_value, is_called) FROM "${this.#to}"."${name} next"`);
      }
    });
  }

  /** Our tables, each with the sequence of its identity, if it has one. */
  #tables(): Promise<{ name: string; identity: string | null }[]> {
    return this.#dataSource.query(
      `SELECT t.table_name AS name, pg_get_serial_sequence(format('%I.%I', t.table_schema, t.table_name), c.column_name)
         AS identity
       FROM information_schema.tables t LEFT JOIN information_schema.columns c
         ON c.table_schema = t.table_schema AND c.table_name = t.table_name AND c.is_identity = 'YES'
       WHERE t.table_schema = $1 AND t.table_name LIKE 'referral%' ORDER BY 1`,
      [this.#from],
    );
  }
}

let backups = 0;
