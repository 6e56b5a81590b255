import type { Request } from 'express';
import { Database } from '../database/database';
import type { ReferralSignup } from '../entities/referral-signup';
import type { ReferralUsage } from '../entities/referral-usage';
import type { Settings } from '../options';
import type { RewardsCalls } from '../registry';
import type { Tracking } from '../tracking/tracking';
import type { PurchaseInput, Quote, RefundInput } from '../types/commissions';
import type { Amount, UserRef, WithManager } from '../types/common';
import type { EarnOutProgress, RunEarnOutsOptions } from '../types/earn-outs';
import type { RecordSignupOptions, UsageInput } from '../types/signups';
import { ChannelManager } from './commissions/channel-manager';
import { CodeOffers } from './commissions/code-offers';
import { CommissionManager } from './commissions/commission-manager';
import { CommissionPages } from './commissions/commission-pages';
import { Coupons } from './commissions/coupons';
import { PurchaseManager } from './commissions/purchase-manager';
import type { RecordedPurchase, RecordedRefund } from './commissions/purchases';
import { Purchases } from './commissions/purchases';
import { Totals } from './commissions/totals';
import { CreditManager } from './credits/credit-manager';
import { CreditTransactionManager } from './credits/credit-transaction-manager';
import { CreditTypeManager } from './credits/credit-type-manager';
import { AccountManager } from './earn-outs/account-manager';
import { EarnOutManager } from './earn-outs/earn-out-manager';
import { EarnOuts } from './earn-outs/earn-outs';
import { type AnyManager, Records } from './records/records';
import { Grants } from './signups/grants';
import { ProgramManager } from './signups/program-manager';
import { ReferralCodeManager } from './signups/referral-code-manager';
import { SignupChoice } from './signups/signup-choice';
import { explainSignup, type SignupExplanation } from './signups/signup-explanation';
import { SignupManager } from './signups/signup-manager';
import { Signups } from './signups/signups';
import { Usages } from './signups/usages';
import { type Verification, verify } from './verify/verify';

/** A visitor goes on without an answer; who asks about money needs one, so that it is waited for longer. */
const patience = 10;

/** The records of the program, for the host's staff and scripts. */
export interface Managers {
  /** What credits can be spent on. */
  readonly creditTypes: CreditTypeManager;
  /** Terms that many referrals share. */
  readonly programs: ProgramManager;
  /** Referrals as codes to sign up with. */
  readonly referralCodes: ReferralCodeManager;
  /** Who signed up with which referral. */
  readonly signups: SignupManager;
  /** Credits, and what users do with them: `balance`, `spend`, `hold`, `capture`, `release`, `refund`. */
  readonly credits: CreditManager;
  /** The entries of the ledger. */
  readonly creditTransactions: CreditTransactionManager;
  /** Referrals whose codes are coupons. */
  readonly channels: ChannelManager;
  /** Users' own referral settings and totals. */
  readonly accounts: AccountManager;
  /** What users paid. */
  readonly purchases: PurchaseManager;
  /** What that has earned their referrers. */
  readonly commissions: CommissionManager;
  /** What was paid out of it. */
  readonly earnOuts: EarnOutManager;
}

/** From sign-up to money: the parts, wired for one DataSource. */
export class Rewards implements RewardsCalls {
  readonly managers: Managers;
  readonly records: Records;
  readonly coupons: Coupons;
  readonly pages: CommissionPages;
  readonly codeOffers: CodeOffers;
  readonly #database: Database;
  readonly #tracking: Tracking;
  readonly #signups: Signups;
  readonly #usages: Usages;
  readonly #purchases: Purchases;
  readonly #earnOuts: EarnOuts;

  constructor(settings: Settings, tracking: Tracking) {
    const { clock, events, links } = tracking;
    const database = new Database(settings, Math.min(settings.queryTimeoutMs * patience, 2_147_483_647));
    const grants = new Grants(database, events, settings);
    this.#database = database;
    this.#tracking = tracking;
    this.#signups = new Signups(database, clock, events, new SignupChoice(links, tracking, settings), grants);
    this.#usages = new Usages(database, clock, grants);
    const creditTypes = new CreditTypeManager(database);
    const programs = new ProgramManager(database, creditTypes);
    const referralCodes = new ReferralCodeManager(database, links, links, programs);
    const signups = new SignupManager(database, this.#signups);
    const credits = new CreditManager(database, clock, events, creditTypes);
    const creditTransactions = new CreditTransactionManager(database, clock, credits);
    const totals = new Totals(database, clock, settings);
    this.coupons = new Coupons(database, clock, settings);
    this.pages = new CommissionPages(database, clock, totals);
    this.codeOffers = new CodeOffers(database, clock, settings);
    this.#purchases = new Purchases(database, clock, events, tracking.attribution, settings);
    this.#earnOuts = new EarnOuts(database, clock, events, settings, creditTypes);
    const channels = new ChannelManager(database, clock, links, links, settings);
    const accounts = new AccountManager(database, clock, links, settings, totals);
    const purchases = new PurchaseManager(database, this.#purchases);
    const commissions = new CommissionManager(database);
    const earnOuts = new EarnOutManager(database);
    this.managers = {
      ...{ creditTypes, programs, referralCodes, signups, credits, creditTransactions },
      ...{ channels, accounts, purchases, commissions, earnOuts },
    };
    this.records = new Records(Object.values(this.managers) as AnyManager[]);
  }

  recordSignup(req: Request | null, user: UserRef, options: RecordSignupOptions): Promise<ReferralSignup | null> {
    return this.#signups.record(req, user, options);
  }

  explainSignup(user: UserRef, options: WithManager): Promise<SignupExplanation> {
    return explainSignup(this.#database, user, options);
  }

  recordUsage(user: UserRef, input: UsageInput): Promise<ReferralUsage> {
    return this.#usages.record(user, input);
  }

  quote(user: UserRef, amount: Amount, options: WithManager): Promise<Quote> {
    return this.coupons.quote(user, amount, options);
  }

  recordPurchase(user: UserRef, input: PurchaseInput): Promise<RecordedPurchase> {
    return this.#purchases.record(user, input);
  }

  recordRefund(user: UserRef, input: RefundInput): Promise<RecordedRefund> {
    return this.#purchases.refund(user, input);
  }

  runEarnOuts(options: RunEarnOutsOptions): Promise<EarnOutProgress> {
    return this.#earnOuts.run(options);
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
