import type { RecordRef, UserRef, WithManager } from './common';

/**
 * What a referral or a response is about: an entity of the host's DataSource (any primary key type; several key columns
 * become JSON), or a `type` and an `id` in the host's own words.
 */
export type TargetRef = { readonly type: string; readonly id: string | number | bigint } | object;

export interface CreateReferralInput {
  /** Where a click goes: an http(s) URL of `baseUrl`'s origin or an allowed one, absolute or relative to `baseUrl`. */
  redirectTo: string;
  /** The referrer; leave out (or null) for a referral of the site itself. */
  user?: UserRef | null;
  /** Tells a user's referrals apart, up to 100 characters. Default `''`. */
  label?: string;
  target?: TargetRef | null;
  /** A code of the host's own, 1–100 of `[A-Za-z0-9_-]`. Default: made by the option `generateCode`. */
  code?: string;
  /** From when on clicks no longer count. Only used when the row is new. Default: never. */
  expiredAt?: Date | null;
  /**
   * The program whose terms its sign-ups get from now on; one that exists without a program takes it, one of another program is an
   * error. Default: none, sign-ups without credits.
   */
  program?: RecordRef | null;
  /** How many sign-ups may use it, -1 for unlimited. Only used when the row is new. Default -1. */
  allowedUses?: number;
}

/** The facts of a referral that has no code yet, as `generateCode` gets them. */
export interface ReferralDraft {
  readonly userId: string | null;
  readonly label: string;
  readonly redirectTo: string;
  readonly targetType: string | null;
  readonly targetId: string | null;
}

export interface RecordOptions extends WithManager {
  /** What the action was about. */
  target?: TargetRef | null;
}

export interface RespondOptions extends RecordOptions {
  /** The user, where the request does not have one yet (at sign-up). Default: what the option `user` answers. */
  user?: UserRef | null;
}
