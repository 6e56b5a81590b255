import type { RecordRef, UserRef, WithManager } from './common';

/**
 * What a referral or a response is about: an entity of the host's DataSource with any primary key (a composite key is
 * stored as JSON), or a `type` of 1–128 characters and an `id` that the host chooses.
 */
export type TargetRef = { readonly type: string; readonly id: string | number | bigint } | object;

/** The input of `Referral.create`. */
export interface CreateReferralInput {
  /**
   * The destination of a click: an http(s) URL, absolute or relative to the option `baseUrl` as a folder, of the origin
   * of `baseUrl` or one of `redirect.allowedOrigins`, but not a link itself (at or below `linkPath`). Up to 2,048
   * characters.
   */
  redirectTo: string;
  /** The referrer. Default: none, a referral of the site itself. */
  user?: UserRef | null;
  /** Distinguishes referrals of the same user and destination, up to 100 characters. Default `''`. */
  label?: string;
  /** What the link is about. Default: nothing. */
  target?: TargetRef | null;
  /**
   * The code, 1–100 of `[A-Za-z0-9_-]`, unique without regard to case. For an existing referral with another code the
   * call throws. Default: from the option `generateCode`.
   */
  code?: string;
  /**
   * From this time on clicks do not count; null for never. For an existing referral with another time the call throws.
   * Default: never, or that of the existing referral.
   */
  expiredAt?: Date | null;
  /**
   * The program whose terms apply to later sign-ups. An existing referral without a program gets it; for one with
   * another program the call throws. Default: none, so that sign-ups get no credit.
   */
  program?: RecordRef | null;
  /**
   * How many sign-ups may use the referral; -1 for unlimited. For an existing referral with another number the call
   * throws. Default: -1, or that of the existing referral.
   */
  allowedUses?: number;
}

/** A referral that has no code yet, as the option `generateCode` gets it. */
export interface ReferralDraft {
  /** The referrer's id; null for a referral of the site itself. */
  readonly userId: string | null;
  readonly label: string;
  readonly redirectTo: string;
  /** The type of the target; null if there is no target. */
  readonly targetType: string | null;
  /** The id of the target, as text; null if there is no target. */
  readonly targetId: string | null;
}

/** The options of `Referral.recordResponse`. */
export interface RecordOptions extends WithManager {
  /** What the action is about. Default: nothing. */
  target?: TargetRef | null;
}

/** The options of `referral.responseCount`. */
export interface ResponseCountOptions extends WithManager {
  /** Whether to count visitors in place of clicks. Default false. */
  distinct?: boolean;
}

/** The options of `referral.respond`. */
export interface RespondOptions extends RecordOptions {
  /** The user, if the request does not have one yet, as at sign-up. Default: the result of the option `user`. */
  user?: UserRef | null;
}
