import type { Request } from 'express';
import { Check, Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { type FieldsOf, isNothing, listOptionsOf, objectOf, optionsOf } from '../input';
import { lengths } from '../limits';
import type { ListOptions, UserRef, WithManager } from '../types/common';
import type { CreateReferralInput, RecordOptions, RespondOptions, ResponseCountOptions } from '../types/referrals';
import type { RecordSignupOptions } from '../types/signups';
import { bigintAsNumber } from './columns';
import { registry } from './instance';
import { ReferralProgram } from './referral-program';
import type { ReferralResponse } from './referral-response';
import type { ReferralSignup } from './referral-signup';

const recordFields: FieldsOf<RecordOptions> = { target: true, manager: true };
const respondFields: FieldsOf<RespondOptions> = { ...recordFields, user: true };
const countFields: FieldsOf<ResponseCountOptions> = { distinct: true, manager: true };
const signupFields: FieldsOf<RecordSignupOptions> = { code: true, manager: true };

/**
 * A link with a code that somebody shares. {@link Referral.create} creates the rows. The host may change `label`,
 * `redirectTo` and `expiredAt` of a row through TypeORM.
 */
@Entity({ name: 'referrals' })
@Index('uq_referrals_code', { synchronize: false }) // on lower(code COLLATE "C")
@Index('uq_referrals_identity', { synchronize: false }) // on user, label, target and the MD5 of the destination
@Index('ix_referrals_owner', ['userId', 'id'])
@Index('ix_referrals_program', ['programId'], { where: '(program_id IS NOT NULL)' })
@Check('ck_referrals_uses', '"uses" >= 0 AND ("allowed_uses" = -1 OR "uses" <= "allowed_uses")')
export class Referral {
  @PrimaryColumn({
    name: 'id',
    type: 'bigint',
    generated: 'identity',
    generatedIdentity: 'ALWAYS',
    primaryKeyConstraintName: 'pk_referrals',
    transformer: bigintAsNumber,
  })
  readonly id!: number;

  /** The referrer's id in the host, as text; null for a referral of the site itself. */
  @Column({ name: 'user_id', type: 'varchar', length: lengths.id, nullable: true })
  userId!: string | null;

  /** Distinguishes referrals of the same user and destination, up to 100 characters; `''` if none was given. */
  @Column({ name: 'label', type: 'varchar', length: lengths.label, default: '' })
  label!: string;

  /**
   * The code in the link, 1–100 of `[A-Za-z0-9_-]`, unique without regard to case. `referralCodes.update` changes it: the
   * codes before go on working, and no other referral ever gets them.
   */
  @Column({ name: 'code', type: 'varchar', length: lengths.code })
  code!: string;

  /** The destination of a click: an http(s) URL, resolved against the option `baseUrl`. Up to 2,048 characters. */
  @Column({ name: 'redirect_to', type: 'varchar', length: lengths.redirectTo })
  redirectTo!: string;

  /** The type of what the link is about: an entity's name or the host's own word. Null with `targetId`. */
  @Column({ name: 'target_type', type: 'varchar', length: lengths.targetType, nullable: true })
  targetType!: string | null;

  /** The id of what the link is about, as text. Null with `targetType`. */
  @Column({ name: 'target_id', type: 'varchar', length: lengths.id, nullable: true })
  targetId!: string | null;

  /** The program whose terms apply to later sign-ups; null if they get no credit. */
  @Column({ name: 'program_id', type: 'bigint', nullable: true, transformer: bigintAsNumber })
  programId!: number | null;

  /**
   * How many sign-ups may use the referral; -1 for unlimited. If it is a channel, also how many buyers may redeem the
   * coupon. The two are counted apart.
   */
  @Column({ name: 'allowed_uses', type: 'integer', default: -1 })
  allowedUses!: number;

  /** How many sign-ups have used the referral. */
  @Column({ name: 'uses', type: 'integer', default: 0 })
  readonly uses!: number;

  /** How many buyers have redeemed the coupon, if the referral is a channel. */
  @Column({ name: 'redemptions', type: 'integer', default: 0, select: false })
  readonly redemptions!: number;

  /** How many buyers may redeem the coupon, if the referral is a channel; null for `allowedUses`. Channels show it. */
  @Column({ name: 'max_redemptions', type: 'integer', nullable: true, select: false })
  readonly maxRedemptions?: number | null;

  /**
   * From this time on a click is redirected, but not recorded or attributed, and the code can't be typed at a sign-up.
   * Null for never.
   */
  @Column({ name: 'expired_at', type: 'timestamptz', nullable: true })
  expiredAt!: Date | null;

  @Column({ name: 'created_at', type: 'timestamptz', default: () => 'now()' })
  readonly createdAt!: Date;

  /** Only loaded if the host's query asks for the relation. */
  @ManyToOne(() => ReferralProgram)
  @JoinColumn({ name: 'program_id', foreignKeyConstraintName: 'fk_referrals_program' })
  readonly program?: ReferralProgram | null;

  /** The absolute URL to share: `baseUrl`, `linkPath` and the code. */
  get url(): string {
    return registry.instanceOf(this, 'referral.url').referrals.urlOf(this);
  }

  /**
   * Returns the referral for (user, redirectTo, label, target). If there is none, creates it. A unique index decides,
   * so concurrent calls create one row.
   *
   * @example
   * const referral = await Referral.create({ user, redirectTo: '/pricing', label: 'welcome mail' });
   * console.log(referral.url); // https://shop.example/r/K7M2PQXW4A
   *
   * @param options.manager the host's transaction. Default: the call is a transaction of its own.
   * @throws ReferralError `INVALID_INPUT` naming the field, before anything is written; `CODE_TAKEN` if the given
   * `code` belongs to another referral, or did before; `REFERRAL_EXISTS` naming the field if the referral exists with
   * another `code`, `program`, `expiredAt` or `allowedUses` than the given one; `CODES_EXHAUSTED`; `DATABASE_UNAVAILABLE`.
   */
  static async create(input: CreateReferralInput, options: WithManager = {}): Promise<Referral> {
    const given = optionsOf('Referral.create', options);
    return registry.instanceFor('Referral.create', given).referrals.createReferral(input, given);
  }

  /**
   * Records an action (1–128 characters) of the visitor of `req` as a response to the referral that the visitor came
   * through. A response is not a sign-up and earns nothing: see {@link recordSignup}.
   *
   * @returns null if the visitor came through no referral.
   * @throws ReferralError `INVALID_INPUT` naming the field; `DATABASE_UNAVAILABLE`.
   */
  static async recordResponse(
    req: Request,
    action: string,
    options: RecordOptions = {},
  ): Promise<ReferralResponse | null> {
    const given = objectOf('Referral.recordResponse', options, recordFields);
    return registry
      .instanceFor('Referral.recordResponse', { ...given, req })
      .referrals.recordResponse(req, action, given);
  }

  /**
   * Binds a new user permanently to a referral: the one of the code that the user typed, otherwise the one that the
   * visitor came through. Gives referee and referrer the credits that are due. A second call for the user returns the
   * first sign-up. The rows of the referral and of the referrer's account stay locked until the host's transaction
   * ends, so make this the last call in it.
   *
   * @example
   * await dataSource.transaction(async (manager) => {
   *   const user = await manager.save(User, { email: req.body.email });
   *   await Referral.recordSignup(req, user, { code: req.body.code, manager });
   * });
   *
   * @param req the request of the new user; null for a sign-up without one, for example over an API.
   * @returns null if there is no referral to bind the user to; `referrals.explainSignup(user)` returns the reason.
   * @throws ReferralError `INVALID_INPUT` naming the field, before anything is written; `DATABASE_UNAVAILABLE`.
   */
  static async recordSignup(
    req: Request | null,
    user: UserRef,
    options: RecordSignupOptions = {},
  ): Promise<ReferralSignup | null> {
    const given = objectOf('Referral.recordSignup', options, signupFields);
    const hints = isNothing(req) ? given : { ...given, req };
    return registry.instanceFor('Referral.recordSignup', hints).signups.record(req ?? null, user, given);
  }

  /**
   * Returns the referral that the visitor of `req` came through, according to the option `attribution`; null if there
   * is none.
   */
  static async referralForRequest(req: Request, options: WithManager = {}): Promise<Referral | null> {
    const given = optionsOf('Referral.referralForRequest', options);
    return registry
      .instanceFor('Referral.referralForRequest', { ...given, req })
      .referrals.referralForRequest(req, given);
  }

  /**
   * Returns all responses of the visitor of `req`, newest first: those of the signed-in user, and those of the cookie's
   * visitor id.
   */
  static async responsesForRequest(req: Request, options: ListOptions = {}): Promise<ReferralResponse[]> {
    const given = listOptionsOf('Referral.responsesForRequest', options);
    return registry
      .instanceFor('Referral.responsesForRequest', { ...given, req })
      .referrals.responsesForRequest(req, given);
  }

  /** Returns all responses to the referrals that `user` owns, newest first. */
  static async responsesForReferrer(user: UserRef, options: ListOptions = {}): Promise<ReferralResponse[]> {
    const given = listOptionsOf('Referral.responsesForReferrer', options);
    return registry.instanceFor('Referral.responsesForReferrer', given).referrals.responsesForReferrer(user, given);
  }

  /** Returns the referral that has this code, or once had it, in any case; null if there is none. */
  static async findByCode(code: string, options: WithManager = {}): Promise<Referral | null> {
    const given = optionsOf('Referral.findByCode', options);
    return registry.instanceFor('Referral.findByCode', given).referrals.findByCode(code, given);
  }

  /**
   * Records an action (1–128 characters) as a response to this referral, even if the visitor came through another one.
   * The response counts as the visitor's newest touch. If the visitor is not signed in, the cookie stores the touch,
   * unless `options.manager` is given: a cookie can't be rolled back.
   *
   * @returns null if the referral has expired or is deleted.
   * @throws ReferralError `INVALID_INPUT` naming the field; `DATABASE_UNAVAILABLE`.
   */
  async respond(req: Request, action: string, options: RespondOptions = {}): Promise<ReferralResponse | null> {
    const given = objectOf('referral.respond', options, respondFields);
    return registry.instanceOf(this, 'referral.respond', { ...given, req }).referrals.respond(this, req, action, given);
  }

  /**
   * Sets the user on the visitor's responses to this referral that have no user, in one statement, and emits
   * `userLinkedToResponse` for each. A deadlock is retried. In a transaction of the host's it is not: PostgreSQL's error
   * (`40P01`) is thrown, nothing is linked, and the host repeats its transaction.
   *
   * @param visitorId the `visitorId` of a response, which comes from the signed cookie. Never take it from user input.
   * @returns the responses that this call has changed, oldest first.
   */
  async linkResponsesToUser(user: UserRef, visitorId: string, options: WithManager = {}): Promise<ReferralResponse[]> {
    const given = optionsOf('referral.linkResponsesToUser', options);
    return registry
      .instanceOf(this, 'referral.linkResponsesToUser', given)
      .referrals.linkResponses(visitorId, user, this.id, given);
  }

  /**
   * Returns how many clicks (responses with the action `RESPONDED`) were recorded for this referral, from the daily
   * counts. If the host deletes responses, the count stays.
   *
   * With `distinct: true` it returns how many visitors have clicked. That count is kept with the one of clicks, and as cheap to
   * read. A click costs no look-up for it but by a visitor who comes from another referral or is signed in. A person
   * counts once for each browser without our cookie: one in which it was deleted, has run out, or was cleared at sign-in, or
   * which refuses it. Signed-in users count once, in whatever browser. First clicks of one visitor in the same moment may
   * each count.
   */
  async responseCount(options: ResponseCountOptions = {}): Promise<number> {
    const given = objectOf('referral.responseCount', options, countFields);
    return registry.instanceOf(this, 'referral.responseCount', given).referrals.responseCount(this, given);
  }

  /** Returns the responses to this referral, filtered by the option `responsesFilter`; by default all, newest first. */
  async filteredResponses(options: ListOptions = {}): Promise<ReferralResponse[]> {
    const given = listOptionsOf('referral.filteredResponses', options);
    return registry.instanceOf(this, 'referral.filteredResponses', given).referrals.filteredResponses(this, given);
  }

  /**
   * Loads the entity that the link is about. Null if there is no target, if the row is deleted, or if its type is no
   * entity.
   */
  async loadTarget<T extends object = object>(options: WithManager = {}): Promise<T | null> {
    const given = optionsOf('referral.loadTarget', options);
    return registry
      .instanceOf(this, 'referral.loadTarget', given)
      .referrals.loadTarget(this, given) as Promise<T | null>;
  }
}
