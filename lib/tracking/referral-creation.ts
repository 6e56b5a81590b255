import type { EntityManager } from 'typeorm';
import type { Clock } from '../database/clock';
import { isCodeOf } from '../database/codes';
import type { Database } from '../database/database';
import { violatedConstraint } from '../database/driver-errors';
import { folded } from '../database/folding';
import { sql } from '../database/named-parameters';
import { overtaken, retryOvertaken } from '../database/retry';
import { Referral } from '../entities/referral';
import { invalid, otherReferralExists, referralError } from '../errors';
import {
  allowedUsesOf,
  codeOf,
  dateOf,
  type FieldsOf,
  isNothing,
  objectOf,
  recordIdOf,
  textOf,
  userIdOf,
} from '../input';
import { lengths } from '../limits';
import type { Settings } from '../options';
import type { WithManager } from '../types/common';
import type { CreateReferralInput, ReferralDraft } from '../types/referrals';
import { asLocation, safeDestination } from './redirect';
import { storedTarget } from './targets';

/** The maximum number of plans for a referral: with new codes, or after another call has overtaken the one before. */
const maxTries = 10;

const fields: FieldsOf<CreateReferralInput> = {
  ...({ redirectTo: true, user: true, label: true, target: true, code: true } as const),
  ...({ expiredAt: true, program: true, allowedUses: true } as const),
};

/** The fields of the input that are no part of a referral's identity. An existing one keeps its own. */
interface GivenTerms {
  /** Undefined if it is not given: null means never. */
  expiredAt: Date | null | undefined;
  programId: number | null;
  /** Null if it is not given. */
  allowedUses: number | null;
}

/** A checked input, and the code that the referral gets if it does not exist. */
export interface ReferralPlan {
  readonly draft: ReferralDraft;
  readonly terms: GivenTerms;
  /** The code of the input; null for one of the option `generateCode`. */
  readonly given: string | null;
  readonly code: string;
  /** How many plans were made for this referral, with this one. */
  readonly tries: number;
}

/** A referral, and whether this call created it. */
export interface CreatedReferral {
  referral: Referral;
  isNew: boolean;
}

/** Creates referrals. */
export class ReferralCreation {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #settings: Settings;
  readonly #columns: string;
  /** The default destination: `baseUrl` itself. */
  readonly home: string;

  constructor(database: Database, clock: Clock, settings: Settings) {
    this.#database = database;
    this.#clock = clock;
    this.#settings = settings;
    this.#columns = database.columns(Referral);
    this.home = asLocation(settings.baseUrl, settings);
  }

  /** Returns the referral of a user, destination, label and target: the existing one, else a new one. */
  async create(input: CreateReferralInput, { manager }: WithManager): Promise<CreatedReferral> {
    let plan: ReferralPlan | undefined;
    return retryOvertaken(async () => this.make((plan = await this.plan(input, plan)), manager));
  }

