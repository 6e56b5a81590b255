import type { Request } from 'express';
import type { EntityManager } from 'typeorm';
import type { Database } from '../database/database';
import type { Events } from '../database/events';
import type { ReferralCalls } from '../entities/instance';
import type { Referral } from '../entities/referral';
import type { ReferralResponse } from '../entities/referral-response';
import { invalid } from '../errors';
import { booleanOf, someUserIdOf, textOf, userIdOf, visitorIdOf } from '../input';
import { lengths } from '../limits';
import type { Settings } from '../options';
import type { ListOptions, UserRef, WithManager } from '../types/common';
import type { CreateReferralInput, RecordOptions, RespondOptions } from '../types/referrals';
import type { AttributedUsers } from './attributed-users';
import type { ReferralCreation } from './referral-creation';
import type { ReferralLookup } from './referral-lookup';
import type { NewResponse } from './response-insert';
import type { ResponseLists } from './response-lists';
import type { Responses } from './responses';
import type { Asking } from './same-person';
import { loadTarget, storedTarget, type StoredTarget } from './targets';
import type { Visitor } from './visitor';
import { newVisitorId } from './visitor-id';
import type { Visitors } from './visitors';

interface Parts {
  readonly settings: Settings;
  readonly database: Database;
  readonly events: Events;
  readonly lookup: ReferralLookup;
  readonly creation: ReferralCreation;
  readonly responses: Responses;
  readonly lists: ResponseLists;
  readonly visitors: Visitors;
  readonly attributedUsers: AttributedUsers;
}

/** The calls that the static and instance methods of `Referral` and `ReferralResponse` make. */
export function referralCalls(parts: Parts): ReferralCalls {
  const { settings, database, events, lookup, creation, responses, lists, visitors, attributedUsers } = parts;
  const { dataSource, baseUrl, sitePath, linkPath } = settings;
  const links = `${baseUrl.origin}${sitePath}${linkPath}`;

  function checked(action: string, { target }: RecordOptions): StoredTarget {
    textOf('action', action, lengths.action, 1);
    return storedTarget(dataSource, target);
  }

  /** The responses are committed by now. */
  const arrived = (user: Asking): Promise<void> => database.nextStep(() => attributedUsers.arrived(user), user.manager);

  /** Does something with responses once they are committed, and their visitor may have signed in elsewhere meanwhile. */
  async function onceCommitted(manager: EntityManager | undefined, work: () => Promise<unknown>): Promise<void> {
    const reported = (): Promise<unknown> => work().catch(settings.onError); // no caller can catch it
    if (manager?.queryRunner?.isTransactionActive) events.afterCommit(manager, () => void reported());
    else await reported();
  }

  /** Records a response of a visitor. One who is not signed in has a user once the visitor signs in. */
  async function record(
    visitor: Visitor,
    facts: NewResponse,
    manager: EntityManager | undefined,
  ): Promise<ReferralResponse | null> {
    const response = await responses.record(facts, manager);
    if (response?.visitorId && response.userId === null && response.visitorId === visitor.touch?.visitorId) {
      const { referralId, visitorId, touchedAt } = response;
      await onceCommitted(manager, () => visitor.settle(referralId, visitorId, touchedAt));
    }
    return response;
  }

  return {
    hasSeen: (req) => visitors.hasSeen(req),

    urlOf: ({ code }) => `${links}/${code}`,

    async createReferral(input: CreateReferralInput, options: WithManager): Promise<Referral> {
      return (await creation.create(input, options)).referral;
    },

    async findByCode(code: string, { manager }: WithManager): Promise<Referral | null> {
      if (typeof code !== 'string') throw invalid('code', 'a string', code);
      return lookup.findByCode(code, manager);
    },

    async recordResponse(req: Request, action: string, options: RecordOptions): Promise<ReferralResponse | null> {
      const visitor = visitors.seen(req, 'Referral.recordResponse');
      const target = checked(action, options);
      const attributed = await visitor.attributed(options.manager);
      if (!attributed) return null;
      const { referral, touchedAt } = attributed;
      const userId = await visitor.userId();
      const about = { referralId: referral.id, userId, action, target, touchedAt };
      const touch = await visitor.touchOf(userId, options.manager);
      return record(visitor, visitor.facts(about, touch), options.manager);
    },

    async respond(
      referral: Referral,
      req: Request,
      action: string,
      options: RespondOptions,
    ): Promise<ReferralResponse | null> {
      const visitor = visitors.seen(req, 'referral.respond');
      const target = checked(action, options);
      const userId = userIdOf('user', options.user) ?? (await visitor.userId());
      const touch = await visitor.touchOf(userId, options.manager);
      const facts = visitor.facts({ referralId: referral.id, userId, action, target, touchedAt: null }, touch);
      // A visitor who is not signed in needs a visitor id: the response is found by it at sign-in.
      const isCarried = userId === null && !options.manager && !req.res!.headersSent && (await visitor.consents());
      if (isCarried) facts.visitorId ??= newVisitorId();
      const response = await record(visitor, facts, options.manager);
      if (response && userId !== null)
        await arrived({ userId, user: options.user ?? userId, req, manager: options.manager });
      visitor.touched();
      if (response && isCarried) await visitor.carry(referral, response.visitorId!, response.touchedAt);
      return response;
    },

    async referralForRequest(req: Request, { manager }: WithManager): Promise<Referral | null> {
      const attributed = await visitors.seen(req, 'Referral.referralForRequest').attributed(manager);
      return attributed && attributed.referral;
    },

    async responsesForRequest(req: Request, options: ListOptions): Promise<ReferralResponse[]> {
      const visitor = visitors.seen(req, 'Referral.responsesForRequest');
      const userId = await visitor.userId();
      const visitorId = (await visitor.touchOf(userId, options.manager))?.visitorId ?? null;
      return userId === null && visitorId === null ? [] : lists.ofVisitor(userId, visitorId, options);
    },

    async responsesForReferrer(user: UserRef, options: ListOptions): Promise<ReferralResponse[]> {
      return lists.ofReferrer(someUserIdOf('user', user), options);
    },

    filteredResponses: (referral, options) => lists.filtered(referral, options),

    responseCount: ({ id }, { distinct = false, manager }) =>
      responses.count(id, booleanOf('distinct', distinct) ? 'visitors' : 'clicks', manager),

    async linkResponses(
      visitorId: string,
      user: UserRef,
      referralId: number | null,
      { manager }: WithManager,
    ): Promise<ReferralResponse[]> {
      const userId = someUserIdOf('user', user);
      const id = visitorIdOf('visitorId', visitorId);
      const linked = await responses.link(id, userId, referralId, manager);
      if (linked === null) return [];
      await arrived({ userId, user, req: null, manager });
      // A response that was committed before the transaction has found no user, and is not in its snapshot.
      if (manager?.queryRunner?.isTransactionActive)
        events.afterCommit(manager, () => void responses.link(id, userId, referralId).catch(settings.onError));
      return linked;
    },

    loadTarget: (target, { manager }) => loadTarget(database, target, manager),
  };
}
