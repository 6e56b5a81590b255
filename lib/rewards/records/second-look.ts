import type { EntityManager } from 'typeorm';
import type { Database } from '../../database/database';
import { dayMs } from '../../limits';
import type { Settings } from '../../options';
import type { NoCommission } from '../../types/commissions';

/** How long a purchase waits for a referrer where attribution has no limit, in days. */
const defaultDays = 30;
/** A longer window makes no difference, and PostgreSQL could not subtract it from a time. */
const maxDays = 36_500;

/**
 * Why a purchase waits for a second look: nobody is known to have referred the buyer, or only the buyer, whose own link
 * does not take the place of somebody else's.
 */
const undecided: readonly NoCommission[] = ['no-referrer', 'own-referral'];

/** Whether a purchase can get a referrer by a second look. */
export function isUndecided(noCommission: NoCommission | null): boolean {
  return noCommission !== null && undecided.includes(noCommission);
}

/** The second look at a buyer's purchases without a referrer, as a sign-up needs it. */
export interface SecondLook {
  /** SQL: whether purchases of a user wait for a referrer at a time. */
  isDue(user: string, now: string): string;
  /**
   * Asks the host's rule of the option `fraud` about the waiting purchases of a buyer, outside of our transactions. Null
   * without a rule.
   *
   * @param owner the referrer of a buyer who has not signed up before.
   */
  ask(buyer: string, owner: string | null, manager: EntityManager | undefined): Promise<RuleAnswers | null>;
  /**
   * Gives the waiting purchases of a buyer a referrer, in a transaction in which the buyer's row is locked
   * (`takeTurn`). With answers, a purchase that is not among them goes on waiting: it is newer.
   */
  decide(buyer: string, manager: EntityManager, answers?: RuleAnswers | null): Promise<void>;
}

/** What the host's rule says about purchases, by their references; null for nothing. */
export type RuleAnswers = ReadonlyMap<string, string | null>;

/**
 * SQL: the purchases of a user that wait for a referrer at a time. Nobody else was found to have referred them, no second look has
 * decided them, they are in the window, and something of them is not refunded.
 */
export function waitingPurchases(
  { purchases, lateAttributions }: Database['tables'],
  { attribution }: Settings,
  user: string,
  now: string,
): string {
  const windowMs = Math.min(attribution.windowDays ?? defaultDays, maxDays) * dayMs;
  return `
      SELECT p.* FROM ${purchases} p
      WHERE p.user_id = ${user} AND p.no_commission IN (${undecided.map((reason) => `'${reason}'`).join(', ')})
        AND p.purchased_at > ${now} - ${windowMs} * interval '1 millisecond'
        AND coalesce(
          p.original_refunded < p.original_amount OR p.original_amount = 0, p.refunded < p.amount OR p.amount = 0
        )
        AND NOT EXISTS (SELECT FROM ${lateAttributions} l WHERE l.user_id = p.user_id AND l.purchase = p.reference)`;
}
