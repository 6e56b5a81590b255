import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Database } from '../../database/database';
import { isRefusal } from '../../database/driver-errors';
import type { ReferralEarnOut } from '../../entities/referral-earn-out';
import type { Payout, Settings } from '../../options';
import { Batches } from './batches';
import type { ClaimPlace } from './claim-statement';
import { callPayout, type PayoutOutcome } from './payout-call';
import { payoutUnclear } from './payout-errors';
import type { Progress } from './progress';
import type { Reports } from './reports';
import type { Claimed, Key, Paid, Transitions } from './transitions';
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
  readonly #settings: Settings['earnOuts'];
  readonly #onError: Settings['onError'];
  readonly #transitions: Transitions;
  readonly #reports: Reports;
  readonly #completions: Batches<Key & Paid, Completion>;

  constructor(database: Database, { earnOuts, onError }: Settings, transitions: Transitions, reports: Reports) {
    this.#database = database;
    this.#settings = earnOuts;
    this.#onError = onError;
    this.#transitions = transitions;
    this.#reports = reports;
    this.#completions = new Batches((paid) => this.#completeAll(paid));
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
    const lease = timeout + leaseReserveMs;
    for (;;) {
      const { claimed, givenUp, last } = await this.#transitions.claim({
        ...{ limit, claim, timeout, lease },
        ...queue.after(),
      });
      if (last) queue.advance(last);
      for (const earnOut of givenUp) this.#onError(payoutUnclear(earnOut, 'did not end, because its process ended'));
      if (claimed.length > 0 || last === null) return Array.from({ length: limit }, (_, lane) => claimed[lane] ?? null);
    }
  }

  /** Asks the provider, and stores what it says. `close()` waits for both. */
  #pay(payout: Payout, { earnOut, claim }: Claimed, progress: Progress): Promise<void> {
    progress.hasBegun = true;
    return this.#database.finish(async () => {
      const outcome = await callPayout(payout, earnOut, this.#settings.payoutTimeoutMs);
      try {
        const settled = await this.#settle(earnOut, claim, outcome);
        if (settled && settled.status !== 'processing') await progress.addSettled([settled]);
      } catch (error) {
        if (!isRefusal(error)) throw error;
        // PostgreSQL refuses to store it, for example by a trigger of the host's. The lease ends, and then the provider is
        // asked again under the same key. The others go on.
        this.#onError(error);
      }
    });
  }

  /** Stores an outcome. If the claim is lost, it is a report about the payment, like that of a webhook. */
  async #settle(earnOut: ReferralEarnOut, claim: string, outcome: PayoutOutcome): Promise<ReferralEarnOut | null> {
    return (await this.#settleClaimed(earnOut, claim, outcome)) ?? this.#reports.answered(earnOut, outcome);
  }

  async #settleClaimed(
    earnOut: ReferralEarnOut,
    claim: string,
    outcome: PayoutOutcome,
  ): Promise<ReferralEarnOut | null> {
    const { userId, id } = earnOut;
    switch (outcome.status) {
      case 'completed':
        return (await this.#completions.do({ userId, id, claim, reference: outcome.reference, paidAt: null }))();
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

  /** Completes a batch. If PostgreSQL refuses it, completes each by itself, so that only the refused one fails. */
  async #completeAll(paid: readonly (Key & Paid)[]): Promise<Completion[]> {
    try {
      const completed = await this.#transitions.completeAll(paid);
      return completed.map((earnOut) => () => earnOut);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      if (paid.length > 1) return (await Promise.all(paid.map((one) => this.#completeAll([one])))).flat();
      return [
        () => {
          throw error;
        },
      ];
    }
  }
}

/** Returns the completed earn-out, null if it was not changed; throws if PostgreSQL refuses the change. */
type Completion = () => ReferralEarnOut | null;

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
