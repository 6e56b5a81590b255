import type { EntityManager } from 'typeorm';
import { ReferralPurchase } from '../../entities/referral-purchase';
import type { PurchaseRecordInput } from '../../earning-types';
import { referralError } from '../../errors';
import { objectOf } from '../../input';
import type { Database } from '../../tracking/database';
import { RecordManager } from '../record-manager';
import type { Purchases } from './purchases';

/** `referrals.purchases`: what users paid. */
export class PurchaseManager extends RecordManager<ReferralPurchase, PurchaseRecordInput, object> {
  readonly #purchases: Purchases;

  /** @internal */
  constructor(database: Database, purchases: Purchases) {
    super(database, { record: ReferralPurchase, word: 'purchase', inUse: {} });
    this.#purchases = purchases;
  }

  /** As `recordPurchase`. */
  protected async make(input: PurchaseRecordInput, manager: EntityManager): Promise<ReferralPurchase> {
    const { user, ...facts } = objectOf('purchases.create', input, ['user', 'amount', 'reference', 'at']);
    return (await this.#purchases.record(user, { ...facts, manager })).purchase;
  }

  protected async change(id: number, _changes: object, manager: EntityManager): Promise<never> {
    await this.get(id, { manager });
    throw referralError(
      'NOT_CHANGEABLE',
      this.kind.word,
      id,
      'what was paid stays; write recordRefund for what is paid back',
    );
  }

  protected async remove(id: number, manager: EntityManager): Promise<never> {
    await this.get(id, { manager });
    throw referralError('IN_USE', this.kind.word, id, 'it was paid; write recordRefund for what is paid back');
  }
}
