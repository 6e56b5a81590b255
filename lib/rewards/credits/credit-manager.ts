import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { violatedConstraint } from '../../database/driver-errors';
import type { Events } from '../../database/events';
import { overtaken, retryOvertaken } from '../../database/retry';
import { ReferralCredit } from '../../entities/referral-credit';
import type { ReferralCreditSpend } from '../../entities/referral-credit-spend';
import type { ReferralCreditTransaction } from '../../entities/referral-credit-transaction';
import { invalid, referralError } from '../../errors';
import {
  amountOf,
  dateOf,
  daysOf,
  isNothing,
  objectOf,
  referenceOf,
  someUserIdOf,
  textOf,
  type FieldsOf,
} from '../../input';
import { lengths } from '../../limits';
import type { UserRef, WithManager } from '../../types/common';
import type {
  CaptureInput,
  CreditAdjustmentInput,
  CreditChanges,
  CreditInput,
  CreditRefundInput,
  HoldInput,
  Purpose,
  SettleInput,
  SpendInput,
} from '../../types/credits';
import type { FieldOf, ReadOptions } from '../../types/records';
import type { Audit } from '../records/audit';
import { type CheckedSearch, type NoOptions, RecordManager } from '../records/record-manager';
import { Adjustments } from './adjustments';
import type { CreditTypeManager } from './credit-type-manager';
import { type GrantParameters, type GrantRow, grantStatement } from './grant-statement';
import { Ledger } from './ledger';
import { currentFields, OverdueHolds } from './overdue-holds';
import { type RefundedSpend, Settlements } from './settlements';

const inputFields: FieldsOf<CreditInput> = {
  ...{ user: true, creditType: true, initialBalance: true, startDate: true, expiryDate: true, durationDays: true },
  ...{ name: true, voucherCode: true, reference: true },
};
const changeFields: FieldsOf<CreditChanges> = { name: true, expiryDate: true, voucherCode: true };

/** `referrals.credits`: credits, and what users do with them. */
export class CreditManager extends RecordManager<ReferralCredit, CreditInput, CreditChanges> {
  readonly #clock: Clock;
  readonly #events: Events;
  readonly #creditTypes: CreditTypeManager;
  readonly #ledger: Ledger;
  readonly #settlements: Settlements;
  readonly #adjustments: Adjustments;

  /** @internal */
  constructor(database: Database, clock: Clock, events: Events, creditTypes: CreditTypeManager, audit: Audit) {
    super(database, {
      ...{ record: ReferralCredit, word: 'credit', inUse: {} },
      ...{ keys: ['refereeId', 'expiryDate'], computed: { isExpired: ['expiryDate'] } },
    });
    this.#clock = clock;
    this.#events = events;
    this.#creditTypes = creditTypes;
    const overdue = new OverdueHolds(database, clock);
    this.#ledger = new Ledger(database, clock, events, overdue);
    this.#settlements = new Settlements(database, clock, events, overdue, audit);
    this.#adjustments = new Adjustments(database, clock, overdue, audit);
  }

  /**
   * Returns the balance of a user as a decimal string: the sum of all credit that has started and
   * not expired. With a `product` or `productCategory`, only credit that covers it counts. Credit on hold is not
   * included.
   *
   * @throws ReferralError `INVALID_INPUT` naming the field; `DATABASE_UNAVAILABLE`.
   */
  async balance(user: UserRef, options: Purpose & WithManager = {}): Promise<string> {
    return this.#ledger.balance(user, options);
  }

  /**
   * Spends credit, soonest to expire first, from as many credits as the amount needs. With a `product` or
   * `productCategory`, it spends credit that covers it; without either, only credit that covers everything. It spends
   * the whole amount or throws, unless `partial` is set: then `covered` says how much was spent.
   *
   * Idempotent by user and reference: a repeated call returns the first spend.
   *
   * @example
   * await referrals.credits.spend(user, { amount: '12.50', reference: `invoice ${invoice.id}` });
   *
   * @throws ReferralError `INVALID_INPUT` naming the field; `INSUFFICIENT_CREDIT`; `REFERENCE_REUSED` if the reference
   * was used for another amount; `DATABASE_UNAVAILABLE`.
   */
  async spend(user: UserRef, input: SpendInput): Promise<ReferralCreditSpend> {
    return this.#ledger.spend('spend', user, input);
  }

