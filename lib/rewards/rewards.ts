import { Database } from '../database/database';
import type { RecordCalls, RecordsByManager } from '../entities/instance';
import type { Settings } from '../options';
import type { Tracking } from '../tracking/tracking';
import { AdjustmentManager } from './commissions/adjustment-manager';
import { AdjustmentRejections } from './commissions/adjustment-rejections';
import { BuyersReferrals } from './commissions/buyers-referrals';
import { ChannelManager } from './commissions/channel-manager';
import { CodeOffers } from './commissions/code-offers';
import { CommissionHolds } from './commissions/commission-holds';
import { CommissionManager } from './commissions/commission-manager';
import { CommissionMoves } from './commissions/commission-moves';
import { CommissionPages } from './commissions/commission-pages';
import { CommissionRejections } from './commissions/commission-rejections';
import { Coupons } from './commissions/coupons';
import { LateAttributions } from './commissions/late-attributions';
import { PurchaseManager } from './commissions/purchase-manager';
import { Purchases } from './commissions/purchases';
import { Refunds } from './commissions/refunds';
import { SignupCommissions } from './commissions/signup-commissions';
import { Totals } from './commissions/totals';
import { UndoneRefunds } from './commissions/undone-refunds';
import { CreditManager } from './credits/credit-manager';
import { CreditTransactionManager } from './credits/credit-transaction-manager';
import { CreditTypeManager } from './credits/credit-type-manager';
import { AccountManager } from './earn-outs/account-manager';
import { Bans } from './earn-outs/bans';
import { EarnOutManager } from './earn-outs/earn-out-manager';
import { EarnOuts } from './earn-outs/earn-outs';
import { Reports } from './earn-outs/reports';
import { Suspensions } from './earn-outs/suspensions';
import { Transitions } from './earn-outs/transitions';
import { Waiting } from './earn-outs/waiting';
import { Explanations } from './explain/explain';
import { Figures } from './figures/figures';
import { Audit } from './records/audit';
import { AuditManager } from './records/audit-manager';
import { Exchange } from './records/exchange';
import { type AnyManager, recordCalls } from './records/records';
import { Rehearsals } from './rehearsals/rehearsals';
import { Findings } from './reviews/findings';
import { FraudRules } from './reviews/fraud-rules';
import { ReviewHolds } from './reviews/review-holds';
import { ReviewManager } from './reviews/review-manager';
import { DueGrants } from './signups/due-grants';
import { Grants } from './signups/grants';
import { ProgramManager } from './signups/program-manager';
import { Reassignments } from './signups/reassignments';
import { ReferralCodeManager } from './signups/referral-code-manager';
import { SignupChoice } from './signups/signup-choice';
import { SignupManager } from './signups/signup-manager';
import { Signups } from './signups/signups';
import { Usages } from './signups/usages';
import { Stories } from './stories/stories';
import { Merges } from './users/merges';
import { UserChanges } from './users/user-changes';

/**
 * Calls about sign-ups and money wait this many times longer than a page for the database: they can't continue without
 * the result.
 */
const patience = 10;
/** The longest time-out that a timer of Node.js supports, in milliseconds. */
const maxTimeoutMs = 2_147_483_647;

/** The managers of the records, for the host's staff and scripts. */
export interface Managers extends Record<keyof RecordsByManager, unknown> {
  /** Credit types: what credits can be spent on. */
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
  /** What purchases have earned their referrers. */
  readonly commissions: CommissionManager;
  /** What staff added to users' earnings, or took from them. */
  readonly adjustments: AdjustmentManager;
  /** Commissions that were paid out or turned into credit. */
  readonly earnOuts: EarnOutManager;
  /** Who changed what, and why. */
  readonly audit: AuditManager;
  /** What the rules of the option `fraud` have flagged: `allow`, `refuse`. */
  readonly reviews: ReviewManager;
}

/** The parts of rewards, wired for one DataSource. */
export interface Rewards {
  readonly database: Database;
  readonly managers: Managers;
  readonly records: RecordCalls;
  readonly signups: Signups;
  readonly usages: Usages;
  readonly coupons: Coupons;
  readonly purchases: Purchases;
  readonly refunds: Refunds;
  readonly signupCommissions: SignupCommissions;
  readonly undoneRefunds: UndoneRefunds;
  readonly earnOuts: EarnOuts;
  readonly pages: CommissionPages;
  readonly codeOffers: CodeOffers;
  readonly userChanges: UserChanges;
  readonly explanations: Explanations;
  /** What the pages of a signed-in user show. */
  readonly figures: Figures;
  /** What the pages of staff show. */
  readonly stories: Stories;
  readonly rehearsals: Rehearsals;
  /** Refuses new work, and waits for the work in progress. */
  close(): Promise<void>;
}

