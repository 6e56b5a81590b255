import type { FindOptionsOrderValue, FindOptionsWhere } from 'typeorm';
import type { WithManager } from './common';

export interface ReadOptions<Field extends string = string> extends WithManager {
  /** A missing record is null (`get`), or left out (`list`), instead of an error. */
  optional?: boolean;
  /** Only these fields are loaded, and what the record's methods need. Default: all. */
  fields?: readonly Field[];
  /** Plain objects instead of records. */
  plain?: boolean;
}

/** A record's fields, without its methods. */
export type Plain<R> = {
  [Field in keyof R as R[Field] extends (...args: never[]) => unknown ? never : Field]: R[Field];
};

/** The name of a record's field. */
export type FieldOf<R> = keyof Plain<R> & string;

/** As TypeORM's, on the record's fields only. A null means "is null". */
export interface Search<Fields extends object> extends Omit<ReadOptions<FieldOf<Fields>>, 'optional'> {
  where?: SearchWhere<Fields> | SearchWhere<Fields>[];
  order?: { [Field in FieldOf<Fields>]?: FindOptionsOrderValue };
  /** At most so many. Default: all. */
  take?: number;
  /** So many are left out. Default 0. */
  skip?: number;
}

type SearchWhere<Fields> = {
  [Field in FieldOf<Fields> & keyof FindOptionsWhere<Fields>]?: FindOptionsWhere<Fields>[Field] | null;
};
