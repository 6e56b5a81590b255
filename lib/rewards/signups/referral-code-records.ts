import type { EntityManager } from 'typeorm';
import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import { Referral } from '../../entities/referral';
import { ReferralCode } from '../../entities/referral-code';
import { ReferralProgram } from '../../entities/referral-program';
import type { Kind } from '../records/record-table';
import { type Fields, fieldsOf } from '../records/search';

/** Returns the fields of a code's record: those of the referral, and those of its program. */
export function fieldsOfCodes({ dataSource }: Database): Fields {
  const fields = new Map(fieldsOf(dataSource, Referral));
  for (const [name, { kind }] of fieldsOf(dataSource, ReferralProgram))
    if (!fields.has(name) && name !== 'name') fields.set(name, { kind, path: ['program', name] });
  fields.set('programName', { kind: 'text', path: ['program', 'name'] });
  fields.set('referralCreditTypeName', { kind: 'text', path: ['program', 'referralType', 'name'] });
  fields.set('rewardCreditTypeName', { kind: 'text', path: ['program', 'rewardType', 'name'] });
  return fields;
}

/** Returns the record of a referral whose program is loaded. `selected` names the fields; undefined means all. */
export function codeRecord(
  { fields, keys, computed }: Required<Kind<ReferralCode>>,
  referral: Referral,
  refereeIds: string[],
  selected: readonly string[] | undefined,
): ReferralCode {
  const name = referral.program ? `${referral.code} (${referral.program.name})` : referral.code;
  const values: Record<string, unknown> = { name, referralIds: refereeIds };
  for (const [field, { path }] of fields) values[field] = valueAt(referral, path);
  const wanted = selected
    ? [...keys, ...selected, ...selected.flatMap((field) => computed[field] ?? [])]
    : Object.keys(values);
  const picked = Object.fromEntries(wanted.map((field) => [field, values[field]]));
  return Object.assign(new ReferralCode(), picked);
}

/** Returns the value at the end of a path through relations; null if a relation of the path is null. */
function valueAt(record: object, path: readonly string[]): unknown {
  const step = (value: unknown, name: string): unknown => (value as Record<string, unknown> | null)?.[name];
  return path.reduce(step, record) ?? null;
}

/** Returns, for each referral that has sign-ups, the ids of the users who signed up with it, oldest sign-up first. */
export async function refereeIdsOf(
  database: Database,
  referralIds: readonly number[],
  manager: EntityManager,
): Promise<ReadonlyMap<number, string[]>> {
  if (referralIds.length === 0) return new Map();
  const rows = await database.query<{ referralId: string; userIds: string[] }>(
    sql(
      { referralIds },
      ($) => `SELECT referral_id AS "referralId", array_agg(user_id ORDER BY id) AS "userIds"
        FROM ${database.tables.signups} WHERE referral_id = ANY(${$.referralIds}) GROUP BY referral_id`,
    ),
    manager,
  );
  return new Map(rows.map(({ referralId, userIds }) => [Number(referralId), userIds]));
}
