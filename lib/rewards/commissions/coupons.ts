import type { Request } from 'express';
import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { timeOf } from '../../database/statement-time';
import { shownAmount } from '../../entities/columns';
import { referralError, type ReferralErrorCode } from '../../errors';
import { amountOf, objectOf, someUserIdOf, textOf } from '../../input';
import type { Settings } from '../../options';
import type { Coupon, Quote } from '../../types/commissions';
import type { Amount, UserRef, WithManager } from '../../types/common';
import { takeTurn } from '../records/buyer-turn';
import { discount, isOn, isOpen } from './channel-terms';

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
    const found = await this.#found(typed, userId, manager);
    const refusal = refusalOf(found, userId) ?? (await this.#isOwners(found!, user, userId, req, manager));
    if (refusal) throw referralError(refusal, typed);
    return this.#database.transaction(async (within) => {
      await takeTurn(this.#database, userId, within);
      // Again: what was found before was not locked.
      const still = await this.#found(typed, userId, within);
      const late = refusalOf(still, userId) ?? (still!.isRedeemed ? 'COUPON_REDEEMED' : null);
      if (late) throw referralError(late, typed);
      await this.#database.query(
        `UPDATE ${this.#database.tables.buyers} SET channel_id = $2, is_redeemed = false, applied_at = ${timeOf('$3')}
         WHERE user_id = $1`,
        [userId, still!.id, this.#clock.parameter()],
        within,
      );
      return (await this.#of(userId, within))!;
    }, manager);
  }

  /** Takes off the coupon that a user has applied. One that is redeemed stays. */
  async remove(user: UserRef, options: WithManager = {}): Promise<void> {
    const { manager } = objectOf('coupons.remove', options, ['manager']);
    await this.#database.query(
      `UPDATE ${this.#database.tables.buyers} SET channel_id = NULL, applied_at = NULL, version = version + 1
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
    if (manager?.queryRunner?.isTransactionActive) await takeTurn(this.#database, userId, manager);
    const { buyers, channels, referrals } = this.#database.tables;
    const [row] = await this.#database.query<Quote>(
      `SELECT $2::numeric::text AS amount, coalesce(q.discount, 0)::text AS discount,
         ($2::numeric - coalesce(q.discount, 0))::text AS total, q.code
       FROM (SELECT) AS always LEFT JOIN (
         SELECT ${discount('$2::numeric')} AS discount, r.code
         FROM ${buyers} b JOIN ${channels} c ON c.id = b.channel_id JOIN ${referrals} r ON r.id = c.id
         WHERE b.user_id = $1 AND ${isOn(timeOf('$3'))}
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

  async #found(code: string, userId: string, manager: EntityManager | undefined): Promise<Found | undefined> {
    const { channels, referrals, redemptions } = this.#database.tables;
    // The channel stays until the transaction ends.
    const [found] = await this.#database.query<Found>(
      `SELECT c.id, r.user_id AS "ownerId", ${isOpen('at.now')} AS "isOpen",
         coalesce(c.is_active AND c.end_date <= at.now, false) AS "isExpired",
         EXISTS (SELECT FROM ${redemptions} WHERE user_id = $1 AND channel_id = c.id) AS "isRedeemed"
       FROM (SELECT ${timeOf('$3')} AS now) AS at
       CROSS JOIN ${referrals} r JOIN ${channels} c ON c.id = r.id WHERE lower(r.code) = lower($2)
       FOR KEY SHARE OF c`,
      [userId, code, this.#clock.parameter()],
      manager,
    );
    return found;
  }

  async #of(userId: string, manager: EntityManager | undefined): Promise<Coupon | null> {
    const { buyers, channels, referrals } = this.#database.tables;
    const [row] = await this.#database.query<Coupon>(
      `SELECT c.id AS "channelId", r.code, c.promo_type AS "promoType", c.promo_value::text AS "promoValue", c.description,
         c.is_recurring AS "isRecurring"
       FROM ${buyers} b JOIN ${channels} c ON c.id = b.channel_id JOIN ${referrals} r ON r.id = c.id
       WHERE b.user_id = $1 AND ${isOn(timeOf('$2'))}`,
      [userId, this.#clock.parameter()],
      manager,
    );
    return row ? { ...row, channelId: Number(row.channelId), promoValue: shownAmount(row.promoValue) } : null;
  }

  /** Before anything is locked: the host's own test may take its time. */
  async #isOwners(
    { ownerId }: Found,
    user: UserRef,
    userId: string,
    req: Request | undefined,
    manager: EntityManager | undefined,
  ): Promise<CouponRefusal | null> {
    const { selfReferral, isSamePerson } = this.#settings;
    if (ownerId === null || selfReferral === 'allow') return null;
    const isSame = await isSamePerson(ownerId, userId, { req: req ?? null, user, manager });
    return isSame ? 'COUPON_OWN' : null;
  }
}

function refusalOf(found: Found | undefined, userId: string): CouponRefusal | null {
  if (!found) return 'COUPON_NOT_FOUND';
  if (found.isExpired) return 'COUPON_EXPIRED';
  if (!found.isOpen) return 'COUPON_INACTIVE';
  return found.ownerId === userId ? 'COUPON_OWN' : null;
}

export type CouponRefusal = Extract<ReferralErrorCode, `COUPON_${string}`>;

interface Found {
  id: string;
  ownerId: string | null;
  isOpen: boolean;
  isExpired: boolean;
  isRedeemed: boolean;
}
