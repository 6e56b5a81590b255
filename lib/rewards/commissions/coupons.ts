import type { Request } from 'express';
import type { EntityManager } from 'typeorm';
import { shownAmount } from '../../entities/columns';
import type { Coupon, Quote } from '../../earning-types';
import { referralError, type ReferralErrorCode } from '../../errors';
import { amountOf, objectOf, someUserIdOf, textOf } from '../../input';
import type { Settings } from '../../options';
import type { Amount } from '../../reward-types';
import type { UserRef, WithManager } from '../../types';
import type { Clock } from '../../tracking/clock';
import type { Database } from '../../tracking/database';
import { timeOf } from '../time';
import { discount, isOpen } from './channel-terms';

export interface ApplyOptions extends WithManager {
  /** The request of the user, for the option `isSamePerson`. */
  req?: Request;
}

/** The coupons that buyers have applied: one a buyer at a time. */
export class Coupons {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #settings: Settings;

  /** @internal */
  constructor(database: Database, clock: Clock, settings: Settings) {
    this.#database = database;
    this.#clock = clock;
    this.#settings = settings;
  }

  /** The coupon that a user has applied and can use, or goes on using; null for none. */
  async of(user: UserRef, options: WithManager = {}): Promise<Coupon | null> {
    const { manager } = objectOf('coupons.of', options, ['manager']);
    return this.#of(someUserIdOf('user', user), manager);
  }

  /**
   * Applies a coupon, by its code in any case, in place of the one before. The next purchase redeems it.
   *
   * @throws ReferralError `COUPON_NOT_FOUND`, `COUPON_INACTIVE`, `COUPON_EXPIRED`, `COUPON_OWN`, `COUPON_REDEEMED`; `INVALID_INPUT`.
   */
  async apply(user: UserRef, code: string, options: ApplyOptions = {}): Promise<Coupon> {
    const { req, manager } = objectOf('coupons.apply', options, ['req', 'manager']);
    const userId = someUserIdOf('user', user);
    const typed = textOf('code', code, Infinity).trim();
    const { channels, referrals, buyers, redemptions } = this.#database.tables;
    return this.#database.transaction(async (within) => {
      await this.lock(userId, within);
      const [found] = await this.#database.query<Found>(
        `SELECT c.id, r.user_id AS "ownerId", ${isOpen('at.now')} AS "isOpen",
           coalesce(c.is_active AND c.end_date <= at.now, false) AS "isExpired",
           EXISTS (SELECT FROM ${redemptions} WHERE user_id = $1 AND channel_id = c.id) AS "isRedeemed"
         FROM (SELECT ${timeOf('$3')} AS now) AS at
         JOIN ${referrals} r ON lower(r.code) = lower($2) JOIN ${channels} c ON c.id = r.id`,
        [userId, typed, this.#clock.parameter()],
        within,
      );
      const refusal = await this.#refusalOf(found, user, userId, req ?? null, within);
      if (refusal) throw referralError(refusal, typed);
      await this.#database.query(
        `UPDATE ${buyers} SET channel_id = $2, is_redeemed = false, applied_at = ${timeOf('$3')} WHERE user_id = $1`,
        [userId, found!.id, this.#clock.parameter()],
        within,
      );
      return (await this.#of(userId, within))!;
    }, manager);
  }

  /** Takes off the coupon that a user has applied. One that is redeemed stays. */
  async remove(user: UserRef, options: WithManager = {}): Promise<void> {
    const { manager } = objectOf('coupons.remove', options, ['manager']);
    await this.#database.query(
      `UPDATE ${this.#database.tables.buyers} SET channel_id = NULL, applied_at = NULL
       WHERE user_id = $1 AND channel_id IS NOT NULL AND NOT is_redeemed`,
      [someUserIdOf('user', user)],
      manager,
    );
  }

  /** What a purchase of an amount would cost the buyer. In a transaction, the coupon stays what it is until the end. */
  async quote(user: UserRef, amount: Amount, options: WithManager): Promise<Quote> {
    const { manager } = objectOf('quote', options, ['manager']);
    const userId = someUserIdOf('user', user);
    const wanted = amountOf('amount', amount, 'not negative');
    if (manager?.queryRunner?.isTransactionActive) await this.lock(userId, manager);
    const { buyers, channels, referrals } = this.#database.tables;
    const [row] = await this.#database.query<Quote>(
      `SELECT $2::numeric::text AS amount, coalesce(q.discount, 0)::text AS discount,
         ($2::numeric - coalesce(q.discount, 0))::text AS total, q.code
       FROM (SELECT) AS always LEFT JOIN (
         SELECT ${discount('$2::numeric')} AS discount, r.code
         FROM ${buyers} b JOIN ${channels} c ON c.id = b.channel_id JOIN ${referrals} r ON r.id = c.id
         WHERE b.user_id = $1 AND (b.is_redeemed OR ${isOpen(timeOf('$3'))})
       ) AS q ON true`,
      [userId, wanted, this.#clock.parameter()],
      manager,
    );
    const quote = row!;
    return {
      amount: shownAmount(quote.amount),
      discount: shownAmount(quote.discount),
      total: shownAmount(quote.total),
      code: quote.code,
    };
  }

  /** Makes and locks the row on which all that a buyer does takes turns. @internal */
  async lock(userId: string, manager: EntityManager): Promise<void> {
    const { buyers } = this.#database.tables;
    const insert = `INSERT INTO ${buyers} (user_id) VALUES ($1) ON CONFLICT DO NOTHING`;
    await this.#database.query(insert, [userId], manager);
    const lock = `SELECT FROM ${buyers} WHERE user_id = $1 FOR NO KEY UPDATE`;
    await this.#database.query(lock, [userId], manager);
  }

  async #of(userId: string, manager: EntityManager | undefined): Promise<Coupon | null> {
    const { buyers, channels, referrals } = this.#database.tables;
    const [row] = await this.#database.query<Coupon>(
      `SELECT c.id AS "channelId", r.code, c.promo_type AS "promoType", c.promo_value::text AS "promoValue", c.description,
         c.is_recurring AS "isRecurring"
       FROM ${buyers} b JOIN ${channels} c ON c.id = b.channel_id JOIN ${referrals} r ON r.id = c.id
       WHERE b.user_id = $1 AND (b.is_redeemed OR ${isOpen(timeOf('$2'))})`,
      [userId, this.#clock.parameter()],
      manager,
    );
    return row ? { ...row, channelId: Number(row.channelId), promoValue: shownAmount(row.promoValue) } : null;
  }

  async #refusalOf(
    found: Found | undefined,
    user: UserRef,
    userId: string,
    req: Request | null,
    manager: EntityManager,
  ): Promise<CouponRefusal | null> {
    if (!found) return 'COUPON_NOT_FOUND';
    const { selfReferral, isSamePerson } = this.#settings;
    if (found.isExpired) return 'COUPON_EXPIRED';
    if (!found.isOpen) return 'COUPON_INACTIVE';
    if (found.ownerId === userId) return 'COUPON_OWN';
    if (selfReferral !== 'allow' && found.ownerId !== null) {
      const isSame = await isSamePerson(found.ownerId, userId, { req, user, manager });
      if (isSame) return 'COUPON_OWN';
    }
    return found.isRedeemed ? 'COUPON_REDEEMED' : null;
  }
}

export type CouponRefusal = Extract<ReferralErrorCode, `COUPON_${string}`>;

interface Found {
  id: string;
  ownerId: string | null;
  isOpen: boolean;
  isExpired: boolean;
  isRedeemed: boolean;
}
