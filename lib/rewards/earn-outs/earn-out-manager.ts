import type { Database } from '../../database/database';
import { ReferralEarnOut } from '../../entities/referral-earn-out';
import { referralError } from '../../errors';
import { KeptRecordManager } from '../records/kept-record-manager';

/**
 * `referrals.earnOuts`: commissions that were paid out or turned into credit. Read only: `runEarnOuts` creates and
 * settles earn-outs.
 */
export class EarnOutManager extends KeptRecordManager<ReferralEarnOut, object> {
  /** @internal */
  constructor(database: Database) {
    const kind = { record: ReferralEarnOut, word: 'earn-out', inUse: {} };
    super(database, kind, 'it is the record of a payment, and only runEarnOuts settles it');
  }

  protected make(): Promise<never> {
    const instead = 'call runEarnOuts, which creates those that are due';
    return Promise.reject(referralError('NOT_CREATABLE', this.kind.word, instead));
  }
}
