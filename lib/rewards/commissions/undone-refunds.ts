import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import type { Events } from '../../database/events';
import type { Statement } from '../../database/named-parameters';
import { ReferralCommission } from '../../entities/referral-commission';
import { ReferralRefund } from '../../entities/referral-refund';
import { referralError } from '../../errors';
import { objectOf, referenceOf, someUserIdOf } from '../../input';
import type { UndoInput } from '../../types/commissions';
import type { UserRef } from '../../types/common';
import { type Audit, staffFields, staffOf } from '../records/audit';
import { takeTurn } from '../records/buyer-turn';
import { setPaidAt } from './paid-at';
import { Redemptions } from './redemptions';
import type { RecordedRefund } from './refunds';
import { type UndoParameters, type UndoRow, undoStatement } from './undo-statement';

/** Undoes refunds, such as those of disputes that the host has won. */
export class UndoneRefunds {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #events: Events;
  readonly #audit: Audit;
  readonly #redemptions: Redemptions;
  readonly #statement: Statement<UndoParameters>;

  constructor(database: Database, clock: Clock, events: Events, audit: Audit) {
    this.#database = database;
    this.#clock = clock;
    this.#events = events;
    this.#audit = audit;
    this.#redemptions = new Redemptions(database, clock);
    this.#statement = undoStatement(database);
  }

  async undo(user: UserRef, input: UndoInput): Promise<RecordedRefund> {
    const { manager, ...given } = objectOf('undoRefund', input, { reference: true, ...staffFields });
    const author = staffOf(given);
    const buyer = someUserIdOf('user', user);
    const reference = referenceOf('reference', given.reference);
    return this.#database.transaction(async (within) => {
      await takeTurn(this.#database, buyer, within);
      const coupon = await this.#redemptions.lockRestored(buyer, reference, within);
      const query = this.#statement.with({ buyer, reference, now: this.#clock.parameter() });
      const [row] = await this.#database.query<UndoRow>(query, within);
      if (row!['refund.userId'] === null) throw referralError('NOT_FOUND', 'refund', 'reference', [reference]);
      if (coupon !== null) await this.#redemptions.take(buyer, coupon, within);
      const refund = this.#database.entity(ReferralRefund, row!, 'refund.');
      const hasCommission = row!['commission.id'] !== null;
      const commission = hasCommission ? this.#database.entity(ReferralCommission, row!, 'commission.') : null;
      if (commission) await setPaidAt(this.#database, [commission], within);
      if (row!.isNew) {
        const subject = { subject: 'refund', subjectId: reference, userId: buyer };
        const change = { before: { undoneAt: null }, after: { undoneAt: refund.undoneAt } };
        await this.#audit.record([{ call: 'undoRefund', ...subject, ...change }], author, within);
        this.#events.emit(within, 'refundUndone', refund, commission);
      }
      return { refund, commission };
    }, manager);
  }
}
