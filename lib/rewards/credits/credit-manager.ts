import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { violatedConstraint } from '../../database/driver-errors';
import type { Events } from '../../database/events';
import { timeOf } from '../../database/statement-time';
import { ReferralCredit } from '../../entities/referral-credit';
import type { ReferralCreditSpend } from '../../entities/referral-credit-spend';
import { invalid, referralError } from '../../errors';
import { amountOf, dateOf, daysOf, isNothing, objectOf, someUserIdOf, textOf } from '../../input';
import { lengths } from '../../limits';
import type { UserRef, WithManager } from '../../types/common';
import type { CaptureInput, CreditChanges, CreditInput, Purpose, SettleInput, SpendInput } from '../../types/credits';
import type { FieldOf, ReadOptions } from '../../types/records';
import { type NoOptions, RecordManager } from '../records/record-manager';
import type { CreditTypeManager } from './credit-type-manager';
import type { Ledger } from './ledger';

const creatable = [
  ...['user', 'creditType', 'initialBalance', 'startDate', 'expiryDate', 'durationDays', 'name', 'voucherCode'],
  'reference',
];

interface Granted {
  id: string | null;
  isNew: boolean;
  isSame: boolean | null;
}

/** `referrals.credits`: the credits, and what users do with them. */
export class CreditManager extends RecordManager<ReferralCredit, CreditInput, CreditChanges> {
  readonly #clock: Clock;
  readonly #events: Events;
  readonly #ledger: Ledger;
  readonly #creditTypes: CreditTypeManager;

  /** @internal */
  constructor(database: Database, clock: Clock, events: Events, ledger: Ledger, creditTypes: CreditTypeManager) {
    super(database, {
      ...{ record: ReferralCredit, word: 'credit', inUse: {} },
      ...{ keys: ['refereeId', 'expiryDate'], computed: { isExpired: ['expiryDate'] } },
    });
    this.#clock = clock;
    this.#events = events;
    this.#ledger = ledger;
    this.#creditTypes = creditTypes;
  }

  /**
   * What a user has, as a decimal string with 2 to 4 decimals: of all credit that has started and not expired; with a `product`
   * or `productCategory`, of what can be spent on it. What is held for a checkout is not in it.
   */
  async balance(user: UserRef, options: Purpose & WithManager = {}): Promise<string> {
    return this.#ledger.balance(user, options);
  }

  /**
   * Spends credit that covers the product or its category, soonest to expire first, over as many credits as it takes; without
   * either, credit that covers everything. All or nothing, unless `partial`: then `covered` says how much. Idempotent by (user,
   * reference): the same again answers the first spend.
   *
   * @throws ReferralError `INVALID_INPUT` naming the field; `INSUFFICIENT_CREDIT`; `REFERENCE_REUSED` for a reference that stands for
   * another amount; `DATABASE_UNAVAILABLE`.
   */
  async spend(user: UserRef, input: SpendInput): Promise<ReferralCreditSpend> {
    return this.#ledger.spend('spend', user, input);
  }

  /** As {@link spend}, for a checkout that takes time: to be captured or released. What is held does not expire meanwhile. */
  async hold(user: UserRef, input: SpendInput): Promise<ReferralCreditSpend> {
    return this.#ledger.spend('hold', user, input);
  }

  /**
   * Spends what is held under a reference, or less of it: the rest goes back. The same again answers the same.
   *
   * @throws ReferralError `NOT_FOUND`; `WRONG_STATE` if it was released, captured for another amount, or is no hold; `AMBIGUOUS` if
   * several users have the reference and none is named; `INVALID_INPUT` for more than is held.
   */
  async capture(input: CaptureInput): Promise<ReferralCreditSpend> {
    return this.#ledger.capture(input);
  }

  /** Gives back what is held under a reference. The same again answers the same. @throws ReferralError as {@link capture}. */
  async release(input: SettleInput): Promise<ReferralCreditSpend> {
    return this.#ledger.release(input);
  }

  /**
   * Gives back what was spent under a reference, to the credits that it came from, as new entries; of types that are not
   * refundable, nothing. `refunded` says how much. The same again answers the same.
   *
   * @throws ReferralError `NOT_FOUND`; `WRONG_STATE` if it is still held; `AMBIGUOUS` if several users have the reference and none is named.
   */
  async refund(input: SettleInput): Promise<ReferralCreditSpend> {
    return this.#ledger.refund(input);
  }

