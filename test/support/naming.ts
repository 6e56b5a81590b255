import { DefaultNamingStrategy } from 'typeorm';

/** A naming strategy as hosts have: it would name every table, column, index and constraint in its own way. */
export class SnakeNamingStrategy extends DefaultNamingStrategy {
  override tableName(target: string, given: string | undefined): string {
    return given ?? `t_${target}`;
  }
  override columnName(property: string, given: string | undefined): string {
    return given ?? `c_${property}`;
  }
  override primaryKeyName(): string {
    return 'host_pk';
  }
  override foreignKeyName(): string {
    return 'host_fk';
  }
  override indexName(): string {
    return 'host_ix';
  }
  override uniqueConstraintName(): string {
    return 'host_uq';
  }
}
