import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database, Prepared } from '../../database/database';
import type { Events } from '../../database/events';
import { timeOf } from '../../database/statement-time';
import { shownAmount } from '../../entities/columns';
import { ReferralCreditSpend } from '../../entities/referral-credit-spend';
import { invalid, referralError } from '../../errors';
import { amountOf, isNothing, objectOf, someUserIdOf, textOf } from '../../input';
import { lengths } from '../../limits';
import type { UserRef, WithManager } from '../../types/common';
import type { CaptureInput, Purpose, SettleInput, SpendInput } from '../../types/credits';
import { isSpendable, settleStatement, spendStatement, suits } from './ledger-statements';

/** What the statement of a spend answers: the spend, new or not; or nulls, and what there was to take. */
interface Taken {
  userId: string | null;
  isNew: boolean;
  /** Whether an earlier spend was for the same. */
  isSame: boolean | null;
  /** What there was when the statement began. */
  available: string;
  wasEnough: boolean;
}

/** Rolls back a try that took nothing. */
class NotTaken extends Error {
  constructor(readonly row: Taken) {
    super('nothing was taken');
  }
}

interface Settled {
  isNew: boolean;
  /** Whether it was settled for the same amount, by this call or an earlier one. */
  isSame: boolean | null;
  spend: ReferralCreditSpend;
}

interface SettledRow extends Omit<Settled, 'spend'> {
  userId: string | null;
  isOvertaken: boolean | null;
}

/** Balances, spends, holds and refunds. Each change of balances is one statement, which adds an entry for each. */
export class Ledger {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #events: Events;
  readonly #statements: Record<'spend' | 'capture' | 'refund', Prepared>;

