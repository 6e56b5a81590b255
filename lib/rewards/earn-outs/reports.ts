import type { EntityManager } from 'typeorm';
import type { Database } from '../../database/database';
import type { Events } from '../../database/events';
import { sql } from '../../database/named-parameters';
import { debug } from '../../debug';
import { ReferralEarnOut } from '../../entities/referral-earn-out';
import { invalid, referralError } from '../../errors';
import { isNothing, objectOf, referenceOf, staffFields, textOf } from '../../input';
import { lengths } from '../../limits';
import type { Settings } from '../../options';
import type { StaffOptions } from '../../types/audit';
import type { EarnOutReport, EarnOutStatus } from '../../types/earn-outs';
import { type Audit, type Author, staffOf } from '../records/audit';
import { type PayoutOutcome, reasonOf } from './payout-call';
import type { Transitions } from './transitions';

const statuses: readonly unknown[] = ['completed', 'failed', 'returned'] satisfies EarnOutReport['status'][];

/** Stores what providers report about payments: hours or days later, more than once, and in contradiction. */
export class Reports {
  readonly #database: Database;
  readonly #events: Events;
  readonly #onError: Settings['onError'];
  readonly #transitions: Transitions;
  readonly #audit: Audit;

  constructor(database: Database, events: Events, { onError }: Settings, transitions: Transitions, audit: Audit) {
    this.#database = database;
    this.#events = events;
    this.#onError = onError;
    this.#transitions = transitions;
    this.#audit = audit;
  }

  async settle(report: EarnOutReport): Promise<ReferralEarnOut> {
    const { manager, author, ...given } = checked(report);
    return this.#database.transaction(async (within) => {
      const found = await this.#find(given, within);
      await this.#transitions.lockAccount(found.userId, within);
      const earnOut = await this.#locked(found, given.reference, within);
      const stored = await this.#store(earnOut, given, within);
      if (stored.status !== earnOut.status) {
        const { id: subjectId, userId } = stored;
        const change = { before: { status: earnOut.status }, after: { status: stored.status } };
        await this.#audit.record(
          [{ call: 'earnOuts.settle', subject: 'earn-out', subjectId, userId, ...change }],
          author,
          within,
        );
      }
      return stored;
    }, manager);
  }

  /**
   * Stores what a call of `earnOuts.payout` said after it has lost its claim: its lease ended, or `settle` was called
   * meanwhile. That it was paid is stored like a report of it, unless the money has come back since then. A refusal, or
   * a submission, says nothing about what others have done under the same key: it changes nothing but the reference.
   *
   * @returns the earn-out if its status has changed.
   */
  async answered(earnOut: ReferralEarnOut, outcome: PayoutOutcome): Promise<ReferralEarnOut | null> {
    const { status } = outcome;
    if (status === 'unclear') return null;
    const reference = status === 'failed' ? null : outcome.reference;
    return this.#transitions.step(async (within) => {
      await this.#transitions.lockAccount(earnOut.userId, within);
      const now = await this.#locked(earnOut, reference, within);
      if (status === 'completed') {
        if (now.status === 'completed' || now.status === 'returned') return null;
        return this.#store(now, { status, reason: '' }, within);
      }
      debug('earn-out %d is %s, and a call that has lost its claim says %s', now.id, now.status, status);
      const isContradicted = status === 'submitted' ? isUnpaidNow(now) : now.status === 'completed';
      if (isContradicted)
        this.#tell(within, referralError('PAYOUT_CONTRADICTED', now.id, status, now.status, `it stays ${now.status}`));
      return null;
    });
  }

  /** Changes the status of a locked earn-out, and tells the host about a contradiction. */
  async #store(
    earnOut: ReferralEarnOut,
    given: Pick<Report, 'status' | 'reason'>,
    manager: EntityManager,
  ): Promise<ReferralEarnOut> {
    const result = await this.#apply(earnOut, given, manager);
    const contradiction = contradictionOf(earnOut, given.status, result);
    if (contradiction) this.#tell(manager, contradiction);
    return result;
  }

  /** Tells the option `onError` after the commit. */
  #tell(manager: EntityManager, contradiction: Error): void {
    this.#events.afterCommit(manager, () => this.#onError(contradiction));
  }

  async #apply(
    earnOut: ReferralEarnOut,
    { status, reason }: Pick<Report, 'status' | 'reason'>,
    manager: EntityManager,
  ): Promise<ReferralEarnOut> {
    const before = earnOut.status;
    const isPaidBefore = before === 'completed';
    const isUnpaidBefore = isUnpaidNow(earnOut);
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
  async #find({ key, reference }: Pick<Report, 'key' | 'reference'>, manager: EntityManager): Promise<ReferralEarnOut> {
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

/** What is known of a payment, found by its key or its reference. */
interface Report {
  key: string | null;
  reference: string | null;
  status: EarnOutReport['status'];
  reason: string;
}

const isUnpaidNow = ({ status }: ReferralEarnOut): boolean => status === 'failed' || status === 'returned';

const reasons: Record<EarnOutReport['status'], string> = {
  completed: '',
  failed: 'The payment failed.',
  returned: 'The payment was returned.',
};

function checked(report: EarnOutReport): Report & Pick<StaffOptions, 'manager'> & { author: Author } {
  const fields = { key: true, reference: true, status: true, ...staffFields } as const;
  const { key, reference, status, reason, by, requestId, manager } = objectOf('earnOuts.settle', report, fields);
  if (isNothing(key) && isNothing(reference))
    throw invalid('key', 'the idempotencyKey of an earn-out, unless there is a reference', key);
  if (!statuses.includes(status)) throw invalid('status', "'completed', 'failed' or 'returned'", status);
  const why = isNothing(reason) || reason === '' ? null : reasonOf(textOf('reason', reason, Infinity));
  return {
    author: staffOf({ by, requestId, reason: why }),
    key: isNothing(key) ? null : textOf('key', key, lengths.idempotencyKey, 1),
    reference: isNothing(reference) ? null : referenceOf('reference', reference),
    status,
    reason: why ?? reasons[status],
    manager,
  };
}

/** What the host is told about a report that contradicts an earlier one; null if it does not. */
function contradictionOf(
  earnOut: ReferralEarnOut,
  status: EarnOutReport['status'],
  { status: now }: ReferralEarnOut,
): Error | null {
  const { id, status: before } = earnOut;
  if (before === 'completed' && status === 'failed')
    return referralError('PAYOUT_CONTRADICTED', id, status, before, `it is ${now} now, and its amount is free again`);
  if (isUnpaidNow(earnOut) && status === 'completed') {
    const effect = `it is ${now} now, and has taken its amount again; what is not available any more is a debt`;
    return referralError('PAYOUT_CONTRADICTED', id, status, before, effect);
  }
  return null;
}
