import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import type { Events } from '../../database/events';
import { type Query, sql, type Statement } from '../../database/named-parameters';
import { overtaken, retryOvertaken } from '../../database/retry';
import { ReferralCreditSpend } from '../../entities/referral-credit-spend';
import { invalid, referralError } from '../../errors';
import { amountOf, daysOf, type FieldsOf, isNothing, objectOf, referenceOf, someUserIdOf } from '../../input';
import type { CaptureInput, CreditRefundInput, SettleInput } from '../../types/credits';
import { type Audit, type Author, staffFields, staffOf } from '../records/audit';
import { emitSpent } from './ledger';
import type { OverdueHolds } from './overdue-holds';
import {
  type CaptureParameters,
  captureStatement,
  type ExtendedCredit,
  type SettleParameters,
  type SettleRow,
  type SpendRefundParameters,
  type SpendRefundRow,
  spendRefundStatement,
} from './settle-statements';

/** The result of `credits.refund`. */
export interface RefundedSpend extends ReferralCreditSpend {
  /**
   * How much of this refund went to credit that had run out, and so can't be spent, as a decimal string; only there if
   * some did. A repeated call returns what the first one did.
   */
  readonly expired?: string;
}

const refundFields: FieldsOf<CreditRefundInput> = {
  ...({ reference: true, user: true, amount: true, refundReference: true, extendDays: true } as const),
  ...staffFields,
};

interface SettledSpend<Row extends SettleRow> {
  row: Row;
  spend: ReferralCreditSpend;
  isNew: boolean;
  /** Whether it is settled for the amount of this call, by this call or an earlier one. */
  isSame: boolean | null;
}

/** Captures and releases holds, and refunds spends. One statement settles each. */
export class Settlements {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #events: Events;
  readonly #capture: Statement<CaptureParameters>;
  readonly #refund: Statement<SpendRefundParameters>;
  readonly #overdue: OverdueHolds;
  readonly #audit: Audit;

  constructor(database: Database, clock: Clock, events: Events, overdue: OverdueHolds, audit: Audit) {
    this.#database = database;
    this.#clock = clock;
    this.#events = events;
    this.#overdue = overdue;
    this.#audit = audit;
    this.#capture = database.prepared(captureStatement(database));
    this.#refund = database.prepared(spendRefundStatement(database));
  }

