import type { EntityManager } from 'typeorm';
import type { MovedPast } from '../../types/signups';
import type { Author } from './audit';

/** A sign-up that was given to another referrer. */
export interface Reassigned {
  /** The referee. */
  readonly user: string;
  readonly signupId: number;
  /** The earlier referrer; null for nobody: then what was moved to nobody before is moved. */
  readonly from: string | null;
  /** The new referrer with the referral; null for nobody. */
  readonly to: { readonly user: string; readonly referral: number } | null;
  /** Whether the new referrer is the referee, and self-referrals are flagged. */
  readonly isSelfReferral: boolean;
}

/** Past commissions, as a reassignment needs them. */
export interface MovedEarnings {
  /**
   * Moves what the sign-up has earned so far, in the transaction of the reassignment, which has locked the buyer and the
   * accounts of both referrers.
   */
  move(reassigned: Reassigned, author: Author, manager: EntityManager): Promise<MovedPast>;
}
