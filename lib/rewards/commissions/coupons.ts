import type { Request } from 'express';
import type { EntityManager } from 'typeorm';
import { shownRatio } from '../../currency';
import type { Clock } from '../../database/clock';
import { idOfCode } from '../../database/codes';
import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import { overtaken, retryOvertaken } from '../../database/retry';
import { timeOf } from '../../database/statement-time';
import { referralError } from '../../errors';
import { amountOf, isNothing, objectOf, someUserIdOf, textOf, trimmed } from '../../input';
import { lengths } from '../../limits';
import type { SamePerson } from '../../tracking/same-person';
import type { Coupon, CouponRefusal, GiveBackOptions, Quote, QuoteOptions } from '../../types/commissions';
import type { Amount, UserRef, WithManager } from '../../types/common';
import { type Audit, reasonedStaffOf, staffFields } from '../records/audit';
import { takeTurn } from '../records/buyer-turn';
import { discount, isExpired, isOn, isOpen, isUsedUp, refusal } from './channel-terms';
import { Redemptions } from './redemptions';

export interface ApplyOptions extends WithManager {
  /** The request of the user, for the option `isSamePerson`. */
  req?: Request;
}

/** Applies, shows and removes users' coupons. A user has at most one applied coupon at a time. */
export class Coupons {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #samePerson: SamePerson;
  readonly #audit: Audit;
  readonly #redemptions: Redemptions;

  /** @internal */
  constructor(database: Database, clock: Clock, samePerson: SamePerson, audit: Audit) {
    this.#database = database;
    this.#clock = clock;
    this.#samePerson = samePerson;
    this.#audit = audit;
    this.#redemptions = new Redemptions(database, clock);
  }

  /**
   * Returns the coupon that a user has applied and whose discount the next purchase gets; null if there is none.
   *
   * @throws ReferralError `INVALID_INPUT`; `DATABASE_UNAVAILABLE`.
   */
  async of(user: UserRef, options: WithManager = {}): Promise<Coupon | null> {
    const { manager } = objectOf('coupons.of', options, { manager: true });
    return this.#applied(someUserIdOf('user', user), manager);
  }

  /**
   * Applies a coupon by its code, in any case. It replaces the coupon that was applied before. The next purchase
   * redeems it, unless other buyers have used it up by then (`maxRedemptions`): to apply it keeps no place.
   *
   * @throws ReferralError `COUPON_NOT_FOUND`, `COUPON_INACTIVE`, `COUPON_EXPIRED`, `COUPON_OWN`, `COUPON_REDEEMED`,
   * `COUPON_USED_UP`, `COUPON_FIRST_PURCHASE_ONLY`; `INVALID_INPUT`; `DATABASE_UNAVAILABLE`.
   */
  async apply(user: UserRef, code: string, options: ApplyOptions = {}): Promise<Coupon> {
    const { req, manager } = objectOf('coupons.apply', options, { req: true, manager: true });
    const userId = someUserIdOf('user', user);
    const typed = trimmed(textOf('code', code, Infinity));
    return retryOvertaken(async () => {
      const found = await this.#channelOfCode(typed, userId, manager);
      const refusal = refusalOf(found);
      if (refusal) throw referralError(refusal, typed);
      // Before a row lock is taken, because the option isSamePerson may be slow.
      const isOwn = await this.#samePerson.is(found!.ownerId, { userId, user, req: req ?? null, manager });
      if (isOwn && this.#samePerson.refuses) throw referralError('COUPON_OWN', typed);
      const used = refusalByUse(found!);
      if (used) throw referralError(used, typed);
      return this.#database.transaction(async (within) => {
        await takeTurn(this.#database, userId, within);
        // Read again under the lock, because the channel and the buyer may have changed since.
        const channel = await this.#channelOfCode(typed, userId, within);
        const late = refusalOf(channel) ?? refusalByUse(channel!);
        if (late) throw referralError(late, typed);
        if (channel!.ownerId !== found!.ownerId) return overtaken; // isSamePerson was called for another owner
        await this.#set(userId, channel!.id, isOwn && this.#samePerson.flags, within);
        return (await this.#applied(userId, within))!;
      }, manager);
    });
  }

  /**
   * Removes the coupon that a user has applied. A redeemed coupon stays applied.
   *
   * @throws ReferralError `INVALID_INPUT`; `DATABASE_UNAVAILABLE`.
   */
  async remove(user: UserRef, options: WithManager = {}): Promise<void> {
    const { manager } = objectOf('coupons.remove', options, { manager: true });
    await this.#database.query(
      sql(
        { user: someUserIdOf('user', user) },
        ($) => `
        UPDATE ${this.#database.tables.buyers} SET channel_id = NULL, applied_at = NULL, version = version + 1
        WHERE user_id = ${$.user} AND channel_id IS NOT NULL AND NOT is_redeemed`,
      ),
      manager,
    );
  }