  constructor(database: Database, clock: Clock, events: Events) {
    this.#database = database;
    this.#clock = clock;
    this.#events = events;
    const columns = database.columns(ReferralCreditSpend, 's');
    this.#statements = {
      spend: database.prepared(spendStatement(database.tables, columns)),
      capture: database.prepared(settleStatement(database.tables, columns, 'capture')),
      refund: database.prepared(settleStatement(database.tables, columns, 'refund')),
    };
  }

  /** What a user has; for a purpose, what can be spent on it. */
  async balance(user: UserRef, input: Purpose & WithManager): Promise<string> {
    objectOf('credits.balance', input, ['product', 'productCategory', 'manager']);
    const { credits, creditTypes } = this.#database.tables;
    const [row] = await this.#database.query<{ balance: string }>(
      `SELECT coalesce(sum(c.current_balance), 0)::text AS balance
       FROM ${credits} c JOIN ${creditTypes} t ON t.id = c.type_id
       WHERE c.user_id = $1 AND ${isSpendable(timeOf('$2'))}
         AND (($3::text IS NULL AND $4::text IS NULL) OR ${suits('$3', '$4')})`,
      [someUserIdOf('user', user), this.#clock.parameter(), ...purposeOf(input)],
      input.manager,
    );
    return shownAmount(row!.balance);
  }

  /** Takes credit: for good, or for a checkout that takes time. */
  async spend(kind: 'spend' | 'hold', user: UserRef, input: SpendInput): Promise<ReferralCreditSpend> {
    const fields = ['amount', 'reference', 'description', 'product', 'productCategory', 'partial', 'manager'];
    const { manager, partial = false, description } = objectOf(`credits.${kind}`, input, fields);
    if (typeof partial !== 'boolean') throw invalid('partial', 'true or false', partial);
    const amount = amountOf('amount', input.amount, 'positive');
    const reference = referenceOf(input.reference);
    const parameters = [
      ...[someUserIdOf('user', user), reference, kind, amount, partial],
      ...[textOf('description', description ?? '', lengths.description), ...purposeOf(input), this.#clock.parameter()],
    ];
    for (;;) {
      const taken = await this.#take(parameters, manager);
      if (taken instanceof NotTaken) {
        const { available, wasEnough } = taken.row;
        if (partial || wasEnough) continue; // others were first, perhaps with the same reference: now they are seen
        const isForAnything = isNothing(input.product) && isNothing(input.productCategory);
        throw referralError('INSUFFICIENT_CREDIT', amount, shownAmount(available), isForAnything);
      }
      const spend = this.#database.entity(ReferralCreditSpend, taken);
      if (!taken.isSame)
        throw referralError(
          'REFERENCE_REUSED',
          reference,
          `a ${spend.kind} of ${spend.amount}`,
          `a ${kind} of ${amount}`,
        );
      if (taken.isNew && kind === 'spend') this.#tell(spend, manager);
      return spend;
    }
  }

  /** In the host's transaction, a try that takes nothing keeps no locks: the next one locks in an order of its own. */
  async #take(parameters: unknown[], manager: EntityManager | undefined): Promise<Taken | NotTaken> {
    const attempt = this.#database.attempt(async (within) => {
      const [row] = await this.#database.query<Taken>(this.#statements.spend, parameters, within);
      if (row!.userId === null) throw new NotTaken(row!);
      return row!;
    }, manager);
    return attempt.catch((error: unknown) => {
      if (error instanceof NotTaken) return error;
      throw error;
    });
  }

  /** Spends what is held, or less of it; the rest goes back to the credits, last to expire first. */
  async capture(input: CaptureInput): Promise<ReferralCreditSpend> {
    objectOf('credits.capture', input, ['reference', 'user', 'amount', 'manager']);
    const amount = isNothing(input.amount) ? null : amountOf('amount', input.amount, 'positive');
    const { spend, isNew, isSame } = await this.#settle('capture', input, [amount]);
    const { reference, kind, covered, captured } = spend;
    if (isNew) this.#tell(spend, input.manager);
    else if (kind === 'spend')
      throw referralError('WRONG_STATE', reference, 'spent already', 'only a hold is captured');
    else if (captured === null) throw invalid('amount', `an amount up to the ${covered} that is held`, input.amount);
    else if (!isSame)
      throw referralError('WRONG_STATE', reference, statusOf(spend), 'hold again, under another reference');
    return spend;
  }

  /** Gives back what is held. */
  async release(input: SettleInput): Promise<ReferralCreditSpend> {
    objectOf('credits.release', input, ['reference', 'user', 'manager']);
    const { spend, isSame } = await this.#settle('capture', input, ['0']);
    if (spend.kind === 'spend' || !isSame)
      throw referralError('WRONG_STATE', spend.reference, statusOf(spend), 'write credits.refund({ reference })');
    return spend;
  }

  /** Gives back what was spent, of refundable types, to the credits that it came from. */
  async refund(input: SettleInput): Promise<ReferralCreditSpend> {
    objectOf('credits.refund', input, ['reference', 'user', 'manager']);
    const { spend } = await this.#settle('refund', input, []);
    if (spend.captured === null)
      throw referralError('WRONG_STATE', spend.reference, 'still held', 'write credits.release({ reference })');
    return spend;
  }

  async #settle(how: 'capture' | 'refund', input: SettleInput, parameters: unknown[]): Promise<Settled> {
    const reference = referenceOf(input.reference);
    const userId = isNothing(input.user)
      ? await this.#userOf(reference, input.manager)
      : someUserIdOf('user', input.user);
    for (;;) {
      const settling = [userId, reference, this.#clock.parameter(), ...parameters];
      const [row] = await this.#database.attempt(
        (within) => this.#database.query<SettledRow>(this.#statements[how], settling, within),
        input.manager,
      );
      const { isNew, isSame, isOvertaken } = row!;
      if (row!.userId === null) throw referralError('NOT_FOUND', 'spend or hold', 'reference', [reference]);
      if (!isOvertaken) return { isNew, isSame, spend: this.#database.entity(ReferralCreditSpend, row!) };
    }
  }

  async #userOf(reference: string, manager: EntityManager | undefined): Promise<string> {
    const rows = await this.#database.query<{ userId: string }>(
      `SELECT user_id AS "userId" FROM ${this.#database.tables.spends} WHERE reference = $1 ORDER BY 1 LIMIT 2`,
      [reference],
      manager,
    );
    if (rows.length === 0) throw referralError('NOT_FOUND', 'spend or hold', 'reference', [reference]);
    if (rows.length > 1)
      throw referralError('AMBIGUOUS', 'spends or holds', 'reference', reference, 'say whose with { user, reference }');
    return rows[0]!.userId;
  }

  #tell(spend: ReferralCreditSpend, manager: EntityManager | undefined): void {
    if (/[1-9]/.test(spend.captured!)) this.#events.emit(manager, 'creditSpent', spend);
  }
}

/** Where a settled spend stands, in words. */
function statusOf({ kind, captured }: ReferralCreditSpend): string {
  if (kind === 'spend') return 'spent';
  return /[1-9]/.test(captured!) ? `captured for ${captured}` : 'released';
}

function referenceOf(reference: string): string {
  return textOf('reference', reference, lengths.reference, 1);
}

function purposeOf({ product, productCategory }: Purpose): (string | null)[] {
  return Object.entries({ product, productCategory }).map(([field, value]) =>
    isNothing(value) ? null : textOf(field, value, lengths.name, 1),
  );
}
