import type { Request } from 'express';
import type { ReferralSignup } from '../entities/referral-signup';
import type { ReferralUsage } from '../entities/referral-usage';
import type { Settings } from '../options';
import type { RewardsCalls } from '../registry';
import type { RecordSignupOptions, SignupExplanation, UsageInput } from '../reward-types';
import type { UserRef, WithManager } from '../types';
import { Database } from '../tracking/database';
import type { Tracking } from '../tracking/tracking';
import { CreditManager } from './credit-manager';
import { CreditTransactionManager } from './credit-transaction-manager';
import { CreditTypeManager } from './credit-type-manager';
import { Grants } from './grants';
import { Ledger } from './ledger';
import { ProgramManager } from './program-manager';
import { Records } from './records';
import { ReferralCodeManager } from './referral-code-manager';
import { SignupChoice } from './signup-choice';
import { SignupManager } from './signup-manager';
import { Signups } from './signups';
import { Usages } from './usages';
import { type Verification, verify } from './verify';

/** A visitor goes on without an answer; who asks about money needs one, so that it is waited for longer. */
const patience = 10;

/** From sign-up to money: the parts, wired for one DataSource. */
export class Rewards implements RewardsCalls {
  readonly creditTypes: CreditTypeManager;
  readonly programs: ProgramManager;
  readonly referralCodes: ReferralCodeManager;
  readonly signups: SignupManager;
  readonly credits: CreditManager;
  readonly creditTransactions: CreditTransactionManager;
  readonly records: Records;
  readonly #database: Database;
  readonly #tracking: Tracking;
  readonly #signups: Signups;
  readonly #usages: Usages;

  constructor(settings: Settings, tracking: Tracking) {
    const { clock, events, links } = tracking;
    const database = new Database(settings, Math.min(settings.queryTimeoutMs * patience, 2_147_483_647));
    const grants = new Grants(database, events, settings);
    this.#database = database;
    this.#tracking = tracking;
    this.#signups = new Signups(database, clock, events, new SignupChoice(tracking, settings), grants);
    this.#usages = new Usages(database, clock, grants);
    this.creditTypes = new CreditTypeManager(database);
    this.programs = new ProgramManager(database, this.creditTypes);
    this.referralCodes = new ReferralCodeManager(database, links, this.programs);
    this.signups = new SignupManager(database, this.#signups);
    this.credits = new CreditManager(database, clock, events, new Ledger(database, clock, events), this.creditTypes);
    this.creditTransactions = new CreditTransactionManager(database, clock, this.credits);
    const { creditTypes, programs, referralCodes, signups, credits, creditTransactions } = this;
    this.records = new Records([creditTypes, programs, referralCodes, signups, credits, creditTransactions]);
  }

  recordSignup(req: Request | null, user: UserRef, options: RecordSignupOptions): Promise<ReferralSignup | null> {
    return this.#signups.record(req, user, options);
  }

  explainSignup(user: UserRef, options: WithManager): Promise<SignupExplanation> {
    return this.#signups.explain(user, options);
  }

  recordUsage(user: UserRef, input: UsageInput): Promise<ReferralUsage> {
    return this.#usages.record(user, input);
  }

  verify(options: WithManager): Promise<Verification> {
    return verify(this.#database, options);
  }

  now(): Date {
    return this.#tracking.clock.now();
  }

  close(): Promise<void> {
    return this.#database.close();
  }
}
