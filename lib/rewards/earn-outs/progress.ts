import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import type { ReferralEarnOut } from '../../entities/referral-earn-out';
import type { EarnOutProgress, RunEarnOutsOptions } from '../../types/earn-outs';
import { Batches } from './batches';

/** An earn-out that this run has completed or failed. */
export type SettledEarnOut = Pick<ReferralEarnOut, 'status' | 'amount'>;

/** Sums up what a run has done, and calls `onProgress`. PostgreSQL adds the amounts, so that the sum is exact. */
export class Progress {
  readonly #database: Database;
  readonly #onProgress: RunEarnOutsOptions['onProgress'];
  readonly #sum: EarnOutProgress = { bound: 0, completed: 0, failed: 0, amount: '0' };
  /** Payouts settle in parallel, so each batch waits for the batch before it. */
  readonly #batches = new Batches<readonly SettledEarnOut[], void>(async (batches) => {
    await this.#add(batches.flat());
    return batches.map(() => undefined);
  });
  /** Whether the run has bound, claimed or settled an earn-out. */
  hasBegun = false;

  constructor(database: Database, onProgress: RunEarnOutsOptions['onProgress']) {
    this.#database = database;
    this.#onProgress = onProgress;
  }

  async addBound(count: number): Promise<void> {
    this.hasBegun ||= count > 0;
    this.#sum.bound += count;
    await this.#onProgress?.(this.shown());
  }

  /** Adds settled earn-outs. */
  addSettled(settled: readonly SettledEarnOut[]): Promise<void> {
    this.hasBegun = true;
    return this.#batches.do(settled);
  }

  async #add(settled: readonly SettledEarnOut[]): Promise<void> {
    const completed = settled.filter(({ status }) => status === 'completed').map(({ amount }) => amount);
    const [row] = await this.#database.query<{ sum: string }>(
      sql(
        { completed, before: this.#sum.amount },
        ($) =>
          `SELECT sum(amount)::text AS sum FROM unnest(${$.completed}::numeric[] || ${$.before}::numeric) AS amount`,
      ),
    );
    this.#sum.amount = row!.sum;
    this.#sum.completed += completed.length;
    this.#sum.failed += settled.length - completed.length;
    await this.#onProgress?.(this.shown());
  }

  shown(): EarnOutProgress {
    return { ...this.#sum, amount: this.#database.shown(this.#sum.amount) };
  }
}
