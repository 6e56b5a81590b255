import type { EntityManager } from 'typeorm';
import type { Database } from '../../database/database';
import { overtaken } from '../../database/retry';
import { ReferralPurchase } from '../../entities/referral-purchase';
import { objectOf } from '../../input';
import type { PurchaseRecordInput } from '../../types/commissions';
import { KeptRecordManager } from '../records/kept-record-manager';
import type { PurchasePlan, Purchases } from './purchases';

/** `referrals.purchases`: what users paid. */
export class PurchaseManager extends KeptRecordManager<ReferralPurchase, PurchaseRecordInput, PurchasePlan> {
  readonly #purchases: Purchases;

  /** @internal */
  constructor(database: Database, purchases: Purchases) {
    const kind = { record: ReferralPurchase, word: 'purchase', inUse: {}, keys: ['referrerId'] };
    super(database, kind, 'purchases are permanent; call recordRefund to take one back');
    this.#purchases = purchases;
  }

  protected override async plan(input: PurchaseRecordInput, manager: EntityManager | undefined): Promise<PurchasePlan> {
    const fields = { user: true, amount: true, reference: true, at: true } as const;
    const { user, ...facts } = objectOf('purchases.create', input, fields);
    return this.#purchases.plan(user, { ...facts, manager });
  }

  /** Records a purchase, as `recordPurchase` does. */
  protected async make(
    _input: PurchaseRecordInput,
    manager: EntityManager,
    plan: PurchasePlan,
  ): Promise<ReferralPurchase | typeof overtaken> {
    const recorded = await this.#purchases.make(plan, manager);
    return recorded === overtaken ? overtaken : recorded.purchase;
  }
}
