import type { EntityManager } from 'typeorm';
import { type Currency, currencyOf, shownAmount } from '../../currency';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { isOutOfRange, violatedConstraint } from '../../database/driver-errors';
import type { Events } from '../../database/events';
import { sql, type Statement } from '../../database/named-parameters';
import { overtaken, retryOvertaken } from '../../database/retry';
import { ReferralCommission } from '../../entities/referral-commission';
import { ReferralPurchase } from '../../entities/referral-purchase';
import type { ReferralReview } from '../../entities/referral-review';
import { ReferralError, referralError } from '../../errors';
import { amountOf, dateOf, type FieldsOf, isNothing, objectOf, referenceOf, someUserIdOf, textOf } from '../../input';
import { lengths } from '../../limits';
import type { Settings } from '../../options';
import type { Asking } from '../../tracking/same-person';
import type { PurchaseInput } from '../../types/commissions';
import type { UserRef } from '../../types/common';
import { amountFields, type Exchange, shownOf } from '../records/exchange';
import { isUndecided } from '../records/second-look';
import type { FraudRules } from '../reviews/fraud-rules';
import { type BuyersReferral, type BuyersReferrals, type Naming, namingFields, namingOf } from './buyers-referrals';
import { type OptionTerms, optionTerms } from './chosen-terms';
import type { LateAttributions } from './late-attributions';
import { setPaidAt } from './paid-at';
import {
  type PurchaseParameters,
  type PurchaseRow,
  purchaseStatement,
  type PurchaseVariant,
} from './purchase-statement';
import { isLimitOvertaken } from './referrer-periods';

/** The result of `recordPurchase`. */
export interface RecordedPurchase {
  purchase: ReferralPurchase;
  /** The commission; null if the purchase earned none: `purchase.noCommission` says why. */
  commission: ReferralCommission | null;
}

const purchaseFields: FieldsOf<PurchaseInput> = {
  ...amountFields,
  ...{ reference: true, at: true, price: true, product: true, manager: true },
  ...namingFields,
};

/** The facts of a purchase, as they were given. */
type GivenPurchase = Pick<
  PurchaseParameters,
  'buyer' | 'reference' | 'amount' | 'currency' | 'rate' | 'price' | 'product' | 'paidAt'
>;

/** The checked input of a purchase, and the referral that it is attributed to. */
export interface PurchasePlan {
  readonly user: UserRef;
  readonly given: GivenPurchase;
  /** How the input names the referral; null if it does not. */
  readonly naming: Naming | null;
  /** Null if there is none; undefined if it was not looked up, because a buyer who has signed up needs none. */
  readonly attributed: BuyersReferral | null | undefined;
  /** What the host's rule of the option `fraud` says about it; null for nothing. */
  readonly sentence: string | null;
}

/** A recorded purchase. */
export interface MadePurchase extends RecordedPurchase {
  /** Whether this call has recorded it. */
  isNew: boolean;
  /** Whether purchases of the buyer may wait for a referrer that is known by now: see {@link Purchases.lookAgain}. */
  mayWait: boolean;
}

/**
 * These foreign keys refuse a purchase whose referral or channel was deleted after the statement's snapshot, or whose
 * coupon was used up.
 */
const goneMeanwhile = new Set<string | null>(['fk_referral_commissions_referral', 'fk_referral_redemptions_channel']);

/**
 * Records purchases, and what they earn the referrers. The commission is computed in
 * `commission-amount.ts`, as a part of `purchaseStatement`.
 */
export class Purchases {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #events: Events;
  readonly #buyersReferrals: BuyersReferrals;
  readonly #late: LateAttributions;
  readonly #exchange: Exchange;
  readonly #settings: Settings;
  readonly #fraud: FraudRules;
  readonly #optionTerms: OptionTerms;
  readonly #purchase: (variant: PurchaseVariant) => Statement<PurchaseParameters>;

