import type { EntityManager } from 'typeorm';
import type { Database, Prepared } from '../../database/database';
import { violatedConstraint } from '../../database/driver-errors';
import { shownAmount } from '../../entities/columns';
import { ReferralCommission } from '../../entities/referral-commission';
import { ReferralPurchase } from '../../entities/referral-purchase';
import { ReferralRefund } from '../../entities/referral-refund';
import { invalid, referralError } from '../../errors';
import { amountOf, dateOf, isNothing, objectOf, someUserIdOf, textOf } from '../../input';
import { lengths } from '../../limits';
import type { Settings } from '../../options';
import type { Tracking } from '../../tracking/tracking';
import type { PurchaseInput, RefundInput } from '../../types/commissions';
import type { UserRef } from '../../types/common';
import { takeTurn } from '../records/buyer-turn';
import { purchaseStatement, refundStatement } from './purchase-statements';

export interface RecordedPurchase {
  purchase: ReferralPurchase;
  /** Null if it earned none: `purchase.noCommission` says why. */
  commission: ReferralCommission | null;
}

export interface RecordedRefund {
  refund: ReferralRefund;
  /** The purchase's commission as it is now; null if it had earned none. */
  commission: ReferralCommission | null;
}

/** Records what buyers pay and are paid back, and what of it their referrers earn. */
export class Purchases {
  readonly #database: Database;
  readonly #tracking: Tracking;
  readonly #settings: Settings;
  readonly #statements: Record<'purchase' | 'refund', Prepared>;

  constructor(database: Database, tracking: Tracking, settings: Settings) {
    this.#database = database;
    this.#tracking = tracking;
    this.#settings = settings;
    this.#statements = {
      purchase: database.prepared(purchaseStatement(database)),
      refund: database.prepared(refundStatement(database)),
    };
  }

  async record(user: UserRef, input: PurchaseInput): Promise<RecordedPurchase> {
    const { manager, at } = objectOf('recordPurchase', input, ['amount', 'reference', 'at', 'manager']);
    const userId = someUserIdOf('user', user);
    const amount = amountOf('amount', input.amount, 'not negative');
    const reference = referenceOf('reference', input.reference);
    const purchasedAt = dateOf('at', at);
    const { ratio, maxPerReferee, pendingDays } = this.#settings.commission;
    let attributed: Attributed | null | undefined;
    for (;;) {
      const parameters = [
        ...[userId, reference, amount, purchasedAt, this.#tracking.clock.parameter()],
        ...[attributed?.referralId ?? null, attributed?.isOwn ?? false, ratio, maxPerReferee, pendingDays],
        attributed !== undefined,
      ];
      const row = await this.#make(parameters, manager);
      if (row === 'overtaken') attributed = undefined;
      else if (row['purchase.userId'] !== null) return this.#answered(row, reference, amount, manager);
      // Asked for only now: who has signed up needs no attribution; and outside of a transaction of ours, as the host's
      // `isSamePerson` may take its time. Or else another call for the buyer was first.
      else if (!row.hasSignedUp && attributed === undefined) attributed = await this.#attributed(user, userId, manager);
    }
  }

  async refund(user: UserRef, input: RefundInput): Promise<RecordedRefund> {
    const { manager, amount } = objectOf('recordRefund', input, ['purchase', 'reference', 'amount', 'manager']);
    const userId = someUserIdOf('user', user);
    const purchase = referenceOf('purchase', input.purchase);
    const reference = referenceOf('reference', input.reference);
    const back = isNothing(amount) ? null : amountOf('amount', amount, 'positive');
    return this.#database.transaction(async (within) => {
      await takeTurn(this.#database, userId, within);
      const parameters = [userId, reference, purchase, back, this.#tracking.clock.parameter()];
      const [row] = await this.#database.query<Refunded>(this.#statements.refund, parameters, within);
      const { isNew, isSame, isLowered, paid, left } = row!;
      if (isNew === false && isSame === false) {
        const before = `${shownAmount(row!['refund.amount']!)} of the purchase "${row!['refund.purchase']}"`;
        throw referralError(
          'REFERENCE_REUSED',
          reference,
          `a refund of ${before}`,
          `${back ?? 'what is left'} of "${purchase}"`,
        );
      }
      if (paid === null) throw referralError('NOT_FOUND', 'purchase', 'reference', [purchase]);
      if (row!['refund.userId'] === null) {
        if (!/[1-9]/.test(left!)) throw referralError('NOTHING_TO_REFUND', purchase);
        throw invalid('amount', `an amount up to the ${shownAmount(left!)} that is left of the purchase`, amount);
      }
      const refund = this.#database.entity(ReferralRefund, row!, 'refund.');
      const commission = this.#commissionIn(row!);
      if (isNew && isLowered) this.#tracking.events.emit(within, 'commissionReverted', commission!, refund);
      return { refund, commission };
    }, manager);
  }

  async #make(parameters: unknown[], manager: EntityManager | undefined): Promise<Made | 'overtaken'> {
    try {
      const [row] = await this.#database.attempt(
        (within) => this.#database.query<Made>(this.#statements.purchase, parameters, within),
        manager,
      );
      return row!;
    } catch (error) {
      // The referral or channel was deleted since the statement began.
      if (deleted.has(violatedConstraint(error))) return 'overtaken';
      throw error;
    }
  }

  #answered(row: Made, reference: string, amount: string, manager: EntityManager | undefined): RecordedPurchase {
    const purchase = this.#database.entity(ReferralPurchase, row, 'purchase.');
    const commission = this.#commissionIn(row);
    if (!row.isSame)
      throw referralError('REFERENCE_REUSED', reference, `a purchase of ${purchase.amount}`, `one of ${amount}`);
    if (row.isNew) this.#tracking.events.emit(manager, 'purchase', purchase);
    if (row.isNew && commission) this.#tracking.events.emit(manager, 'commissionEarned', commission);
    return { purchase, commission };
  }

  /** Whom a buyer without a sign-up came through, and whether that is the buyer. */
  async #attributed(user: UserRef, userId: string, manager: EntityManager | undefined): Promise<Attributed | null> {
    const found = await this.#tracking.attribution.ofUser(userId, null, manager);
    if (!found || found.referral.userId === null) return null;
    const { id: referralId, userId: referrer } = found.referral;
    const { selfReferral, isSamePerson } = this.#settings;
    if (selfReferral !== 'block') return { referralId, isOwn: false };
    const isOwn = referrer === userId || Boolean(await isSamePerson(referrer, userId, { req: null, user, manager }));
    return { referralId, isOwn };
  }

  #commissionIn(row: CommissionRow): ReferralCommission | null {
    return row['commission.id'] === null ? null : this.#database.entity(ReferralCommission, row, 'commission.');
  }
}

/** What refuses a purchase through a referral that is gone. */
const deleted = new Set<string | null>(['fk_referral_commissions_referral', 'fk_referral_redemptions_channel']);

interface Attributed {
  referralId: number;
  isOwn: boolean;
}

function referenceOf(field: string, reference: string): string {
  return textOf(field, reference, lengths.reference, 1);
}

interface CommissionRow {
  'commission.id': string | null;
}

interface Made extends CommissionRow {
  'isNew': boolean;
  'isSame': boolean | null;
  'hasSignedUp': boolean;
  'purchase.userId': string | null;
}

interface Refunded extends CommissionRow {
  'isNew': boolean;
  'isSame': boolean | null;
  'isLowered': boolean;
  'paid': string | null;
  'left': string | null;
  'refund.userId': string | null;
  'refund.amount': string | null;
  'refund.purchase': string | null;
}
