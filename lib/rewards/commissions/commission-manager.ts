import type { Database } from '../../database/database';
import { ReferralCommission } from '../../entities/referral-commission';
import { referralError } from '../../errors';
import { KeptRecordManager } from '../records/kept-record-manager';

/** `referrals.commissions`: read only. Purchases make commissions, and refunds lower them. */
export class CommissionManager extends KeptRecordManager<ReferralCommission, object> {
  /** @internal */
  constructor(database: Database) {
    const times = ['availableAt', 'revertedAt'];
    const keys = [...times, 'channelId', 'earnOutId', 'refereeId', 'purchase'];
    super(
      database,
      { record: ReferralCommission, word: 'commission', inUse: {}, keys, computed: { status: times } },
      'what was earned stays; write recordRefund to take it back',
    );
  }

  protected make(): Promise<never> {
    return Promise.reject(referralError('NOT_CREATABLE', this.kind.word, 'write recordPurchase, which makes it'));
  }
}
