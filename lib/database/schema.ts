import type { DataSource } from 'typeorm';
import { entityOf } from '../entities';
import { registry } from '../entities/instance';

/** Names of tables and columns for our SQL, and entities out of its rows: all from TypeORM's metadata. */
export class Schema {
  readonly dataSource: DataSource;
  /** The tables, quoted and with the host's schema. */
  readonly tables: Readonly<Record<keyof typeof entityOf, string>>;

  constructor(dataSource: DataSource) {
    this.dataSource = dataSource;
    this.tables = Object.fromEntries(
      Object.entries(entityOf).map(([name, entity]) => [name, this.table(entity)]),
    ) as typeof this.tables;
  }

  /** An entity's table, quoted and with the host's schema. */
  table(entity: new () => object): string {
    const { tablePath } = this.dataSource.getMetadata(entity);
    return tablePath
      .split('.')
      .map((part) => this.dataSource.driver.escape(part))
      .join('.');
  }

  /**
   * A SELECT list that names each column of an entity by its property. For rows that hold several entities, `alias` names the table and
   * `prefix` stands before each name.
   */
  columns(entity: new () => object, alias = '', prefix = ''): string {
    const from = alias && `${alias}.`;
    return this.dataSource
      .getMetadata(entity)
      .columns.map(({ databaseName, propertyName, type }) => {
        // Text, because the host may have given the driver another parser for numbers.
        const exact = type === 'numeric' ? '::text' : '';
        return `${from}${databaseName}${exact} AS "${prefix}${propertyName}"`;
      })
      .join(', ');
  }

  /** Makes an entity of this DataSource out of a row of our SQL. The values are those that TypeORM would load. */
  entity<T extends object>(entity: new () => T, row: object, prefix = ''): T {
    const values = row as Record<string, unknown>;
    const loaded: Record<string, unknown> = {};
    for (const { propertyName, transformer } of this.dataSource.getMetadata(entity).columns) {
      const value = values[prefix + propertyName];
      const isPlain = transformer === undefined || Array.isArray(transformer);
      loaded[propertyName] = isPlain ? value : (transformer.from(value) as unknown);
    }
    return registry.own(Object.assign(new entity(), loaded), this.dataSource);
  }
}
