import type { EntityManager } from 'typeorm';
import { ReferralCommission } from '../../entities/referral-commission';
import { referralError } from '../../errors';
import type { Database } from '../../tracking/database';
import { RecordManager } from '../record-manager';

/** `referrals.commissions`: to be read. Purchases make them, and refunds take them back. */
export class CommissionManager extends RecordManager<ReferralCommission, object, object> {
  /** @internal */
  constructor(database: Database) {
    super(database, {
      ...{ record: ReferralCommission, word: 'commission', inUse: {} },
      ...{ keys: ['availableAt', 'revertedAt'], computed: { status: ['availableAt', 'revertedAt'] } },
    });
  }

  protected make(): Promise<never> {
    return Promise.reject(referralError('NOT_CREATABLE', this.kind.word, 'write recordPurchase, which makes it'));
  }

  protected async change(id: number, _changes: object, manager: EntityManager): Promise<never> {
    await this.get(id, { manager });
    throw referralError(
      'NOT_CHANGEABLE',
      this.kind.word,
      id,
      'what was earned stays; write recordRefund to take it back',
    );
  }

  protected async remove(id: number, manager: EntityManager): Promise<never> {
    await this.get(id, { manager });
    throw referralError('IN_USE', this.kind.word, id, 'it is money; write recordRefund to take it back');
  }
}
