import type { Database } from '../../database/database';
import type { Invariant } from './invariant';

/** The references of clicks, which no foreign key keeps. The rows themselves are no books: the host may delete them. */
export function clickInvariants({ referrals, responses, dailyCounts, visitorClicks }: Database['tables']): Invariant[] {
  const ofReferral = (name: string, table: Invariant['table'], from: string, id: string): Invariant => ({
    ...{ name, table },
    sql: `SELECT ${id} AS id, c.referral_id AS expected, NULL AS found
      FROM ${from} c LEFT JOIN ${referrals} r ON r.id = c.referral_id WHERE r.id IS NULL`,
  });
  const countId = `c.referral_id || '/' || to_char(c.day, 'YYYY-MM-DD')`;
  const visitorId = `c.referral_id || '/' || c.visitor || '/' || to_char(c.day, 'YYYY-MM-DD')`;
  return [
    ofReferral('every response is of a referral', 'responses', responses, 'c.id'),
    ofReferral('every daily count is of a referral', 'dailyCounts', dailyCounts, countId),
    ofReferral('every count of a visitor is of a referral', 'visitorClicks', visitorClicks, visitorId),
    {
      ...{ name: 'no daily count has more visitors than clicks', table: 'dailyCounts' },
      sql: `SELECT ${countId} AS id, c.clicks AS expected, c.visitors AS found
        FROM ${dailyCounts} c WHERE c.visitors NOT BETWEEN 0 AND c.clicks`,
    },
  ];
}
