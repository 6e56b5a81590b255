import type { EntityManager } from 'typeorm';
import { lengths, shownAmount } from '../../entities/columns';
import { ReferralCommission } from '../../entities/referral-commission';
import { ReferralPurchase } from '../../entities/referral-purchase';
import { ReferralRefund } from '../../entities/referral-refund';
import type { PurchaseInput, RecordedPurchase, RecordedRefund, RefundInput } from '../../earning-types';
import { invalid, referralError } from '../../errors';
import { amountOf, dateOf, isNothing, objectOf, someUserIdOf, textOf } from '../../input';
import type { Settings } from '../../options';
import type { UserRef } from '../../types';
import type { Database, Prepared } from '../../tracking/database';
import type { Tracking } from '../../tracking/tracking';
import type { Coupons } from './coupons';
import { lookStatement, purchaseStatement, refundStatement } from './purchase-statements';

/** Records what buyers pay and are paid back, and what of it their referrers earn. */
export class Purchases {
  readonly #database: Database;
  readonly #tracking: Tracking;
  readonly #settings: Settings;
  readonly #coupons: Coupons;
  readonly #statements: Record<'look' | 'purchase' | 'refund', Prepared>;

  constructor(database: Database, tracking: Tracking, settings: Settings, coupons: Coupons) {
    this.#database = database;
    this.#tracking = tracking;
    this.#settings = settings;
    this.#coupons = coupons;
    this.#statements = {
      look: database.prepared(lookStatement(database)),
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
    for (;;) {
      const recorded = await this.#database
        .transaction(async (within) => {
          const { known, hasSignedUp } = await this.#look(userId, reference, amount, within);
          return known ?? (await this.#make(user, userId, [reference, amount, purchasedAt], hasSignedUp, within));
        }, manager)
        .catch(unlessOvertaken);
      if (recorded !== 'overtaken') return recorded;
    }
  }

  async refund(user: UserRef, input: RefundInput): Promise<RecordedRefund> {
    const { manager, amount } = objectOf('recordRefund', input, ['purchase', 'reference', 'amount', 'manager']);
    const userId = someUserIdOf('user', user);
    const purchase = referenceOf('purchase', input.purchase);
    const reference = referenceOf('reference', input.reference);
    const back = isNothing(amount) ? null : amountOf('amount', amount, 'positive');
    return this.#database.transaction(async (within) => {
      await this.#coupons.lock(userId, within);
      const parameters = [userId, reference, purchase, back, this.#tracking.clock.parameter()];
      const [row] = await this.#database.query<Refunded>(this.#statements.refund, parameters, within);
      const { isNew, isSame, isLowered, paid, left } = row!;
      if (isNew === false && isSame === false) {
        const before = `${row!['refund.amount']} of the purchase "${row!['refund.purchase']}"`;
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

  async #look(userId: string, reference: string, amount: string, manager: EntityManager) {
    const [row] = await this.#database.query<Looked>(this.#statements.look, [userId, reference, amount], manager);
    const { isLocked, hasSignedUp, isSame } = row!;
    if (!isLocked) throw new Overtaken(); // another call makes the row: now it can be locked
    const known = isSame === null ? null : this.#recordedIn(row!);
    if (known && !isSame)
      throw referralError('REFERENCE_REUSED', reference, `a purchase of ${known.purchase.amount}`, `one of ${amount}`);
    return { known, hasSignedUp };
  }

  async #make(
    user: UserRef,
    userId: string,
    facts: readonly unknown[],
    hasSignedUp: boolean,
    manager: EntityManager,
  ): Promise<RecordedPurchase> {
    const { ratio, maxPerReferee, pendingDays } = this.#settings.commission;
    const attributed = hasSignedUp ? null : await this.#attributed(user, userId, manager);
    const parameters = [
      ...[
        userId,
        ...facts,
        this.#tracking.clock.parameter(),
        attributed?.referralId ?? null,
        attributed?.isOwn ?? false,
      ],
      ...[ratio, maxPerReferee, pendingDays],
    ];
    const [row] = await this.#database.query<Made>(this.#statements.purchase, parameters, manager);
    if (!row || row.isOvertaken) throw new Overtaken();
    const recorded = this.#recordedIn(row);
    this.#tracking.events.emit(manager, 'purchase', recorded.purchase);
    if (recorded.commission) this.#tracking.events.emit(manager, 'commissionEarned', recorded.commission);
    return recorded;
  }

  /** Whom a buyer without a sign-up came through, and whether that is the buyer. */
  async #attributed(user: UserRef, userId: string, manager: EntityManager) {
    const found = await this.#tracking.attribution.ofUser(userId, null, manager);
    if (!found || found.referral.userId === null) return null;
    const { id: referralId, userId: referrer } = found.referral;
    const { selfReferral, isSamePerson } = this.#settings;
    if (selfReferral !== 'block') return { referralId, isOwn: false };
    const isOwn = referrer === userId || Boolean(await isSamePerson(referrer, userId, { req: null, user, manager }));
    return { referralId, isOwn };
  }

  #recordedIn(row: CommissionRow): RecordedPurchase {
    return { purchase: this.#database.entity(ReferralPurchase, row, 'purchase.'), commission: this.#commissionIn(row) };
  }

  #commissionIn(row: CommissionRow): ReferralCommission | null {
    return row['commission.id'] === null ? null : this.#database.entity(ReferralCommission, row, 'commission.');
  }
}

/** Another call was first with a row that this one needs; nothing is kept, and all of it is done again. */
class Overtaken extends Error {}

function unlessOvertaken(error: unknown): 'overtaken' {
  if (error instanceof Overtaken) return 'overtaken';
  throw error;
}

function referenceOf(field: string, reference: string): string {
  return textOf(field, reference, lengths.reference, 1);
}

interface CommissionRow {
  'commission.id': string | null;
}

interface Looked extends CommissionRow {
  isLocked: boolean;
  hasSignedUp: boolean;
  isSame: boolean | null;
}

interface Made extends CommissionRow {
  isOvertaken: boolean;
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
