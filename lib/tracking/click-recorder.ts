import type { Clock } from '../database/clock';
import { databaseUnavailable, isAway, referralError } from '../errors';
import type { NewResponse, Responses } from './responses';

interface Waiting {
  click: NewResponse;
  resolve: (recordedAt: Date | null) => void;
  reject: (error: unknown) => void;
}

/** A batch has at most so many rows, so that one statement stays small. */
const maxBatch = 1000;
/** Above so many clicks waiting, new ones are turned away: the database has not kept up for seconds. */
const maxWaiting = 20_000;

/**
 * Group commit: what arrives while a batch is being written makes up the next batch. Under load that is one commit for
 * hundreds of clicks, and yet each click is on disk before its redirect is sent; alone, a click is written at once.
 */
export class ClickRecorder {
  readonly #responses: Responses;
  readonly #clock: Clock;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | null = null;
  #closed = false;

  constructor(responses: Responses, clock: Clock) {
    this.#responses = responses;
    this.#clock = clock;
  }

  /**
   * Records a click.
   *
   * @returns its time once it is committed; null when its referral has expired or is deleted.
   */
  record(click: NewResponse): Promise<Date | null> {
    if (this.#closed) return Promise.reject(referralError('CLOSED'));
    if (this.#waiting.length >= maxWaiting) return Promise.reject(databaseUnavailable('too many clicks are waiting'));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ click, resolve, reject });
      this.#writing ??= this.#write();
    });
  }

  /** Writes what waits and takes no more. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#writing;
  }

  async #write(): Promise<void> {
    // Whatever else this turn of the event loop has read from its sockets belongs to the first batch.
    await new Promise(setImmediate);
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, maxBatch);
      const error = await this.#writeBatch(batch);
      if (error === null) continue;
      if (isAway(error)) {
        // Those behind have waited as long: the database is away for them too, and their visitors go on.
        for (const { reject } of [...batch, ...this.#waiting.splice(0)]) reject(error);
      } else {
        // One of them is to blame, say because its referral is being deleted: the others must not suffer for it.
        for (const one of batch) {
          const own = await this.#writeBatch([one]);
          if (own !== null) one.reject(own);
        }
      }
    }
    this.#writing = null;
  }

  /** Writes clicks in one statement; answers why it could not. */
  async #writeBatch(batch: readonly Waiting[]): Promise<unknown> {
    try {
      const { recorded, now } = await this.#responses.recordClicks(batch.map(({ click }) => click));
      this.#clock.learn(now);
      for (const { click, resolve } of batch) resolve(recorded.has(click.referralId) ? (click.createdAt ?? now) : null);
      return null;
    } catch (error) {
      return error;
    }
  }
}
