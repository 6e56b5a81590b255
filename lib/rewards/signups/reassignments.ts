import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import { forgetDaysOf } from '../../database/closed-days';
import type { Database } from '../../database/database';
import { violatedConstraint } from '../../database/driver-errors';
import type { Events } from '../../database/events';
import { sql } from '../../database/named-parameters';
import { overtaken, retryOvertaken } from '../../database/retry';
import type { Referral } from '../../entities/referral';
import { ReferralSignup } from '../../entities/referral-signup';
import { invalid, referralError } from '../../errors';
import { type FieldsOf, objectOf, recordIdOf, someUserIdOf, typedCode } from '../../input';
import { quoted } from '../../shown';
import type { ReferralLookup } from '../../tracking/referral-lookup';
import type { SamePerson } from '../../tracking/same-person';
import type { UserRef } from '../../types/common';
import type { MovedPast, ReassignInput } from '../../types/signups';
import { type Audit, type Author, changedFields, reasonedStaffOf, staffFields } from '../records/audit';
import { takeTurn } from '../records/buyer-turn';
import type { MovedEarnings } from '../records/moved-earnings';
import type { SecondLook } from '../records/second-look';
import { departedRewardStatement, lockCountStatement } from './departed-reward';
import type { DueGrants } from './due-grants';
import { reassignStatement } from './reassign-statement';
import { refusalSentences } from './signup-explanation';

const fields: FieldsOf<ReassignInput> = { code: true, referral: true, past: true, ...staffFields };

/** The fields of a sign-up that a reassignment can change, for the audit. */
const changeable = [
  ...['referralId', 'referrerId', 'programId', 'isSelfReferral', 'beforeRewardUsageThreshold', 'thresholdReachedAt'],
  ...['referralCreditAmount', 'referralCreditDuration', 'referralCreditTypeId'],
  ...['rewardCreditAmount', 'rewardCreditDuration', 'rewardCreditTypeId'],
  ...['rewardLimitCount', 'rewardLimitPeriod', 'noReward'],
  ...['commissionRatio', 'commissionAmount', 'commissionMonths', 'commissionPurchases', 'commissionMaxPerReferee'],
  ...['commissionSignup', 'commissionQualify', 'commissionMaxPerReferrer', 'commissionPeriod'],
] as const satisfies readonly (keyof ReferralSignup)[];

/** A sign-up that was reassigned. */
export type ReassignedSignup = ReferralSignup & {
  /** What was moved of the past commissions; null for `past: 'keep'`, and if the sign-up pointed there before. */
  readonly past: MovedPast | null;
};

interface Parts {
  readonly database: Database;
  readonly clock: Clock;
  readonly events: Events;
  readonly lookup: ReferralLookup;
  readonly samePerson: SamePerson;
  readonly dueGrants: DueGrants;
  readonly secondLook: SecondLook;
  readonly moves: MovedEarnings;
  readonly audit: Audit;
}

/** Makes sign-ups point to other referrals. */
export class Reassignments {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  async reassign(user: UserRef, input: ReassignInput): Promise<ReassignedSignup> {
    const { manager, code, referral, past, ...said } = objectOf('signups.reassign', input, fields);
    const userId = someUserIdOf('user', user);
    const named = namedBy(code, referral);
    const isMove = isPastMoved(past);
    const author = reasonedStaffOf(said);
    const { database, samePerson } = this.#parts;
    return retryOvertaken(async () => {
      const target = named && (await this.#existing(named, manager));
      // Before a row lock is taken, because the option isSamePerson may be slow.
      const isOwn = target !== null && (await samePerson.is(target.userId, { userId, user, req: null, manager }));
      if (isOwn && samePerson.refuses) throw referralError('SIGNUP_REFUSED', 'The code is the user’s own.');
      const isSelfReferral = isOwn && samePerson.flags;
      try {
        return await database.transaction(
          (within) => this.#write(userId, { target, isSelfReferral, isMove }, author, within),
          manager,
        );
      } catch (error) {
        // The account of the owner was made, and suspended, after the accounts were locked.
        if (violatedConstraint(error) === 'ck_referral_accounts_counts') return overtaken;
        throw error;
      }
    });
  }

  async #existing([by, value]: Named, manager: EntityManager | undefined): Promise<Referral> {
    const { lookup } = this.#parts;
    const found = await (by === 'code' ? lookup.findByCode(value, manager) : lookup.findById(value, manager));
    if (!found) throw referralError('NOT_FOUND', 'referral', by === 'code' ? 'code' : 'id', [value]);
    return found;
  }

