import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database, Prepared } from '../../database/database';
import { timeOf } from '../../database/statement-time';
import { shownAmount } from '../../entities/columns';
import { ReferralCredit } from '../../entities/referral-credit';
import { ReferralUsage } from '../../entities/referral-usage';
import { referralError } from '../../errors';
import { amountOf, objectOf, someUserIdOf, textOf } from '../../input';
import { lengths } from '../../limits';
import type { UserRef } from '../../types/common';
import type { UsageInput } from '../../types/signups';
import type { Grants, Side } from './grants';

/** Records what referees use, and rewards their referrers once it is enough. */
export class Usages {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #grants: Grants;
  readonly #statement: Prepared;

  constructor(database: Database, clock: Clock, grants: Grants) {
    this.#database = database;
    this.#clock = clock;
    this.#grants = grants;
    this.#statement = database.prepared(this.#text());
  }

  async record(user: UserRef, input: UsageInput): Promise<ReferralUsage> {
    const given = objectOf('recordUsage', input, ['amount', 'reference', 'manager']);
    const userId = someUserIdOf('user', user);
    const amount = amountOf('amount', given.amount, 'any');
    const reference = textOf('reference', given.reference, lengths.reference, 1);
    const parameters = [userId, reference, amount, this.#clock.parameter()];
    const statement = (sides: readonly Side[], within?: EntityManager): Promise<Answered[]> =>
      this.#database.query<Answered>(this.#statement, [...parameters, sides], within);
    for (;;) {
      const rows = await this.#grants.run(statement, ['reward'], given.manager);
      const [row] = rows;
      if (row!['usage.userId'] === null) continue; // recorded by another call since this statement began: now it is seen
      const usage = this.#database.entity(ReferralUsage, row!, 'usage.');
      if (!row!.isSame) throw referralError('REFERENCE_REUSED', reference, usage.amount, shownAmount(amount));
      return usage;
    }
  }

  /** The referee's row decides when the threshold is reached: those who wait for it find the sum as the one before left it. */
  #text(): string {
    const { signups, usages } = this.#database.tables;
    return `
      WITH at AS (
        SELECT ${timeOf('$4')} AS now
      ), known AS (
        SELECT * FROM ${usages} WHERE user_id = $1 AND reference = $2
      ), locked AS (
        SELECT user_id FROM ${signups} WHERE user_id = $1 AND NOT EXISTS (SELECT FROM known) FOR NO KEY UPDATE
      ), recorded AS (
        INSERT INTO ${usages} (user_id, reference, amount, is_counted, created_at)
        SELECT $1, $2, $3::numeric, EXISTS (SELECT FROM locked), at.now
        FROM at WHERE NOT EXISTS (SELECT FROM known)
        ON CONFLICT DO NOTHING
        RETURNING *
      ), counted AS (
        UPDATE ${signups} s SET recorded_usage = s.recorded_usage + recorded.amount,
          threshold_reached_at = coalesce(s.threshold_reached_at,
            CASE WHEN s.recorded_usage + recorded.amount >= s.before_reward_usage_threshold THEN at.now END)
        FROM recorded CROSS JOIN at WHERE s.user_id = $1
        RETURNING s.*
      ), signup AS (
        SELECT * FROM counted UNION ALL SELECT s.* FROM ${signups} s WHERE s.user_id = $1 AND EXISTS (SELECT FROM known)
      ), ${this.#grants.sql('signup', '$5')}
      SELECT u.amount = $3 AS "isSame", ${this.#database.columns(ReferralUsage, 'u', 'usage.')},
        ${this.#database.columns(ReferralCredit, 'c', 'credit.')}
      FROM at LEFT JOIN (SELECT * FROM recorded UNION ALL SELECT * FROM known) u ON true LEFT JOIN granted c ON true`;
  }
}

interface Answered {
  'isSame': boolean | null;
  'usage.userId': string | null;
}
