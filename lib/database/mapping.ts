import type { DataSource, EntityMetadata } from 'typeorm';
import { type Currency, currencyOf, shownAmount } from '../currency';
import { entityOf } from '../entities';
import { currencyFormat } from '../entities/columns';
import { registry } from '../entities/instance';
import type { Computed } from './find';
import { timeInResult } from './result-types';

/** The properties to load, each with true; default: all. */
export type Selected = Readonly<Record<string, unknown>> | undefined;

/**
 * The columns that an entity is loaded with: those of a selection, or all but those that only the package's SQL uses
 * (`select: false`).
 */
export function loadedColumns(
  dataSource: DataSource,
  entity: new () => object,
  selected?: Selected,
): EntityMetadata['columns'] {
  const { columns } = dataSource.getMetadata(entity);
  return columns.filter(({ isSelect, propertyName }) => (selected ? selected[propertyName] === true : isSelect));
}

/**
 * Gives SQL the names of tables and columns, and turns its rows into entities. All of it comes from TypeORM's metadata.
 */
export class Mapping {
  readonly dataSource: DataSource;
  /** The currency of all amounts. */
  readonly currency: Currency;
  /** The tables, quoted and with the host's schema. */
  readonly tables: Readonly<Record<keyof typeof entityOf, string>>;
  /** The columns of rows without a selection, by entity. */
  readonly #loaded = new Map<new () => object, EntityMetadata['columns']>();
  readonly #format: ReturnType<typeof currencyFormat>;

  constructor(dataSource: DataSource, currency = currencyOf(undefined)) {
    this.dataSource = dataSource;
    this.currency = currency;
    this.#format = currencyFormat(currency);
    this.tables = Object.fromEntries(
      Object.entries(entityOf).map(([name, entity]) => [name, this.table(entity)]),
    ) as typeof this.tables;
  }

  /** Returns the table of an entity, quoted and with the host's schema. */
  table(entity: new () => object): string {
    const { schema, tableName } = this.dataSource.getMetadata(entity);
    return [schema, tableName]
      .filter((part) => part !== undefined)
      .map((part) => this.dataSource.driver.escape(part))
      .join('.');
  }

  /**
   * Returns a SELECT list that names each loaded column of an entity by its property. For rows that hold several entities,
   * `alias` is the alias of the table, and each name begins with `prefix`.
   */
  columns(entity: new () => object, alias = '', prefix = '', selected?: Selected, computed: Computed = {}): string {
    const from = alias && `${alias}.`;
    return loadedColumns(this.dataSource, entity, selected)
      .map(({ databaseName, propertyName, type }) => {
        const column = computed[propertyName]?.(alias) ?? `${from}${databaseName}`;
        return `${type === 'timestamptz' ? timeInResult(column) : column} AS "${prefix}${propertyName}"`;
      })
      .join(', ');
  }

  /** Makes an entity of this DataSource from a row of the package's SQL, with the values that TypeORM would load. */
  entity<T extends object>(entity: new () => T, row: object, prefix = '', selected?: Selected): T {
    const values = row as Record<string, unknown>;
    const loaded: Record<string, unknown> = {};
    const columns = selected ? loadedColumns(this.dataSource, entity, selected) : this.#columnsOf(entity);
    for (const { propertyName, transformer } of columns) {
      const value = values[prefix + propertyName];
      const isPlain = transformer === undefined || Array.isArray(transformer);
      loaded[propertyName] = isPlain ? value : (transformer.from(value) as unknown);
    }
    this.#format(loaded, columns);
    return registry.own(Object.assign(new entity(), loaded), this.dataSource);
  }

  /** Formats an amount from the database, with the decimals of the currency. */
  shown(amount: string | number): string {
    return shownAmount(amount, this.currency.digits);
  }

  /** Returns a copy of an entity, which the host may change. */
  copy<T extends object>(entity: new () => T, loaded: T): T {
    return registry.own(Object.assign(new entity(), loaded), this.dataSource);
  }

  #columnsOf(entity: new () => object): EntityMetadata['columns'] {
    let columns = this.#loaded.get(entity);
    if (!columns) this.#loaded.set(entity, (columns = loadedColumns(this.dataSource, entity)));
    return columns;
  }
}
