import type { Request } from 'express';
import { Registry } from '../registry';
import type { StaffOptions } from '../types/audit';
import type { ListOptions, UserRef, WithManager } from '../types/common';
import type { CreateReferralInput, RecordOptions, RespondOptions } from '../types/referrals';
import type { RecordSignupOptions } from '../types/signups';
import type { ReferralRecord } from './record';
import type { Referral } from './referral';
import type { ReferralAccount } from './referral-account';
import type { ReferralAdjustment } from './referral-adjustment';
import type { ReferralAudit } from './referral-audit';
import type { ReferralChannel } from './referral-channel';
import type { ReferralCode } from './referral-code';
import type { ReferralCommission } from './referral-commission';
import type { ReferralCredit } from './referral-credit';
import type { ReferralCreditTransaction } from './referral-credit-transaction';
import type { ReferralCreditType } from './referral-credit-type';
import type { ReferralEarnOut } from './referral-earn-out';
import type { ReferralLateAttribution } from './referral-late-attribution';
import type { ReferralProgram } from './referral-program';
import type { ReferralPurchase } from './referral-purchase';
import type { ReferralResponse } from './referral-response';
import type { ReferralSignup } from './referral-signup';

/** The calls that the static and instance methods of `Referral` and `ReferralResponse` make. */
export interface ReferralCalls {
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
  loadTarget(
    target: { targetType: string | null; targetId: string | null },
    options: WithManager,
  ): Promise<object | null>;
}

/** The records that have a manager, by the manager's name in the result of `createReferrals`. */
export interface RecordsByManager {
  creditTypes: ReferralCreditType;
  programs: ReferralProgram;
  referralCodes: ReferralCode;
  signups: ReferralSignup;
  credits: ReferralCredit;
  creditTransactions: ReferralCreditTransaction;
  channels: ReferralChannel;
  accounts: ReferralAccount;
  purchases: ReferralPurchase;
  commissions: ReferralCommission;
  adjustments: ReferralAdjustment;
  earnOuts: ReferralEarnOut;
  audit: ReferralAudit;
}

/** The calls that the methods of records make. Each goes to the record's manager. */
export interface RecordCalls {
  /** Returns all records of a manager whose fields have these values, oldest first. */
  find<M extends keyof RecordsByManager>(
    manager: M,
    where: Partial<RecordsByManager[M]>,
    options: WithManager,
  ): Promise<RecordsByManager[M][]>;
  /** Returns the record with an id; null for the id null. */
  findById<M extends keyof RecordsByManager>(
    manager: M,
    id: number | null,
    options: WithManager,
  ): Promise<RecordsByManager[M] | null>;
  /** Returns what a second look at a purchase has decided; null if there is nothing. */
  lateAttributionOf(purchase: ReferralPurchase, options: WithManager): Promise<ReferralLateAttribution | null>;
  refresh(record: ReferralRecord<object>, options: WithManager): Promise<void>;
  update(record: ReferralRecord<object>, changes: object, options: StaffOptions): Promise<void>;
  delete(record: ReferralRecord<object>, options: StaffOptions): Promise<void>;
  plain(record: object): Record<string, unknown>;
}

/** The parts of an instance that the methods of entities need. */
export interface Instance {
  readonly referrals: ReferralCalls;
  readonly signups: {
    record(req: Request | null, user: UserRef, options: RecordSignupOptions): Promise<ReferralSignup | null>;
  };
  readonly records: RecordCalls;
  readonly clock: { now(): Date };
}

export const registry = new Registry<Instance>(({ referrals }, req) => referrals.hasSeen(req));
