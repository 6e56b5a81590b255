import type { Request } from 'express';
import type { DataSource } from 'typeorm';
import type { ReferralRecord } from './entities/record';
import type { Referral } from './entities/referral';
import type { ReferralResponse } from './entities/referral-response';
import type { ReferralSignup } from './entities/referral-signup';
import { invalid, referralError } from './errors';
import { isManager } from './input';
import type { ListOptions, UserRef, WithManager } from './types/common';
import type { CreateReferralInput, RecordOptions, RespondOptions } from './types/referrals';
import type { RecordSignupOptions } from './types/signups';

/** What the entities' methods need from the tracking room of an instance. */
export interface TrackingCalls {
  /** Whether this instance's middleware has seen the request. */
  hasSeen(req: Request): boolean;
  urlOf(referral: Referral): string;
  createReferral(input: CreateReferralInput, options: WithManager): Promise<Referral>;
  findByCode(code: string, options: WithManager): Promise<Referral | null>;
  recordResponse(req: Request, action: string, options: RecordOptions): Promise<ReferralResponse | null>;
  respond(referral: Referral, req: Request, action: string, options: RespondOptions): Promise<ReferralResponse | null>;
  referralForRequest(req: Request, options: WithManager): Promise<Referral | null>;
  responsesForRequest(req: Request, options: ListOptions): Promise<ReferralResponse[]>;
  responsesForReferrer(user: UserRef, options: ListOptions): Promise<ReferralResponse[]>;
  filteredResponses(referral: Referral, options: ListOptions): Promise<ReferralResponse[]>;
  responseCount(referral: Referral, options: WithManager): Promise<number>;
  linkResponses(
    visitorId: string,
    user: UserRef,
    referralId: number | null,
    options: WithManager,
  ): Promise<ReferralResponse[]>;
  loadTarget(of: { targetType: string | null; targetId: string | null }, options: WithManager): Promise<object | null>;
}

/** What records need from their managers. */
export interface RecordCalls {
  /** The records of a kind whose fields have these values, oldest first. */
  find<T extends object>(kind: new () => T, where: object, options: WithManager): Promise<T[]>;
  findById<T extends object>(kind: new () => T, id: number | null, options: WithManager): Promise<T | null>;
  refresh(record: ReferralRecord<object>, options: WithManager): Promise<void>;
  update(record: ReferralRecord<object>, changes: object, options: WithManager): Promise<void>;
  delete(record: ReferralRecord<object>, options: WithManager): Promise<void>;
  plain(record: object): Record<string, unknown>;
}

/** What the entities' methods need from the rewards room of an instance. */
export interface RewardsCalls {
  readonly records: RecordCalls;
  recordSignup(req: Request | null, user: UserRef, options: RecordSignupOptions): Promise<ReferralSignup | null>;
  now(): Date;
}

/** An instance that `createReferrals` wired, as the entities' static and instance methods reach it. */
export interface Instance {
  readonly tracking: TrackingCalls;
  readonly rewards: RewardsCalls;
}

/** What a call says about which instance it means. */
interface Hints extends WithManager {
  req?: Request;
}

/**
 * Which instance belongs to which DataSource, so that static methods of entities find theirs. The only module with
 * state of its own: one entry per DataSource, from `createReferrals` until `close()`.
 */
class Registry {
  readonly #instances = new Map<DataSource, Instance>();
  readonly #owners = new WeakMap<object, DataSource>();

  add(dataSource: DataSource, instance: Instance): void {
    if (this.#instances.has(dataSource)) throw referralError('ALREADY_CREATED');
    this.#instances.set(dataSource, instance);
  }

  remove(dataSource: DataSource): void {
    this.#instances.delete(dataSource);
  }

  /** Remembers which DataSource an entity was loaded through. */
  own<T extends object>(entity: T, dataSource: DataSource): T {
    this.#owners.set(entity, dataSource);
    return entity;
  }

  /** The instance of the manager, else of the request, else the only one; else an error that says what to name. */
  of(call: string, hints: Hints = {}): Instance {
    if (hints.manager) {
      if (!isManager(hints.manager))
        throw invalid('manager', 'an EntityManager, as dataSource.transaction() gives it', hints.manager);
      const instance = this.#instances.get(hints.manager.connection);
      if (!instance) throw referralError('NO_INSTANCE', call);
      return instance;
    }
    const all = [...this.#instances.values()];
    const fitting = hints.req && all.length > 1 ? all.filter(({ tracking }) => tracking.hasSeen(hints.req!)) : all;
    if (fitting.length === 1) return fitting[0]!;
    if (all.length === 0) throw referralError('NO_INSTANCE', call);
    if (hints.req && fitting.length === 0) throw referralError('MIDDLEWARE_MISSING', call);
    throw referralError('AMBIGUOUS_INSTANCE', call, all.length);
  }

  /** As {@link of}, but an entity that was loaded through an instance's DataSource belongs to that one. */
  ofEntity(entity: object, call: string, hints: Hints = {}): Instance {
    const owner = this.#owners.get(entity);
    if (!owner || hints.manager) return this.of(call, hints);
    const instance = this.#instances.get(owner);
    if (!instance) throw referralError('NO_INSTANCE', call);
    return instance;
  }
}

export const registry = new Registry();