  /** @throws ReferralError `NOT_FOUND`, unless `optional`: then null; `AMBIGUOUS` if several have the name. */
  getByName<const O extends ReadOptions<FieldOf<ReferralCredit>> = NoOptions>(name: string, options?: O) {
    return this.getBy('name', name, options);
  }

  protected async make(input: CreditInput, manager: EntityManager): Promise<ReferralCredit> {
    objectOf('credits.create', input, creatable);
    const { reference, voucherCode, name, startDate, expiryDate, durationDays } = input;
    if (isNothing(expiryDate) === isNothing(durationDays))
      throw invalid('expiryDate', 'a Date, or durationDays in its place: one of the two', expiryDate ?? durationDays);
    const typeId = await this.#creditTypes.existing('creditType', input.creditType, manager);
    const type = await this.#creditTypes.get(typeId, { manager });
    const parameters = [
      someUserIdOf('user', input.user),
      isNothing(reference) ? null : textOf('reference', reference, lengths.reference, 1),
      amountOf('initialBalance', input.initialBalance, 'positive'),
      typeId,
      isNothing(name) ? null : textOf('name', name, lengths.creditName, 1),
      `${type.name} credit of `,
      isNothing(voucherCode) ? null : textOf('voucherCode', voucherCode, lengths.name, 1),
      dateOf('startDate', startDate),
      dateOf('expiryDate', expiryDate),
      isNothing(durationDays) ? null : daysOf('durationDays', durationDays),
      this.#clock.parameter(),
    ];
    for (;;) {
      const [row] = await this.#grant(parameters, manager, expiryDate);
      if (row!.id === null) continue; // given by another call since the statement began: now it is seen
      const credit = this.database.entity(ReferralCredit, row!);
      if (!row!.isSame) {
        const { initialBalance } = credit;
        throw referralError(
          'REFERENCE_REUSED',
          reference!,
          `a credit of ${initialBalance}`,
          `one of ${input.initialBalance}`,
        );
      }
      if (row!.isNew) this.#events.emit(manager, 'creditGranted', credit);
      return credit;
    }
  }

  async #grant(parameters: unknown[], manager: EntityManager, expiryDate: unknown): Promise<Granted[]> {
    const { credits } = this.database.tables;
    try {
      return await this.database.query<Granted>(
        `WITH at AS (
           SELECT ${timeOf('$11')} AS now, coalesce($8::timestamptz, ${timeOf('$11')}) AS start
         ), known AS (
           SELECT * FROM ${credits} WHERE user_id = $1 AND reference = $2
         ), given AS (
           INSERT INTO ${credits} (user_id, reference, kind, initial_balance, current_balance, type_id, name, voucher_code,
             start_date, expiry_date, created_at)
           SELECT $1, $2, 'grant', $3::numeric, $3::numeric, $4::bigint,
             coalesce($5, $6::text || to_char(at.start AT TIME ZONE 'UTC', 'YYYY-MM-DD')), $7, at.start,
             coalesce($9::timestamptz, at.start + $10::integer * interval '24 hours'), at.now
           FROM at WHERE NOT EXISTS (SELECT FROM known)
           ON CONFLICT DO NOTHING
           RETURNING *
         )
         SELECT EXISTS (SELECT FROM given) AS "isNew", c.initial_balance = $3::numeric AND c.type_id = $4 AS "isSame",
           ${this.database.columns(ReferralCredit, 'c')}
         FROM at LEFT JOIN (SELECT * FROM given UNION ALL SELECT * FROM known) c ON true`,
        parameters,
        manager,
      );
    } catch (error) {
      throw datesRefused(error, expiryDate);
    }
  }

  protected async change(id: number, changes: CreditChanges, manager: EntityManager): Promise<void> {
    const { name, expiryDate, voucherCode } = objectOf('credits.update', changes, [
      'name',
      'expiryDate',
      'voucherCode',
    ]);
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
      throw datesRefused(error, expiryDate);
    }
  }

  /** A credit is money from the day that it is given. */
  protected async remove(id: number, manager: EntityManager): Promise<never> {
    const { initialBalance, currentBalance } = await this.get(id, { manager });
    const reason =
      `${initialBalance} was given by it, ${currentBalance} is left, and the ledger keeps both; to take back what is left, ` +
      `write creditTransactions.create({ credit, value: '-${currentBalance}' }), or set its expiryDate`;
    throw referralError('IN_USE', this.kind.word, id, reason);
  }
}

function datesRefused(error: unknown, expiryDate: unknown): unknown {
  if (violatedConstraint(error) !== 'ck_referral_credits_dates') return error;
  return invalid('expiryDate', 'a Date after the startDate', expiryDate);
}
