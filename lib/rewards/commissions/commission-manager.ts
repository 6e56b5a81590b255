import type { EntityManager } from 'typeorm';
import type { Database } from '../../database/database';
import { ReferralCommission } from '../../entities/referral-commission';
import { referralError } from '../../errors';
import { KeptRecordManager } from '../records/kept-record-manager';
import type { CheckedSearch } from '../records/record-manager';
import { setPaidAt } from './paid-at';

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
      {
        record: ReferralCommission,
        word: 'commission',
        inUse: {},
        keys,
        computed: { status: times, paidAt: ['earnOutId'] },
      },
      'commissions are permanent; call recordRefund to take one back',
    );
  }

  protected override async load(search: CheckedSearch, manager?: EntityManager): Promise<ReferralCommission[]> {
    const commissions = await super.load(search, manager);
    if (search.fields?.includes('paidAt') ?? true) await setPaidAt(this.database, commissions, manager);
    return commissions;
  }

  protected make(): Promise<never> {
    return Promise.reject(referralError('NOT_CREATABLE', this.kind.word, 'call recordPurchase, which creates it'));
  }
}
