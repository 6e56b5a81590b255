import { createHash } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import type { Events } from '../database/events';
import { RESPONDED } from '../entities/referral-response';
import type { Settings } from '../options';
import type { NewResponse } from './response-insert';

/** A visitor who has clicked on a referral more often than the option `fraud.clicksOfVisitor` allows on one day. */
export interface ManyClicks {
  readonly referralId: number;
  /** The visitor id of one of the clicks. */
  readonly visitorId: string | null;
  /** The UTC day, `YYYY-MM-DD`. */
  readonly day: string;
}

/** What is done about them. */
type Listener = (many: readonly ManyClicks[]) => Promise<void>;

/**
 * The rule `fraud.clicksOfVisitor`: of a visitor's clicks on a referral, those above `max` of a UTC day count as one. The
 * statements that insert clicks decide, by a row for the visitor, the referral and the day: so the clicks that several
 * processes insert at once are counted in turn.
 */
export class ClickLimit {
  /** How many clicks of a visitor on a referral and day are counted each; null while the rule is off. */
  readonly max: number | null;
  readonly #onError: Settings['onError'];
  readonly #told = new Set<Promise<void>>();
  #listener: Listener | null = null;

  constructor({ fraud: { clicksOfVisitor }, onError }: Pick<Settings, 'fraud' | 'onError'>) {
    this.max = clicksOfVisitor.do === 'off' ? null : clicksOfVisitor.max;
    this.#onError = onError;
  }

  /** Rewards, which is wired after tracking, opens the reviews. */
  listen(listener: Listener): void {
    this.#listener = listener;
  }

  /** Reports visitors after the commit. No click waits for that, because a review may wait for the lock of an account. */
  tell(many: readonly ManyClicks[], events: Events, manager: EntityManager | undefined): void {
    const listener = this.#listener;
    if (many.length === 0 || listener === null) return;
    events.afterCommit(manager, () => {
      const told: Promise<void> = listener(many)
        .catch(this.#onError)
        .finally(() => this.#told.delete(told));
      this.#told.add(told);
    });
  }

  /** Waits until what was told is done. */
  async settled(): Promise<void> {
    await Promise.all(this.#told);
  }
}

/** A visitor's clicks that a statement has counted, as it returns them. */
export interface CountedVisitor {
  readonly referralId: string;
  readonly visitor: string;
  readonly day: string;
}

/** Returns the visitors with a click of a batch each. */
export function manyClicksOf(counted: readonly CountedVisitor[], given: readonly NewResponse[]): readonly ManyClicks[] {
  return counted.map(({ referralId, visitor, day }) => {
    const click = given.find((one) => one.referralId === Number(referralId) && limitedVisitor(one) === visitor)!;
    return { referralId: click.referralId, visitorId: click.visitorId, day };
  });
}

/**
 * The visitor of a click as `referral_visitor_clicks` names it: the visitor id, or a hash of the id of a signed-in user in
 * the form of one, because such a user may have another visitor id with each click. Null for what is no click.
 */
export function limitedVisitor({
  action,
  userId,
  visitorId,
}: Pick<NewResponse, 'action' | 'userId' | 'visitorId'>): string | null {
  if (action !== RESPONDED) return null;
  if (userId === null) return visitorId;
  const hash = createHash('sha256').update(userId).digest('hex');
  return hash.slice(0, 32).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