  constructor(
    database: Database,
    clock: Clock,
    events: Events,
    buyersReferrals: BuyersReferrals,
    late: LateAttributions,
    exchange: Exchange,
    settings: Settings,
    fraud: FraudRules,
  ) {
    this.#database = database;
    this.#clock = clock;
    this.#events = events;
    this.#buyersReferrals = buyersReferrals;
    this.#late = late;
    this.#exchange = exchange;
    this.#settings = settings;
    this.#fraud = fraud;
    this.#optionTerms = optionTerms(settings);
    const prepared = (variant: PurchaseVariant): Statement<PurchaseParameters> =>
      database.prepared(purchaseStatement(database, variant, fraud.comparesAddresses));
    const [free, limited] = [false, true].map((isLimited) => ({
      plain: prepared({ redeems: false, isLimited }),
      redeeming: prepared({ redeems: true, isLimited }),
    }));
    this.#purchase = ({ redeems, isLimited }) => (isLimited ? limited! : free!)[redeems ? 'redeeming' : 'plain'];
  }

  async record(user: UserRef, input: PurchaseInput): Promise<RecordedPurchase> {
    const checked = this.#planOf(user, input);
    const { manager } = input;
    let plan = await this.#rated(checked, manager);
    if (this.#fraud.hasRule) plan = await this.#asked(await this.#whole(plan, manager), manager);
    else if (plan.naming) plan = await this.#attributed(plan, manager);
    const made = await retryOvertaken(async () => {
      const tried = await this.make(plan, manager);
      // A buyer who has signed up needs no attribution, so it is looked up only now.
      if (tried === overtaken) plan = await this.#attributed(plan, manager);
      return tried;
    });
    if (made.mayWait) await this.lookAgain(made.purchase, manager);
    const commission = await this.#database.nextStep(() => this.#commissionOf(made, manager), manager);
    return { purchase: made.purchase, commission };
  }

  /**
   * Checks the input, and looks up the referral that it names, or the attribution of a buyer who needs one, for which it
   * calls the option `isSamePerson`. It must not run in a transaction of our own.
   */
  async plan(user: UserRef, input: PurchaseInput): Promise<PurchasePlan> {
    const rated = await this.#rated(this.#planOf(user, input), input.manager);
    const plan = await this.#whole(rated, input.manager);
    return this.#fraud.hasRule ? this.#asked(plan, input.manager) : plan;
  }

  /** Looks up the attribution that a plan needs. */
  async #whole(plan: PurchasePlan, manager: EntityManager | undefined): Promise<PurchasePlan> {
    if (plan.naming) return this.#attributed(plan, manager);
    const { buyer, reference } = plan.given;
    const { signups, purchases } = this.#database.tables;
    const decided = sql(
      { buyer, reference },
      ($) => `SELECT FROM ${signups} WHERE user_id = ${$.buyer}
        UNION ALL SELECT FROM ${purchases} WHERE user_id = ${$.buyer} AND reference = ${$.reference}`,
    );
    const isDecided = (await this.#database.query(decided, manager)).length > 0;
    return isDecided ? plan : this.#attributed(plan, manager);
  }

  /** Asks the host's rule about a purchase. */
  async #asked(plan: PurchasePlan, manager: EntityManager | undefined): Promise<PurchasePlan> {
    const { buyer, amount, reference, paidAt } = plan.given;
    const { signups } = this.#database.tables;
    const query = sql({ buyer }, ($) => `SELECT referrer_id FROM ${signups} WHERE user_id = ${$.buyer}`);
    const [signup] = await this.#database.query<{ referrer_id: string | null }>(query, manager);
    const referrer = signup?.referrer_id ?? plan.attributed?.owner ?? null;
    const { code, digits } = this.#currencyIn(plan.given);
    const paid = { amount: shownAmount(amount, digits), currency: code };
    const facts = { about: 'purchase', referrer, referee: buyer, ...paid, reference, at: paidAt, manager } as const;
    return { ...plan, sentence: await this.#fraud.ask(facts) };
  }

  /**
   * Records a purchase, or finds the one with its reference. The plan is overtaken if the buyer has no sign-up and the
   * attribution was not looked up, or if the owner of that referral has changed.
   */
  async make(plan: PurchasePlan, manager: EntityManager | undefined): Promise<MadePurchase | typeof overtaken> {
    // In the transaction of the purchase, where a rule can hold it.
    return this.#fraud.mayHoldPurchases
      ? this.#database.transaction((within) => this.#makeReviewed(plan, within), manager)
      : this.#makeReviewed(plan, manager);
  }

  async #makeReviewed(
    { given, attributed, sentence }: PurchasePlan,
    manager: EntityManager | undefined,
  ): Promise<MadePurchase | typeof overtaken> {
    const row = await retryOvertaken(async () => {
      const tried = await this.#write(given, attributed, manager);
      return tried === overtaken || isRecorded(tried) || tried.isOutdated ? tried : overtaken;
    });
    if (!isRecorded(row)) return overtaken;
    const made = this.#made(row, given, manager);
    // Without a referrer who can earn there is no pair to hold.
    const { referrerId, noCommission } = made.purchase;
    if (!row.isNew || referrerId === null || noCommission === 'suspended') return made;
    if (!row.sharesAddress && sentence === null) return made;
    const look = (): Promise<ReferralReview[]> =>
      this.#fraud.lookAtPurchase(made.purchase, row.sharesAddress, sentence, manager);
    const opened = await this.#database.nextStep(look, manager);
    const { commission } = made;
    if (commission === null || !opened.some(({ isHolding }) => isHolding)) return made;
    const [held] = await this.#database.find(ReferralCommission, { where: { id: commission.id } }, manager);
    return { ...made, commission: held! };
  }