  /**
   * Checks the input, and calls the option `generateCode` for a code. It must not run in a transaction of our own.
   *
   * @param before the plan that was overtaken.
   */
  async plan(input: CreateReferralInput, before?: ReferralPlan): Promise<ReferralPlan> {
    const { draft, terms, given, code: tried, tries } = before ?? { ...this.#checked(input), code: '', tries: 0 };
    if (tries === maxTries) throw referralError('CODES_EXHAUSTED', maxTries, tried);
    const code = given ?? codeOf('generateCode', await this.#settings.generateCode(draft));
    return { draft, terms, given, code, tries: tries + 1 };
  }

  /**
   * Returns the existing referral, else a new one. The plan is overtaken if its code belongs to another referral, or if
   * another transaction created or changed the same referral after the statement's snapshot.
   */
  async make(
    { draft, terms, given, code, tries }: ReferralPlan,
    manager: EntityManager | undefined,
  ): Promise<CreatedReferral | typeof overtaken> {
    const found = await this.#getOrCreate(draft, given, code, terms, manager);
    if (!found) {
      if (given !== null && tries > 1) throw referralError('CODE_TAKEN', given);
      return overtaken;
    }
    // Another call has set the program of the referral after this statement's snapshot.
    if (terms.programId !== null && found.referral.programId === null) return overtaken;
    return found;
  }

  /** Returns a destination that the options allow. Throws `INVALID_INPUT` for any other. */
  destinationOf(redirectTo: string): string {
    const destination = textOf('redirectTo', redirectTo, lengths.redirectTo, 1);
    if (safeDestination(destination, this.#settings) !== null) return destination;
    const origins = [...this.#settings.redirect.allowedOrigins].join(', ');
    const takes =
      `an http(s) URL without user info whose origin is one of ${origins}, ` +
      `and which is not at or below linkPath, "${this.#settings.linkPath}"`;
    throw invalid('redirectTo', takes, destination);
  }

  #checked(given: CreateReferralInput): Pick<ReferralPlan, 'draft' | 'terms' | 'given'> {
    const input = objectOf('referral', given, fields);
    return {
      draft: {
        userId: userIdOf('user', input.user),
        label: textOf('label', input.label ?? '', lengths.label),
        redirectTo: this.destinationOf(input.redirectTo),
        ...storedTarget(this.#database.dataSource, input.target),
      },
      given: input.code === undefined ? null : codeOf('code', input.code),
      terms: {
        expiredAt: input.expiredAt === undefined ? undefined : dateOf('expiredAt', input.expiredAt),
        programId: isNothing(input.program) ? null : recordIdOf('program', input.program),
        allowedUses: isNothing(input.allowedUses) ? null : allowedUsesOf(input.allowedUses),
      },
    };
  }

  /**
   * Returns the existing row or inserts it, in one statement. If two calls insert the same row, a unique index makes
   * the second one wait in `ON CONFLICT` for the commit of the first. It then returns null, and the next attempt finds
   * the row in a new snapshot.
   *
   * @throws ReferralError `REFERRAL_EXISTS` if the existing row has another value than a given one.
   */
  async #getOrCreate(
    draft: ReferralDraft,
    given: string | null,
    code: string,
    terms: GivenTerms,
    manager: EntityManager | undefined,
  ): Promise<CreatedReferral | null> {
    const { referrals, aliases, programs } = this.#database.tables;
    const { userId: user, label, redirectTo, targetType, targetId } = draft;
    const { expiredAt = null, programId: program, allowedUses } = terms;
    const parameters = {
      ...{ user, label, redirectTo, targetType, targetId, given, code },
      ...{ expiredAt, isExpiryGiven: terms.expiredAt !== undefined, program, allowedUses },
      now: this.#clock.parameter(),
    };
    const query = sql(
      parameters,
      ($) => `
      WITH
      -- The existing referral. The unique index contains the MD5 of the destination, which can be too long for it.
      existing AS (
         SELECT * FROM ${referrals}
         WHERE coalesce(user_id, '') = coalesce(${$.user}, '') AND label = ${$.label}
           AND md5(redirect_to) = md5(${$.redirectTo})
           AND coalesce(target_type, '') = coalesce(${$.targetType}, '')
           AND coalesce(target_id, '') = coalesce(${$.targetId}, '')
           AND redirect_to = ${$.redirectTo}
       ),
       -- The field in which the existing referral differs from the input. A Date has milliseconds.
       other AS (
         SELECT CASE WHEN ${folded('code')} <> ${folded(`${$.given}::text`)}
             AND NOT ${isCodeOf(this.#database.tables, `${$.given}::text`, 'existing.id')} THEN 'code'
           WHEN program_id <> ${$.program}::bigint THEN 'program'
           WHEN ${$.isExpiryGiven}::boolean
             AND date_trunc('milliseconds', expired_at) IS DISTINCT FROM ${$.expiredAt}::timestamptz THEN 'expiredAt'
           WHEN allowed_uses <> ${$.allowedUses}::integer THEN 'allowedUses' END AS field
         FROM existing
       ),
       -- The program, with a row lock that prevents its deletion before the commit.
       program AS (
         SELECT id FROM ${programs} WHERE id = ${$.program} FOR KEY SHARE
       ),
       -- Sets the program of an existing referral that has none, unless the call is refused.
       adopted AS (
         UPDATE ${referrals} SET program_id = ${$.program}
         WHERE id IN (SELECT id FROM existing) AND program_id IS NULL AND EXISTS (SELECT FROM program)
           AND (SELECT field FROM other) IS NULL
         RETURNING *
       ),
       -- Inserts the referral if there is none. If the code or the identity exists already, or another referral once had
       -- the code, it inserts nothing.
       created AS (
         INSERT INTO ${referrals}
           (user_id, label, redirect_to, target_type, target_id, code, expired_at, created_at, program_id, allowed_uses)
         SELECT ${$.user}, ${$.label}, ${$.redirectTo}, ${$.targetType}, ${$.targetId}, ${$.code}::text, ${$.expiredAt},
           coalesce(${$.now}::timestamptz, now()), ${$.program}, coalesce(${$.allowedUses}::integer, -1)
         WHERE NOT EXISTS (SELECT FROM existing) AND (${$.program}::bigint IS NULL OR EXISTS (SELECT FROM program))
           AND NOT EXISTS (SELECT FROM ${aliases} WHERE code = ${folded(`${$.code}::text`)})
         ON CONFLICT DO NOTHING
         RETURNING *
       ),
       -- Gives the code to the new referral for good.
       kept AS (
         INSERT INTO ${aliases} (code, referral_id) SELECT ${folded('code')}, id FROM created
       )
       SELECT ${$.program}::bigint IS NULL OR EXISTS (SELECT FROM program) AS "isKnownProgram", "isNew",
         (SELECT field FROM other) AS "otherField", ${this.#columns}
       FROM (SELECT) AS always
       LEFT JOIN (
         SELECT false AS "isNew", * FROM existing WHERE NOT EXISTS (SELECT FROM adopted)
         UNION ALL SELECT false, * FROM adopted UNION ALL SELECT true, * FROM created
       ) AS found ON true`,
    );
    const [row] = await this.#database.query<FoundRow>(query, manager).catch((error: unknown) => {
      if (violatedConstraint(error) !== 'pk_referral_aliases') throw error;
      // The host's transaction is aborted: it can't try another code.
      if (manager?.queryRunner?.isTransactionActive) throw referralError('CODE_TAKEN', code);
      return [{ isKnownProgram: true, isNew: null, otherField: null }];
    });
    const { isKnownProgram, isNew, otherField } = row!;
    if (!isKnownProgram) throw invalid('program', 'a program that exists, or its id', program);
    if (isNew === null) return null;
    const referral = this.#database.entity(Referral, row!);
    if (otherField !== null) throw otherReferralExists(referral.code, otherField);
    return { referral, isNew };
  }
}

/** The columns of the referral, or nulls if there is none. */
interface FoundRow {
  isKnownProgram: boolean;
  /** Null if there is no referral: another call has just inserted it, or another referral has the code. */
  isNew: boolean | null;
  /** The name of a field of the input of which the existing referral has another value. */
  otherField: string | null;
}
