import type { EntityManager } from 'typeorm';
import type { Database } from '../../database/database';
import { overtaken } from '../../database/retry';
import { ReferralLateAttribution } from '../../entities/referral-late-attribution';
import { ReferralPurchase } from '../../entities/referral-purchase';
import { objectOf } from '../../input';
import type { PurchaseRecordInput } from '../../types/commissions';
import type { WithManager } from '../../types/common';
import { amountFields } from '../records/exchange';
import { KeptRecordManager } from '../records/kept-record-manager';
import { namingFields } from './buyers-referrals';
import type { PurchasePlan, Purchases } from './purchases';

/** `referrals.purchases`: what users paid. */
export class PurchaseManager extends KeptRecordManager<ReferralPurchase, PurchaseRecordInput, PurchasePlan> {
  readonly #purchases: Purchases;
  /** New records whose buyer's other purchases may wait for a referrer. */
  readonly #mayWait = new WeakSet<ReferralPurchase>();

  /** @internal */
  constructor(database: Database, purchases: Purchases) {
    const kind = { record: ReferralPurchase, word: 'purchase', inUse: {}, keys: ['referrerId'] };
    super(database, kind, 'purchases are permanent; call recordRefund to take one back');
    this.#purchases = purchases;
  }

  /** @internal */
  async lateAttributionOf(
    { userId, reference: purchase }: ReferralPurchase,
    { manager }: WithManager,
  ): Promise<ReferralLateAttribution | null> {
    const where = { userId, purchase };
    const [found] = await this.database.find(ReferralLateAttribution, { where }, manager);
    return found ?? null;
  }

  protected override async plan(input: PurchaseRecordInput, manager: EntityManager | undefined): Promise<PurchasePlan> {
    const fields = {
      user: true,
      ...amountFields,
      ...({ reference: true, at: true, price: true, product: true } as const),
      ...namingFields,
    } as const;
    const { user, ...facts } = objectOf('purchases.create', input, fields);
    return this.#purchases.plan(user, { ...facts, manager });
  }

  /** Records a purchase, as `recordPurchase` does. */
  protected async make(
    _input: PurchaseRecordInput,
    manager: EntityManager,
    plan: PurchasePlan,
  ): Promise<ReferralPurchase | typeof overtaken> {
    const made = await this.#purchases.make(plan, manager);
    if (made === overtaken) return overtaken;
    if (!made.isNew) this.known.add(made.purchase);
    if (made.mayWait) this.#mayWait.add(made.purchase);
    return made.purchase;
  }

  protected override async made(
    purchases: readonly ReferralPurchase[],
    manager: EntityManager | undefined,
  ): Promise<void> {
    for (const purchase of purchases)
      if (this.#mayWait.has(purchase)) await this.#purchases.lookAgain(purchase, manager);
  }
}
