import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import type { Events } from '../../database/events';
import { type Query, sql, type Statement } from '../../database/named-parameters';
import { overtaken, retryOvertaken } from '../../database/retry';
import { ReferralCreditSpend } from '../../entities/referral-credit-spend';
import { invalid, referralError } from '../../errors';
import { amountOf, isNothing, objectOf, referenceOf, someUserIdOf } from '../../input';
import type { CaptureInput, SettleInput } from '../../types/credits';
import { emitSpent } from './ledger';
import {
  type CaptureParameters,
  captureStatement,
  type SettleParameters,
  type SettleRow,
  spendRefundStatement,
} from './settle-statements';

interface SettledSpend {
  spend: ReferralCreditSpend;
  isNew: boolean;
  /** Whether it is settled for the amount of this call, by this call or an earlier one. */
  isSame: boolean | null;
}

/** Captures and releases holds, and refunds spends. Each is settled once, by one statement. */
export class Settlements {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #events: Events;
  readonly #capture: Statement<CaptureParameters>;
  readonly #refund: Statement<SettleParameters>;

  constructor(database: Database, clock: Clock, events: Events) {
    this.#database = database;
    this.#clock = clock;
    this.#events = events;
    this.#capture = database.prepared(captureStatement(database));
    this.#refund = database.prepared(spendRefundStatement(database));
  }

  /** Spends a hold or a part of it. The rest goes back to the credits, last to expire first. */
  async capture(input: CaptureInput): Promise<ReferralCreditSpend> {
    objectOf('credits.capture', input, { reference: true, user: true, amount: true, manager: true });
    const amount = isNothing(input.amount)
      ? null
      : amountOf('amount', input.amount, 'positive', this.#database.currency);
    const { spend, isNew, isSame } = await this.#settle(input, (settle) => this.#capture.with({ amount, ...settle }));
    const { reference, kind, covered, captured } = spend;
    if (isNew) emitSpent(this.#events, spend, input.manager);
    else if (kind === 'spend')
      throw referralError('WRONG_STATE', reference, 'spent already', 'only a hold can be captured');
    else if (captured === null) throw invalid('amount', `an amount up to the ${covered} that is held`, input.amount);
    else if (!isSame)
      throw referralError('WRONG_STATE', reference, statusOf(spend), 'hold again, under another reference');
    return spend;
  }

  /** Gives back all of a hold. */
  async release(input: SettleInput): Promise<ReferralCreditSpend> {
    objectOf('credits.release', input, { reference: true, user: true, manager: true });
    const { spend, isSame } = await this.#settle(input, (settle) => this.#capture.with({ amount: '0', ...settle }));
    if (spend.kind === 'spend' || !isSame)
      throw referralError('WRONG_STATE', spend.reference, statusOf(spend), 'call credits.refund({ reference })');
    return spend;
  }

  /** Gives back what was spent from credits of refundable types, to those credits. */
  async refund(input: SettleInput): Promise<ReferralCreditSpend> {
    objectOf('credits.refund', input, { reference: true, user: true, manager: true });
    const { spend } = await this.#settle(input, (settle) => this.#refund.with(settle));
    if (spend.captured === null)
      throw referralError('WRONG_STATE', spend.reference, 'still held', 'call credits.release({ reference })');
    return spend;
  }

  async #settle(input: SettleInput, queryOf: (parameters: SettleParameters) => Query): Promise<SettledSpend> {
    const reference = referenceOf('reference', input.reference);
    const user = isNothing(input.user)
      ? await this.#userOfReference(reference, input.manager)
      : someUserIdOf('user', input.user);
    return retryOvertaken(async () => {
      const query = queryOf({ user, reference, now: this.#clock.parameter() });
      const [row] = await this.#database.attempt(
        (within) => this.#database.query<SettleRow>(query, within),
        input.manager,
      );
      const { userId, isNew, isSame, isOvertaken } = row!;
      if (userId === null) throw referralError('NOT_FOUND', 'spend or hold', 'reference', [reference]);
      return isOvertaken ? overtaken : { isNew, isSame, spend: this.#database.entity(ReferralCreditSpend, row!) };
    });
  }

  /** Returns the only user who has a spend or hold with this reference. Throws if there is none, or several. */
  async #userOfReference(reference: string, manager: EntityManager | undefined): Promise<string> {
    const { spends } = this.#database.tables;
    const rows = await this.#database.query<{ userId: string }>(
      sql(
        { reference },
        ($) => `SELECT user_id AS "userId" FROM ${spends} WHERE reference = ${$.reference} ORDER BY 1 LIMIT 2`,
      ),
      manager,
    );
    if (rows.length === 0) throw referralError('NOT_FOUND', 'spend or hold', 'reference', [reference]);
    if (rows.length > 1)
      throw referralError(
        'AMBIGUOUS',
        'the spends and holds',
        'reference',
        reference,
        'name the user with { user, reference }',
      );
    return rows[0]!.userId;
  }
}

/** Returns the state of a settled spend or hold, for error messages. */
function statusOf({ kind, captured }: ReferralCreditSpend): string {
  if (kind === 'spend') return 'spent';
  return /[1-9]/.test(captured!) ? `captured for ${captured}` : 'released';
}