  /** Spends a hold or a part of it. The rest goes back to the credits, last to expire first. */
  async capture(input: CaptureInput): Promise<ReferralCreditSpend> {
    objectOf('credits.capture', input, { reference: true, user: true, amount: true, manager: true });
    const amount = isNothing(input.amount)
      ? null
      : amountOf('amount', input.amount, 'positive', this.#database.currency);
    const { spend, isNew, isSame } = await this.#settle(input, (settle) => this.#capture.with({ amount, ...settle }));
    const { reference, kind, covered, captured } = spend;
    if (spend.isExpired) throw referralError('HOLD_EXPIRED', reference, spend.expiresAt!);
    if (isNew) emitSpent(this.#events, spend, input.manager);
    else if (kind === 'spend')
      throw referralError('WRONG_STATE', reference, 'spent already', 'only a hold can be captured');
    else if (captured === null) throw invalid('amount', `an amount up to the ${covered} that is held`, input.amount);
    else if (!isSame)
      throw referralError('WRONG_STATE', reference, statusOf(spend), 'hold again, under another reference');
    return spend;
  }

  /** Gives back all of a hold. One that has ended by itself is left as it is. */
  async release(input: SettleInput): Promise<ReferralCreditSpend> {
    objectOf('credits.release', input, { reference: true, user: true, manager: true });
    const { spend, isSame } = await this.#settle(input, (settle) => this.#capture.with({ amount: '0', ...settle }));
    if (spend.kind === 'spend' || !isSame)
      throw referralError('WRONG_STATE', spend.reference, statusOf(spend), 'call credits.refund({ reference })');
    return spend;
  }

  /** Gives back what was spent from credits of refundable types, or a part of it, to those credits. */
  async refund(input: CreditRefundInput): Promise<RefundedSpend> {
    const given = objectOf('credits.refund', input, refundFields);
    const parameters = {
      amount: isNothing(given.amount) ? null : amountOf('amount', given.amount, 'positive', this.#database.currency),
      refund: isNothing(given.refundReference) ? null : referenceOf('refundReference', given.refundReference),
      extendDays: isNothing(given.extendDays) ? null : daysOf('extendDays', given.extendDays),
    };
    const author = staffOf(given);
    // A refund that extends credits is a transaction with its rows of the audit.
    const run = (manager: EntityManager | undefined): Promise<RefundedSpend> =>
      this.#refundIn({ ...given, manager }, parameters, author);
    return parameters.extendDays === null ? run(given.manager) : this.#database.transaction(run, given.manager);
  }

  async #refundIn(
    input: CreditRefundInput,
    parameters: Omit<SpendRefundParameters, keyof SettleParameters>,
    author: Author,
  ): Promise<RefundedSpend> {
    const { row, spend, isSame } = await this.#settle<SpendRefundRow>(input, (settle) =>
      this.#refund.with({ ...settle, ...parameters }),
    );
    const { reference, userId } = spend;
    if (spend.captured === null)
      throw referralError('WRONG_STATE', reference, 'still held', 'call credits.release({ reference })');
    const left = this.#database.shown(row.left!);
    if (row.expired === null) {
      if (!/[1-9]/.test(left)) throw referralError('NOTHING_TO_REFUND', reference, 'spend');
      throw invalid('amount', `an amount up to the ${left} that is left of the spend`, input.amount);
    }
    if (!isSame) {
      const [before, now] = ['a refund of another amount', `one of ${parameters.amount}`];
      throw referralError('REFERENCE_REUSED', parameters.refund ?? 'all', before, now);
    }
    const extended = (JSON.parse(row.extended) as ExtendedCredit[]).map(({ id, before, after }) => ({
      ...{ call: 'credits.refund', subject: 'credit', subjectId: id, userId },
      ...{ before: { expiryDate: new Date(before) }, after: { expiryDate: new Date(after) } },
    }));
    if (extended.length > 0) await this.#audit.record(extended, author, input.manager!);
    return /[1-9]/.test(row.expired) ? Object.assign(spend, { expired: this.#database.shown(row.expired) }) : spend;
  }

  async #settle<Row extends SettleRow>(
    input: SettleInput,
    queryOf: (parameters: SettleParameters) => Query,
  ): Promise<SettledSpend<Row>> {
    const reference = referenceOf('reference', input.reference);
    const user = isNothing(input.user)
      ? await this.#userOfReference(reference, input.manager)
      : someUserIdOf('user', input.user);
    return retryOvertaken(async () => {
      const query = queryOf({ user, reference, now: this.#clock.parameter() });
      const [row] = await this.#database.attempt((within) => this.#database.query<Row>(query, within), input.manager);
      const { userId, isNew, isSame, isOvertaken, isOverdue } = row!;
      if (userId === null) throw referralError('NOT_FOUND', 'spend or hold', 'reference', [reference]);
      if (isOverdue) await this.#overdue.release(user, input.manager);
      if (isOvertaken || isOverdue) return overtaken;
      return { row: row!, isNew, isSame, spend: this.#database.entity(ReferralCreditSpend, row!) };
    });
  }

  /** Returns the only user who has a spend or hold with this reference. Throws if there is none, or several. */
  async #userOfReference(reference: string, manager: EntityManager | undefined): Promise<string> {
    const { spends } = this.#database.tables;
    const rows = await this.#database.query<{ userId: string }>(
      sql(
        { reference },
        ($) => `SELECT user_id AS "userId" FROM ${spends} WHERE reference = ${$.reference} ORDER BY 1 LIMIT 2`,
      ),
      manager,
    );
    if (rows.length === 0) throw referralError('NOT_FOUND', 'spend or hold', 'reference', [reference]);
    if (rows.length > 1)
      throw referralError(
        'AMBIGUOUS',
        'the spends and holds',
        'reference',
        reference,
        'name the user with { user, reference }',
      );
    return rows[0]!.userId;
  }
}

/** Returns the state of a settled spend or hold, for error messages. */
function statusOf({ kind, captured }: ReferralCreditSpend): string {
  if (kind === 'spend') return 'spent';
  return /[1-9]/.test(captured!) ? `captured for ${captured}` : 'released';
}
