import type { WithManager } from './common';

/** Who makes a change: the host's staff, a user in the JSON API, or the program itself. */
export type Actor = 'staff' | 'user' | 'program';

/** The options of a call that staff make. What they say is kept with the change in `referrals.audit`. */
export interface StaffOptions extends WithManager {
  /** The host's id of who makes the change, 1–128 characters. Default: not known. */
  by?: string | number | bigint | null | undefined;
  /** Why, up to 500 characters. Default: none. */
  reason?: string | null | undefined;
  /** The host's id of the request that led to it, up to 255 characters. Default: none. */
  requestId?: string | null | undefined;
}

/** The options of a call of staff that needs a reason. */
export interface ReasonedOptions extends StaffOptions {
  /** Why: 1 to 500 characters. */
  reason: string;
}
