import type { Database } from '../../database/database';
import type { Invariant } from './invariant';

/** The references of clicks, which no foreign key keeps. The rows themselves are no books: the host may delete them. */
export function clickInvariants({ referrals, responses, dailyCounts }: Database['tables']): Invariant[] {
  const ofReferral = (name: string, table: Invariant['table'], from: string, id: string): Invariant => ({
    ...{ name, table },
    sql: `SELECT ${id} AS id, c.referral_id AS expected, NULL AS found
      FROM ${from} c LEFT JOIN ${referrals} r ON r.id = c.referral_id WHERE r.id IS NULL`,
  });
  return [
    ofReferral('every response is of a referral', 'responses', responses, 'c.id'),
    ofReferral(
      'every daily count is of a referral',
      'dailyCounts',
      dailyCounts,
      `c.referral_id || '/' || to_char(c.day, 'YYYY-MM-DD')`,
    ),
  ];
}
