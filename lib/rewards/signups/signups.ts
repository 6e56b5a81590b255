import type { Request } from 'express';
import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database, Prepared } from '../../database/database';
import type { Events } from '../../database/events';
import { timeOf } from '../../database/statement-time';
import { ReferralCredit } from '../../entities/referral-credit';
import { ReferralSignup } from '../../entities/referral-signup';
import { ReferralSignupRefusal } from '../../entities/referral-signup-refusal';
import { invalid } from '../../errors';
import { isNothing, objectOf, someUserIdOf, typedCode } from '../../input';
import type { UserRef, WithManager } from '../../types/common';
import type { RecordSignupOptions, SignupRefusal, Weighed } from '../../types/signups';
import type { Grants, Side } from './grants';
import { type Chosen, refused, type SignupChoice, type Weighing } from './signup-choice';

/** What the statement that makes a sign-up answers: the sign-up, new or not, with a row for each credit; or why there is none. */
interface Made {
  'isNew': boolean;
  /** Not, or not any more, the referral that was chosen. */
  'isStale': boolean;
  'isExpired': boolean;
  'isUsedUp': boolean;
  'signup.id': string | null;
}

/** What `explainSignup` answers. */
export interface SignupExplanation {
  /** Why the newest `recordSignup` of the user credited nobody, or, once there is a sign-up, why another call will not. */
  reason: SignupRefusal;
  /** The reason in a sentence. */
  sentence: string;
  signup: ReferralSignup | null;
  /** What was weighed for the sign-up, or else for the refusal; null if `recordSignup` was never called for the user. */
  weighed: Weighed | null;
  decidedAt: Date | null;
}

const sentences: Record<SignupRefusal, string> = {
  'no-code': 'No code was typed, and the user came through no referral.',
  'unknown-code': 'No referral has the code that was typed.',
  'expired': 'The code that was typed has expired.',
  'used-up': 'The code has had as many sign-ups as it allows.',
  'own-code': 'The code is the user’s own.',
  'already-signed-up': 'The user has signed up already, once and for good.',
  'outside-window': 'The user came through a referral, but longer ago than the attribution window.',
};

/** Binds referees to referrals. */
export class Signups {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #events: Events;
  readonly #choice: SignupChoice;
  readonly #grants: Grants;
  readonly #statement: Prepared;

  constructor(database: Database, clock: Clock, events: Events, choice: SignupChoice, grants: Grants) {
    this.#database = database;
    this.#clock = clock;
    this.#events = events;
    this.#choice = choice;
    this.#grants = grants;
    this.#statement = database.prepared(this.#text());
  }

  async record(req: Request | null, user: UserRef, options: RecordSignupOptions): Promise<ReferralSignup | null> {
    const { manager, code } = objectOf('recordSignup', options, ['code', 'manager']);
    const userId = someUserIdOf('user', user);
    const typed = codeIn(code);
    for (;;) {
      let weighing = await this.#choice.of(req, user, userId, typed, manager);
      if (weighing.chosen) {
        const made = await this.#make(userId, weighing.chosen, weighing, manager);
        if (made instanceof ReferralSignup) return made;
        if (made === 'stale') {
          this.#choice.forget(weighing.chosen);
          continue;
        }
        weighing = refused(weighing, made);
      }
      return this.#refuse(userId, weighing, manager);
    }
  }

