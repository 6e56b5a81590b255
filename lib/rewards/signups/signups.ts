import type { Request } from 'express';
import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import type { Events } from '../../database/events';
import { sql, type Statement } from '../../database/named-parameters';
import { overtaken, retryOvertaken } from '../../database/retry';
import { timeOf } from '../../database/statement-time';
import { ReferralSignup } from '../../entities/referral-signup';
import { invalid } from '../../errors';
import { isNothing, objectOf, someUserIdOf, typedCode } from '../../input';
import type { Settings } from '../../options';
import { requestSource } from '../../tracking/request-facts';
import type { UserRef } from '../../types/common';
import type { RecordSignupOptions } from '../../types/signups';
import { takeTurn } from '../records/buyer-turn';
import type { RuleAnswers, SecondLook } from '../records/second-look';
import type { SignupEarnings } from '../records/signup-earnings';
import type { FraudRules, SignupEvidence } from '../reviews/fraud-rules';
import type { SignupSide } from './granted-cte';
import type { Grants } from './grants';
import { type ChosenReferral, type SignupChoice, type Weighing, withoutChoice } from './signup-choice';
import { type SignupParameters, type SignupRow, signupStatement } from './signup-statement';

/** The user of a sign-up, and the referral that was chosen. */
export interface SignupPlan {
  readonly userId: string;
  readonly weighing: Weighing;
  /** What the rules of the option `fraud` know of it. */
  readonly evidence: SignupEvidence;
  /** What the host's rule says about purchases that wait for a referrer; null without a rule. */
  readonly answers: RuleAnswers | null;
}

/** Records sign-ups. A sign-up binds a referee to one referral permanently. */
export class Signups {
  /** Sign-ups that `make` has found, and not made. */
  readonly earlier = new WeakSet<ReferralSignup>();
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #events: Events;
  readonly #choice: SignupChoice;
  readonly #grants: Grants;
  readonly #secondLook: SecondLook;
  readonly #earnings: SignupEarnings;
  readonly #fraud: FraudRules;
  readonly #settings: Settings;
  readonly #statement: Statement<SignupParameters>;
  readonly #limitingStatement: Statement<SignupParameters>;

  constructor(
    database: Database,
    clock: Clock,
    events: Events,
    choice: SignupChoice,
    grants: Grants,
    secondLook: SecondLook,
    earnings: SignupEarnings,
    fraud: FraudRules,
    settings: Settings,
  ) {
    this.#database = database;
    this.#clock = clock;
    this.#events = events;
    this.#choice = choice;
    this.#grants = grants;
    this.#secondLook = secondLook;
    this.#earnings = earnings;
    this.#fraud = fraud;
    this.#settings = settings;
    const prepared = (limitsRewards: boolean): Statement<SignupParameters> =>
      database.prepared(signupStatement(database, secondLook, earnings, fraud.comparesAddresses, limitsRewards));
    this.#statement = prepared(false);
    this.#limitingStatement = prepared(true);
  }

  async record(req: Request | null, user: UserRef, options: RecordSignupOptions): Promise<ReferralSignup | null> {
    return retryOvertaken(async () => this.make(await this.plan(req, user, options), options.manager));
  }

