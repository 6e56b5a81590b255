import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { violatedConstraint } from '../../database/driver-errors';
import type { Events } from '../../database/events';
import type { Statement } from '../../database/named-parameters';
import { overtaken, retryOvertaken } from '../../database/retry';
import { shownAmount } from '../../entities/columns';
import { ReferralCommission } from '../../entities/referral-commission';
import { ReferralPurchase } from '../../entities/referral-purchase';
import { ReferralRefund } from '../../entities/referral-refund';
import { invalid, referralError } from '../../errors';
import { amountOf, dateOf, type FieldsOf, isNothing, objectOf, referenceOf, someUserIdOf } from '../../input';
import type { Settings } from '../../options';
import type { Attribution } from '../../tracking/attribution';
import type { PurchaseInput, RefundInput } from '../../types/commissions';
import type { UserRef } from '../../types/common';
import { takeTurn } from '../records/buyer-turn';
import { type PurchaseParameters, type PurchaseRow, purchaseStatement } from './purchase-statement';
import { type RefundParameters, type RefundRow, refundStatement } from './refund-statement';

/** The result of `recordPurchase`. */
export interface RecordedPurchase {
  purchase: ReferralPurchase;
  /** The commission; null if the purchase earned none: `purchase.noCommission` says why. */
  commission: ReferralCommission | null;
}

/** The result of `recordRefund`. */
export interface RecordedRefund {
  refund: ReferralRefund;
  /** The commission of the purchase after the refund; null if the purchase earned none. */
  commission: ReferralCommission | null;
}

const purchaseFields: FieldsOf<PurchaseInput> = { amount: true, reference: true, at: true, manager: true };

/** The referral that a buyer without a sign-up is attributed to. */
interface BuyersReferral {
  id: number;
  /** Whether its owner is the buyer. */
  isOwn: boolean;
}

/** These foreign keys refuse a purchase whose referral or channel was deleted after the statement's snapshot. */
const deletedMeanwhile = new Set<string | null>([
  'fk_referral_commissions_referral',
  'fk_referral_redemptions_channel',
]);

/**
 * Records purchases and refunds, and what they earn the referrers. The commission is computed in
 * `commission-amount.ts`, as a part of `purchaseStatement`.
 */
export class Purchases {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #events: Events;
  readonly #attribution: Attribution;
  readonly #settings: Settings;
  readonly #purchase: Statement<PurchaseParameters>;
  readonly #refund: Statement<RefundParameters>;

  constructor(database: Database, clock: Clock, events: Events, attribution: Attribution, settings: Settings) {
    this.#database = database;
    this.#clock = clock;
    this.#events = events;
    this.#attribution = attribution;
    this.#settings = settings;
    this.#purchase = database.prepared(purchaseStatement(database));
    this.#refund = database.prepared(refundStatement(database));
  }

  async record(user: UserRef, input: PurchaseInput): Promise<RecordedPurchase> {
    const { manager, at } = objectOf('recordPurchase', input, purchaseFields);
    const given = {
      buyer: someUserIdOf('user', user),
      amount: amountOf('amount', input.amount, 'not negative'),
      reference: referenceOf('reference', input.reference),
      paidAt: dateOf('at', at),
    };
    let attributed: BuyersReferral | null | undefined; // undefined until it is looked up
    return retryOvertaken(async () => {
      let row = await this.#write(given, attributed, manager);
      // A buyer who has signed up needs no attribution, so it is looked up only now. No transaction of the package is
      // open here, because the option `isSamePerson` may be slow.
      if (row !== overtaken && isUndecided(row) && attributed === undefined) {
        attributed = await this.#attributed(user, given.buyer, manager);
        row = await this.#write(given, attributed, manager);
      }
      if (row === overtaken) {
        attributed = undefined;
        return overtaken;
      }
      return row['purchase.userId'] === null ? overtaken : this.#recorded(row, given, manager);
    });
  }

