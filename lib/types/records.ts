import type { FindOptionsOrderValue, FindOptionsWhere } from 'typeorm';
import type { WithManager } from './common';

/** The options of a manager's calls that read records. */
export interface ReadOptions<Field extends string = string> extends WithManager {
  /** If true, a missing record is not an error: `get` returns null, `list` leaves it out. Default false. */
  optional?: boolean;
  /** The only fields to load. Fields that the record's methods need are loaded too. Default: all. */
  fields?: readonly Field[];
  /** Whether to return plain objects, without methods. Default false. */
  plain?: boolean;
}

/** A record's fields, without its methods. */
export type Plain<R> = {
  [Field in keyof R as R[Field] extends (...args: never[]) => unknown ? never : Field]: R[Field];
};

/** The name of a field of a record. */
export type FieldOf<R> = keyof Plain<R> & string;

/** The query of a manager's `search`, with TypeORM's operators, on the fields of the record. */
export interface Search<Fields extends object> extends Omit<ReadOptions<FieldOf<Fields>>, 'optional'> {
  /** The conditions, as for TypeORM's `find`; an array means "or". A null means "is null". Default: all records. */
  where?: SearchWhere<Fields> | SearchWhere<Fields>[];
  /** The order, as for TypeORM's `find`. Default: oldest first. */
  order?: { [Field in FieldOf<Fields>]?: FindOptionsOrderValue };
  /** How many to return at most, from 0. Default 100. */
  take?: number;
  /** How many to skip, from 0. Default 0. */
  skip?: number;
}

type SearchWhere<Fields> = {
  [Field in FieldOf<Fields> & keyof FindOptionsWhere<Fields>]?: FindOptionsWhere<Fields>[Field] | null;
};
