import { type EntityManager, Not } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import { ReferralCreditTransaction } from '../../entities/referral-credit-transaction';
import { invalid, referralError } from '../../errors';
import { amountOf, isNothing, objectOf, referenceOf, textOf } from '../../input';
import { lengths } from '../../limits';
import type { CreditTransactionInput } from '../../types/credits';
import { RecordManager } from '../records/record-manager';
import type { CreditManager } from './credit-manager';
import { OverdueHolds } from './overdue-holds';

const addedOnly =
  'entries of the ledger are only ever added; to correct one, add another with creditTransactions.create';

interface AdjustmentParameters {
  user: string;
  credit: number;
  value: string;
  description: string;
  reference: string | null;
  /** The injected clock's time; null for the database's. */
  now: Date | null;
}

/** The result of an adjustment: the columns of the entry, or nulls if the new balance would be out of bounds. */
interface AdjustmentRow {
  /** A bigint: the driver gives a string. */
  id: string | null;
  /** Whether the entry has the value of this call; null without an entry. */
  isSame: boolean | null;
  /** Whether this call has made the entry. */
  isNew: boolean;
  /** A number if the host has made its driver parse `numeric` as a float. */
  balance: string | number;
}

/**
 * `referrals.creditTransactions`: the entries of the ledger that change a credit after it was given. Its first entry is
 * the credit's `initialBalance`.
 */
export class CreditTransactionManager extends RecordManager<ReferralCreditTransaction, CreditTransactionInput, object> {
  readonly #clock: Clock;
  readonly #credits: CreditManager;
  readonly #overdue: OverdueHolds;

  /** @internal */
  constructor(database: Database, clock: Clock, credits: CreditManager) {
    const only = { kind: Not('grant') };
    super(database, { record: ReferralCreditTransaction, word: 'credit transaction', inUse: {}, only });
    this.#clock = clock;
    this.#credits = credits;
    this.#overdue = new OverdueHolds(database, clock);
  }

  /** Adjusts a credit by hand. */
  protected async make(input: CreditTransactionInput, manager: EntityManager): Promise<ReferralCreditTransaction> {
    const parameters = await this.#parametersOf(input, manager);
    await this.#overdue.release(parameters.user, manager);
    const row = await this.#adjust(parameters, manager);
    const { value, reference } = parameters;
    if (row.id === null) {
      const takes = `an amount that leaves the balance, now ${this.database.shown(row.balance)}, within 0 and numeric(20,4)`;
      throw invalid('value', takes, value);
    }
    const entry = this.database.entity(ReferralCreditTransaction, row);
    if (!row.isSame)
      throw referralError('REFERENCE_REUSED', reference!, `an adjustment of ${entry.value}`, `one of ${value}`);
    if (!row.isNew) this.known.add(entry);
    return entry;
  }

  async #parametersOf(input: CreditTransactionInput, manager: EntityManager): Promise<AdjustmentParameters> {
    const { reference, description } = objectOf('creditTransactions.create', input, {
      ...{ credit: true, value: true, description: true, reference: true },
    });
    const value = amountOf('value', input.value, 'not zero', this.database.currency);
    const credit = await this.#credits.existing('credit', input.credit, manager);
    const { userId } = await this.#credits.get(credit, { manager });
    return {
      ...{ user: userId, credit, value },
      description: textOf('description', description ?? '', lengths.description),
      reference: isNothing(reference) ? null : referenceOf('reference', reference),
      now: this.#clock.parameter(),
    };
  }

  /** Locks the credit in a first statement, so that the snapshot of the second one contains all earlier adjustments. */
  async #adjust(parameters: AdjustmentParameters, manager: EntityManager): Promise<AdjustmentRow> {
    const { credits, transactions } = this.database.tables;
    const { user, credit } = parameters;
    await this.database.query(
      sql(
        { user, credit },
        ($) => `SELECT FROM ${credits} WHERE user_id = ${$.user} AND id = ${$.credit} FOR NO KEY UPDATE`,
      ),
      manager,
    );
    const adjustment = sql(
      parameters,
      ($) => `
        WITH
        -- An earlier adjustment with this reference. If there is one, nothing is written.
        known AS (
          SELECT * FROM ${transactions}
          WHERE user_id = ${$.user} AND credit_id = ${$.credit} AND kind = 'adjustment' AND reference = ${$.reference}
        ),
        -- Changes the balance, if the new one is within its bounds. It guards the entry.
        adjusted AS (
          UPDATE ${credits} SET current_balance = current_balance + ${$.value}::numeric,
            is_used_up = current_balance + ${$.value}::numeric = 0, entries = entries + 1
          WHERE user_id = ${$.user} AND id = ${$.credit}
            AND current_balance + ${$.value}::numeric BETWEEN 0 AND 9999999999999999.9999
            AND NOT EXISTS (SELECT FROM known)
          RETURNING 1
        ),
        -- Adds the ledger entry.
        entered AS (
          INSERT INTO ${transactions} (user_id, credit_id, kind, value, description, reference, created_at)
          SELECT ${$.user}, ${$.credit}, 'adjustment', ${$.value}::numeric, ${$.description}, ${$.reference},
            ${timeOf($.now)} FROM adjusted
          RETURNING *
        )
        SELECT e.value = ${$.value}::numeric AS "isSame", EXISTS (SELECT FROM entered) AS "isNew", c.current_balance AS balance,
          ${this.database.columns(ReferralCreditTransaction, 'e')}
        FROM ${credits} c LEFT JOIN (SELECT * FROM entered UNION ALL SELECT * FROM known) e ON true
        WHERE c.user_id = ${$.user} AND c.id = ${$.credit}`,
    );
    const [row] = await this.database.query<AdjustmentRow>(adjustment, manager);
    return row!;
  }

  protected async change(id: number, _changes: object, manager: EntityManager): Promise<never> {
    await this.get(id, { manager });
    throw referralError('NOT_CHANGEABLE', this.kind.word, id, addedOnly);
  }

  protected async remove(id: number, manager: EntityManager): Promise<never> {
    await this.get(id, { manager });
    throw referralError('IN_USE', this.kind.word, id, addedOnly);
  }
}