export function wireRewards(settings: Settings, tracking: Tracking): Rewards {
  const { clock, events, lookup, creation, samePerson, attribution, attributedUsers, clickLimit, visitors } = tracking;
  const database = new Database(settings, Math.min(settings.queryTimeoutMs * patience, maxTimeoutMs));
  const audit = new Audit(database, clock);
  const holds = new CommissionHolds(database, clock);
  const rejections = new CommissionRejections(database, clock, events, audit, settings);
  const reviewHolds = new ReviewHolds(database, holds, new Waiting(database, clock));
  const fraud = new FraudRules(database, settings, new Findings(database, clock, events, reviewHolds, audit));
  clickLimit.listen((many) => fraud.lookAtClicks(many));
  const creditTypes = new CreditTypeManager(database);
  const programs = new ProgramManager(database, creditTypes);
  const choice = new SignupChoice(lookup, attribution, visitors, samePerson, settings);
  const grants = new Grants(database, events, settings);
  const dueGrants = new DueGrants(database, clock, grants);
  const buyersReferrals = new BuyersReferrals(lookup, attribution, samePerson);
  const late = new LateAttributions(database, clock, events, buyersReferrals, settings, fraud);
  const signupCommissions = new SignupCommissions(database, clock, events, rejections, settings);
  const signups = new Signups(database, clock, events, choice, grants, late, signupCommissions, fraud, settings);
  // Pages wait for the database as long as tracking does.
  const lateInPages = new LateAttributions(tracking.database, clock, events, buyersReferrals, settings, fraud);
  attributedUsers.listen((user) => lateInPages.arrived(user));
  const exchange = new Exchange(database, clock, settings);
  const usages = new Usages(database, clock, grants, exchange);
  const credits = new CreditManager(database, clock, events, creditTypes, audit);

  const reassignments = new Reassignments({
    ...{ database, clock, events, lookup, samePerson, dueGrants, secondLook: late, audit },
    moves: new CommissionMoves(database, clock, events, audit),
  });
  const totals = new Totals(database, clock, settings);
  const coupons = new Coupons(database, clock, samePerson, audit);
  const purchases = new Purchases(database, clock, events, buyersReferrals, late, exchange, settings, fraud);
  const refunds = new Refunds(database, clock, events, settings);
  const undoneRefunds = new UndoneRefunds(database, clock, events, audit);
  const takenBack = new AdjustmentRejections(database, clock, audit);
  const transitions = new Transitions(database, clock, events, settings, rejections, takenBack, reviewHolds);
  const bans = new Bans(database, transitions, rejections, takenBack);
  const suspensions = new Suspensions(database, clock, bans, audit);
  const reports = new Reports(database, events, settings, transitions, audit);
  const earnOuts = new EarnOuts(database, clock, events, settings, creditTypes, transitions, reports, fraud);
  const merges = new Merges(database, clock, rejections, suspensions, reviewHolds);
  const adjustments = new AdjustmentManager(database, clock, settings, audit);

  const accounts = new AccountManager(database, clock, events, creation, settings, totals, suspensions, fraud);

  const managers: Managers = {
    creditTypes,
    programs,
    referralCodes: new ReferralCodeManager(database, lookup, creation, programs),
    signups: new SignupManager(database, signups, signupCommissions, reassignments),
    credits,
    creditTransactions: new CreditTransactionManager(database, clock, credits),
    channels: new ChannelManager(database, clock, lookup, creation, settings, audit),
    accounts,
    purchases: new PurchaseManager(database, purchases),
    commissions: new CommissionManager(database, { holds, rejections, adjustments, audit }),
    adjustments,
    earnOuts: new EarnOutManager(database, clock, transitions, reports, audit),
    audit: new AuditManager(database),
    reviews: new ReviewManager(database, {
      ...{ clock, rejections, audit },
      holds: reviewHolds,
      grants: dueGrants,
    }),
  };

  const explanations = new Explanations(database, clock, settings, accounts);
  for (const [name, manager] of Object.entries(managers)) (manager as AnyManager).keepIn(audit, name);

  return {
    database,
    managers,
    records: recordCalls(managers),
    ...{ signups, usages, coupons, purchases, refunds, signupCommissions, undoneRefunds, earnOuts },
    pages: new CommissionPages(database, clock, totals),
    codeOffers: new CodeOffers(database, clock, settings),
    userChanges: new UserChanges(database, events, lookup, audit, merges),
    explanations,
    figures: new Figures(database, clock, settings, { accounts, credits }),
    stories: new Stories(database, clock, settings, managers, explanations),
    rehearsals: new Rehearsals({ database, audit, managers }),
    close: () => database.close(),
  };
}
