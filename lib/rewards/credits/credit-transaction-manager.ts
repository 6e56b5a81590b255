import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { timeOf } from '../../database/statement-time';
import { shownAmount } from '../../entities/columns';
import { ReferralCreditTransaction } from '../../entities/referral-credit-transaction';
import { invalid, referralError } from '../../errors';
import { amountOf, isNothing, objectOf, textOf } from '../../input';
import { lengths } from '../../limits';
import type { CreditTransactionInput } from '../../types/credits';
import { RecordManager } from '../records/record-manager';
import type { CreditManager } from './credit-manager';

const isForGood =
  'entries of the ledger are only ever added; add one that makes up for it, with creditTransactions.create';

interface Adjusted {
  id: string | null;
  isSame: boolean | null;
  balance: string;
}

/** `referrals.creditTransactions`: the ledger's entries. */
export class CreditTransactionManager extends RecordManager<ReferralCreditTransaction, CreditTransactionInput, object> {
  readonly #clock: Clock;
  readonly #credits: CreditManager;

  /** @internal */
  constructor(database: Database, clock: Clock, credits: CreditManager) {
    super(database, { record: ReferralCreditTransaction, word: 'credit transaction', inUse: {} });
    this.#clock = clock;
    this.#credits = credits;
  }

  /** Adjusts a credit by hand. */
  protected async make(input: CreditTransactionInput, manager: EntityManager): Promise<ReferralCreditTransaction> {
    const { reference, description } = objectOf('creditTransactions.create', input, [
      ...['credit', 'value', 'description', 'reference'],
    ]);
    const value = amountOf('value', input.value, 'not zero');
    const creditId = await this.#credits.existing('credit', input.credit, manager);
    const credit = await this.#credits.get(creditId, { manager });
    const parameters = [
      ...[credit.userId, creditId, value, textOf('description', description ?? '', lengths.description)],
      isNothing(reference) ? null : textOf('reference', reference, lengths.reference, 1),
      this.#clock.parameter(),
    ];
    // The credit's row first: those who adjust it at the same time take turns, and see what the one before has added.
    const { credits, transactions } = this.database.tables;
    await this.database.query(
      `SELECT FROM ${credits} WHERE user_id = $1 AND id = $2 FOR NO KEY UPDATE`,
      [credit.userId, creditId],
      manager,
    );
    const [row] = await this.database.query<Adjusted>(
      `WITH known AS (
         SELECT * FROM ${transactions}
         WHERE user_id = $1 AND credit_id = $2 AND kind = 'adjustment' AND reference = $5
       ), adjusted AS (
         UPDATE ${credits} SET current_balance = current_balance + $3::numeric
         WHERE user_id = $1 AND id = $2 AND current_balance + $3::numeric BETWEEN 0 AND 9999999999999999.9999
           AND NOT EXISTS (SELECT FROM known)
         RETURNING 1
       ), entered AS (
         INSERT INTO ${transactions} (user_id, credit_id, kind, value, description, reference, created_at)
         SELECT $1, $2, 'adjustment', $3::numeric, $4, $5, ${timeOf('$6')} FROM adjusted
         RETURNING *
       )
       SELECT e.value = $3::numeric AS "isSame", c.current_balance AS balance,
         ${this.database.columns(ReferralCreditTransaction, 'e')}
       FROM ${credits} c LEFT JOIN (SELECT * FROM entered UNION ALL SELECT * FROM known) e ON true
       WHERE c.user_id = $1 AND c.id = $2`,
      parameters,
      manager,
    );
    if (row!.id === null)
      throw invalid(
        'value',
        `an amount that leaves the balance, now ${shownAmount(row!.balance)}, within 0 and numeric(20,4)`,
        value,
      );
    const entry = this.database.entity(ReferralCreditTransaction, row!);
    if (!row!.isSame)
      throw referralError('REFERENCE_REUSED', reference!, `an adjustment of ${entry.value}`, `one of ${value}`);
    return entry;
  }

  protected async change(id: number, _changes: object, manager: EntityManager): Promise<never> {
    await this.get(id, { manager });
    throw referralError('NOT_CHANGEABLE', this.kind.word, id, isForGood);
  }

  protected async remove(id: number, manager: EntityManager): Promise<never> {
    await this.get(id, { manager });
    throw referralError('IN_USE', this.kind.word, id, isForGood);
  }
}
