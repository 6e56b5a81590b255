import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import { ReferralAdjustment } from '../../entities/referral-adjustment';
import type { Audit, Author } from '../records/audit';
import { type AdjustRow, adjustStatement } from './adjust-statement';

/** Takes back what staff have added to the earnings of an account that is banned, as far as it is not paid. */
export class AdjustmentRejections {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #audit: Audit;

  constructor(database: Database, clock: Clock, audit: Audit) {
    this.#database = database;
    this.#clock = clock;
    this.#audit = audit;
  }

  /**
   * Takes back each adjustment above 0 that is in no earn-out, by one of the same amount below 0. Its reference is derived
   * from the first one, so that no second ban takes it back again. Deductions stay. The caller has locked the account.
   */
  async takeBack(user: string, author: Author, within: EntityManager): Promise<void> {
    const { adjustments } = this.#database.tables;
    const unpaid = sql(
      { user },
      ($) => `SELECT ${this.#database.columns(ReferralAdjustment)} FROM ${adjustments}
        WHERE user_id = ${$.user} AND earn_out_id IS NULL AND amount > 0 ORDER BY id FOR NO KEY UPDATE`,
    );
    const rows = await this.#database.query<object>(unpaid, within);
    for (const row of rows) {
      const { id, mode, amount } = this.#database.entity(ReferralAdjustment, row);
      const given = { reference: `ban takes back adjustment ${id}`, amount: `-${amount}`, mode };
      const reason = author.reason ?? 'The account is banned.';
      const query = adjustStatement(this.#database).with({ user, ...given, reason, now: this.#clock.parameter() });
      const [made] = await this.#database.query<AdjustRow>(query, within);
      if (!made!.isNew) continue;
      const taken = this.#database.entity(ReferralAdjustment, made!);
      const change = { call: 'accounts.ban', subject: 'adjustment', subjectId: taken.id, userId: user, before: null };
      await this.#audit.record([{ ...change, after: given }], author, within);
    }
  }
}
