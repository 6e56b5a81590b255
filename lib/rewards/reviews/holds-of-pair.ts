import type { Database } from '../../database/database';

/**
 * SQL: the `held_for` of a sign-up or pair that is made now: a cause for each review that holds the two. It locks their
 * reviews, because staff who decide one of them meanwhile would not see what is made.
 *
 * @param referrer null for a referral of the site itself, and for nobody.
 */
export function holdsOfPair({ reviews }: Database['tables'], referrer: string, referee: string): string {
  return `coalesce((
            SELECT array_agg('review:' || v.id ORDER BY v.id) FILTER (WHERE v.is_holding) FROM (
              SELECT id, is_holding FROM ${reviews}
              WHERE referee_id = ${referee} AND user_id IS NOT DISTINCT FROM ${referrer} FOR SHARE
            ) AS v
          ), '{}')`;
}