  /**
   * Gives a user a redeemed coupon back: the one that was redeemed last, or that of `code`. The place counts as free again,
   * and the user may apply the coupon once more. What was bought with it, and earned by it, stays as it is. A repeated
   * call changes nothing.
   *
   * @returns whether this call gave it back; false if the user has it back already.
   * @throws ReferralError `NOT_FOUND` if the user has redeemed no coupon, or not that one; `INVALID_INPUT` naming the
   * field; `DATABASE_UNAVAILABLE`.
   */
  async giveBack(user: UserRef, options: GiveBackOptions): Promise<boolean> {
    const given = objectOf<GiveBackOptions>('coupons.giveBack', options, { code: true, ...staffFields });
    const userId = someUserIdOf('user', user);
    const author = reasonedStaffOf(given);
    const typed = isNothing(given.code) ? null : trimmed(textOf('code', given.code, Infinity));
    return this.#database.transaction(async (within) => {
      await takeTurn(this.#database, userId, within);
      const channel = await this.#redeemedBy(userId, typed, within);
      if (channel === null)
        throw referralError('NOT_FOUND', 'redeemed coupon', typed === null ? 'user' : 'code', [typed ?? userId]);
      const purchase = await this.#redemptions.giveBack(userId, channel, within);
      if (purchase === null) return false;
      const change = { call: 'coupons.giveBack', subject: 'channel', subjectId: channel, userId };
      await this.#audit.record([{ ...change, before: { redeemedBy: purchase }, after: null }], author, within);
      return true;
    }, given.manager);
  }

  /** Returns the channel whose coupon a user has redeemed last, or that of a code if it is redeemed. */
  async #redeemedBy(user: string, code: string | null, manager: EntityManager): Promise<string | null> {
    const { buyers, redemptions } = this.#database.tables;
    const [row] = await this.#database.query<{ id: string }>(
      sql(
        { user, code },
        ($) => `
        SELECT d.channel_id AS id FROM ${redemptions} d JOIN ${buyers} b ON b.user_id = d.user_id
        WHERE d.user_id = ${$.user} AND d.channel_id = CASE WHEN ${$.code}::text IS NULL THEN b.last_channel_id
          ELSE ${idOfCode(this.#database.tables, `${$.code}::text`)} END`,
      ),
      manager,
    );
    return row?.id ?? null;
  }

  /**
   * Returns what a purchase of an amount costs the buyer. In a transaction, it locks the buyer's row, so that the
   * coupon can't change before the transaction ends, and the code of a coupon with a limit, so that other buyers can't
   * use it up.
   */
  async quote(user: UserRef, amount: Amount, options: QuoteOptions = {}): Promise<Quote> {
    const { manager, product } = objectOf<QuoteOptions>('quote', options, { product: true, manager: true });
    const checked = {
      user: someUserIdOf('user', user),
      amount: amountOf('amount', amount, 'not negative', this.#database.currency),
    };
    const named = isNothing(product) ? null : textOf('product', product, lengths.name, 1);
    if (manager?.queryRunner?.isTransactionActive) {
      await takeTurn(this.#database, checked.user, manager);
      await this.#lockLimited(checked.user, manager);
    }
    const parameters = { ...checked, product: named, now: this.#clock.parameter() };
    const { digits } = this.#database.currency;
    const { buyers, channels, referrals } = this.#database.tables;
    const [row] = await this.#database.query<QuoteRow>(
      sql(parameters, ($) => {
        const price = `${$.amount}::numeric`;
        return `
        SELECT ${price}::text AS amount, coalesce(q.discount, 0)::text AS discount,
          (${price} - coalesce(q.discount, 0))::text AS total, q.code, q.refusal
        FROM (SELECT) AS always LEFT JOIN (
          SELECT k.code, k.refusal, CASE WHEN k.refusal IS NULL THEN k.discount ELSE 0 END AS discount
          FROM (
            SELECT r.code, ${discount(price, digits)} AS discount, ${refusal(timeOf($.now), price, $.product)} AS refusal
            FROM ${buyers} b JOIN ${channels} c ON c.id = b.channel_id JOIN ${referrals} r ON r.id = c.id
            WHERE b.user_id = ${$.user}
          ) AS k
        ) AS q ON true`;
      }),
      manager,
    );
    const { amount: price, discount: off, total, code, refusal: refused } = row!;
    const shown = (one: string): string => this.#database.shown(one);
    return {
      ...{ amount: shown(price), discount: shown(off), total: shown(total) },
      code: refused === null ? code : null,
      ...(refused !== null && { noDiscount: { code: refused, message: referralError(refused, code!).message } }),
    };
  }

  /** Locks the referral of the coupon that a user has applied, and not yet redeemed, if it has a limit. */
  async #lockLimited(userId: string, manager: EntityManager): Promise<void> {
    const { buyers, referrals } = this.#database.tables;
    await this.#database.query(
      sql(
        { user: userId },
        ($) => `
        SELECT FROM ${referrals} r
        WHERE r.id = (SELECT channel_id FROM ${buyers} WHERE user_id = ${$.user} AND NOT is_redeemed)
          AND (r.allowed_uses <> -1 OR r.max_redemptions IS NOT NULL)
        FOR NO KEY UPDATE`,
      ),
      manager,
    );
  }

  /** Returns the channel of a code, if there is one, and prevents its deletion with a row lock (`FOR KEY SHARE`). */
  async #channelOfCode(
    code: string,
    userId: string,
    manager: EntityManager | undefined,
  ): Promise<CouponChannelRow | undefined> {
    const { channels, referrals, redemptions, buyers } = this.#database.tables;
    const [channel] = await this.#database.query<CouponChannelRow>(
      sql(
        { user: userId, code, now: this.#clock.parameter() },
        ($) => `
        SELECT c.id, r.user_id AS "ownerId", ${isOpen('at.now')} AS "isOpen",
          ${isExpired('at.now')} AS "isExpired", ${isUsedUp} AS "isUsedUp",
          EXISTS (
            SELECT FROM ${redemptions} WHERE user_id = ${$.user} AND channel_id = c.id AND given_back_at IS NULL
          ) AS "isRedeemed",
          c.first_purchase_only AND EXISTS (
            SELECT FROM ${buyers} WHERE user_id = ${$.user} AND first_purchase_at IS NOT NULL
          ) AS "isTooLate"
        FROM (SELECT ${timeOf($.now)} AS now) AS at
        CROSS JOIN ${referrals} r JOIN ${channels} c ON c.id = r.id
        WHERE r.id = ${idOfCode(this.#database.tables, $.code)}
        FOR KEY SHARE OF c`,
      ),
      manager,
    );
    return channel;
  }

  /** Applies a coupon. It replaces a redeemed one too, which then no longer stays applied. */
  async #set(userId: string, channelId: string, isSelfReferral: boolean, manager: EntityManager): Promise<void> {
    const { buyers, redemptions } = this.#database.tables;
    await this.#database.query(
      sql(
        { user: userId, channel: channelId, isSelfReferral, now: this.#clock.parameter() },
        ($) => `
        WITH replaced AS (
          UPDATE ${redemptions} SET is_kept = false WHERE user_id = ${$.user} AND is_kept
        )
        UPDATE ${buyers} SET channel_id = ${$.channel}, is_own_channel = ${$.isSelfReferral}::boolean,
          is_redeemed = false, applied_at = ${timeOf($.now)}
        WHERE user_id = ${$.user}`,
      ),
      manager,
    );
  }

  async #applied(userId: string, manager: EntityManager | undefined): Promise<Coupon | null> {
    const { buyers, channels, referrals } = this.#database.tables;
    const [row] = await this.#database.query<CouponRow>(
      sql(
        { user: userId, now: this.#clock.parameter() },
        ($) => `
        SELECT c.id AS "channelId", r.code, c.promo_type AS "promoType", c.promo_value::text AS "promoValue",
          c.description, c.is_recurring AS "isRecurring"
        FROM ${buyers} b JOIN ${channels} c ON c.id = b.channel_id JOIN ${referrals} r ON r.id = c.id
        WHERE b.user_id = ${$.user} AND ${isOn(timeOf($.now))}`,
      ),
      manager,
    );
    if (!row) return null;
    const { channelId, promoType, promoValue } = row;
    const shown = promoType === 'value_off' ? this.#database.shown(promoValue) : shownRatio(promoValue);
    return { ...row, channelId: Number(channelId), promoValue: shown };
  }
}