  /** Overtaken if the referral is deleted, or has another owner than the one about whom `isSamePerson` was asked. */
  async #write(
    userId: string,
    { target, isSelfReferral, isMove }: { target: Referral | null; isSelfReferral: boolean; isMove: boolean },
    author: Author,
    manager: EntityManager,
  ): Promise<ReassignedSignup | typeof overtaken> {
    const { database, clock, events, audit, secondLook, dueGrants, moves } = this.#parts;
    await takeTurn(database, userId, manager);
    const before = await this.#locked(userId, manager);
    if (before.referralId === (target?.id ?? null)) return Object.assign(before, { past: null });
    const ids = [before.referralId, target?.id].filter((id) => typeof id === 'number');
    const owners = [before.referrerId, target?.userId].filter((owner) => typeof owner === 'string');
    const { referrals, suspended } = await this.#lockReferrals(userId, ids, owners, manager);
    if (target) {
      const now = referrals.find(({ id }) => Number(id) === target.id);
      if (now?.owner !== target.userId) return overtaken;
      if (now.isUsedUp)
        throw referralError('SIGNUP_REFUSED', `The code ${quoted(target.code)} has had as many sign-ups as it allows.`);
      if (suspended.has(target.userId)) throw referralError('SIGNUP_REFUSED', refusalSentences.suspended);
    }
    await forgetDaysOf(database, owners, manager);
    await database.query(departedRewardStatement(database).with({ user: userId }), manager);
    const parameters = { user: userId, referral: target?.id ?? null, isSelfReferral, now: clock.parameter() };
    const [row] = await database.query<object>(reassignStatement(database).with(parameters), manager);
    const after = database.entity(ReferralSignup, row!);
    const reassigned = {
      ...{ user: userId, signupId: after.id, from: before.referrerId, isSelfReferral },
      to: target && target.userId !== null ? { user: target.userId, referral: target.id } : null,
    };
    const past = isMove ? await moves.move(reassigned, author, manager) : null;
    // The reward, if the usage so far has reached the threshold of the new terms; a credit that has waited for a review.
    await dueGrants.grant(userId, manager);
    if (target?.userId) await secondLook.decide(userId, manager);
    const picked = (signup: ReferralSignup) => Object.fromEntries(changeable.map((name) => [name, signup[name]]));
    const change = { call: 'signups.reassign', subject: 'sign-up', subjectId: after.id, userId };
    const changed = changedFields(picked(before), picked(after))!;
    await audit.record(
      [{ ...change, ...changed, ...(past && { after: { ...changed.after, past } }) }],
      author,
      manager,
    );
    events.emit(manager, 'signupReassigned', after, { referrerId: before.referrerId, past });
    return Object.assign(after, { past });
  }

  /** Locks the sign-up, so that usage of the user waits. */
  async #locked(user: string, manager: EntityManager): Promise<ReferralSignup> {
    const { database } = this.#parts;
    const query = sql(
      { user },
      ($) => `SELECT ${database.columns(ReferralSignup)} FROM ${database.tables.signups} WHERE user_id = ${$.user}
        FOR UPDATE`,
    );
    const [row] = await database.query<object>(query, manager);
    if (!row) throw referralError('NOT_FOUND', 'sign-up', 'user', [user]);
    return database.entity(ReferralSignup, row);
  }

  /**
   * Locks both referrals, then the count of a limited reward, then the accounts of their owners, each in the order of the key, after the rows of a sign-up.
   * Returns the referrals, and the owners whose accounts are suspended.
   */
  async #lockReferrals(user: string, ids: readonly number[], owners: readonly string[], manager: EntityManager) {
    const { referrals, accounts } = this.#parts.database.tables;
    const locked = await this.#parts.database.query<{ id: string; owner: string | null; isUsedUp: boolean }>(
      sql(
        { ids },
        ($) => `SELECT id, user_id AS owner, allowed_uses <> -1 AND uses >= allowed_uses AS "isUsedUp" FROM ${referrals}
          WHERE id = ANY(${$.ids}::bigint[]) ORDER BY id FOR NO KEY UPDATE`,
      ),
      manager,
    );
    await this.#parts.database.query(lockCountStatement(this.#parts.database).with({ user }), manager);
    const accountsOfOwners = await this.#parts.database.query<{ user: string; isSuspended: boolean }>(
      sql(
        { owners },
        ($) => `SELECT user_id AS "user", suspended_at IS NOT NULL AS "isSuspended" FROM ${accounts}
          WHERE user_id = ANY(${$.owners}::varchar[]) ORDER BY user_id FOR NO KEY UPDATE`,
      ),
      manager,
    );
    const suspended = accountsOfOwners.filter(({ isSuspended }) => isSuspended).map(({ user }) => user);
    return { referrals: locked, suspended: new Set<string | null>(suspended) };
  }
}

type Named = readonly ['code', string] | readonly ['referral', number];

/** Checks how the input names a referral; null for nobody. */
function namedBy(code: unknown, referral: ReassignInput['referral']): Named | null {
  if (code !== undefined && referral !== undefined)
    throw invalid('referral', 'no value together with code: give one of the two', referral);
  if (code === null || referral === null) return null;
  if (referral !== undefined) return ['referral', recordIdOf('referral', referral)];
  if (typeof code !== 'string' || code === '') throw invalid('code', 'a code, as a string, or null for nobody', code);
  return ['code', typedCode(code)];
}

/** Checks the option `past`. */
function isPastMoved(past: ReassignInput['past']): boolean {
  if (past !== undefined && past !== 'keep' && past !== 'move') throw invalid('past', "'keep' or 'move'", past);
  return past === 'move';
}