  async refund(user: UserRef, input: RefundInput): Promise<RecordedRefund> {
    const fields = { purchase: true, reference: true, amount: true, manager: true } as const;
    const { manager, amount } = objectOf('recordRefund', input, fields);
    const given = {
      buyer: someUserIdOf('user', user),
      purchase: referenceOf('purchase', input.purchase),
      reference: referenceOf('reference', input.reference),
      amount: isNothing(amount) ? null : amountOf('amount', amount, 'positive'),
    };
    return this.#database.transaction(async (within) => {
      await takeTurn(this.#database, given.buyer, within);
      const parameters = { ...given, now: this.#clock.parameter() };
      const [row] = await this.#database.query<RefundRow>(this.#refund.with(parameters), within);
      refuseRefund(row!, given, amount);
      const refund = this.#database.entity(ReferralRefund, row!, 'refund.');
      const commission = this.#commissionIn(row!);
      if (row!.isNew && row!.isLowered) this.#events.emit(within, 'commissionReverted', commission!, refund);
      return { refund, commission };
    }, manager);
  }

  async #write(
    given: Pick<PurchaseParameters, 'buyer' | 'reference' | 'amount' | 'paidAt'>,
    attributed: BuyersReferral | null | undefined,
    manager: EntityManager | undefined,
  ): Promise<PurchaseRow | typeof overtaken> {
    const { ratio, maxPerReferee, pendingDays } = this.#settings.commission;
    const query = this.#purchase.with({
      now: this.#clock.parameter(),
      attributedReferral: attributed?.id ?? null,
      isOwnReferral: attributed?.isOwn ?? false,
      defaultRate: ratio,
      defaultLimit: maxPerReferee,
      pendingDays,
      isAttributionKnown: attributed !== undefined,
      ...given, // last, because V8 is slow to add properties to a copy
    });
    try {
      const [row] = await this.#database.attempt((within) => this.#database.query<PurchaseRow>(query, within), manager);
      return row!;
    } catch (error) {
      if (deletedMeanwhile.has(violatedConstraint(error))) return overtaken;
      throw error;
    }
  }

  #recorded(
    row: PurchaseRow,
    { reference, amount }: Pick<PurchaseParameters, 'reference' | 'amount'>,
    manager: EntityManager | undefined,
  ): RecordedPurchase {
    const purchase = this.#database.entity(ReferralPurchase, row, 'purchase.');
    const commission = this.#commissionIn(row);
    if (!row.isSame)
      throw referralError('REFERENCE_REUSED', reference, `a purchase of ${purchase.amount}`, `one of ${amount}`);
    if (row.isNew) this.#events.emit(manager, 'purchase', purchase);
    if (row.isNew && commission) this.#events.emit(manager, 'commissionEarned', commission);
    return { purchase, commission };
  }

  async #attributed(user: UserRef, userId: string, manager: EntityManager | undefined): Promise<BuyersReferral | null> {
    const found = await this.#attribution.ofUser(userId, null, manager);
    if (!found || found.referral.userId === null) return null;
    const { id, userId: referrer } = found.referral;
    const { selfReferral, isSamePerson } = this.#settings;
    if (selfReferral !== 'block') return { id, isOwn: false };
    const isOwn = referrer === userId || Boolean(await isSamePerson(referrer, userId, { req: null, user, manager }));
    return { id, isOwn };
  }

  #commissionIn(row: Pick<PurchaseRow, 'commission.id'>): ReferralCommission | null {
    return row['commission.id'] === null ? null : this.#database.entity(ReferralCommission, row, 'commission.');
  }
}

/** Whether nothing was written because the buyer has no sign-up and the attribution was not known. */
function isUndecided(row: PurchaseRow): boolean {
  return row['purchase.userId'] === null && !row.hasSignedUp;
}

/** Throws if the result has no refund, or one with other facts than those of this call. */
function refuseRefund(row: RefundRow, given: Omit<RefundParameters, 'now'>, amount: unknown): void {
  const { purchase, reference } = given;
  if (!row.isNew && row.isSame === false) {
    const before = `a refund of ${shownAmount(row['refund.amount']!)} of the purchase "${row['refund.purchase']}"`;
    throw referralError('REFERENCE_REUSED', reference, before, `${given.amount ?? 'what is left'} of "${purchase}"`);
  }
  if (row.paid === null) throw referralError('NOT_FOUND', 'purchase', 'reference', [purchase]);
  if (row['refund.userId'] !== null) return;
  const isNothingLeft = !/[1-9]/.test(row.left!);
  if (isNothingLeft) throw referralError('NOTHING_TO_REFUND', purchase);
  throw invalid('amount', `an amount up to the ${shownAmount(row.left!)} that is left of the purchase`, amount);
}