function refusalOf(channel: CouponChannelRow | undefined): CouponRefusal | null {
  if (!channel) return 'COUPON_NOT_FOUND';
  if (channel.isExpired) return 'COUPON_EXPIRED';
  return channel.isOpen ? null : 'COUPON_INACTIVE';
}

/**
 * Refuses a coupon that the user, or as many buyers as it allows, have redeemed, and one for first purchases if the user
 * has bought before.
 */
function refusalByUse({ isRedeemed, isUsedUp, isTooLate }: CouponChannelRow): CouponRefusal | null {
  if (isRedeemed) return 'COUPON_REDEEMED';
  if (isTooLate) return 'COUPON_FIRST_PURCHASE_ONLY';
  return isUsedUp ? 'COUPON_USED_UP' : null;
}

/** The channel of a code, and its state for a user. */
interface CouponChannelRow {
  id: string;
  ownerId: string | null;
  isOpen: boolean;
  isExpired: boolean;
  /** Whether as many buyers as the code allows have redeemed its coupon. */
  isUsedUp: boolean;
  /** Whether the user has redeemed its coupon, and has it not back. */
  isRedeemed: boolean;
  /** Whether its coupon is for first purchases, and the user has bought before. */
  isTooLate: boolean;
}

interface CouponRow extends Omit<Coupon, 'channelId'> {
  channelId: string;
}

/** Amounts have the format of PostgreSQL. */
interface QuoteRow {
  amount: string;
  discount: string;
  total: string;
  /** The code of the coupon that is applied. */
  code: string | null;
  /** Why it gives no discount. */
  refusal: CouponRefusal | null;
}
