import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import type { Events } from '../../database/events';
import { sql } from '../../database/named-parameters';
import { timeInResult } from '../../database/result-types';
import { timeOf } from '../../database/statement-time';
import { ReferralCommission } from '../../entities/referral-commission';
import type { Settings } from '../../options';
import { OverdueHolds } from '../credits/overdue-holds';
import type { Audit, Author } from '../records/audit';
import { type Chosen, isChosen } from './chosen-commissions';
import { creditTakenBack } from './credit-taken-back';
import { periodChanges } from './referrer-periods';
import { totalChanges } from './total-changes';

/**
 * Rejects commissions: takes back what is left of them by an entry, for good. What an earn-out has paid becomes a debt by
 * its entry, but for what of the credit is unspent, as after a refund.
 *
 * Locks, in this order, as a purchase does: the turns of the buyers, the accounts, then the commissions, the rows of
 * their referees and totals. A caller who holds the lock on an account can meet a purchase that waits for it.
 */
export class CommissionRejections {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #events: Events;
  readonly #audit: Audit;
  readonly #takesBack: boolean;
  readonly #overdue: OverdueHolds;

  constructor(database: Database, clock: Clock, events: Events, audit: Audit, { earnOuts }: Settings) {
    this.#database = database;
    this.#clock = clock;
    this.#events = events;
    this.#audit = audit;
    this.#takesBack = earnOuts.takeBackCredit;
    this.#overdue = new OverdueHolds(database, clock);
  }

  /** Rejects commissions that are not rejected yet, nor moved away. Returns them, and keeps a row of the audit for each. */
  async reject(chosen: Chosen, author: Author, within: EntityManager): Promise<ReferralCommission[]> {
    await this.#takeTurns(chosen, within);
    if (this.#takesBack) await this.#overdue.releaseFor(chosen, ($) => isChosen(chosen, $), within);
    const rows = await this.#reject(chosen, within);
    const rejected = rows.map((row) => ({
      commission: this.#database.entity(ReferralCommission, row),
      before: { amount: this.#database.shown(row.amountBefore), rejectedAt: null, revertedAt: row.revertedBefore },
    }));
    const changes = rejected.map(({ commission, before }) => ({
      ...{ call: 'commissions.reject', subject: 'commission', subjectId: commission.id, userId: commission.userId },
      before,
      after: { amount: commission.amount, rejectedAt: commission.rejectedAt, revertedAt: commission.revertedAt },
    }));
    await this.#audit.record(changes, author, within);
    const commissions = rejected.map(({ commission }) => commission);
    for (const commission of commissions) this.#events.emit(within, 'commissionRejected', commission);
    return commissions;
  }

  /**
   * Makes the calls for the buyers wait, so that none computes from a commission or from the room of a limit that this
   * one changes; then binding and payments of the accounts.
   */
  async #takeTurns(chosen: Chosen, within: EntityManager): Promise<void> {
    const { buyers, accounts, commissions } = this.#database.tables;
    const turns = sql(
      { ...chosen },
      ($) => `
      INSERT INTO ${buyers} AS b (user_id)
      SELECT DISTINCT c.referee_id FROM ${commissions} c WHERE ${isChosen(chosen, $)} AND c.rejected_at IS NULL ORDER BY 1
      ON CONFLICT (user_id) DO UPDATE SET version = b.version + 1`,
    );
    await this.#database.query(turns, within);
    const locks = sql(
      { ...chosen },
      ($) => `
      SELECT FROM ${accounts} a WHERE a.user_id IN (SELECT c.user_id FROM ${commissions} c WHERE ${isChosen(chosen, $)})
      ORDER BY a.user_id FOR NO KEY UPDATE`,
    );
    await this.#database.query(locks, within);
  }

  #reject(chosen: Chosen, within: EntityManager): Promise<RejectedRow[]> {
    const { tables } = this.#database;
    const query = sql(
      { ...chosen, takesBack: this.#takesBack, now: this.#clock.parameter() },
      ($) => `
    WITH
    -- The time of the statement.
    at AS MATERIALIZED (
      SELECT ${timeOf($.now)} AS now
    ),
    -- Locks the commissions.
    locked AS (
      SELECT c.* FROM ${tables.commissions} c WHERE ${isChosen(chosen, $)}
      ORDER BY c.user_id, c.id FOR NO KEY UPDATE
    ),
    -- Takes back what is left. A hold ends, because nothing is left to hold.
    rejected AS (
      UPDATE ${tables.commissions} c SET amount = 0, rejected_at = at.now, updated_at = at.now,
        reverted_at = coalesce(c.reverted_at, at.now), available_at = coalesce(c.held_from, c.available_at),
        held_for = '{}', held_from = NULL
      FROM locked CROSS JOIN at WHERE c.user_id = locked.user_id AND c.id = locked.id AND locked.rejected_at IS NULL
        AND locked.moved_at IS NULL
      RETURNING c.*, locked.amount AS back, locked.reverted_at AS reverted_before, locked.available_at AS available_before
    ),
    ${creditTakenBack(tables, 'rejected', $.takesBack)},
    -- Inserts the entries. If an earn-out has paid the commission, a later one subtracts what was not taken back from
    -- credit.
    entered AS (
      INSERT INTO ${tables.commissionEntries} (user_id, commission_id, kind, amount, refund, taken_back, created_at)
      SELECT r.user_id, r.id, 'reject', -r.back, '', coalesce(t.amount, 0), at.now
      FROM rejected r LEFT JOIN taken_back t ON t.user_id = r.user_id AND t.commission_id = r.id CROSS JOIN at
      WHERE r.back > 0 ORDER BY r.user_id, r.id
    ),
    -- Subtracts from what the referees have earned the referrers, so that the limits leave more room again.
    referees AS (
      UPDATE ${tables.referees} e SET earned = e.earned - sums.back
      FROM (SELECT user_id, referee_id, sum(back) AS back FROM rejected GROUP BY 1, 2) AS sums
      WHERE e.user_id = sums.user_id AND e.referee_id = sums.referee_id
    ),
    -- Subtracts from what limits for the referrers count in their periods.
    ${periodChanges(tables, 'rejected')},
    -- Subtracts from the totals, after what is counted in periods: otherwise PostgreSQL would execute limited last.
    moves AS (
      SELECT user_id, coalesce(channel_id, 0) AS channel_id, mode, 0 AS commissions, 0 AS revenue, -back AS amount,
        (reverted_before IS NULL)::integer AS reverted, -(reverted_before IS NULL)::integer AS matured,
        -back AS matured_amount, available_before AS matured_at, false AS is_woken
      FROM rejected
    ),
    ${totalChanges(tables, 'moves', 'limited')}
    SELECT ${this.#database.columns(ReferralCommission)}, back::text AS "amountBefore",
      ${timeInResult('reverted_before')} AS "revertedBefore"
    FROM rejected ORDER BY user_id, id`,
    );
    return this.#database.query<RejectedRow>(query, within);
  }
}

/** A row also has the columns of the commission as it is now. */
interface RejectedRow {
  amountBefore: string;
  revertedBefore: Date | null;
}