  /**
   * Looks again at what the buyer of a recorded purchase bought without a referrer, if the sign-up or the attribution
   * may have been missed: another call was under way at the same moment, or a process has died. It calls the option
   * `isSamePerson`, so it must not run in a transaction of our own.
   */
  async lookAgain({ userId }: ReferralPurchase, manager: EntityManager | undefined): Promise<void> {
    const asking = { userId, user: userId, req: null, manager };
    await this.#database.nextStep(() => this.#late.arrived(asking), manager);
  }

  #planOf(user: UserRef, input: PurchaseInput): PurchasePlan {
    const { at, price, product } = objectOf('recordPurchase', input, purchaseFields);
    const paid = this.#exchange.given(input, 'not negative');
    const given = {
      buyer: someUserIdOf('user', user),
      ...paid,
      price: isNothing(price) ? null : amountOf('price', price, 'not negative', this.#currencyIn(paid)),
      product: isNothing(product) ? null : textOf('product', product, lengths.name, 1),
      reference: referenceOf('reference', input.reference),
      paidAt: dateOf('at', at),
    };
    return { user, given, naming: namingOf(input), attributed: undefined, sentence: null };
  }

  /** Returns the plan with the rate of an amount in another currency. */
  async #rated(plan: PurchasePlan, manager: EntityManager | undefined): Promise<PurchasePlan> {
    const { buyer: user, reference, paidAt: at } = plan.given;
    const record = { table: 'purchases', user, reference, at } as const;
    return { ...plan, given: await this.#exchange.rated(plan.given, record, manager) };
  }

