import type { EntityManager } from 'typeorm';
import type { Database } from '../../database/database';
import { ReferralPurchase } from '../../entities/referral-purchase';
import { objectOf } from '../../input';
import type { PurchaseRecordInput } from '../../types/commissions';
import { KeptRecordManager } from '../records/kept-record-manager';
import type { Purchases } from './purchases';

/** `referrals.purchases`: what users paid. */
export class PurchaseManager extends KeptRecordManager<ReferralPurchase, PurchaseRecordInput> {
  readonly #purchases: Purchases;

  /** @internal */
  constructor(database: Database, purchases: Purchases) {
    const kind = { record: ReferralPurchase, word: 'purchase', inUse: {}, keys: ['referrerId'] };
    super(database, kind, 'purchases are permanent; call recordRefund to take one back');
    this.#purchases = purchases;
  }

  /** Records a purchase, as `recordPurchase` does. */
  protected async make(input: PurchaseRecordInput, manager: EntityManager): Promise<ReferralPurchase> {
    const fields = { user: true, amount: true, reference: true, at: true } as const;
    const { user, ...facts } = objectOf('purchases.create', input, fields);
    return (await this.#purchases.record(user, { ...facts, manager })).purchase;
  }
}
