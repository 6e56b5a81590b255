import type { Database } from '../../database/database';
import { ReferralAudit } from '../../entities/referral-audit';
import { referralError } from '../../errors';
import { KeptRecordManager } from './kept-record-manager';

/** `referrals.audit`: who changed terms, money, attribution or a payout address, and why. Read only. */
export class AuditManager extends KeptRecordManager<ReferralAudit, object> {
  /** @internal */
  constructor(database: Database) {
    super(database, { record: ReferralAudit, word: 'audit row', inUse: {} }, 'what was changed stays on record');
  }

  protected make(): Promise<never> {
    return Promise.reject(referralError('NOT_CREATABLE', this.kind.word, 'the calls that change something create it'));
  }
}
