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
  /** How rows without a selection are read, by entity and prefix. */
  readonly #readers = new Map<new () => object, Map<string, readonly Reader[]>>();
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
    const made = new entity();
    const loaded = made as Record<string, unknown>;
    const readers = selected ? readersOf(this.dataSource, entity, prefix, selected) : this.#readersOf(entity, prefix);
    for (const { propertyName, name, from } of readers)
      loaded[propertyName] = from === null ? values[name] : from(values[name]);
    this.#format(made, readers);
    return registry.own(made, this.dataSource);
  }

  /** Formats an amount from the database, with the decimals of the currency. */
  shown(amount: string | number): string {
    return shownAmount(amount, this.currency.digits);
  }

  /** Returns a copy of an entity, which the host may change. */
  copy<T extends object>(entity: new () => T, loaded: T): T {
    return registry.own(Object.assign(new entity(), loaded), this.dataSource);
  }

  #readersOf(entity: new () => object, prefix: string): readonly Reader[] {
    let ofEntity = this.#readers.get(entity);
    if (!ofEntity) this.#readers.set(entity, (ofEntity = new Map<string, readonly Reader[]>()));
    let readers = ofEntity.get(prefix);
    if (!readers) ofEntity.set(prefix, (readers = readersOf(this.dataSource, entity, prefix)));
    return readers;
  }
}

/** How a column of a row becomes a property of an entity. */
interface Reader {
  readonly propertyName: string;
  /** Its name in the row. */
  readonly name: string;
  /** Null if the value stays as it is. */
  readonly from: ((value: unknown) => unknown) | null;
  readonly transformer: unknown;
}

function readersOf(
  dataSource: DataSource,
  entity: new () => object,
  prefix: string,
  selected?: Selected,
): readonly Reader[] {
  return loadedColumns(dataSource, entity, selected).map(({ propertyName, transformer }) => ({
    propertyName,
    name: prefix + propertyName,
    from: transformer && !Array.isArray(transformer) ? (value) => transformer.from(value) as unknown : null,
    transformer,
  }));
}
