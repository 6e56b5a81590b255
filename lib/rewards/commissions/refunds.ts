import type { EntityManager } from 'typeorm';
import { anyCurrency, type Currency, currencyOf, shownAmount } from '../../currency';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import type { Events } from '../../database/events';
import { sql, type Statement } from '../../database/named-parameters';
import { ReferralCommission } from '../../entities/referral-commission';
import { ReferralRefund } from '../../entities/referral-refund';
import { invalid, referralError } from '../../errors';
import { amountOf, isNothing, objectOf, referenceOf, someUserIdOf } from '../../input';
import type { Settings } from '../../options';
import { quoted } from '../../shown';
import type { RefundInput } from '../../types/commissions';
import type { UserRef } from '../../types/common';
import { OverdueHolds } from '../credits/overdue-holds';
import { takeTurn } from '../records/buyer-turn';
import { shownOf } from '../records/exchange';
import { decidedPurchases } from './decided-purchases';
import { setPaidAt } from './paid-at';
import { Redemptions } from './redemptions';
import { type RefundParameters, type RefundRow, refundStatement } from './refund-statement';

/** The result of `recordRefund`. */
export interface RecordedRefund {
  refund: ReferralRefund;
  /** The commission of the purchase after the refund; null if the purchase earned none. */
  commission: ReferralCommission | null;
}

/** Records refunds, and what they take back of the commissions and coupons of their purchases. */
export class Refunds {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #events: Events;
  readonly #takesBack: boolean;
  readonly #overdue: OverdueHolds;
  readonly #redemptions: Redemptions;
  readonly #statement: Statement<RefundParameters>;

  constructor(database: Database, clock: Clock, events: Events, { earnOuts }: Settings) {
    this.#database = database;
    this.#clock = clock;
    this.#events = events;
    this.#takesBack = earnOuts.takeBackCredit;
    this.#overdue = new OverdueHolds(database, clock);
    this.#redemptions = new Redemptions(database, clock);
    this.#statement = database.prepared(refundStatement(database));
  }

  async record(user: UserRef, input: RefundInput): Promise<RecordedRefund> {
    const fields = { purchase: true, reference: true, amount: true, manager: true } as const;
    const { manager, amount } = objectOf('recordRefund', input, fields);
    const given = {
      buyer: someUserIdOf('user', user),
      purchase: referenceOf('purchase', input.purchase),
      reference: referenceOf('reference', input.reference),
      amount: isNothing(amount) ? null : amountOf('amount', amount, 'positive', anyCurrency),
    };
    return this.#database.transaction(async (within) => {
      await takeTurn(this.#database, given.buyer, within);
      if (given.amount !== null) amountOf('amount', amount!, 'positive', await this.#currencyOf(given, within));
      const coupon = await this.#redemptions.lockRestorable(given.buyer, given.purchase, within);
      const takesBack = this.#takesBack;
      if (takesBack) await this.#releaseHolds(given, within);
      const parameters = { ...given, takesBack, now: this.#clock.parameter() };
      const [row] = await this.#database.query<RefundRow>(this.#statement.with(parameters), within);
      this.#refuseRefund(row!, given, amount);
      if (coupon !== null) await this.#redemptions.restore(given.buyer, coupon, within);
      const refund = this.#database.entity(ReferralRefund, row!, 'refund.');
      const hasCommission = row!['commission.id'] !== null;
      const commission = hasCommission ? this.#database.entity(ReferralCommission, row!, 'commission.') : null;
      if (commission) await setPaidAt(this.#database, [commission], within);
      if (row!.isNew && row!.isLowered) this.#events.emit(within, 'commissionReverted', commission!, refund);
      return { refund, commission };
    }, manager);
  }

  /** Writes down the holds that have ended, whose credit may be taken back. */
  async #releaseHolds({ buyer, purchase }: { buyer: string; purchase: string }, within: EntityManager): Promise<void> {
    await this.#overdue.releaseFor(
      { buyer, purchase },
      ($) => `c.user_id = (
          SELECT p.referrer_id FROM ${decidedPurchases(this.#database.tables)} AS p
          WHERE p.user_id = ${$.buyer} AND p.reference = ${$.purchase}
        ) AND c.referee_id = ${$.buyer} AND c.purchase = ${$.purchase} AND c.kind = 'purchase'`,
      within,
    );
  }

  /** Throws if the result has no refund, or one with other facts than those of this call. */
  #refuseRefund(row: RefundRow, given: Omit<RefundParameters, 'now' | 'takesBack'>, amount: unknown): void {
    const { purchase, reference } = given;
    if (!row.isNew && row.isSame === false) {
      const refund = this.#database.entity(ReferralRefund, row, 'refund.');
      const before = `a refund of ${shownOf(refund)} of the purchase ${quoted(refund.purchase)}`;
      throw referralError(
        'REFERENCE_REUSED',
        reference,
        before,
        `${given.amount ?? 'what is left'} of ${quoted(purchase)}`,
      );
    }
    if (row.paid === null) throw referralError('NOT_FOUND', 'purchase', 'reference', [purchase]);
    if (row['refund.userId'] !== null) return;
    const isNothingLeft = !/[1-9]/.test(row.left!);
    if (isNothingLeft) throw referralError('NOTHING_TO_REFUND', purchase);
    const { digits } = this.#currencyIn(row);
    const left = shownAmount(row.left!, digits);
    throw invalid('amount', `an amount up to the ${left} that is left of the purchase`, amount);
  }

  /** Returns the currency of the purchase that a refund names, which never changes. */
  async #currencyOf(
    { buyer, purchase }: Omit<RefundParameters, 'now' | 'takesBack'>,
    manager: EntityManager,
  ): Promise<Currency> {
    const query = sql(
      { buyer, purchase },
      ($) => `SELECT currency FROM ${this.#database.tables.purchases}
        WHERE user_id = ${$.buyer} AND reference = ${$.purchase}`,
    );
    const [paid] = await this.#database.query<{ currency: string | null }>(query, manager);
    return this.#currencyIn(paid ?? { currency: null });
  }

  /** Returns the currency of an amount. */
  #currencyIn({ currency }: { currency: string | null }): Currency {
    return currency === null ? this.#database.currency : currencyOf(currency);
  }
}
