import { Clock, VisitorClock } from '../database/clock';
import { Database } from '../database/database';
import { Events } from '../database/events';
import { missingParts, presentParts } from '../database/missing-parts';
import { timeInResult } from '../database/result-types';
import type { ReferralCalls } from '../entities/instance';
import { referralError } from '../errors';
import type { Settings } from '../options';
import { AttributedUsers } from './attributed-users';
import { Attribution } from './attribution';
import { ClickLayout, hasCitus } from './click-layout';
import { ClickLimit } from './click-limit';
import { ClickRecorder } from './click-recorder';
import { OwnClicks } from './own-clicks';
import { referralCalls } from './referral-calls';
import { ReferralCreation } from './referral-creation';
import { ReferralLookup } from './referral-lookup';
import { ResponseLists } from './response-lists';
import { Responses } from './responses';
import { SamePerson } from './same-person';
import { SignIns } from './sign-ins';
import type { VisitorParts } from './visitor';
import { VisitorOwners } from './visitor-owners';
import { visitorStore } from './visitor-store';
import { Visitors } from './visitors';

/** The parts of tracking, wired for one DataSource. */
export interface Tracking extends VisitorParts {
  readonly database: Database;
  readonly clock: Clock;
  readonly events: Events;
  readonly creation: ReferralCreation;
  readonly visitors: Visitors;
  readonly clickLimit: ClickLimit;
  readonly calls: ReferralCalls;
  /**
   * Reads the database's time, and where the tables of clicks are.
   *
   * @throws ReferralError `MIGRATIONS_NOT_RUN` if a part of the package's tables is missing; `LAYOUT_UNSUPPORTED`.
   */
  start(): Promise<void>;
  /** Refuses new work, and waits for the work in progress. Clicks that wait are written. */
  close(): Promise<void>;
}

export function wireTracking(settings: Settings): Tracking {
  const database = new Database(settings, settings.queryTimeoutMs);
  const clock = new Clock(settings.clock);
  const visitorClock = new VisitorClock(clock, settings.onError);
  const events = new Events(settings.onError);
  const lookup = new ReferralLookup(database, clock, settings);
  const creation = new ReferralCreation(database, clock, settings);
  const owners = new VisitorOwners(database);
  const layout = new ClickLayout(database);
  const clickLimit = new ClickLimit(settings);
  const responses = new Responses(database, layout, visitorClock, events, owners, clickLimit);
  const lists = new ResponseLists(database, layout, settings);
  const recorder = new ClickRecorder(responses, clock);
  const samePerson = new SamePerson(settings);
  const attribution = new Attribution(database, layout, visitorClock, lookup, samePerson, settings);
  const store = visitorStore(settings, visitorClock);
  const attributedUsers = new AttributedUsers();
  const ownClicks = new OwnClicks(database, lookup, owners, samePerson, settings);
  const signIns = new SignIns(lookup, responses, ownClicks, attributedUsers);
  const parts = {
    settings,
    visitorClock,
    lookup,
    recorder,
    responses,
    samePerson,
    attribution,
    attributedUsers,
    owners,
    signIns,
    store,
    isBeforeApp: false,
  };
  const visitors = new Visitors(parts);
  const calls = referralCalls({
    settings,
    database,
    events,
    lookup,
    creation,
    responses,
    lists,
    visitors,
    attributedUsers,
  });

  async function start(): Promise<void> {
    const query = presentParts(database, `${timeInResult('now()')} AS now, ${hasCitus} AS "hasCitus"`);
    const [row] = await database.query<{ now: Date; hasCitus: boolean; present: string[] }>(query);
    clock.learn(row!.now);
    const missing = missingParts(database, row!.present);
    if (missing.length > 0) throw referralError('MIGRATIONS_NOT_RUN', `missing: ${missing.join(', ')}`);
    await layout.read(row!.hasCitus);
  }

  async function close(): Promise<void> {
    await recorder.close();
    await clickLimit.settled();
    await database.close();
  }

  return { ...parts, database, clock, events, creation, visitors, clickLimit, calls, start, close };
}
