import type { EntityManager } from 'typeorm';
import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import { timeInResult } from '../../database/result-types';
import type { ReferralCommission } from '../../entities/referral-commission';

/** Sets `paidAt` of commissions: the time at which their earn-outs were paid. */
export async function setPaidAt(
  database: Database,
  commissions: readonly ReferralCommission[],
  manager: EntityManager | undefined,
): Promise<void> {
  const bound = commissions.filter(({ earnOutId }) => earnOutId !== null);
  const paidAt = bound.length === 0 ? new Map<number, Date>() : await timesOf(database, bound, manager);
  for (const commission of commissions)
    Object.assign(commission, { paidAt: (commission.earnOutId !== null && paidAt.get(commission.earnOutId)) || null });
}

async function timesOf(
  database: Database,
  commissions: readonly ReferralCommission[],
  manager: EntityManager | undefined,
): Promise<Map<number, Date>> {
  const userOf = new Map(commissions.map(({ earnOutId, userId }) => [earnOutId, userId]));
  const rows = await database.query<{ id: string; settledAt: Date }>(
    sql(
      { users: [...userOf.values()], ids: [...userOf.keys()] },
      ($) => `
      SELECT e.id, ${timeInResult('e.settled_at')} AS "settledAt"
      FROM unnest(${$.users}::varchar[], ${$.ids}::bigint[]) AS wanted (user_id, id)
      JOIN ${database.tables.earnOuts} e ON e.user_id = wanted.user_id AND e.id = wanted.id
      WHERE e.status = 'completed'`,
    ),
    manager,
  );
  return new Map(rows.map(({ id, settledAt }) => [Number(id), settledAt]));
}
