import type { EntityManager } from 'typeorm';
import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import type { AdjustmentRejections } from '../commissions/adjustment-rejections';
import type { CommissionRejections } from '../commissions/commission-rejections';
import type { Author } from '../records/audit';
import type { Key, Transitions } from './transitions';
import { unpaidCommissions } from './unpaid-commissions';

/** Thrown to roll back a ban, because a purchase has earned a commission meanwhile. The next attempt rejects that too. */
export class BanOvertaken extends Error {}

/** What a ban rejects. */
interface Rejectable {
  /** The buyers of the commissions, whose turns are taken. */
  readonly buyers: ReadonlySet<string>;
}

/**
 * Rejects what is not paid to a banned account. Locks, in the order of a purchase and of a refund: the turns of the buyers
 * (`begin`), the account, which the caller locks, then its earn-outs, the commissions and the totals. A purchase can earn a
 * commission after `begin`, and hold a turn that was not taken: then the ban begins anew.
 */
export class Bans {
  readonly #database: Database;
  readonly #transitions: Transitions;
  readonly #rejections: CommissionRejections;
  readonly #adjustments: AdjustmentRejections;

  constructor(
    database: Database,
    transitions: Transitions,
    rejections: CommissionRejections,
    adjustments: AdjustmentRejections,
  ) {
    this.#database = database;
    this.#transitions = transitions;
    this.#rejections = rejections;
    this.#adjustments = adjustments;
  }

  /** Takes the turns of the buyers, before the account is locked. */
  async begin(userId: string, manager: EntityManager): Promise<Rejectable> {
    const { buyers, commissions } = this.#database.tables;
    const query = sql(
      { user: userId },
      ($) => `
      INSERT INTO ${buyers} AS b (user_id)
      SELECT DISTINCT c.referee_id FROM ${commissions} c WHERE c.user_id = ${$.user} AND ${this.#isUnpaid()} ORDER BY 1
      ON CONFLICT (user_id) DO UPDATE SET version = b.version + 1
      RETURNING user_id AS "userId"`,
    );
    const rows = await this.#database.query<{ userId: string }>(query, manager);
    return { buyers: new Set(rows.map((row) => row.userId)) };
  }

  /** Locks what is rejected, and ends the earn-outs that are surely not paid. The caller has locked the account. */
  async release(userId: string, { buyers }: Rejectable, manager: EntityManager): Promise<void> {
    const { earnOuts, commissions } = this.#database.tables;
    const unasked = sql(
      { user: userId },
      ($) => `
      SELECT id::text AS id FROM ${earnOuts} WHERE user_id = ${$.user} AND status = 'processing' AND asked_at IS NULL
      ORDER BY id FOR NO KEY UPDATE`,
    );
    const unpaid = await this.#database.query<{ id: string }>(unasked, manager);
    const lock = sql(
      { user: userId },
      ($) => `
      SELECT c.referee_id AS "buyer" FROM ${commissions} c WHERE c.user_id = ${$.user} AND ${this.#isUnpaid()}
      ORDER BY c.id FOR NO KEY UPDATE`,
    );
    const locked = await this.#database.query<{ buyer: string }>(lock, manager);
    if (locked.some(({ buyer }) => !buyers.has(buyer))) throw new BanOvertaken();
    const change = { status: 'failed', before: 'processing', claim: null, reference: null } as const;
    for (const { id } of unpaid) {
      const key: Key = { userId, id: Number(id) };
      await this.#transitions.refuse(key, { ...change, reason: 'The account was banned.' }, manager);
    }
  }

  /**
   * Rejects the commissions, and takes back what staff have added. The caller has limited the totals, so that no purchase
   * adds a commission.
   */
  async reject(userId: string, { buyers }: Rejectable, author: Author, manager: EntityManager): Promise<void> {
    const unpaid = await unpaidCommissions(this.#database, userId, manager);
    if (unpaid.some(({ buyer }) => !buyers.has(buyer))) throw new BanOvertaken();
    await this.#rejections.reject({ ids: unpaid.map(({ id }) => id) }, author, manager);
    await this.#adjustments.takeBack(userId, author, manager);
  }

  /** SQL: whether a commission `c` is not paid, or is in an earn-out that is not. */
  #isUnpaid(): string {
    const { earnOuts } = this.#database.tables;
    return `c.rejected_at IS NULL AND c.moved_at IS NULL AND (c.earn_out_id IS NULL OR c.earn_out_id IN (
        SELECT o.id FROM ${earnOuts} o WHERE o.user_id = c.user_id AND o.status = 'processing' AND o.asked_at IS NULL
      ))`;
  }
}