  /**
   * Checks the input and chooses the referral, for which it calls the option `isSamePerson`. It must not run in a
   * transaction of our own.
   */
  async plan(req: Request | null, user: UserRef, options: RecordSignupOptions): Promise<SignupPlan> {
    const { manager, code } = objectOf('recordSignup', options, { code: true, manager: true });
    const userId = someUserIdOf('user', user);
    const weighing = await this.#choice.weigh({ req, user, userId, typed: typedCodeOf(code), manager });
    const { chosen } = weighing;
    const evidence = await this.#evidence(req, userId, chosen, manager);
    const answers = chosen && (await this.#secondLook.ask(userId, chosen.referral.userId, manager));
    return { userId, weighing, evidence, answers };
  }

  async #evidence(
    req: Request | null,
    referee: string,
    chosen: ChosenReferral | null,
    manager: EntityManager | undefined,
  ): Promise<SignupEvidence> {
    const { looksAtSignups, hasRule } = this.#fraud;
    const ofRequest = req && looksAtSignups ? requestSource(req, this.#settings) : { ipAddress: null, userAgent: null };
    if (!chosen || !hasRule) return { ...ofRequest, sentence: null };
    const { referral, source, touchedAt } = chosen;
    const sentence = await this.#fraud.ask({
      ...{ about: 'sign-up', referrer: referral.userId, referee, source, touchedAt, ...ofRequest, req, manager },
      referral: { id: referral.id, code: referral.code },
    });
    return { ...ofRequest, sentence };
  }

  /**
   * Makes the sign-up, or finds the user's earlier one; null if it is refused. The plan is overtaken if the owner of the
   * referral has changed, or the referral is deleted.
   */
  async make(
    { userId, weighing, evidence, answers }: SignupPlan,
    manager: EntityManager | undefined,
  ): Promise<ReferralSignup | null | typeof overtaken> {
    const { chosen } = weighing;
    if (!chosen) return this.#refuse(userId, weighing, manager);
    const row = await this.#bind(userId, chosen, weighing, { ...evidence, answers }, manager);
    if (row['signup.id'] !== null) {
      const signup = this.#database.entity(ReferralSignup, row, 'signup.');
      if (!row.isNew) this.earlier.add(signup);
      return signup;
    }
    if (row.isStale) {
      // The cached referral is outdated. The next plan looks it up and chooses again.
      this.#choice.forget(chosen);
      return overtaken;
    }
    const reason = row.isSuspended ? 'suspended' : row.isExpired ? 'expired' : 'used-up';
    return this.#refuse(userId, withoutChoice(weighing, reason), manager);
  }

  /**
   * Makes the sign-up, or finds the user's earlier one. Returns a row with either, or with the reason why there is
   * none. If the row has neither, another call has overtaken the attempt: it changed the referral, which still accepts
   * sign-ups.
   */
  async #bind(
    userId: string,
    { referral, source, touchedAt, isSelfReferral }: ChosenReferral,
    { weighed }: Weighing,
    { answers, ...evidence }: SignupEvidence & Pick<SignupPlan, 'answers'>,
    manager: EntityManager | undefined,
  ): Promise<SignupRow> {
    const parameters = {
      user: userId,
      referral: referral.id,
      owner: referral.userId,
      now: this.#clock.parameter(),
      isTyped: source === 'code',
      source,
      touchedAt,
      isSelfReferral,
      weighed: JSON.stringify(weighed),
      ipAddress: this.#fraud.keepsRequests ? evidence.ipAddress : null,
      userAgent: this.#fraud.keepsRequests ? evidence.userAgent : null,
    };
    const attemptWith = async (
      statement: Statement<SignupParameters>,
      isLooking: boolean,
      on: EntityManager | undefined,
      granted: readonly SignupSide[],
    ): Promise<SignupRow> => {
      const run = async (sides: readonly SignupSide[], within?: EntityManager): Promise<SignupRow[]> => {
        const query = statement.with({ sides, isLooking, ...parameters });
        const rows = await this.#database.query<SignupRow>(query, within);
        const [first] = rows;
        if (first!.isNew) this.#events.emit(within, 'signup', this.#database.entity(ReferralSignup, first!, 'signup.'));
        return rows;
      };
      const [row] = await this.#grants.run(run, granted, on);
      return row!;
    };
    const attempt = async (
      isLooking: boolean,
      on: EntityManager | undefined,
      granted: readonly SignupSide[] = ['referral', 'reward'],
    ): Promise<SignupRow> => {
      const row = await attemptWith(this.#statement, isLooking, on, granted);
      const isOver = isDecided(row) || row.isWaiting || row.isEarning;
      return row.isLimited && !isOver ? attemptWith(this.#limitingStatement, isLooking, on, granted) : row;
    };
    const lookAt = async (row: SignupRow, on: EntityManager | undefined): Promise<void> => {
      if (!row.isNew || !(row.sharesAddress || this.#fraud.looksAtSignups)) return;
      const signup = this.#database.entity(ReferralSignup, row, 'signup.');
      await this.#database.nextStep(() => this.#fraud.lookAtSignup(signup, evidence, on), on);
    };
    // Where a rule can hold the sign-up, its credits are granted after the rules, in the same transaction.
    const reviewed = async (isLooking: boolean, on: EntityManager): Promise<SignupRow> => {
      if (!this.#fraud.mayHoldSignups) return attempt(isLooking, on);
      const row = await attempt(isLooking, on, []);
      if (row['signup.id'] === null) return row;
      await lookAt(row, on);
      await attempt(isLooking, on);
      return row;
    };
    // In one transaction, so that a process that dies leaves both undone.
    const withEarnings = async (within: EntityManager): Promise<SignupRow> => {
      await takeTurn(this.#database, userId, within);
      const row = await reviewed(true, within);
      if (row['signup.id'] !== null) await this.#secondLook.decide(userId, within, answers);
      if (row.isNew) await this.#earnings.earn(userId, within);
      return row;
    };
    return retryOvertaken(async () => {
      let row = this.#fraud.mayHoldSignups
        ? await this.#database.transaction((within) => reviewed(false, within), manager)
        : await attempt(false, manager);
      if (row.isWaiting || row.isEarning) row = await this.#database.transaction(withEarnings, manager);
      if (!this.#fraud.mayHoldSignups) await lookAt(row, manager);
      return isDecided(row) ? row : overtaken;
    });
  }

  /** Stores why no sign-up was made, unless the user has an earlier one. Returns that sign-up, or null. */
  async #refuse(
    userId: string,
    { reason, weighed }: Weighing,
    manager: EntityManager | undefined,
  ): Promise<ReferralSignup | null> {
    const { signups, refusals } = this.#database.tables;
    const parameters = { user: userId, reason, weighed: JSON.stringify(weighed), now: this.#clock.parameter() };
    const [known] = await this.#database.query<object>(
      sql(
        parameters,
        ($) => `WITH known AS (
           SELECT * FROM ${signups} WHERE user_id = ${$.user}
         ), refused AS (
           INSERT INTO ${refusals} (user_id, reason, weighed, created_at)
           SELECT ${$.user}, ${$.reason}, ${$.weighed}::jsonb, ${timeOf($.now)} WHERE NOT EXISTS (SELECT FROM known)
           ON CONFLICT (user_id) DO UPDATE
             SET reason = excluded.reason, weighed = excluded.weighed, created_at = excluded.created_at
         )
         SELECT ${this.#database.columns(ReferralSignup)} FROM known`,
      ),
      manager,
    );
    if (!known) return null;
    const signup = this.#database.entity(ReferralSignup, known);
    this.earlier.add(signup);
    return signup;
  }
}

/** Whether a result has a sign-up, or says why there is none. */
function isDecided(row: SignupRow): boolean {
  return row['signup.id'] !== null || row.isStale || row.isSuspended || row.isExpired || row.isUsedUp;
}

/** Returns the code that a person typed; null for none. */
function typedCodeOf(code: unknown): string | null {
  if (isNothing(code)) return null;
  if (typeof code !== 'string') throw invalid('code', 'the code that the user typed, as a string, or null', code);
  return typedCode(code) || null;
}
