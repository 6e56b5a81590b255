import type { Settings } from '../../../options';
import type { Rewards } from '../../../rewards/rewards';
import type { StaffFrame } from '../staff-frame';

/** What actions are made with. */
export interface ActionParts {
  readonly rewards: Rewards;
  readonly settings: Settings;
  /** Puts what staff have around a page. */
  readonly frame: StaffFrame;
}
