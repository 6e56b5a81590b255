import type { EntityManager } from 'typeorm';
import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import { ReferralEarnOut } from '../../entities/referral-earn-out';
import { invalid, referralError } from '../../errors';
import { isNothing, objectOf, referenceOf, textOf } from '../../input';
import { lengths } from '../../limits';
import type { Settings } from '../../options';
import type { EarnOutReport, EarnOutStatus } from '../../types/earn-outs';
import { reasonOf } from './payout-call';
import type { Transitions } from './transitions';

const statuses: readonly unknown[] = ['completed', 'failed', 'returned'] satisfies EarnOutReport['status'][];

/** Stores what providers report about payments: hours or days later, more than once, and in contradiction. */
export class Reports {
  readonly #database: Database;
  readonly #onError: Settings['onError'];
  readonly #transitions: Transitions;

  constructor(database: Database, { onError }: Settings, transitions: Transitions) {
    this.#database = database;
    this.#onError = onError;
    this.#transitions = transitions;
  }

  async settle(report: EarnOutReport): Promise<ReferralEarnOut> {
    const { manager, ...given } = checked(report);
    let contradiction: Error | null = null;
    const settled = await this.#database.transaction(async (within) => {
      const found = await this.#find(given, within);
      await this.#transitions.lockAccount(found.userId, within);
      const earnOut = await this.#locked(found, given.reference, within);
      const result = await this.#apply(earnOut, given, within);
      contradiction = contradictionOf(earnOut, given.status, result);
      return result;
    }, manager);
    if (contradiction) this.#onError(contradiction);
    return settled;
  }

  async #apply(
    earnOut: ReferralEarnOut,
    { status, reason }: Pick<Checked, 'status' | 'reason'>,
    manager: EntityManager,
  ): Promise<ReferralEarnOut> {
    const before = earnOut.status;
    const isPaidBefore = before === 'completed';
    const isUnpaidBefore = before === 'failed' || before === 'returned';
    if (status === 'completed') {
      if (isPaidBefore) return earnOut;
      if (isUnpaidBefore)
        return (await this.#transitions.book(earnOut, { paidAt: null, reference: null }, manager)).earnOut;
      return (await this.#transitions.complete(earnOut, { claim: null, reference: null, paidAt: null }, manager))!;
    }
    if (isUnpaidBefore) return earnOut;
    const now: EarnOutStatus = isPaidBefore ? 'returned' : status;
    const change = { status: now, before, claim: null, reason, reference: null };
    return (await this.#transitions.refuse(earnOut, change, manager))!;
  }

  /** Finds an earn-out by its key, or by the provider's reference. */
  async #find(
    { key, reference }: Pick<Checked, 'key' | 'reference'>,
    manager: EntityManager,
  ): Promise<ReferralEarnOut> {
    const [by, column, value] =
      key === null ? (['reference', 'reference', reference!] as const) : (['key', 'idempotency_key', key] as const);
    const rows = await this.#database.query<object>(
      sql(
        { value },
        ($) => `
        SELECT ${this.#database.columns(ReferralEarnOut)} FROM ${this.#database.tables.earnOuts}
        WHERE ${column} = ${$.value} ORDER BY id LIMIT 2`,
      ),
      manager,
    );
    const found = rows.map((row) => this.#database.entity(ReferralEarnOut, row));
    if (found.length > 1) {
      const ids = `the ids ${found.map(({ id }) => id).join(', ')}; give the key`;
      throw referralError('AMBIGUOUS', 'the earn-outs', by, value, ids);
    }
    const [earnOut] = found;
    if (!earnOut) throw referralError('NOT_FOUND', 'earn-out', by, [value]);
    if (earnOut.mode !== 'payout') {
      const reason = 'it was given as credit, and only payouts are settled by a report';
      throw referralError('NOT_CHANGEABLE', 'earn-out', earnOut.id, reason);
    }
    return earnOut;
  }

  /** Locks the row, stores the reference if there is none, and returns the current state. */
  async #locked(
    { userId: user, id }: ReferralEarnOut,
    reference: string | null,
    manager: EntityManager,
  ): Promise<ReferralEarnOut> {
    const { earnOuts } = this.#database.tables;
    const [row] = await this.#database.query<object>(
      sql(
        { user, id, reference },
        ($) => `
        WITH locked AS (
          UPDATE ${earnOuts} SET reference = coalesce(reference, ${$.reference})
          WHERE user_id = ${$.user} AND id = ${$.id}
          RETURNING *
        )
        SELECT ${this.#database.columns(ReferralEarnOut)} FROM locked`,
      ),
      manager,
    );
    return this.#database.entity(ReferralEarnOut, row!);
  }
}

/** The checked input of `earnOuts.settle`. */
interface Checked {
  key: string | null;
  reference: string | null;
  status: EarnOutReport['status'];
  reason: string;
  manager: EntityManager | undefined;
}

const reasons: Record<EarnOutReport['status'], string> = {
  completed: '',
  failed: 'The payment failed.',
  returned: 'The payment was returned.',
};

function checked(report: EarnOutReport): Checked {
  const fields = { key: true, reference: true, status: true, reason: true, manager: true } as const;
  const { key, reference, status, reason, manager } = objectOf('earnOuts.settle', report, fields);
  if (isNothing(key) && isNothing(reference))
    throw invalid('key', 'the idempotencyKey of an earn-out, unless there is a reference', key);
  if (!statuses.includes(status)) throw invalid('status', "'completed', 'failed' or 'returned'", status);
  return {
    key: isNothing(key) ? null : textOf('key', key, lengths.idempotencyKey, 1),
    reference: isNothing(reference) ? null : referenceOf('reference', reference),
    status,
    reason: isNothing(reason) || reason === '' ? reasons[status] : reasonOf(textOf('reason', reason, Infinity)),
    manager,
  };
}

/** What the host is told about a report that contradicts an earlier one; null if it does not. */
function contradictionOf(
  { id, status: before }: ReferralEarnOut,
  status: EarnOutReport['status'],
  { status: now }: ReferralEarnOut,
): Error | null {
  if (before === 'completed' && status === 'failed')
    return referralError('PAYOUT_CONTRADICTED', id, status, before, `it is ${now} now, and its amount is free again`);
  if ((before === 'failed' || before === 'returned') && status === 'completed') {
    const effect = `it is ${now} now, and has taken its amount again; what is not available any more is a debt`;
    return referralError('PAYOUT_CONTRADICTED', id, status, before, effect);
  }
  return null;
}
