import type { Request, Response } from 'express';
import { Clock } from '../database/clock';
import { Database } from '../database/database';
import { Events } from '../database/events';
import type { Referral } from '../entities/referral';
import type { ReferralResponse } from '../entities/referral-response';
import { referralError } from '../errors';
import { someUserIdOf, textOf, userIdOf, visitorIdOf } from '../input';
import { lengths } from '../limits';
import type { Settings } from '../options';
import type { TrackingCalls } from '../registry';
import type { ListOptions, UserRef, WithManager } from '../types/common';
import type { CreateReferralInput, RecordOptions, RespondOptions } from '../types/referrals';
import { type Attributed, Attribution } from './attribution';
import { ClickRecorder } from './click-recorder';
import { Links } from './links';
import { Responses } from './responses';
import { loadTarget, storedTarget, type StoredTarget } from './targets';
import { Visitor } from './visitor';
import { type VisitorStore, visitorStore } from './visitor-store';
import { newVisitorId } from './visitor-token';

/** From click to known visitor: the parts, wired for one DataSource, behind the entities' static methods. */
export class Tracking implements TrackingCalls {
  readonly settings: Settings;
  readonly database: Database;
  readonly clock: Clock;
  readonly events: Events;
  readonly links: Links;
  readonly responses: Responses;
  readonly recorder: ClickRecorder;
  readonly attribution: Attribution;
  readonly store: VisitorStore;
  /** Where a request keeps its visitor; one key an instance. */
  readonly #key = Symbol('referrals visitor');

  constructor(settings: Settings) {
    this.settings = settings;
    this.database = new Database(settings, settings.queryTimeoutMs);
    this.clock = new Clock(settings.clock);
    this.events = new Events(settings.onError);
    this.links = new Links(this.database, this.clock, settings);
    this.responses = new Responses(this.database, this.clock, this.events, settings);
    this.recorder = new ClickRecorder(this.responses, this.clock);
    this.attribution = new Attribution(this.database, this.clock, this.links, settings);
    this.store = visitorStore(settings, this.clock);
  }

  /** Hears the database for the first time: its time, and whether our tables are there. */
  async start(): Promise<void> {
    const [row] = await this.database.query<{ now: Date }>(
      `SELECT now() FROM (SELECT) AS always LEFT JOIN (
         SELECT FROM ${this.database.tables.responses} WHERE false
       ) AS present ON true`,
      [],
    );
    this.clock.learn(row!.now);
  }

  /** Writes what is in flight and takes no more. */
  async close(): Promise<void> {
    await this.recorder.close();
    await this.database.close();
  }

  /** Attached to requests as `req.referralForRequest`; also the mark that this instance's middleware has seen one. */
  readonly attached = Tracking.#attachment(this);

