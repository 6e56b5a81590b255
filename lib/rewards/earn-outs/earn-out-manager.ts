import type { Database } from '../../database/database';
import { ReferralEarnOut } from '../../entities/referral-earn-out';
import { referralError } from '../../errors';
import { KeptRecordManager } from '../records/kept-record-manager';

/** `referrals.earnOuts`: read only. `runEarnOuts` makes and settles earn-outs. */
export class EarnOutManager extends KeptRecordManager<ReferralEarnOut, object> {
  /** @internal */
  constructor(database: Database) {
    const kind = { record: ReferralEarnOut, word: 'earn-out', inUse: {} };
    super(database, kind, 'it says what was paid, and runEarnOuts alone settles it');
  }

  protected make(): Promise<never> {
    const instead = 'write runEarnOuts, which makes those that are due';
    return Promise.reject(referralError('NOT_CREATABLE', this.kind.word, instead));
  }
}
