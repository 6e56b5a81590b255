import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { violatedConstraint } from '../../database/driver-errors';
import type { Events } from '../../database/events';
import { sql, type Statement } from '../../database/named-parameters';
import { overtaken, retryOvertaken } from '../../database/retry';
import { timeOf } from '../../database/statement-time';
import { ReferralCreditSpend } from '../../entities/referral-credit-spend';
import { invalid, referralError } from '../../errors';
import { amountOf, dateOf, type FieldsOf, objectOf, referenceOf, someUserIdOf, textOf } from '../../input';
import { lengths } from '../../limits';
import type { UserRef, WithManager } from '../../types/common';
import type { HoldInput, Purpose, SpendInput } from '../../types/credits';
import { isOverdue, type OverdueHolds } from './overdue-holds';
import { type SpendParameters, type SpendRow, spendStatement } from './spend-statement';
import { coversPurpose, isInTime, isSpendable, purposeOf } from './spendable';

const spendFields: FieldsOf<SpendInput> = {
  ...({ amount: true, reference: true, description: true, product: true } as const),
  ...({ productCategory: true, partial: true, manager: true } as const),
};
const fieldsOfKind: Record<'spend' | 'hold', FieldsOf<HoldInput>> = {
  spend: spendFields as FieldsOf<HoldInput>,
  hold: { ...spendFields, expiresAt: true },
};

/** Thrown to roll back an attempt that took nothing. It contains the row that the statement returned. */
class NothingTaken extends Error {
  constructor(readonly row: SpendRow) {
    super('nothing was taken');
  }
}

/** Balances, spends and holds. A spend is one statement, which adds a ledger entry for each balance that it changes. */
export class Ledger {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #events: Events;
  readonly #overdue: OverdueHolds;
  readonly #spend: Statement<SpendParameters>;

  constructor(database: Database, clock: Clock, events: Events, overdue: OverdueHolds) {
    this.#database = database;
    this.#clock = clock;
    this.#events = events;
    this.#overdue = overdue;
    this.#spend = database.prepared(spendStatement(database));
  }

  /**
   * Returns the sum of a user's spendable credits, and of what overdue holds have taken from them; with a product or
   * category, of those that cover it.
   */
  async balance(user: UserRef, input: Purpose & WithManager): Promise<string> {
    objectOf('credits.balance', input, { product: true, productCategory: true, manager: true });
    const { credits, creditTypes, spends, transactions } = this.#database.tables;
    const parameters = { user: someUserIdOf('user', user), now: this.#clock.parameter(), ...purposeOf(input) };
    const [row] = await this.#database.query<{ balance: string }>(
      sql(parameters, ($) => {
        const isCounted = `((${$.product}::text IS NULL AND ${$.category}::text IS NULL)
              OR ${coversPurpose($.product, $.category)})`;
        return `WITH at AS (SELECT ${timeOf($.now)} AS now)
          SELECT ((
            SELECT coalesce(sum(c.current_balance), 0) FROM ${credits} c JOIN ${creditTypes} t ON t.id = c.type_id
            WHERE c.user_id = ${$.user} AND ${isSpendable('(SELECT now FROM at)')} AND ${isCounted}
          ) + (
            SELECT coalesce(-sum(e.value), 0) FROM ${spends} s
            JOIN ${transactions} e ON e.user_id = s.user_id AND e.reference = s.reference AND e.kind = 'hold'
            JOIN ${credits} c ON c.user_id = e.user_id AND c.id = e.credit_id JOIN ${creditTypes} t ON t.id = c.type_id
            WHERE s.user_id = ${$.user} AND ${isOverdue('(SELECT now FROM at)', 's')}
              AND ${isInTime('(SELECT now FROM at)')} AND ${isCounted}
          ))::text AS balance`;
      }),
      input.manager,
    );
    return this.#database.shown(row!.balance);
  }

  /** Takes credit: as a spend, which is final, or as a hold, which is captured or released later. */
  async spend(kind: 'spend' | 'hold', user: UserRef, input: HoldInput): Promise<ReferralCreditSpend> {
    const parameters = this.#parametersOf(kind, user, input);
    const { manager } = input;
    const row = await retryOvertaken(async () => {
      const attempt = await this.#attempt(parameters, manager).catch((error: unknown) => {
        if (violatedConstraint(error) !== 'ck_referral_credit_spends_expiry') throw error;
        throw invalid('expiresAt', 'a Date after the current time', input.expiresAt);
      });
      if (attempt.hasOverdue) {
        await this.#overdue.release(parameters.user, manager);
        return overtaken;
      }
      if (attempt.userId !== null) return attempt;
      // Another call has spent from the same credits or used the same reference. A new snapshot contains what it wrote.
      if (parameters.partial || attempt.wasEnough) return overtaken;
      const isForAnything = parameters.product === null && parameters.category === null;
      throw referralError(
        'INSUFFICIENT_CREDIT',
        parameters.amount,
        this.#database.shown(attempt.available),
        isForAnything,
      );
    });
    const spend = this.#database.entity(ReferralCreditSpend, row);
    if (!row.isSame) {
      const [before, now] = [`a ${spend.kind} of ${spend.amount}`, `a ${kind} of ${parameters.amount}`];
      throw referralError('REFERENCE_REUSED', spend.reference, before, now);
    }
    if (row.isNew && kind === 'spend') emitSpent(this.#events, spend, manager);
    return spend;
  }

  #parametersOf(kind: 'spend' | 'hold', user: UserRef, input: HoldInput): SpendParameters {
    const { partial = false, description, expiresAt } = objectOf(`credits.${kind}`, input, fieldsOfKind[kind]);
    if (typeof partial !== 'boolean') throw invalid('partial', 'true or false', partial);
    const amount = amountOf('amount', input.amount, 'positive', this.#database.currency);
    const reference = referenceOf('reference', input.reference);
    const { product, category } = purposeOf(input);
    return {
      user: someUserIdOf('user', user),
      reference,
      kind,
      amount,
      partial,
      description: textOf('description', description ?? '', lengths.description),
      product,
      category,
      expiresAt: dateOf('expiresAt', expiresAt),
      now: this.#clock.parameter(),
    };
  }

  /**
   * Runs the statement once. In the host's transaction, an attempt that takes nothing is rolled back to a savepoint,
   * which releases its row locks. Otherwise the next attempt, which locks other rows, would lock out of order.
   */
  async #attempt(parameters: SpendParameters, manager: EntityManager | undefined): Promise<SpendRow> {
    try {
      return await this.#database.attempt(async (within) => {
        const [row] = await this.#database.query<SpendRow>(this.#spend.with(parameters), within);
        if (row!.userId === null) throw new NothingTaken(row!);
        return row!;
      }, manager);
    } catch (error) {
      if (error instanceof NothingTaken) return error.row;
      throw error;
    }
  }
}

/** Emits `creditSpent` if any credit was spent. */
export function emitSpent(events: Events, spend: ReferralCreditSpend, manager: EntityManager | undefined): void {
  if (/[1-9]/.test(spend.captured!)) events.emit(manager, 'creditSpent', spend);
}
