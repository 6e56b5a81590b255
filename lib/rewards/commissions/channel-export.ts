import { And, Equal, FindOperator, MoreThan } from 'typeorm';
import { csvCell } from '../../csv';
import type { ReferralChannel } from '../../entities/referral-channel';
import type { Search } from '../../types/records';

/** The fields that an export has. None of them contains a comma, a quote or a line break. */
const exported = [
  ...(['id', 'code', 'userId', 'promoType', 'promoValue', 'isActive', 'allowedUses', 'maxRedemptions'] as const),
  ...(['totalUses', 'startDate', 'endDate', 'createdAt'] as const),
];
const exportedAtOnce = 1000;

/** The condition on the id in a search; any id without one. */
function idIn(where: object): FindOperator<number> {
  const { id } = where as { id?: number | FindOperator<number> };
  return id instanceof FindOperator ? id : id === undefined ? MoreThan(0) : Equal(id);
}

type Where = NonNullable<Search<ReferralChannel>['where']>;
type Exported = Pick<ReferralChannel, (typeof exported)[number]>;

/** Returns the lines of an export of the channels that match, with a header. Each search reads a part of them. */
export async function* exportedLines(
  where: Where,
  searchFor: (search: {
    where: Where;
    order: { id: 'ASC' };
    take: number;
    fields: typeof exported;
  }) => Promise<readonly Exported[]>,
): AsyncGenerator<string, void, undefined> {
  yield `${exported.join(',')}\n`;
  for (let last = 0; ;) {
    const after = (one: object): object => ({ ...one, id: And(MoreThan(last), idIn(one)) });
    const found = await searchFor({
      where: Array.isArray(where) ? where.map(after) : after(where),
      ...{ order: { id: 'ASC' }, take: exportedAtOnce, fields: exported },
    });
    for (const channel of found) yield `${exported.map((field) => csvCell(channel[field])).join(',')}\n`;
    if (found.length < exportedAtOnce) return;
    last = found.at(-1)!.id;
  }
}
