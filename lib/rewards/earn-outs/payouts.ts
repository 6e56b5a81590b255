import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { retryConflicts } from '../../database/retry';
import { debug } from '../../debug';
import { ReferralEarnOut } from '../../entities/referral-earn-out';
import { payoutUnclear, referralError } from '../../errors';
import type { Payout, Settings } from '../../options';
import { Batches } from './batches';
import { claimStatement, type ClaimPlace } from './claim-statements';
import { callPayout, type PayoutOutcome } from './payout-call';
import type { Progress } from './progress';
import type { Paid, Transitions } from './transitions';
import { leaseReserveMs } from './waits';

/** This process in `claimed_by`. The random part tells apart processes of different containers with the same id. */
const thisProcess = `${hostname().slice(0, 60)}/${process.pid}/${randomUUID().slice(0, 8)}`;
let claimCount = 0;

/**
 * Pays the earn-outs of the mode `payout` by the option `earnOuts.payout`.
 *
 * Each payout is claimed by a lease in one transaction, paid without any, and settled in another one, which checks the
 * lease. So no connection is held while the provider is asked. If the process dies in between, another one asks again
 * under the same key once the lease has ended.
 */
export class Payouts {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #settings: Settings['earnOuts'];
  readonly #onError: Settings['onError'];
  readonly #transitions: Transitions;
  readonly #completions: Batches<Completion, ReferralEarnOut | null>;

  constructor(database: Database, clock: Clock, { earnOuts, onError }: Settings, transitions: Transitions) {
    this.#database = database;
    this.#clock = clock;
    this.#settings = earnOuts;
    this.#onError = onError;
    this.#transitions = transitions;
    this.#completions = new Batches((paid) => transitions.completeAll(paid));
  }

  /** Pays all payouts that are due to be asked for, including those of earlier runs, some at once. */
  async payAll(progress: Progress): Promise<void> {
    const { payout, concurrency } = this.#settings;
    if (!payout) return;
    const queue = new Queue();
    const claims = new Batches<void, Claimed | null>((lanes) => this.#claim(queue, lanes.length));
    const lanes = Array.from({ length: concurrency }, async () => {
      for (let next = await claims.do(); next !== null; next = await claims.do())
        await this.#pay(payout, next, progress);
    });
    for (const lane of await Promise.allSettled(lanes)) if (lane.status === 'rejected') throw lane.reason;
  }

  /** Claims a payout for each lane that waits for one, as far as there are any. */
  async #claim(queue: Queue, limit: number): Promise<(Claimed | null)[]> {
    const { payoutTimeoutMs: timeout } = this.#settings;
    const claim = `${thisProcess}/${++claimCount}`;
    const query = claimStatement(this.#database).with({
      ...{ now: this.#clock.parameter(), limit, claim, timeout, lease: timeout + leaseReserveMs },
      ...queue.after(),
    });
    const rows = await retryConflicts(() =>
      this.#database.unlimited('ordinary', (manager) => this.#database.query<ClaimedRow>(query, manager)),
    );
    const last = rows.at(-1);
    if (last) queue.advance({ nextAttemptAt: last.claimPlace, userId: last.userId, id: last.id });
    return Array.from({ length: limit }, (_, lane) => {
      const row = rows[lane];
      return row ? { earnOut: this.#database.entity(ReferralEarnOut, row), claim } : null;
    });
  }

  async #pay(payout: Payout, { earnOut, claim }: Claimed, progress: Progress): Promise<void> {
    progress.hasBegun = true;
    const outcome = await callPayout(payout, earnOut, this.#settings.payoutTimeoutMs);
    const settled = await this.#settle(earnOut, claim, outcome);
    if (settled === null) await this.#compare(earnOut, outcome);
    else if (settled.status !== 'processing') await progress.addSettled([settled]);
  }

  async #settle(earnOut: ReferralEarnOut, claim: string, outcome: PayoutOutcome): Promise<ReferralEarnOut | null> {
    switch (outcome.status) {
      case 'completed':
        return this.#completions.do({
          userId: earnOut.userId,
          id: earnOut.id,
          claim,
          reference: outcome.reference,
          paidAt: null,
        });
      case 'submitted':
        return this.#transitions.submit(earnOut, { claim, reference: outcome.reference });
      case 'failed':
        return this.#transitions.refuse(earnOut, {
          ...{ status: 'failed', before: 'processing', claim, reason: outcome.reason, reference: null },
        });
      case 'unclear': {
        const unclear = await this.#transitions.unclear(earnOut, claim);
        if (unclear) this.#onError(payoutUnclear(unclear, outcome.result, outcome.cause));
        return unclear;
      }
    }
  }

  /**
   * Compares a result that could not be stored, because the lease has ended or `earnOuts.settle` was called meanwhile.
   * What the other call has stored stays.
   */
  async #compare({ userId, id }: ReferralEarnOut, { status }: PayoutOutcome): Promise<void> {
    const [now] = await this.#database.find(ReferralEarnOut, { where: { userId, id } });
    debug('earn-out %d was settled or claimed by another call, as %s', id, now?.status);
    if (now && now.status !== 'processing' && now.status !== status && (status === 'completed' || status === 'failed'))
      this.#onError(referralError('PAYOUT_CONTRADICTED', id, status, now.status, `it stays ${now.status}`));
  }
}

type Completion = Pick<ReferralEarnOut, 'userId' | 'id'> & Paid;

/** A payout that this process has claimed, and the claim. */
interface Claimed {
  earnOut: ReferralEarnOut;
  claim: string;
}

interface ClaimedRow {
  userId: string;
  id: string;
  claimPlace: string;
}

/** How far a run has come in the order in which payouts are claimed. */
class Queue {
  #place: ClaimPlace = { nextAttemptAt: '-infinity', userId: '', id: '0' };

  after(): { afterTime: string; afterUser: string; afterId: string } {
    const { nextAttemptAt, userId, id } = this.#place;
    return { afterTime: nextAttemptAt, afterUser: userId, afterId: id };
  }

  advance(place: ClaimPlace): void {
    this.#place = place;
  }
}
