import type { EntityManager } from 'typeorm';
import type { Referral } from '../../entities/referral';
import { lengths } from '../../limits';
import type { Settings } from '../../options';
import type { Attribution } from '../../tracking/attribution';
import type { ReferralLookup } from '../../tracking/referral-lookup';
import type { Asking, SamePerson } from '../../tracking/same-person';
import type { Visitors } from '../../tracking/visitors';
import type { SignupCandidate, SignupRefusal, Weighed } from '../../types/signups';

/** The checked input of `recordSignup`. */
export interface SignupRequest extends Asking {
  /** The code that the user typed; null for none. */
  readonly typed: string | null;
}

/** The referral that a sign-up is credited to. */
export interface ChosenReferral {
  referral: Referral;
  source: 'code' | 'attribution';
  touchedAt: Date | null;
  isSelfReferral: boolean;
}

/** The candidates that were considered, and either the choice or the reason why there is none. */
export interface Weighing {
  weighed: Weighed;
  chosen: ChosenReferral | null;
  reason: Exclude<SignupRefusal, 'already-signed-up'> | null;
}

/** A candidate with its referral. The referral is null if the candidate can't be chosen. */
interface WeighedReferral {
  candidate: SignupCandidate;
  referral: Referral | null;
  touchedAt: Date | null;
  /** Whether the referral is the user's own; undefined if that is not known yet. */
  isOwn?: boolean;
}

/** Returns a weighing without its choice, because the chosen referral did not accept the sign-up. */
export function withoutChoice({ weighed }: Weighing, reason: 'suspended' | 'expired' | 'used-up'): Weighing {
  const candidates = weighed.candidates.map((candidate) =>
    candidate.outcome === 'chosen' ? { ...candidate, outcome: reason } : candidate,
  );
  return { weighed: { ...weighed, candidates, choice: null }, chosen: null, reason };
}

/** Chooses the referral that a sign-up is credited to: by the typed code, else by attribution. */
export class SignupChoice {
  readonly #lookup: ReferralLookup;
  readonly #attribution: Attribution;
  readonly #visitors: Visitors;
  readonly #samePerson: SamePerson;
  readonly #settings: Settings;

  constructor(
    lookup: ReferralLookup,
    attribution: Attribution,
    visitors: Visitors,
    samePerson: SamePerson,
    settings: Settings,
  ) {
    this.#lookup = lookup;
    this.#attribution = attribution;
    this.#visitors = visitors;
    this.#samePerson = samePerson;
    this.#settings = settings;
  }

  /** Removes an outdated referral from the cache of this process. */
  forget({ referral }: ChosenReferral): void {
    this.#lookup.forget(referral.id);
  }

  /**
   * Considers the typed code and the touch. If a code was typed, only the code counts, even if it is wrong: the user
   * can correct the code, but a sign-up can't be changed.
   */
  async weigh(request: SignupRequest): Promise<Weighing> {
    const { req, typed } = request;
    const byTouch = req !== null || typed === null ? await this.#byTouch(request) : null;
    const byCode = typed === null ? null : await this.#byCode(typed, request.manager);
    const first = byCode ?? byTouch;
    if (byCode && byTouch?.referral) byTouch.candidate.outcome = 'passed-over';
    const chosen = first && (await this.#choose(first, request));
    const outcome = first?.candidate.outcome ?? 'no-code';
    return {
      weighed: {
        candidates: [byCode, byTouch].filter((option) => option !== null).map(({ candidate }) => candidate),
        rule: byCode ? 'typed-code' : this.#settings.attribution.model,
        choice: chosen && chosen.referral.code,
      },
      chosen,
      reason: chosen || outcome === 'chosen' || outcome === 'passed-over' ? null : outcome,
    };
  }

  async #byCode(typed: string, manager: EntityManager | undefined): Promise<WeighedReferral> {
    const link = await this.#lookup.find(typed, manager);
    const referral = link?.referral ?? null;
    const outcome = referral ? 'chosen' : 'unknown-code';
    const code = typed.slice(0, lengths.code);
    const candidate: SignupCandidate = {
      ...{ source: 'code', code, referralId: referral && referral.id, touchedAt: null, outcome },
    };
    return { candidate, referral, touchedAt: null };
  }

  async #byTouch(request: SignupRequest): Promise<WeighedReferral | null> {
    const { req, userId, manager } = request;
    const visitor = req === null ? null : this.#visitors.seen(req, 'Referral.recordSignup');
    const carried = visitor && (await visitor.touchOf(userId, manager));
    const attributed = await this.#attribution.atSignup(request, carried);
    if (attributed === null) return null;
    if (attributed === 'outside-window') {
      const candidate: SignupCandidate = {
        ...{ source: 'attribution', code: null, referralId: null, touchedAt: null, outcome: attributed },
      };
      return { candidate, referral: null, touchedAt: null };
    }
    const { referral, touchedAt, isOwn } = attributed;
    const candidate: SignupCandidate = {
      ...{ source: 'attribution', code: referral.code, referralId: referral.id },
      ...{ touchedAt: touchedAt.toISOString(), outcome: 'chosen' },
    };
    return { candidate, referral, touchedAt, isOwn };
  }

  /**
   * Chooses a candidate. Returns null if it has no referral, or if it is a self-referral that the options block
   * (`own-code`).
   */
  async #choose(
    { candidate, referral, touchedAt, isOwn }: WeighedReferral,
    request: SignupRequest,
  ): Promise<ChosenReferral | null> {
    if (!referral) return null;
    const isSelf = isOwn ?? (await this.#samePerson.is(referral.userId, request));
    if (isSelf && this.#samePerson.refuses) {
      candidate.outcome = 'own-code';
      return null;
    }
    return { referral, source: candidate.source, touchedAt, isSelfReferral: isSelf && this.#samePerson.flags };
  }
}
