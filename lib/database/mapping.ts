import type { DataSource, EntityMetadata } from 'typeorm';
import { entityOf } from '../entities';
import { registry } from '../entities/instance';

/** The columns that an entity is loaded with: all but those that only the package's SQL uses (`select: false`). */
export function loadedColumns(dataSource: DataSource, entity: new () => object): EntityMetadata['columns'] {
  return dataSource.getMetadata(entity).columns.filter(({ isSelect }) => isSelect);
}

/**
 * Gives SQL the names of tables and columns, and turns its rows into entities. All of it comes from TypeORM's metadata.
 */
export class Mapping {
  readonly dataSource: DataSource;
  /** The tables, quoted and with the host's schema. */
  readonly tables: Readonly<Record<keyof typeof entityOf, string>>;

  constructor(dataSource: DataSource) {
    this.dataSource = dataSource;
    this.tables = Object.fromEntries(
      Object.entries(entityOf).map(([name, entity]) => [name, this.table(entity)]),
    ) as typeof this.tables;
  }

  /** Returns the table of an entity, quoted and with the host's schema. */
  table(entity: new () => object): string {
    const { tablePath } = this.dataSource.getMetadata(entity);
    return tablePath
      .split('.')
      .map((part) => this.dataSource.driver.escape(part))
      .join('.');
  }

  /**
   * Returns a SELECT list that names each loaded column of an entity by its property. For rows that hold several entities,
   * `alias` is the alias of the table, and each name begins with `prefix`.
   */
  columns(entity: new () => object, alias = '', prefix = ''): string {
    const from = alias && `${alias}.`;
    return loadedColumns(this.dataSource, entity)
      .map(({ databaseName, propertyName, type }) => {
        // As text, because the host may have made the driver parse `numeric` as a float.
        const exact = type === 'numeric' ? '::text' : '';
        return `${from}${databaseName}${exact} AS "${prefix}${propertyName}"`;
      })
      .join(', ');
  }

  /** Makes an entity of this DataSource from a row of the package's SQL, with the values that TypeORM would load. */
  entity<T extends object>(entity: new () => T, row: object, prefix = ''): T {
    const values = row as Record<string, unknown>;
    const loaded: Record<string, unknown> = {};
    for (const { propertyName, transformer } of loadedColumns(this.dataSource, entity)) {
      const value = values[prefix + propertyName];
      const isPlain = transformer === undefined || Array.isArray(transformer);
      loaded[propertyName] = isPlain ? value : (transformer.from(value) as unknown);
    }
    return registry.own(Object.assign(new entity(), loaded), this.dataSource);
  }
}
