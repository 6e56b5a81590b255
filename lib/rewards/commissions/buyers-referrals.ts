import type { EntityManager } from 'typeorm';
import type { Referral } from '../../entities/referral';
import { invalid, referralError } from '../../errors';
import { isNothing, recordIdOf, typedCode, visitorIdOf } from '../../input';
import type { Settings } from '../../options';
import type { Attribution } from '../../tracking/attribution';
import type { ReferralLookup } from '../../tracking/referral-lookup';
import type { PurchaseInput } from '../../types/commissions';
import type { UserRef } from '../../types/common';

/** The referral that a purchase is attributed to, where the buyer has no sign-up. */
export interface BuyersReferral {
  id: number;
  owner: string;
  /** Whether its owner is the buyer. */
  isOwn: boolean;
}

/** How the input of a purchase names that referral, checked. */
export type Naming = { referral: number } | { code: string } | { visitorId: string };

/** The fields of a purchase that name its referral. */
export const namingFields = { referral: true, code: true, visitorId: true } as const;

/** Returns how a purchase names its referral; null if it does not. */
export function namingOf(input: Pick<PurchaseInput, keyof typeof namingFields>): Naming | null {
  const { referral, code, visitorId } = input;
  const [first, second] = Object.entries({ referral, code, visitorId }).filter(([, value]) => !isNothing(value));
  if (second) throw invalid(second[0], `no value together with ${first![0]}: give one of the two`, second[1]);
  if (!isNothing(referral)) return { referral: recordIdOf('referral', referral) };
  if (!isNothing(visitorId)) return { visitorId: visitorIdOf('visitorId', visitorId) };
  if (isNothing(code)) return null;
  if (typeof code !== 'string' || code === '') throw invalid('code', 'the code of a referral, as a string', code);
  return { code: typedCode(code) };
}

/**
 * Finds the referrals that purchases are attributed to. It calls the option `isSamePerson`, so it must not run in a
 * transaction of our own.
 */
export class BuyersReferrals {
  readonly #lookup: ReferralLookup;
  readonly #attribution: Attribution;
  readonly #settings: Settings;

  constructor(lookup: ReferralLookup, attribution: Attribution, settings: Settings) {
    this.#lookup = lookup;
    this.#attribution = attribution;
    this.#settings = settings;
  }

  /** Returns the referral that a buyer is attributed to; null if there is none with an owner. */
  async ofBuyer(user: UserRef, buyer: string, manager: EntityManager | undefined): Promise<BuyersReferral | null> {
    const attributed = await this.#attribution.ofUser(buyer, null, manager);
    return this.#owned(attributed?.referral, user, buyer, manager);
  }

  /**
   * Returns the referral that a purchase names; null if it has no owner. A visitor without touches names none: the buyer's
   * own attribution counts.
   *
   * @throws ReferralError `NOT_FOUND` for a referral or a code that does not exist.
   */
  async named(
    naming: Naming,
    user: UserRef,
    buyer: string,
    manager: EntityManager | undefined,
  ): Promise<BuyersReferral | null> {
    if ('visitorId' in naming) {
      const attributed = await this.#attribution.ofVisitor(naming.visitorId, buyer, manager);
      if (!attributed) return this.ofBuyer(user, buyer, manager);
      return this.#owned(attributed?.referral, user, buyer, manager);
    }
    const [[by, value]] = Object.entries(naming) as [[string, string | number]];
    const referral = await ('code' in naming
      ? this.#lookup.findByCode(naming.code, manager)
      : this.#lookup.findById(naming.referral, manager));
    if (!referral) throw referralError('NOT_FOUND', 'referral', by === 'code' ? 'code' : 'id', [value]);
    return this.#owned(referral, user, buyer, manager);
  }

  async #owned(
    referral: Referral | undefined,
    user: UserRef,
    buyer: string,
    manager: EntityManager | undefined,
  ): Promise<BuyersReferral | null> {
    if (!referral || referral.userId === null) return null;
    const { id, userId: owner } = referral;
    const { selfReferral, isSamePerson } = this.#settings;
    const context = { req: null, user, manager };
    const isOwn = selfReferral === 'block' && (owner === buyer || Boolean(await isSamePerson(owner, buyer, context)));
    return { id, owner, isOwn };
  }
}
