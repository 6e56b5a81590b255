import type { EntityManager } from 'typeorm';
import type { Database } from '../../database/database';
import { isRefusal } from '../../database/driver-errors';
import type { Events } from '../../database/events';
import { ReferralCredit } from '../../entities/referral-credit';
import { isNothing } from '../../input';
import type { Settings } from '../../options';

/** The two sides of a sign-up; each gets its credit under a key of its own. */
export type Side = 'referral' | 'reward';

/** Gives the sides of sign-ups what is due to them, in the statement that makes it due. */
export class Grants {
  readonly #database: Database;
  readonly #events: Events;
  readonly #onError: Settings['onError'];

  constructor(database: Database, events: Events, { onError }: Settings) {
    this.#database = database;
    this.#events = events;
    this.#onError = onError;
  }

  /**
   * The CTE `granted`: the credits that are due for the sign-ups in the CTE `source` and were not given yet, at `at.now`, to the
   * sides in the parameter. A side that has its credit, by whatever call, is left alone by its unique key.
   */
  sql(source: string, sides: string): string {
    const { credits, referrals, programs } = this.#database.tables;
    return `granted AS (
      INSERT INTO ${credits}
        (user_id, kind, name, type_id, initial_balance, current_balance, start_date, expiry_date, referee_id, created_at)
      SELECT side.user_id, side.kind,
        coalesce(p.name || ': ', '') || side.words || ' for sign-up ' || s.id || ' with ' || r.code,
        side.type_id, side.amount, side.amount, at.now, at.now + side.days * interval '24 hours', s.user_id, at.now
      FROM ${source} s CROSS JOIN at
      JOIN ${referrals} r ON r.id = s.referral_id LEFT JOIN ${programs} p ON p.id = s.program_id
      CROSS JOIN LATERAL (VALUES
        ('referral', 'credit', s.user_id, s.referral_credit_amount, s.referral_credit_duration,
          s.referral_credit_type_id, true),
        ('reward', 'reward', s.referrer_id, s.reward_credit_amount, s.reward_credit_duration,
          s.reward_credit_type_id, s.threshold_reached_at IS NOT NULL)
      ) AS side (kind, words, user_id, amount, days, type_id, is_due)
      WHERE side.is_due AND side.amount IS NOT NULL AND side.user_id IS NOT NULL AND side.kind = ANY(${sides}::text[])
      ON CONFLICT (user_id, kind, referee_id) WHERE referee_id IS NOT NULL DO NOTHING
      RETURNING *
    )`;
  }

  /**
   * Runs a statement that grants, and tells of the credits in its rows, whose columns have the prefix `credit.`. If PostgreSQL
   * refuses it, what it is about is done without the credits, then each side is tried by itself, so that one side's failure
   * neither blocks nor repeats the other. A side that fails is reported, and made up for by the next such call for the same referee.
   */
  async run<Row extends object>(
    statement: (sides: readonly Side[], manager?: EntityManager) => Promise<Row[]>,
    sides: readonly Side[],
    manager: EntityManager | undefined,
  ): Promise<Row[]> {
    const attempt = async (of: readonly Side[]): Promise<Row[]> => {
      const rows = await this.#database.attempt((within) => statement(of, within), manager);
      for (const row of rows) this.#tell(row, manager);
      return rows;
    };
    try {
      return await attempt(sides);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      const rows = await attempt([]);
      for (const side of sides) {
        await attempt([side]).catch((failure: unknown) => {
          if (!isRefusal(failure)) throw failure;
          this.#onError(failure);
        });
      }
      return rows;
    }
  }

  #tell(row: object, manager: EntityManager | undefined): void {
    if (isNothing((row as Record<string, unknown>)['credit.id'])) return;
    this.#events.emit(manager, 'creditGranted', this.#database.entity(ReferralCredit, row, 'credit.'));
  }
}
