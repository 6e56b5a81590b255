import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { statement, type Statement } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import { isSuspended } from '../../database/suspended';
import { ReferralCredit } from '../../entities/referral-credit';
import { grantedCte, type SignupSide } from './granted-cte';
import type { Grants } from './grants';

interface Parameters {
  user: string;
  now: Date | null;
  sides: readonly SignupSide[];
}

/**
 * Grants the credits of a sign-up that are due and were not granted, because they have waited for a review, or are due by the
 * terms of another referral. Like at its threshold, a referrer who is suspended gets no reward, now or later.
 */
export class DueGrants {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #grants: Grants;
  readonly #statement: Statement<Parameters>;

  constructor(database: Database, clock: Clock, grants: Grants) {
    this.#database = database;
    this.#clock = clock;
    this.#grants = grants;
    const { signups, credits } = database.tables;
    this.#statement = statement<Parameters>(
      { user: true, now: true, sides: true },
      ($) => `
      WITH
      -- The time of the statement.
      at AS (
        SELECT ${timeOf($.now)} AS now
      ),
      -- The sign-up, with why it grants no reward. Concurrent calls that record usage of the user wait here.
      signup AS (
        UPDATE ${signups} s SET no_reward = CASE
          WHEN s.no_reward IS NULL AND s.reward_credit_amount IS NOT NULL AND s.threshold_reached_at IS NOT NULL
            AND s.held_for = '{}' AND ${isSuspended(database.tables, 's.referrer_id')}
            AND NOT EXISTS (SELECT FROM ${credits} WHERE referee_id = s.user_id AND kind = 'reward')
          THEN 'suspended' ELSE s.no_reward END
        WHERE s.user_id = ${$.user}
        RETURNING s.*
      ),
      ${grantedCte(database, 'signup', $.sides)}
      SELECT ${database.columns(ReferralCredit, 'c', 'credit.')} FROM granted c`,
    );
  }

  async grant(user: string, within: EntityManager): Promise<void> {
    const now = this.#clock.parameter();
    await this.#grants.run(
      (sides, manager) => this.#database.query<object>(this.#statement.with({ user, now, sides }), manager),
      ['referral', 'reward'],
      within,
    );
  }
}
