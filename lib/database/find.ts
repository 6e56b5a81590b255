import type { EntityMetadata, SelectQueryBuilder } from 'typeorm';
import type { Mapping, Selected } from './mapping';
import type { Query } from './named-parameters';

/** The options of TypeORM's `find` that the package uses. */
export interface Find {
  where: object;
  order?: object;
  /** The properties to load, also those of relations; default: all. */
  select?: object | undefined;
  /** Relations to one entity, which are loaded too. */
  relations?: object;
  take?: number | undefined;
  skip?: number | undefined;
  /** SQL for columns that time changes, by property, from the alias of the table. What is stored may be older. */
  computed?: Computed;
}

/** SQL for the values of columns, by property, from the alias of their table. */
export type Computed = Readonly<Record<string, (alias: string) => string>>;

/** A query, and how its rows become entities. */
interface FindQuery<T> {
  readonly query: Query;
  readonly read: (row: object) => T;
}

/** An entity in each row, and where it goes. */
interface Part {
  readonly entity: new () => object;
  readonly key: EntityMetadata['primaryColumns'];
  readonly alias: string;
  readonly prefix: string;
  /** The property of the part before, which holds it; null for the first. */
  readonly property: string | null;
  readonly parent: string | null;
  readonly selected: Selected;
}

/**
 * Builds the query of a `find`. TypeORM writes its conditions, joins and order. What it selects is the package's, as in
 * every other statement: TypeORM would read the rows with the host's parsers, and from its cache if that is always on.
 */
export function findQuery<T extends object>(mapping: Mapping, entity: new () => T, find: Find): FindQuery<T> {
  const { select, take, skip, computed, ...given } = find;
  const builder = builderOf(mapping, entity, given);
  const parts = partsOf(builder, select as Selected);
  const columns = parts.map(({ entity, alias, prefix, selected }, index) =>
    mapping.columns(entity, builder.escape(alias), prefix, selected, index === 0 ? computed : undefined),
  );
  const [text, values] = builder.select(columns.join(', ')).limit(take).offset(skip).getQueryAndParameters();
  return { query: { text, values }, read: (row) => read(mapping, parts, row as Record<string, unknown>) as T };
}

/** Builds the query for the number of rows that match. */
export function countQuery(mapping: Mapping, entity: new () => object, where: object): Query {
  const [text, values] = builderOf(mapping, entity, { where }).select('count(*)', 'count').getQueryAndParameters();
  return { text, values };
}

function builderOf<T extends object>(mapping: Mapping, entity: new () => T, find: object): SelectQueryBuilder<T> {
  const options = { ...find, relationLoadStrategy: 'join', loadEagerRelations: false } as const;
  return mapping.dataSource.createQueryBuilder(entity, 'found').setFindOptions(options);
}

/** The entities in each row: first the one that is searched, then those of its relations. */
function partsOf({ alias, expressionMap }: SelectQueryBuilder<object>, selected: Selected): Part[] {
  const partOf = ({ target, primaryColumns }: EntityMetadata): Pick<Part, 'entity' | 'key'> => ({
    entity: target as new () => object,
    key: primaryColumns,
  });
  const first = {
    ...partOf(expressionMap.mainAlias!.metadata),
    alias,
    prefix: '',
    property: null,
    parent: null,
    selected,
  };
  const parts: Part[] = [first];
  for (const join of expressionMap.joinAttributes) {
    const holder = parts.find((part) => part.alias === join.parentAlias)!;
    const property = join.relation!.propertyName;
    parts.push({
      ...partOf(join.metadata!),
      ...{ alias: join.alias.name, prefix: `${holder.prefix}${property}.`, property, parent: holder.alias },
      selected: holder.selected && (holder.selected[property] as Selected),
    });
  }
  return parts;
}

function read(mapping: Mapping, parts: readonly Part[], row: Record<string, unknown>): object {
  const made = new Map<string | null, Record<string, unknown> | null>();
  for (const { entity, key, alias, prefix, property, parent, selected } of parts) {
    const isMissing = key.some(({ propertyName }) => row[prefix + propertyName] === null);
    const record = isMissing ? null : (mapping.entity(entity, row, prefix, selected) as Record<string, unknown>);
    made.set(alias, record);
    const holder = made.get(parent);
    if (holder && property !== null) holder[property] = record;
  }
  return made.get(parts[0]!.alias)!;
}
