import type { Database } from '../../database/database';
import { ReferralCommission } from '../../entities/referral-commission';
import { referralError } from '../../errors';
import { KeptRecordManager } from '../records/kept-record-manager';

/**
 * `referrals.commissions`: what purchases have earned their referrers. Read only: purchases create commissions, and
 * refunds lower them.
 */
export class CommissionManager extends KeptRecordManager<ReferralCommission, object> {
  /** @internal */
  constructor(database: Database) {
    const times = ['availableAt', 'revertedAt'];
    const keys = [...times, 'channelId', 'earnOutId', 'refereeId', 'purchase'];
    super(
      database,
      { record: ReferralCommission, word: 'commission', inUse: {}, keys, computed: { status: times } },
      'commissions are permanent; call recordRefund to take one back',
    );
  }

  protected make(): Promise<never> {
    return Promise.reject(referralError('NOT_CREATABLE', this.kind.word, 'call recordPurchase, which creates it'));
  }
}
