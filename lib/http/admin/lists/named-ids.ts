import type { NamedIds, Names } from '../../../rewards/stories/lists';
import type { Value } from './value';

const kinds = { referral: 'referrals', program: 'programs', creditType: 'creditTypes' } as const satisfies Partial<
  Record<Value['is'], keyof Names>
>;

/** The ids in some rows whose names are shown instead. */
export function namedIds(rows: readonly (readonly Value[])[]): NamedIds {
  const ids = { referrals: new Set<number>(), programs: new Set<number>(), creditTypes: new Set<number>() };
  for (const value of rows.flat())
    if ((value.is === 'referral' || value.is === 'program' || value.is === 'creditType') && value.id !== null)
      ids[kinds[value.is]].add(value.id);
  return { referrals: [...ids.referrals], programs: [...ids.programs], creditTypes: [...ids.creditTypes] };
}