  /**
   * Holds credit for a checkout that takes time: call {@link capture} or {@link release} with the same reference
   * afterwards. The errors are those of {@link spend}. Credit on hold does not expire.
   *
   * With `expiresAt`, the hold ends by itself: from then on the credit is available again in `balance`, `spend`, `hold` and
   * `credit.currentBalance`, and {@link capture} is refused. No job is needed. The entry that releases it is written by the
   * next call that changes the user's credit. Until then the column `current_balance`, which conditions and orders of
   * `search` use, has the balance without it.
   */
  async hold(user: UserRef, input: HoldInput): Promise<ReferralCreditSpend> {
    return this.#ledger.spend('hold', user, input);
  }

  /**
   * Spends the credit that is held under a reference, or a part of it. The rest goes back to the credits that it came
   * from. Idempotent: a repeated call returns the same spend.
   *
   * @throws ReferralError `HOLD_EXPIRED` from its `expiresAt` on, unless it was captured before; `NOT_FOUND`;
   * `WRONG_STATE` if it was released, captured for another amount, or is not a hold;
   * `AMBIGUOUS` if several users have the reference and `user` is missing; `INVALID_INPUT` for more than is held.
   */
  async capture(input: CaptureInput): Promise<ReferralCreditSpend> {
    return this.#settlements.capture(input);
  }

  /**
   * Gives back the credit that is held under a reference. Idempotent: a repeated call returns the same spend. A hold that
   * has ended by itself stays as it is, and says so: `isExpired` is true.
   *
   * @throws ReferralError `NOT_FOUND`; `WRONG_STATE` if it was captured or is not a hold; `AMBIGUOUS` if several users
   * have the reference and `user` is missing.
   */
  async release(input: SettleInput): Promise<ReferralCreditSpend> {
    return this.#settlements.release(input);
  }

  /**
   * Gives back what was spent under a reference, or an `amount` of it, to the credits that it came from: last to expire
   * first, to none more than it gave. Each credit gets a new ledger entry. Credit of types that are not refundable stays
   * spent; `refunded` says how much was given back in all, and `expired` how much of this refund went to credit that has
   * run out. With `extendDays`, the credits last at least that long from now on.
   *
   * Idempotent by (user, reference, refund reference): a repeated call returns the same spend. By default the amount is
   * the refund's reference, so that the same amount is not refunded twice by accident.
   *
   * @throws ReferralError `NOT_FOUND`; `WRONG_STATE` if it is still held; `INVALID_INPUT` naming the field, also for an
   * amount above what is left; `NOTHING_TO_REFUND` for an amount where nothing is left; `REFERENCE_REUSED` if the refund
   * reference stands for another amount; `AMBIGUOUS` if several users have the reference and `user` is missing.
   */
  async refund(input: CreditRefundInput): Promise<RefundedSpend> {
    return this.#settlements.refund(input);
  }

  /**
   * Corrects a user's credit by hand: an amount above 0 is added to the credit that expires last, one below 0 is taken from
   * those that expire first, among the credits that can be spent now. With a credit instead of a user, that one alone is
   * changed, also if it has run out. Returns the ledger's entries, one for each credit that changes; `referrals.audit` keeps
   * who did it. To give a user a new credit, call `create`.
   *
   * Idempotent by user and reference: a repeated call returns the first entries.
   *
   * @throws ReferralError `INVALID_INPUT` naming the field: `amount` for more than there is, `user` if there is no such
   * credit; `REFERENCE_REUSED`; `DATABASE_UNAVAILABLE`.
   */
  async adjust(whose: UserRef | ReferralCredit, input: CreditAdjustmentInput): Promise<ReferralCreditTransaction[]> {
    return this.#adjustments.adjust(whose, input);
  }

  /**
   * Returns the credit with a name; with `optional`, null if there is none.
   *
   * @throws ReferralError `NOT_FOUND`; `AMBIGUOUS` if several credits have the name.
   */
  getByName<const O extends ReadOptions<FieldOf<ReferralCredit>> = NoOptions>(name: string, options?: O) {
    return this.getBy('name', name, options);
  }

