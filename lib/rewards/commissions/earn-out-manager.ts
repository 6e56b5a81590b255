import type { EntityManager } from 'typeorm';
import { ReferralEarnOut } from '../../entities/referral-earn-out';
import { referralError } from '../../errors';
import type { Database } from '../../tracking/database';
import { RecordManager } from '../record-manager';

/** `referrals.earnOuts`: to be read. `runEarnOuts` makes them. */
export class EarnOutManager extends RecordManager<ReferralEarnOut, object, object> {
  /** @internal */
  constructor(database: Database) {
    super(database, { record: ReferralEarnOut, word: 'earn-out', inUse: {} });
  }

  protected make(): Promise<never> {
    return Promise.reject(
      referralError('NOT_CREATABLE', this.kind.word, 'write runEarnOuts, which makes those that are due'),
    );
  }

  protected async change(id: number, _changes: object, manager: EntityManager): Promise<never> {
    await this.get(id, { manager });
    throw referralError('NOT_CHANGEABLE', this.kind.word, id, 'it is settled by runEarnOuts alone');
  }

  protected async remove(id: number, manager: EntityManager): Promise<never> {
    await this.get(id, { manager });
    throw referralError('IN_USE', this.kind.word, id, 'it says what was paid');
  }
}
