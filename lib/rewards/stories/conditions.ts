import {
  And,
  Equal,
  type FindOperator,
  In,
  IsNull,
  LessThan,
  LessThanOrEqual,
  MoreThan,
  MoreThanOrEqual,
  Not,
  Raw,
} from 'typeorm';
import { folded } from '../../database/folding';

/** A condition on one field of a list's records. */
export type Condition = { readonly field: string } & (
  | { readonly is: 'equal'; readonly value: string | number | boolean }
  | { readonly is: 'among'; readonly value: readonly string[] }
  /** `from` and `to` include the value. */
  | { readonly is: 'from' | 'above' | 'below' | 'to'; readonly value: Date | number }
  /** Begins with this text, whatever the case of A to Z. */
  | { readonly is: 'beginning'; readonly value: string }
  | { readonly is: 'missing' | 'present' }
);

/** Returns conditions as a `where` of a manager's `search`. All of them must hold, also several on one field. */
export function whereOf(conditions: readonly Condition[]): Record<string, FindOperator<unknown>> {
  const where: Record<string, FindOperator<unknown>> = {};
  for (const condition of conditions) {
    const before = where[condition.field];
    const operator = operatorOf(condition);
    where[condition.field] = before === undefined ? operator : And(before, operator);
  }
  return where;
}

function operatorOf(condition: Condition): FindOperator<unknown> {
  switch (condition.is) {
    case 'equal':
      return Equal<unknown>(condition.value);
    case 'among':
      return In<unknown>([...condition.value]);
    case 'from':
      return MoreThanOrEqual<unknown>(condition.value);
    case 'above':
      return MoreThan<unknown>(condition.value);
    case 'below':
      return LessThan<unknown>(condition.value);
    case 'to':
      return LessThanOrEqual<unknown>(condition.value);
    case 'beginning':
      return beginning(condition.value);
    case 'missing':
      return IsNull();
    case 'present':
      return Not(IsNull());
  }
}

let parameters = 0;

/** The indexes for it are on the folded text. The parameter has a name that no other of a query has. */
function beginning(text: string): FindOperator<unknown> {
  const parameter = `referral_beginning_${++parameters}`;
  const pattern = folded(`:${parameter}`);
  return Raw((column) => `${folded(column)} LIKE ${pattern}`, { [parameter]: prefixPattern(text) });
}

/** A pattern of LIKE for texts that begin with a text. */
export function prefixPattern(text: string): string {
  return `${text.replace(/[\\%_]/g, '\\$&')}%`;
}
