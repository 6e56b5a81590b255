import type { Request } from 'express';
import type { EntityManager } from 'typeorm';
import type { Referral } from '../../entities/referral';
import { lengths } from '../../limits';
import type { Settings } from '../../options';
import type { Tracking } from '../../tracking/tracking';
import type { UserRef } from '../../types/common';
import type { SignupCandidate, SignupRefusal, Weighed } from '../../types/signups';

/** The referral that a sign-up is to be credited to. */
export interface Chosen {
  referral: Referral;
  source: 'code' | 'attribution';
  touchedAt: Date | null;
  isFlagged: boolean;
}

/** What was weighed, and either the choice or why there is none. */
export interface Weighing {
  weighed: Weighed;
  chosen: Chosen | null;
  reason: Exclude<SignupRefusal, 'already-signed-up'> | null;
}

/** The weighing of a choice that turned out to be none. */
export function refused({ weighed }: Weighing, reason: 'expired' | 'used-up'): Weighing {
  const candidates = weighed.candidates.map((candidate) =>
    candidate.outcome === 'chosen' ? { ...candidate, outcome: reason } : candidate,
  );
  return { weighed: { ...weighed, candidates, choice: null }, chosen: null, reason };
}

/** Decides whom a sign-up is credited to: who owns the typed code, else whom the visitor came through. */
export class SignupChoice {
  readonly #tracking: Tracking;
  readonly #settings: Settings;

  constructor(tracking: Tracking, settings: Settings) {
    this.#tracking = tracking;
    this.#settings = settings;
  }

  /** Forgets a code that this process remembers as it is no more. */
  forget({ referral }: Chosen): void {
    this.#tracking.links.forget(referral.code);
  }

  /** A typed code decides alone: who mistyped it can type again, while a sign-up is for good. */
  async of(
    req: Request | null,
    user: UserRef,
    userId: string,
    typed: string | null,
    manager: EntityManager | undefined,
  ): Promise<Weighing> {
    const byTouch = req || typed === null ? await this.#byTouch(req, userId, manager) : null;
    const byCode = typed === null ? null : await this.#byCode(typed, manager);
    const first = byCode ?? byTouch;
    const candidates = [byCode, byTouch].filter((option) => option !== null).map(({ candidate }) => candidate);
    if (byCode && byTouch?.referral) byTouch.candidate.outcome = 'passed-over';

    let chosen: Chosen | null = null;
    if (first?.referral) {
      const { referral, candidate, touchedAt } = first;
      const isSelf = await this.#isSelf(referral, { req, user, userId, manager });
      if (isSelf && this.#settings.selfReferral === 'block') candidate.outcome = 'own-code';
      else chosen = { referral, source: candidate.source, touchedAt, isFlagged: isSelf };
    }
    const outcome = first?.candidate.outcome ?? 'no-code';
    return {
      weighed: {
        candidates,
        rule: byCode ? 'typed-code' : this.#settings.attribution.model,
        choice: chosen && chosen.referral.code,
      },
      chosen,
      reason: chosen || outcome === 'chosen' || outcome === 'passed-over' ? null : outcome,
    };
  }

  async #byCode(typed: string, manager: EntityManager | undefined): Promise<Option> {
    const link = await this.#tracking.links.find(typed, manager);
    const referral = link?.referral ?? null;
    const outcome = referral ? 'chosen' : 'unknown-code';
    const code = typed.slice(0, lengths.code);
    const candidate: SignupCandidate = {
      ...{ source: 'code', code, referralId: referral && referral.id, touchedAt: null, outcome },
    };
    return { candidate, referral, touchedAt: null };
  }

  async #byTouch(req: Request | null, userId: string, manager: EntityManager | undefined): Promise<Option | null> {
    const attributed = await this.#tracking.attributedAtSignup(req, userId, { manager });
    if (attributed === null) return null;
    const nobody = { source: 'attribution', code: null, referralId: null, touchedAt: null } as const;
    if (attributed === 'outside-window')
      return { candidate: { ...nobody, outcome: attributed }, referral: null, touchedAt: null };
    const { referral, touchedAt } = attributed;
    const candidate: SignupCandidate = {
      ...{ source: 'attribution', code: referral.code, referralId: referral.id },
      ...{ touchedAt: touchedAt.toISOString(), outcome: 'chosen' },
    };
    return { candidate, referral, touchedAt };
  }

  async #isSelf(
    { userId: referrer }: Referral,
    { req, user, userId, manager }: { req: Request | null; user: UserRef; userId: string; manager?: EntityManager },
  ): Promise<boolean> {
    const { selfReferral, isSamePerson } = this.#settings;
    if (referrer === null || selfReferral === 'allow') return false;
    return referrer === userId || Boolean(await isSamePerson(referrer, userId, { req, user, manager }));
  }
}

interface Option {
  candidate: SignupCandidate;
  referral: Referral | null;
  touchedAt: Date | null;
}