  async #write(
    given: GivenPurchase,
    attributed: PurchasePlan['attributed'],
    manager: EntityManager | undefined,
  ): Promise<PurchaseRow | typeof overtaken> {
    const parameters: PurchaseParameters = {
      now: this.#clock.parameter(),
      attributedReferral: attributed?.id ?? null,
      attributedOwner: attributed?.owner ?? null,
      isOwnReferral: attributed?.isOwnReferral ?? false,
      isSelfReferral: attributed?.isSelfReferral ?? false,
      pendingDays: this.#settings.commission.pendingDays,
      ...this.#optionTerms,
      isAttributionKnown: attributed !== undefined,
      ...given, // last, because V8 is slow to add properties to a copy
    };
    // With a limit of the option, most purchases have one.
    const first = { redeems: false, isLimited: this.#optionTerms.optionMaxPerReferrer !== null };
    const run = async (variant: PurchaseVariant): Promise<PurchaseRow> => {
      const query = this.#purchase(variant).with(parameters);
      const [row] = await this.#database.attempt((within) => this.#database.query<PurchaseRow>(query, within), manager);
      const needs = { redeems: variant.redeems || row!.isRedeeming, isLimited: variant.isLimited || row!.isLimited };
      const isEnough = needs.redeems === variant.redeems && needs.isLimited === variant.isLimited;
      return isEnough || isRecorded(row!) ? row! : run(needs);
    };
    try {
      return await run(first);
    } catch (error) {
      if (goneMeanwhile.has(violatedConstraint(error)) || isLimitOvertaken(error)) return overtaken;
      throw isOutOfRange(error) ? this.#exchange.tooLarge(given) : error;
    }
  }

  #made(row: PurchaseRow, given: GivenPurchase, manager: EntityManager | undefined): MadePurchase {
    const purchase = this.#database.entity(ReferralPurchase, row, 'purchase.');
    const commission = this.#commissionIn(row);
    if (!row.isSame)
      throw referralError(
        'REFERENCE_REUSED',
        given.reference,
        `a purchase of ${shownOf(purchase)}`,
        `one of ${shownOf(given)}`,
      );
    if (row.isNew) this.#events.emit(manager, 'purchase', purchase);
    if (row.isNew && commission) this.#events.emit(manager, 'commissionEarned', commission);
    return {
      purchase,
      commission,
      isNew: row.isNew,
      mayWait: row.isNew ? row.isFirstCredited : isUndecided(purchase.noCommission),
    };
  }

  async #attributed(plan: PurchasePlan, manager: EntityManager | undefined): Promise<PurchasePlan> {
    const { user, given, naming } = plan;
    const asking = { userId: given.buyer, user, req: null, manager };
    const attributed = naming ? await this.#named(naming, asking, given) : await this.#buyersReferrals.ofBuyer(asking);
    return { ...plan, attributed };
  }

  /**
   * Returns the referral that a purchase names. A purchase that is recorded needs none: it is returned even if the
   * referral is deleted, or its code renamed, by now.
   */
  async #named(naming: Naming, asking: Asking, { buyer, reference }: GivenPurchase): Promise<BuyersReferral | null> {
    try {
      return await this.#buyersReferrals.named(naming, asking);
    } catch (error) {
      const { purchases } = this.#database.tables;
      const query = sql(
        { buyer, reference },
        ($) => `SELECT FROM ${purchases} WHERE user_id = ${$.buyer} AND reference = ${$.reference}`,
      );
      const isMissing = error instanceof ReferralError && error.code === 'NOT_FOUND';
      if (!isMissing || (await this.#database.query(query, asking.manager)).length === 0) throw error;
      return null;
    }
  }

  /** Returns the commission of a recorded purchase, which a second look may have made, or staff moved; null if there is none. */
  async #commissionOf(
    { purchase, commission, isNew, mayWait }: MadePurchase,
    manager: EntityManager | undefined,
  ): Promise<ReferralCommission | null> {
    const isMoved = !isNew && commission === null && purchase.noCommission === null;
    const found = commission ?? (mayWait || isMoved ? await this.#late.commissionOf(purchase, manager) : null);
    if (found) await setPaidAt(this.#database, [found], manager);
    return found;
  }

  /** Returns the currency of an amount. */
  #currencyIn({ currency }: { currency: string | null }): Currency {
    return currency === null ? this.#database.currency : currencyOf(currency);
  }

  #commissionIn(row: Pick<PurchaseRow, 'commission.id'>): ReferralCommission | null {
    return row['commission.id'] === null ? null : this.#database.entity(ReferralCommission, row, 'commission.');
  }
}

/** Whether the result has a purchase, new or not. */
function isRecorded(row: PurchaseRow): boolean {
  return row['purchase.userId'] !== null;
}
