import type { EntityManager } from 'typeorm';
import { invalid, referralError } from '../../errors';
import { isNothing, recordIdOf, typedCode, visitorIdOf } from '../../input';
import type { Attributed, Attribution } from '../../tracking/attribution';
import type { ReferralLookup } from '../../tracking/referral-lookup';
import type { Asking, SamePerson } from '../../tracking/same-person';
import type { PurchaseInput } from '../../types/commissions';

/** The referral that a purchase is attributed to, where the buyer has no sign-up. */
export interface BuyersReferral {
  id: number;
  owner: string;
  /** Whether its owner is the buyer, and self-referrals are refused. */
  isOwnReferral: boolean;
  /** Whether its owner is the buyer, and self-referrals are flagged. */
  isSelfReferral: boolean;
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
  readonly #samePerson: SamePerson;

  constructor(lookup: ReferralLookup, attribution: Attribution, samePerson: SamePerson) {
    this.#lookup = lookup;
    this.#attribution = attribution;
    this.#samePerson = samePerson;
  }

  /** Returns the referral that a buyer is attributed to; null if there is none with an owner. */
  async ofBuyer(buyer: Asking): Promise<BuyersReferral | null> {
    return this.#owned(await this.#attribution.ofUser(buyer, null));
  }

  /**
   * Returns the referral that a purchase names; null if it has no owner. A visitor without touches names none: the buyer's
   * own attribution counts. One of nobody or of the buyer's own does not take the place of somebody else's that the buyer
   * is attributed to.
   *
   * @throws ReferralError `NOT_FOUND` for a referral or a code that does not exist.
   */
  async named(naming: Naming, buyer: Asking): Promise<BuyersReferral | null> {
    let named: Pick<Attributed, 'referral' | 'isOwn'>;
    if ('visitorId' in naming) {
      const attributed = await this.#attribution.ofVisitor(naming.visitorId, buyer);
      if (!attributed) return this.ofBuyer(buyer);
      named = attributed;
    } else {
      const referral = await this.#existing(naming, buyer.manager);
      named = { referral, isOwn: await this.#samePerson.is(referral.userId, buyer) };
    }
    if (named.referral.userId === null || named.isOwn) {
      const attributed = await this.#attribution.ofUser(buyer, null);
      if (attributed && attributed.referral.userId !== null && !attributed.isOwn) named = attributed;
    }
    return this.#owned(named);
  }

  async #existing(naming: { referral: number } | { code: string }, manager: EntityManager | undefined) {
    const [[by, value]] = Object.entries(naming) as [[string, string | number]];
    const referral = await ('code' in naming
      ? this.#lookup.findByCode(naming.code, manager)
      : this.#lookup.findById(naming.referral, manager));
    if (!referral) throw referralError('NOT_FOUND', 'referral', by === 'code' ? 'code' : 'id', [value]);
    return referral;
  }

  #owned(found: Pick<Attributed, 'referral' | 'isOwn'> | null): BuyersReferral | null {
    if (!found || found.referral.userId === null) return null;
    const { id, userId: owner } = found.referral;
    const { refuses, flags } = this.#samePerson;
    return { id, owner, isOwnReferral: found.isOwn && refuses, isSelfReferral: found.isOwn && flags };
  }
}
