import type { Request } from 'express';
import { Check, Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import type { ListOptions, UserRef, WithManager } from '../types/common';
import type { CreateReferralInput, RecordOptions, RespondOptions } from '../types/referrals';
import type { RecordSignupOptions } from '../types/signups';
import { bigintAsNumber } from './columns';
import { registry } from './instance';
import { ReferralProgram } from './referral-program';
import type { ReferralResponse } from './referral-response';
import type { ReferralSignup } from './referral-signup';

/**
 * A link with a code that somebody shares. Rows are made with {@link Referral.create}; a host may change `label`,
 * `redirectTo` and `expiredAt` of one through TypeORM like on any entity of its own.
 */
@Entity({ name: 'referrals' })
@Index('uq_referrals_code', { synchronize: false }) // on lower(code)
@Index('uq_referrals_identity', { synchronize: false }) // on user, target, label and a digest of the destination
@Index('ix_referrals_user', ['userId'])
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

  /** Tells a user's referrals apart, up to 100 characters; `''` if none was given. */
  @Column({ name: 'label', type: 'varchar', length: lengths.label, default: '' })
  label!: string;

  /** The code in the link, 1–100 of `[A-Za-z0-9_-]`, unique without regard to case. */
  @Column({ name: 'code', type: 'varchar', length: lengths.code })
  code!: string;

  /** Where a click goes: an http(s) URL, resolved against the option `baseUrl`. Up to 2,048 characters. */
  @Column({ name: 'redirect_to', type: 'varchar', length: lengths.redirectTo })
  redirectTo!: string;

  /** What kind of thing the link is about: an entity's name or the host's own word. Null with `targetId`. */
  @Column({ name: 'target_type', type: 'varchar', length: lengths.targetType, nullable: true })
  targetType!: string | null;

  /** The id of what the link is about, as text. Null with `targetType`. */
  @Column({ name: 'target_id', type: 'varchar', length: lengths.id, nullable: true })
  targetId!: string | null;

  /** The program whose terms its sign-ups get; null for sign-ups without credits. */
  @Column({ name: 'program_id', type: 'bigint', nullable: true, transformer: bigintAsNumber })
  programId!: number | null;

  /** How many sign-ups may use it; -1 is unlimited. */
  @Column({ name: 'allowed_uses', type: 'integer', default: -1 })
  allowedUses!: number;

  /** How many sign-ups have used it. */
  @Column({ name: 'uses', type: 'integer', default: 0 })
  readonly uses!: number;

  /**
   * From this time on a click is redirected, but neither recorded nor attributed, and the code can't be typed at a sign-up;
   * null for never.
   */
  @Column({ name: 'expired_at', type: 'timestamptz', nullable: true })
  expiredAt!: Date | null;

  @Column({ name: 'created_at', type: 'timestamptz', default: () => 'now()' })
  readonly createdAt!: Date;

  /** Only loaded where the host asks for the relation. */
  @ManyToOne(() => ReferralProgram)
  @JoinColumn({ name: 'program_id', foreignKeyConstraintName: 'fk_referrals_program' })
  readonly program?: ReferralProgram | null;

  /** The absolute address to share: `baseUrl`, `linkPath` and the code. */
  get url(): string {
    return registry.instanceOf(this, 'referral.url').referrals.urlOf(this);
  }

  /**
   * The referral for (user, redirectTo, label, target): the existing one if there is one, else a new one, decided by a
   * unique index, so that any number of calls at once make one row.
   *
   * @param options.manager the host's transaction; without it the call is a transaction of its own.
   * @throws ReferralError `INVALID_INPUT` naming the field, before anything is written; `CODE_TAKEN` for a given `code`, and
   * `REFERRAL_EXISTS` for one that exists with another `code` or `program` than the given; `CODES_EXHAUSTED`; `DATABASE_UNAVAILABLE`.
   */
  static async create(input: CreateReferralInput, options: WithManager = {}): Promise<Referral> {
    return registry.instanceFor('Referral.create', options).referrals.createReferral(input, options);
  }

  /**
   * Records that the visitor of `req` did `action` (1–128 characters), against the referral that the visitor came
   * through; null when there is none.
   */
  static async recordResponse(
    req: Request,
    action: string,
    options: RecordOptions = {},
  ): Promise<ReferralResponse | null> {
    return registry
      .instanceFor('Referral.recordResponse', { ...options, req })
      .referrals.recordResponse(req, action, options);
  }

  /**
   * Binds a new user to the referral of the code that they typed, else to the one that they came through, and gives both
   * sides' credits that are due. Once for good: a second call answers the first sign-up. In the host's transaction the
   * code's row is locked until the commit, so call it last.
   *
   * @param req null for a sign-up without a visitor, over an API.
   * @returns null when there is nobody to credit; `referrals.explainSignup(user)` says why.
   * @throws ReferralError `INVALID_INPUT` naming the field, before anything is written; `DATABASE_UNAVAILABLE`.
   */
  static async recordSignup(
    req: Request | null,
    user: UserRef,
    options: RecordSignupOptions = {},
  ): Promise<ReferralSignup | null> {
    const hints = req ? { ...options, req } : options;
    return registry.instanceFor('Referral.recordSignup', hints).signups.record(req, user, options);
  }

  /** The referral that the visitor of `req` came through, by the option `attribution`; null when never referred. */
  static async referralForRequest(req: Request, options: WithManager = {}): Promise<Referral | null> {
    return registry
      .instanceFor('Referral.referralForRequest', { ...options, req })
      .referrals.referralForRequest(req, options);
  }

  /** All responses of the visitor of `req`, newest first: by the user when signed in, and by the visitor id if carried. */
  static async responsesForRequest(req: Request, options: ListOptions = {}): Promise<ReferralResponse[]> {
    return registry
      .instanceFor('Referral.responsesForRequest', { ...options, req })
      .referrals.responsesForRequest(req, options);
  }

  /** All responses to the referrals that `user` owns, newest first. */
  static async responsesForReferrer(user: UserRef, options: ListOptions = {}): Promise<ReferralResponse[]> {
    return registry.instanceFor('Referral.responsesForReferrer', options).referrals.responsesForReferrer(user, options);
  }

  /** The referral with this code, in any case; null when there is none. */
  static async findByCode(code: string, options: WithManager = {}): Promise<Referral | null> {
    return registry.instanceFor('Referral.findByCode', options).referrals.findByCode(code, options);
  }

  /**
   * Records a response to this referral, whoever the visitor came through before; from then on it counts as the
   * visitor's newest touch. `options.user` names the user before the request has one, at sign-up. Of a visitor who is not
   * signed in, the cookie carries the touch, unless `options.manager` is given: a cookie can't be rolled back.
   *
   * @returns null when the referral has expired or is deleted.
   */
  async respond(req: Request, action: string, options: RespondOptions = {}): Promise<ReferralResponse | null> {
    return registry
      .instanceOf(this, 'referral.respond', { ...options, req })
      .referrals.respond(this, req, action, options);
  }

  /**
   * Sets the user on the visitor's userless responses to this referral, in one statement, and emits
   * `userLinkedToResponse` for each.
   *
   * @param visitorId the `visitorId` of a response. It comes from the signed cookie: never take it from user input.
   * @returns the responses that this call linked, oldest first.
   */
  async linkResponsesToUser(user: UserRef, visitorId: string, options: WithManager = {}): Promise<ReferralResponse[]> {
    return registry
      .instanceOf(this, 'referral.linkResponsesToUser', options)
      .referrals.linkResponses(visitorId, user, this.id, options);
  }

  /**
   * How many clicks (responses with the action `RESPONDED`) were recorded for this referral, from daily counts; responses
   * that a host deletes stay counted.
   */
  async responseCount(options: WithManager = {}): Promise<number> {
    return registry.instanceOf(this, 'referral.responseCount', options).referrals.responseCount(this, options);
  }

  /** This referral's responses as the option `responsesFilter` leaves them; by default all, latest recorded first. */
  async filteredResponses(options: ListOptions = {}): Promise<ReferralResponse[]> {
    return registry.instanceOf(this, 'referral.filteredResponses', options).referrals.filteredResponses(this, options);
  }

  /** The row that the link is about; null when there is no target, it is gone, or its type is no entity. */
  async loadTarget<T extends object = object>(options: WithManager = {}): Promise<T | null> {
    return registry
      .instanceOf(this, 'referral.loadTarget', options)
      .referrals.loadTarget(this, options) as Promise<T | null>;
  }
}
