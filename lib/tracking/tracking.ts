import { Clock } from '../database/clock';
import { Database } from '../database/database';
import { Events } from '../database/events';
import type { ReferralCalls } from '../entities/instance';
import type { Settings } from '../options';
import { AttributedUsers } from './attributed-users';
import { Attribution } from './attribution';
import { ClickRecorder } from './click-recorder';
import { referralCalls } from './referral-calls';
import { ReferralCreation } from './referral-creation';
import { ReferralLookup } from './referral-lookup';
import { Responses } from './responses';
import { SamePerson } from './same-person';
import type { VisitorParts } from './visitor';
import { visitorStore } from './visitor-store';
import { Visitors } from './visitors';

/** The parts of tracking, wired for one DataSource. */
export interface Tracking extends VisitorParts {
  readonly database: Database;
  readonly events: Events;
  readonly creation: ReferralCreation;
  readonly visitors: Visitors;
  readonly calls: ReferralCalls;
  /** Reads the database's time. Throws `MIGRATIONS_NOT_RUN` if the package's tables are missing. */
  start(): Promise<void>;
  /** Refuses new work, and waits for the work in progress. Clicks that wait are written. */
  close(): Promise<void>;
}

export function wireTracking(settings: Settings): Tracking {
  const database = new Database(settings, settings.queryTimeoutMs);
  const clock = new Clock(settings.clock);
  const events = new Events(settings.onError);
  const lookup = new ReferralLookup(database, clock, settings);
  const creation = new ReferralCreation(database, clock, settings);
  const responses = new Responses(database, clock, events, settings);
  const recorder = new ClickRecorder(responses, clock);
  const samePerson = new SamePerson(settings);
  const attribution = new Attribution(database, clock, lookup, samePerson, settings);
  const store = visitorStore(settings, clock);
  const attributedUsers = new AttributedUsers();
  const parts = { settings, clock, lookup, recorder, responses, samePerson, attribution, attributedUsers, store };
  const visitors = new Visitors(parts);
  const calls = referralCalls({ settings, database, lookup, creation, responses, visitors, attributedUsers });

  async function start(): Promise<void> {
    const [row] = await database.query<{ now: Date }>(
      `SELECT now() FROM (SELECT) AS always LEFT JOIN (
         SELECT FROM ${database.tables.responses} WHERE false
       ) AS present ON true`,
    );
    clock.learn(row!.now);
  }

  async function close(): Promise<void> {
    await recorder.close();
    await database.close();
  }

  return { ...parts, database, events, creation, visitors, calls, start, close };
}
