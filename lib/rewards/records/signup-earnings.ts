import type { EntityManager } from 'typeorm';
import type { Author } from './audit';

/** The commission that a sign-up itself earns, as a sign-up needs it. */
export interface SignupEarnings {
  /** SQL: whether a sign-up with a referral earns the owner a commission at once. */
  isDue(referral: string): string;
  /**
   * Makes the commission of a new sign-up that is due at once, in the transaction of the sign-up, in which the referee's
   * row as a buyer is locked (`takeTurn`).
   */
  earn(user: string, manager: EntityManager): Promise<void>;
  /** Takes back what a sign-up that is about to be deleted has earned, in the transaction of the deletion. */
  takeBack(signupId: number, author: Author, manager: EntityManager): Promise<void>;
}
