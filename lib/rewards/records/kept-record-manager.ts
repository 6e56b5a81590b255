import type { EntityManager } from 'typeorm';
import type { Database } from '../../database/database';
import type { ReferralRecord } from '../../entities/record';
import { referralError } from '../../errors';
import { RecordManager } from './record-manager';
import type { Kind } from './record-table';

/** A manager of records that can be neither changed nor deleted, for one reason. */
export abstract class KeptRecordManager<
  R extends ReferralRecord,
  Input extends object,
  Plan = void,
> extends RecordManager<R, Input, object, Plan> {
  readonly #reason: string;

  /** @internal */
  constructor(database: Database, kind: Kind<R>, reason: string) {
    super(database, kind);
    this.#reason = reason;
  }

  protected async change(id: number, _changes: object, manager: EntityManager): Promise<never> {
    await this.get(id, { manager });
    throw referralError('NOT_CHANGEABLE', this.kind.word, id, this.#reason);
  }

  protected async remove(id: number, manager: EntityManager): Promise<never> {
    await this.get(id, { manager });
    throw referralError('IN_USE', this.kind.word, id, this.#reason);
  }
}
