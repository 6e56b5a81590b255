import type { EntityManager } from 'typeorm';
import { ReferralPurchase } from '../../entities/referral-purchase';
import type { PurchaseRecordInput } from '../../earning-types';
import { objectOf } from '../../input';
import type { Database } from '../../tracking/database';
import { KeptRecordManager } from '../kept-record-manager';
import type { Purchases } from './purchases';

/** `referrals.purchases`: what users paid. */
export class PurchaseManager extends KeptRecordManager<ReferralPurchase, PurchaseRecordInput> {
  readonly #purchases: Purchases;

  /** @internal */
  constructor(database: Database, purchases: Purchases) {
    const kind = { record: ReferralPurchase, word: 'purchase', inUse: {}, keys: ['referrerId'] };
    super(database, kind, 'what was paid stays; write recordRefund for what is paid back');
    this.#purchases = purchases;
  }

  /** As `recordPurchase`. */
  protected async make(input: PurchaseRecordInput, manager: EntityManager): Promise<ReferralPurchase> {
    const { user, ...facts } = objectOf('purchases.create', input, ['user', 'amount', 'reference', 'at']);
    return (await this.#purchases.record(user, { ...facts, manager })).purchase;
  }
}
