import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import type { RecordsByManager } from '../../entities/instance';
import type { Settings } from '../../options';
import type { CreditManager } from '../credits/credit-manager';
import type { Explanations } from '../explain/explain';
import { verify } from '../verify/verify';
import { type Health, health } from './health';
import { type Leader, type LeaderOrder, leaders } from './leaders';
import { Lists } from './lists';
import { type Activity, activity, type WaitingForStaff, waitingForStaff } from './overview';
import { type ReferralStory, referralStory } from './referral-story';
import { type Found, StaffSearch } from './staff-search';
import { type UserStory, userStory } from './user-story';
import { VerificationRuns } from './verification-runs';

/** What staff read: lists, stories of referrals and users, figures, and the state of the whole. */
export class Stories {
  readonly lists: Lists;
  readonly verifications: VerificationRuns;
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #search: StaffSearch;
  readonly #explanations: Explanations;
  readonly #credits: CreditManager;

  constructor(
    database: Database,
    clock: Clock,
    settings: Settings,
    managers: Readonly<Record<keyof RecordsByManager, unknown>> & { credits: CreditManager },
    explanations: Explanations,
  ) {
    this.lists = new Lists(database, clock, settings, managers);
    this.verifications = new VerificationRuns(
      (onProgress) => verify(database, clock, settings, {}, onProgress),
      () => clock.now(),
    );
    this.#database = database;
    this.#clock = clock;
    this.#search = new StaffSearch(database, settings);
    this.#explanations = explanations;
    this.#credits = managers.credits;
  }

  find(text: string): Promise<Found[]> {
    return this.#search.find(text);
  }

  referral(id: number): Promise<ReferralStory | null> {
    return referralStory(this.#database, this.#clock, this.lists, id);
  }

  user(userId: string): Promise<UserStory | null> {
    const parts = { database: this.#database, lists: this.lists };
    return userStory({ ...parts, explanations: this.#explanations, credits: this.#credits }, userId);
  }

  waiting(): Promise<WaitingForStaff> {
    return waitingForStaff(this.#database, this.#clock);
  }

  activity(days: number): Promise<Activity> {
    return activity(this.#database, this.#clock, days);
  }

  leaders(days: number | null, order: LeaderOrder, take: number): Promise<Leader[]> {
    return leaders(this.#database, this.#clock, { days, order, take });
  }

  health(): Promise<Health> {
    return health(this.#database);
  }
}
