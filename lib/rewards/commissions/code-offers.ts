import { shownRatio } from '../../currency';
import type { Clock } from '../../database/clock';
import { idOfCode } from '../../database/codes';
import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import { ReferralChannel } from '../../entities/referral-channel';
import type { Settings } from '../../options';
import { isOpen, isUsedUp } from './channel-terms';

/**
 * What a code offers: a discount for the buyer who applies it, and a commission for its owner. Amounts are decimal
 * strings.
 */
export interface CodeOffer {
  code: string;
  /** The discount; null if there is none at present, or if the coupon is used up. */
  promo: Pick<ReferralChannel, 'promoType' | 'promoValue' | 'isRecurring'> | null;
  initialRate: string;
  ongoingRate: string;
  initialRatePeriodDays: number;
  /** The most that one referee can earn the owner; null for no limit. */
  maxPerReferee: string | null;
}

/**
 * Looks up what codes offer. The terms are those of the channel, else of the program, else of the option `commission`.
 */
export class CodeOffers {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #settings: Settings['commission'];

  constructor(database: Database, clock: Clock, { commission }: Settings) {
    this.#database = database;
    this.#clock = clock;
    this.#settings = commission;
  }

  /** Returns the offer of a code, in any case; null if no referral has the code, or once had it. */
  offerOfCode(code: string): Promise<CodeOffer | null> {
    return this.#offer(code, (given) => idOfCode(this.#database.tables, given));
  }

  /** Returns the offer of a referral's code; null if there is no such referral. */
  offerOfReferral(id: number): Promise<CodeOffer | null> {
    return this.#offer(id, (given) => given);
  }

  async #offer(given: string | number, idOf: (given: string) => string): Promise<CodeOffer | null> {
    const { referrals, programs, channels } = this.#database.tables;
    const [row] = await this.#database.query<OfferRow>(
      sql(
        { given, now: this.#clock.parameter() },
        ($) => `
        SELECT r.code, p.commission_ratio::text AS ratio, p.commission_amount::text AS amount, p.commission_max_per_referee::text AS max,
          ${isOpen(timeOf($.now))} AND NOT ${isUsedUp} AS "isOpen", ${this.#database.columns(ReferralChannel, 'c', 'channel.')}
        FROM ${referrals} r LEFT JOIN ${programs} p ON p.id = r.program_id LEFT JOIN ${channels} c ON c.id = r.id
        WHERE r.id = ${idOf($.given)}`,
      ),
    );
    if (!row) return null;
    return row['channel.id'] === null ? this.#offerOfProgram(row) : this.#offerOfChannel(row);
  }

  #offerOfChannel(row: OfferRow): CodeOffer {
    const channel = this.#database.entity(ReferralChannel, row, 'channel.');
    const { initialRate, ongoingRate, initialRatePeriodDays, maxEarningsPerReferred: maxPerReferee } = channel;
    // A flat amount is no share: the offer has no rates then.
    const isFlat = channel.commissionAmount !== null;
    const rates = { initialRatePeriodDays, ...(isFlat ? noRates : { initialRate, ongoingRate }), maxPerReferee };
    return { code: row.code, promo: row.isOpen ? channel : null, ...rates };
  }

  #offerOfProgram({ code, ...program }: OfferRow): CodeOffer {
    const isOwn = program.ratio !== null || program.amount !== null;
    const rate = shownRatio((isOwn ? program.ratio : this.#settings.ratio) ?? '0');
    const max = isOwn ? program.max : this.#settings.maxPerReferee;
    return {
      ...{ code, promo: null, initialRate: rate, ongoingRate: rate, initialRatePeriodDays: 0 },
      maxPerReferee: max === null ? null : this.#database.shown(max),
    };
  }
}

const noRates = { initialRate: '0.00', ongoingRate: '0.00' };

/** A referral's code, with the terms of its program and the columns of its channel, or nulls if it has none. */
interface OfferRow {
  'code': string;
  'ratio': string | null;
  'amount': string | null;
  'max': string | null;
  'isOpen': boolean | null;
  'channel.id': string | null;
}
