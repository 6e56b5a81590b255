import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { statement, type Statement } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import { ReferralCredit } from '../../entities/referral-credit';
import { grantedCte, type SignupSide } from './granted-cte';
import type { Grants } from './grants';

interface Parameters {
  user: string;
  now: Date | null;
  sides: readonly SignupSide[];
}

/** Grants the credits of a sign-up that are due and were not granted, because they have waited for a review. */
export class DueGrants {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #grants: Grants;
  readonly #statement: Statement<Parameters>;

  constructor(database: Database, clock: Clock, grants: Grants) {
    this.#database = database;
    this.#clock = clock;
    this.#grants = grants;
    this.#statement = statement<Parameters>(
      { user: true, now: true, sides: true },
      ($) => `
      WITH
      -- The time of the statement.
      at AS (
        SELECT ${timeOf($.now)} AS now
      ),
      -- The sign-up. Concurrent calls that record usage of the user wait here.
      signup AS (
        SELECT * FROM ${database.tables.signups} WHERE user_id = ${$.user} FOR NO KEY UPDATE
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
