import type { EntityManager } from 'typeorm';
import type { Database } from '../../database/database';
import { isRefusal } from '../../database/driver-errors';
import type { Events } from '../../database/events';
import { callHost } from '../../database/own-runners';
import { ReferralCredit } from '../../entities/referral-credit';
import { isNothing } from '../../input';
import type { Settings } from '../../options';
import type { SignupSide } from './granted-cte';

/** Runs statements with the CTE `granted` (`granted-cte.ts`), and emits `creditGranted` for each credit. */
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
   * Runs a statement that grants the given sides their credits. Its rows have the columns of a credit with the prefix
   * `credit.`.
   *
   * If PostgreSQL refuses the statement, it runs again without any side, so that the sign-up or usage is recorded. Then
   * it runs once for each side: a credit that can't be inserted does not prevent that of the other side. The error of
   * such a side goes to `onError`. The next call for the same referee tries that side again.
   */
  async run<Row extends object>(
    statement: (sides: readonly SignupSide[], manager?: EntityManager) => Promise<Row[]>,
    sides: readonly SignupSide[],
    manager: EntityManager | undefined,
  ): Promise<Row[]> {
    const attempt = async (granted: readonly SignupSide[]): Promise<Row[]> => {
      const rows = await this.#database.attempt((within) => statement(granted, within), manager);
      for (const row of rows) this.#emitGranted(row, manager);
      return rows;
    };
    try {
      return await attempt(sides);
    } catch (error) {
      if (!isRefusal(error)) throw error;
    }
    const rows = await attempt([]);
    for (const side of sides) {
      await this.#database
        .nextStep(() => attempt([side]), manager)
        .catch((error: unknown) => {
          if (!isRefusal(error)) throw error;
          callHost(() => this.#onError(error), manager?.queryRunner);
        });
    }
    return rows;
  }

  #emitGranted(row: object, manager: EntityManager | undefined): void {
    if (isNothing((row as Record<string, unknown>)['credit.id'])) return;
    this.#events.emit(manager, 'creditGranted', this.#database.entity(ReferralCredit, row, 'credit.'));
  }
}