  static #attachment(tracking: Tracking): Request['referralForRequest'] {
    return function (this: Request) {
      return tracking.referralForRequest(this, {});
    };
  }

  /** The visitor of a request that ends here, unless somebody asked for it before. */
  visitor(req: Request, res: Response): Visitor {
    return this.#kept(req) ?? new Visitor(this, req, res, this.store.read(req));
  }

  /** The visitor of a request, from now on the same one for whoever asks. */
  meet(req: Request, res: Response): Visitor {
    const visitor = this.visitor(req, res);
    (req as unknown as Record<symbol, Visitor>)[this.#key] = visitor;
    return visitor;
  }

  hasSeen(req: Request): boolean {
    return req?.referralForRequest === this.attached || this.#kept(req) !== undefined;
  }

  #visitorOf(req: Request, call: string): Visitor {
    if (!this.hasSeen(req)) throw referralError('MIDDLEWARE_MISSING', call);
    return this.#kept(req) ?? this.meet(req, req.res!);
  }

  #kept(req: Request): Visitor | undefined {
    return (req as unknown as Record<symbol, Visitor | undefined> | undefined)?.[this.#key];
  }

  urlOf({ code }: Referral): string {
    const { baseUrl, linkPath } = this.settings;
    return `${baseUrl.origin}${baseUrl.pathname.replace(/\/$/, '')}${linkPath}/${code}`;
  }

  async createReferral(input: CreateReferralInput, options: WithManager): Promise<Referral> {
    return (await this.links.create(input, options)).referral;
  }

  findByCode(code: string, { manager }: WithManager): Promise<Referral | null> {
    return this.links.findByCode(code, manager);
  }

  async recordResponse(req: Request, action: string, options: RecordOptions): Promise<ReferralResponse | null> {
    const visitor = this.#visitorOf(req, 'Referral.recordResponse');
    const target = this.#checked(action, options);
    const attributed = await visitor.attributed(options.manager);
    if (!attributed) return null;
    const { referral, touchedAt } = attributed;
    const response = visitor.facts(referral.id, await visitor.userId(), action, target, touchedAt);
    return this.responses.record(response, options.manager);
  }

  async respond(
    referral: Referral,
    req: Request,
    action: string,
    options: RespondOptions,
  ): Promise<ReferralResponse | null> {
    const visitor = this.#visitorOf(req, 'referral.respond');
    const target = this.#checked(action, options);
    const userId = userIdOf('user', options.user) ?? (await visitor.userId());
    const facts = visitor.facts(referral.id, userId, action, target);
    // Of somebody who is not signed in, the response could never be found again without a visitor.
    const isCarried = userId === null && !options.manager && !req.res!.headersSent && (await visitor.consents());
    if (isCarried) facts.visitorId ??= newVisitorId();
    const response = await this.responses.record(facts, options.manager);
    visitor.touched();
    if (response && isCarried) visitor.carry(referral, response.visitorId!, response.touchedAt);
    return response;
  }

  #checked(action: string, { target }: RecordOptions): StoredTarget {
    textOf('action', action, lengths.action, 1);
    return storedTarget(this.settings.dataSource, target);
  }

  async referralForRequest(req: Request, { manager }: WithManager): Promise<Referral | null> {
    const attributed = await this.#visitorOf(req, 'Referral.referralForRequest').attributed(manager);
    return attributed && attributed.referral;
  }

  /** Whom a user who signs up with this request came through, and whether they came too long ago to count. */
  async attributedAtSignup(
    req: Request | null,
    userId: string,
    { manager }: WithManager,
  ): Promise<Attributed | 'outside-window' | null> {
    const visit = req && this.#visitorOf(req, 'Referral.recordSignup').visit;
    const attributed = await this.attribution.ofUser(userId, visit, manager);
    if (attributed) return attributed;
    return (await this.attribution.hasOutlived(userId, visit, manager)) ? 'outside-window' : null;
  }

  async responsesForRequest(req: Request, options: ListOptions): Promise<ReferralResponse[]> {
    const visitor = this.#visitorOf(req, 'Referral.responsesForRequest');
    const userId = await visitor.userId();
    const visitorId = visitor.visit?.visitorId ?? null;
    return userId === null && visitorId === null ? [] : this.responses.ofVisitor(userId, visitorId, options);
  }

  async responsesForReferrer(user: UserRef, options: ListOptions): Promise<ReferralResponse[]> {
    return this.responses.ofReferrer(someUserIdOf('user', user), options);
  }

  filteredResponses(referral: Referral, options: ListOptions): Promise<ReferralResponse[]> {
    return this.responses.filtered(referral, options);
  }

  responseCount({ id }: Referral, { manager }: WithManager): Promise<number> {
    return this.responses.count(id, manager);
  }

  async linkResponses(
    visitorId: string,
    user: UserRef,
    referralId: number | null,
    { manager }: WithManager,
  ): Promise<ReferralResponse[]> {
    return this.responses.link(visitorIdOf('visitorId', visitorId), someUserIdOf('user', user), referralId, manager);
  }

  loadTarget(of: StoredTarget, { manager }: WithManager): Promise<object | null> {
    return this.database.use((using) => loadTarget(this.settings.dataSource, of, using), manager);
  }
}