  /** Why the user has no sign-up, or how it was decided. */
  async explain(user: UserRef, { manager }: WithManager): Promise<SignupExplanation> {
    const userId = someUserIdOf('user', user);
    const { tables } = this.#database;
    const [row] = await this.#database.query<{ 'signup.id': string | null; 'refusal.userId': string | null }>(
      `SELECT ${this.#database.columns(ReferralSignup, 's', 'signup.')},
         ${this.#database.columns(ReferralSignupRefusal, 'f', 'refusal.')}
       FROM (SELECT) AS always
       LEFT JOIN ${tables.signups} s ON s.user_id = $1 LEFT JOIN ${tables.refusals} f ON f.user_id = $1`,
      [userId],
      manager,
    );
    const signup = row!['signup.id'] === null ? null : this.#database.entity(ReferralSignup, row!, 'signup.');
    const refusal =
      row!['refusal.userId'] === null ? null : this.#database.entity(ReferralSignupRefusal, row!, 'refusal.');
    const reason = signup ? 'already-signed-up' : (refusal?.reason ?? 'no-code');
    const decided = signup ?? refusal;
    return {
      reason,
      sentence: decided ? sentences[reason] : 'No sign-up of this user was asked for, or it was rolled back.',
      signup,
      weighed: decided?.weighed ?? null,
      decidedAt: decided?.createdAt ?? null,
    };
  }

  /**
   * One statement takes a use of the code and makes the sign-up with the terms of the moment and what is due of its credits.
   * The code's row decides how many there are: those who wait for it find it as the one before left it. Who finds it changed in
   * any other way has used nothing, and looks again. Of a user's sign-ups at once the key lets one through.
   */
  async #make(
    userId: string,
    chosen: Chosen,
    { weighed }: Weighing,
    manager: EntityManager | undefined,
  ): Promise<ReferralSignup | 'stale' | 'expired' | 'used-up'> {
    const { referral, source, touchedAt, isFlagged } = chosen;
    const parameters = [
      ...[userId, referral.id, referral.userId, this.#clock.parameter(), source === 'code' ? referral.code : null],
      ...[source, touchedAt, isFlagged, JSON.stringify(weighed)],
    ];
    const statement = async (sides: readonly Side[], within?: EntityManager): Promise<Made[]> => {
      const rows = await this.#database.query<Made>(this.#statement, [...parameters, sides], within);
      if (rows[0]!.isNew)
        this.#events.emit(within, 'signup', this.#database.entity(ReferralSignup, rows[0]!, 'signup.'));
      return rows;
    };
    for (;;) {
      // Should another call for this user be first, the key refuses this one, and the next attempt sees that call's sign-up.
      const [row] = await this.#grants.run(statement, ['referral', 'reward'], manager);
      if (row!['signup.id'] !== null) return this.#database.entity(ReferralSignup, row!, 'signup.');
      if (row!.isStale) return 'stale';
      if (row!.isExpired) return 'expired';
      if (row!.isUsedUp) return 'used-up';
    }
  }

  #text(): string {
    const { signups, referrals, programs, referees, accounts } = this.#database.tables;
    const terms = `referral_credit_amount, referral_credit_duration, referral_credit_type_id,
      reward_credit_amount, reward_credit_duration, reward_credit_type_id, commission_ratio, commission_max_per_referee`;
    return `
      WITH at AS (
        SELECT ${timeOf('$4')} AS now
      ), known AS (
        SELECT * FROM ${signups} WHERE user_id = $1
      ), used AS (
        UPDATE ${referrals} u SET uses = u.uses + 1
        WHERE u.id = $2 AND NOT (${isStale('u')}) AND NOT (${isExpired('u', '(SELECT now FROM at)')}) AND NOT (${isUsedUp('u')})
          AND u.program_id IS NOT DISTINCT FROM (SELECT program_id FROM ${referrals} WHERE id = $2)
          AND NOT EXISTS (SELECT FROM known)
        RETURNING *
      ), made AS (
        INSERT INTO ${signups} (user_id, referral_id, referrer_id, program_id, ${terms}, before_reward_usage_threshold,
          threshold_reached_at, source, touched_at, is_self_referral, weighed, created_at)
        SELECT $1, used.id, used.user_id, p.id, ${terms}, coalesce(p.before_reward_usage_threshold, 0),
          CASE WHEN coalesce(p.before_reward_usage_threshold, 0) = 0 THEN at.now END, $6, $7::timestamptz, $8::boolean, $9::jsonb, at.now
        FROM used CROSS JOIN at LEFT JOIN ${programs} p ON p.id = used.program_id
        RETURNING *
      ), met AS (
        INSERT INTO ${referees} (user_id, referee_id, created_at)
        SELECT made.referrer_id, $1, at.now FROM made CROSS JOIN at WHERE made.referrer_id IS NOT NULL
        ON CONFLICT DO NOTHING
        RETURNING *
      ), account AS (
        INSERT INTO ${accounts} AS a (user_id, users_referred, created_at, updated_at)
        SELECT met.user_id, 1, at.now, at.now FROM met CROSS JOIN at
        ON CONFLICT (user_id) DO UPDATE SET users_referred = a.users_referred + 1
      ), either AS (
        SELECT * FROM made UNION ALL SELECT * FROM known
      ), ${this.#grants.sql('either', '$10')}
      SELECT EXISTS (SELECT FROM made) AS "isNew",
        r.id IS NULL OR ${isStale('r')} AS "isStale", ${isExpired('r', 'at.now')} AS "isExpired", ${isUsedUp('r')} AS "isUsedUp",
        ${this.#database.columns(ReferralSignup, 's', 'signup.')}, ${this.#database.columns(ReferralCredit, 'c', 'credit.')}
      FROM at LEFT JOIN ${referrals} r ON r.id = $2 LEFT JOIN either s ON true LEFT JOIN granted c ON true
      ORDER BY c.id`;
  }

  /** Keeps why there is nobody to credit, unless the user has signed up before: then that is the answer. */
  async #refuse(
    userId: string,
    { reason, weighed }: Weighing,
    manager: EntityManager | undefined,
  ): Promise<ReferralSignup | null> {
    const { signups, refusals } = this.#database.tables;
    const [known] = await this.#database.query<object>(
      `WITH known AS (
         SELECT * FROM ${signups} WHERE user_id = $1
       ), refused AS (
         INSERT INTO ${refusals} (user_id, reason, weighed, created_at)
         SELECT $1, $2, $3::jsonb, ${timeOf('$4')} WHERE NOT EXISTS (SELECT FROM known)
         ON CONFLICT (user_id) DO UPDATE
           SET reason = excluded.reason, weighed = excluded.weighed, created_at = excluded.created_at
       )
       SELECT ${this.#database.columns(ReferralSignup)} FROM known`,
      [userId, reason, JSON.stringify(weighed), this.#clock.parameter()],
      manager,
    );
    return known ? this.#database.entity(ReferralSignup, known) : null;
  }
}

/** Not the owner's whom the choice was made for, or, where the code was typed (`$5`), not of this code: both may change. */
function isStale(referral: string): string {
  return `${referral}.user_id IS DISTINCT FROM $3 OR coalesce(lower(${referral}.code) <> lower($5::text), false)`;
}

/** Who came through a link before it expired may still sign up with it; a code is typed now. */
function isExpired(referral: string, now: string): string {
  return `coalesce($5::text IS NOT NULL AND ${referral}.expired_at <= ${now}, false)`;
}

function isUsedUp(referral: string): string {
  return `coalesce(${referral}.allowed_uses <> -1 AND ${referral}.uses >= ${referral}.allowed_uses, false)`;
}

/** The code that a person typed; null for nothing. */
function codeIn(code: unknown): string | null {
  if (isNothing(code)) return null;
  if (typeof code !== 'string') throw invalid('code', 'what the user typed, as a string, or nothing', code);
  return typedCode(code) || null;
}
