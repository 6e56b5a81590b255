import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { overtaken, retryOvertaken } from '../../database/retry';
import { ReferralAdjustment } from '../../entities/referral-adjustment';
import { invalid, referralError } from '../../errors';
import { amountOf, isNothing, objectOf, referenceOf, someUserIdOf } from '../../input';
import type { Settings } from '../../options';
import type { AdjustmentInput } from '../../types/commissions';
import type { UserRef } from '../../types/common';
import type { EarningMode } from '../../types/earn-outs';
import { type Audit, reasonedStaffOf, staffFields } from '../records/audit';
import { KeptRecordManager } from '../records/kept-record-manager';
import { type AdjustParameters, type AdjustRow, adjustStatement } from './adjust-statement';

/** `referrals.adjustments`: what staff added to users' earnings, or took from them. Read only: `commissions.adjust` makes them. */
export class AdjustmentManager extends KeptRecordManager<ReferralAdjustment, object> {
  readonly #clock: Clock;
  readonly #settings: Settings['earnOuts'];
  readonly #audit: Audit;

  /** @internal */
  constructor(database: Database, clock: Clock, { earnOuts }: Settings, audit: Audit) {
    const kind = { record: ReferralAdjustment, word: 'adjustment', inUse: {}, keys: ['earnOutId'] };
    super(database, kind, 'adjustments are permanent; to correct one, make another');
    this.#clock = clock;
    this.#settings = earnOuts;
    this.#audit = audit;
  }

  /** Does `commissions.adjust`. @internal */
  async adjust(user: UserRef, input: AdjustmentInput): Promise<ReferralAdjustment> {
    const fields = { amount: true, reference: true, mode: true, ...staffFields } as const;
    const { manager, mode, ...given } = objectOf('commissions.adjust', input, fields);
    const author = reasonedStaffOf(given);
    const checked = {
      user: someUserIdOf('user', user),
      reference: referenceOf('reference', given.reference),
      amount: amountOf('amount', given.amount, 'not zero', this.database.currency),
      mode: this.#modeOf(mode),
      reason: author.reason!,
    };
    return this.database.transaction(async (within) => {
      const row = await retryOvertaken(async () => {
        const query = adjustStatement(this.database).with({ ...checked, now: this.#clock.parameter() });
        const [tried] = await this.database.query<AdjustRow>(query, within);
        return tried!.id === null ? overtaken : tried!;
      });
      const adjustment = this.database.entity(ReferralAdjustment, row);
      if (!row.isSame) throw reused(adjustment, checked);
      const { id, userId, amount, mode: earned, reference } = adjustment;
      const change = { subject: 'adjustment', subjectId: id, userId, before: null };
      const after = { amount, mode: earned, reference };
      if (row.isNew) await this.#audit.record([{ call: 'commissions.adjust', ...change, after }], author, within);
      return adjustment;
    }, manager);
  }

  #modeOf(mode: EarningMode | null | undefined): EarningMode | null {
    if (isNothing(mode)) return null;
    if (mode !== 'credits' && mode !== 'payout') throw invalid('mode', "'credits' or 'payout'", mode);
    if (mode === 'payout' && !this.#settings.payout)
      throw invalid('mode', "'credits' only, because the option earnOuts.payout is not set", mode);
    return mode;
  }

  protected make(): Promise<never> {
    return Promise.reject(referralError('NOT_CREATABLE', this.kind.word, 'call commissions.adjust, which creates it'));
  }
}

function reused(
  before: ReferralAdjustment,
  { reference, amount, mode }: Pick<AdjustParameters, 'reference' | 'amount' | 'mode'>,
): Error {
  const now = `one of ${amount}${mode === null ? '' : ` in the mode ${mode}`}`;
  return referralError(
    'REFERENCE_REUSED',
    reference,
    `an adjustment of ${before.amount} in the mode ${before.mode}`,
    now,
  );
}
