import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import { timeAsText, timeInResult } from '../../database/result-types';
import type { Friend, FriendState } from '../../types/figures';
import type { NoReward } from '../../types/signups';
import { notAMark, pageOf, type Reader } from './rows';

interface FriendRow {
  id: string;
  since: Date;
  state: FriendState;
  customerSince: Date | null;
  threshold: string | null;
  recorded: string | null;
  reward: string | null;
  rewardedAt: Date | null;
  noReward: NoReward | null;
  earned: string;
  isHeld: boolean;
  mark: string;
}

/**
 * Who has signed up or bought through a user, newest first. The mark of a page has a hash in the place of the friend's id,
 * because it is part of an address.
 */
export function friendReader(database: Database): Reader<Friend> {
  const { referees, signups, credits } = database.tables;
  return async (user, wanted) => {
    const [, time = null, hash = null] = /^(\d{4}-[\d:.T+-]+) ([\da-f]{32})$/.exec(wanted.after ?? '') ?? [];
    if (wanted.after !== null && (time === null || Number.isNaN(Date.parse(time)))) throw notAMark(wanted.after);
    const read = await database.query<FriendRow>(
      sql(
        { user, time, hash, limit: wanted.take + 1 },
        ($) => `
        SELECT p.referee_id AS id, ${timeInResult('p.created_at')} AS since,
          ${timeInResult('p.upgraded_at')} AS "customerSince", p.earned, p.held_for <> '{}' AS "isHeld",
          CASE WHEN p.upgraded_at IS NOT NULL THEN 'customer'
            WHEN s.before_reward_usage_threshold > 0 AND s.reward_credit_amount IS NOT NULL AND s.recorded_usage > 0
              THEN 'usage' ELSE 'signed-up' END AS state,
          CASE WHEN s.reward_credit_amount IS NOT NULL THEN nullif(s.before_reward_usage_threshold, 0) END AS threshold,
          s.recorded_usage AS recorded, coalesce(c.initial_balance, s.reward_credit_amount) AS reward,
          ${timeInResult('c.created_at')} AS "rewardedAt", s.no_reward AS "noReward",
          ${timeAsText(`p.created_at AT TIME ZONE 'UTC'`)} || ' ' || md5(p.referee_id) AS mark
        FROM (
          SELECT * FROM ${referees} p WHERE p.user_id = ${$.user} AND (${$.time}::text IS NULL OR (
            p.created_at <= ${$.time}::timestamp AT TIME ZONE 'UTC'
            AND (p.created_at, md5(p.referee_id)) < (${$.time}::timestamp AT TIME ZONE 'UTC', ${$.hash}::text)
          ))
          ORDER BY p.created_at DESC, md5(p.referee_id) DESC LIMIT ${$.limit}::integer
        ) AS p
        LEFT JOIN ${signups} s ON s.user_id = p.referee_id AND s.referrer_id = p.user_id
        LEFT JOIN ${credits} c ON c.referee_id = p.referee_id AND c.kind = 'reward' AND c.user_id = p.user_id
        ORDER BY p.created_at DESC, md5(p.referee_id) DESC`,
      ),
    );
    return pageOf(
      read,
      wanted,
      ({ mark }) => mark,
      ({ id, since, state, customerSince, threshold, recorded, reward, rewardedAt, noReward, earned, isHeld }) => ({
        ...{ id, since, state, customerSince },
        usage:
          threshold === null ? null : { recorded: database.shown(recorded!), threshold: database.shown(threshold) },
        reward: reward === null ? null : { amount: database.shown(reward), at: rewardedAt, refused: noReward },
        ...{ earned: database.shown(earned), isHeld },
      }),
    );
  };
}