  /** Also with the balance that overdue holds have given back. */
  protected override load({ where, order, select, take, skip }: CheckedSearch, manager?: EntityManager) {
    const computed = currentFields(this.database, this.#clock);
    return this.database.find(ReferralCredit, { where, order, select, take, skip, computed }, manager);
  }

  /** Gives a user a credit by hand. */
  protected async make(input: CreditInput, manager: EntityManager): Promise<ReferralCredit> {
    const parameters = await this.#parametersOf(input, manager);
    const row = await retryOvertaken(async () => {
      const given = await this.#give(parameters, manager);
      return given.id === null ? overtaken : given;
    });
    const credit = this.database.entity(ReferralCredit, row);
    if (!row.isSame) {
      const [before, now] = [`a credit of ${credit.initialBalance}`, `one of ${input.initialBalance}`];
      throw referralError('REFERENCE_REUSED', input.reference!, before, now);
    }
    if (row.isNew) this.#events.emit(manager, 'creditGranted', credit);
    else this.known.add(credit);
    return credit;
  }

  async #parametersOf(input: CreditInput, manager: EntityManager): Promise<GrantParameters> {
    objectOf('credits.create', input, inputFields);
    const { reference, voucherCode, name, startDate, expiryDate, durationDays } = input;
    if (isNothing(expiryDate) === isNothing(durationDays))
      throw invalid('expiryDate', 'a Date, or durationDays instead: one of the two', expiryDate ?? durationDays);
    const type = await this.#creditTypes.existing('creditType', input.creditType, manager);
    const { name: typeName } = await this.#creditTypes.get(type, { manager });
    return {
      user: someUserIdOf('user', input.user),
      reference: isNothing(reference) ? null : referenceOf('reference', reference),
      initialBalance: amountOf('initialBalance', input.initialBalance, 'positive', this.database.currency),
      type,
      name: isNothing(name) ? null : textOf('name', name, lengths.creditName, 1),
      namePrefix: `${typeName} credit of `,
      voucherCode: isNothing(voucherCode) ? null : textOf('voucherCode', voucherCode, lengths.name, 1),
      startDate: dateOf('startDate', startDate),
      expiryDate: dateOf('expiryDate', expiryDate),
      durationDays: isNothing(durationDays) ? null : daysOf('durationDays', durationDays),
      now: this.#clock.parameter(),
    };
  }

  async #give(parameters: GrantParameters, manager: EntityManager): Promise<GrantRow> {
    try {
      const [row] = await this.database.query<GrantRow>(grantStatement(this.database, parameters), manager);
      return row!;
    } catch (error) {
      throw explainedDates(error, parameters.expiryDate);
    }
  }

  protected async change(id: number, changes: CreditChanges, manager: EntityManager): Promise<void> {
    const { name, expiryDate, voucherCode } = objectOf('credits.update', changes, changeFields);
    if (expiryDate === null) throw invalid('expiryDate', 'a Date', expiryDate);
    const values = {
      ...(name !== undefined && { name: textOf('name', name, lengths.creditName, 1) }),
      ...(expiryDate !== undefined && { expiryDate: dateOf('expiryDate', expiryDate) }),
      ...(voucherCode !== undefined && {
        voucherCode: voucherCode === null ? null : textOf('voucherCode', voucherCode, lengths.name, 1),
      }),
    };
    try {
      await this.write(id, values, manager);
    } catch (error) {
      throw explainedDates(error, expiryDate);
    }
  }

  /** Always refused: the ledger keeps every credit. */
  protected async remove(id: number, manager: EntityManager): Promise<never> {
    const { initialBalance, currentBalance } = await this.get(id, { manager });
    const reason =
      `it gave ${initialBalance}, of which ${currentBalance} is left, and the ledger keeps both; ` +
      `to take back what is left, call ` +
      `creditTransactions.create({ credit, value: '-${currentBalance}' }), or set its expiryDate`;
    throw referralError('IN_USE', this.kind.word, id, reason);
  }
}

/** Turns the violated constraint on a credit's dates into `INVALID_INPUT`. Returns every other error unchanged. */
function explainedDates(error: unknown, expiryDate: unknown): unknown {
  if (violatedConstraint(error) !== 'ck_referral_credits_dates') return error;
  return invalid('expiryDate', 'a Date after the startDate', expiryDate);
}
