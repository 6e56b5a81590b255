import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import type { EarningMode } from '../../types/earn-outs';
import { wakeStatement } from './due-accounts';
import { isUnpaid } from './statuses';

/** Makes accounts and earn-outs due that wait. The caller has locked the account. */
export class Waiting {
  readonly #database: Database;
  readonly #clock: Clock;

  constructor(database: Database, clock: Clock) {
    this.#database = database;
    this.#clock = clock;
  }

  /** The next run looks at the account. */
  async wake(userId: string, manager: EntityManager): Promise<void> {
    const parameters = { user: userId, now: this.#clock.parameter() };
    await this.#database.query(wakeStatement(this.#database).with(parameters), manager);
  }

  /** Ends the wait of an account after refusals, which begin to count anew. */
  async end(userId: string, mode: EarningMode, manager: EntityManager): Promise<void> {
    const { earnOuts } = this.#database.tables;
    await this.#database.query(
      sql(
        { user: userId, mode, now: this.#clock.parameter() },
        ($) => `
        UPDATE ${earnOuts} o SET next_attempt_at = ${timeOf($.now)}, refusals = 0
        WHERE user_id = ${$.user} AND mode = ${$.mode} AND refused_at IS NOT NULL AND ${isUnpaid('o')}
          AND (refusals > 0 OR next_attempt_at IS NULL OR next_attempt_at > ${timeOf($.now)})`,
      ),
      manager,
    );
    await this.wake(userId, manager);
  }

  /** The next run asks the provider for an earn-out that has waited for an approval. Returns whether it did. */
  async approve(userId: string, id: number, manager: EntityManager): Promise<boolean> {
    const { earnOuts } = this.#database.tables;
    const rows = await this.#database.query(
      sql(
        { user: userId, id, now: this.#clock.parameter() },
        ($) => `
        UPDATE ${earnOuts} SET awaits_approval = false, next_attempt_at = ${timeOf($.now)}, updated_at = ${timeOf($.now)}
        WHERE user_id = ${$.user} AND id = ${$.id} AND awaits_approval
        RETURNING id`,
      ),
      manager,
    );
    return rows.length > 0;
  }

  /** The next run asks the provider again for an earn-out in progress. */
  async askAgain(userId: string, id: number, manager: EntityManager): Promise<void> {
    const { earnOuts } = this.#database.tables;
    await this.#database.query(
      sql(
        { user: userId, id, now: this.#clock.parameter() },
        ($) => `
        UPDATE ${earnOuts} SET next_attempt_at = ${timeOf($.now)}, attempts = 0, submitted_at = NULL,
          claimed_by = NULL, claimed_until = NULL, updated_at = ${timeOf($.now)}
        WHERE user_id = ${$.user} AND id = ${$.id} AND status = 'processing'`,
      ),
      manager,
    );
  }
}
