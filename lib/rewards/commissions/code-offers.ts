import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { timeOf } from '../../database/statement-time';
import { shownAmount } from '../../entities/columns';
import { ReferralChannel } from '../../entities/referral-channel';
import type { Settings } from '../../options';
import { isOpen } from './channel-terms';

/** What a code offers: a discount to those who use it, a commission to its owner. */
export interface CodeOffer {
  code: string;
  /** Null if there is no discount, or not now. */
  promo: Pick<ReferralChannel, 'promoType' | 'promoValue' | 'isRecurring'> | null;
  /** Decimal strings. */
  initialRate: string;
  ongoingRate: string;
  initialRatePeriodDays: number;
  /** Null for no limit. */
  maxPerReferee: string | null;
}

/** What codes offer, by the channel, the program or the option. */
export class CodeOffers {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #settings: Settings['commission'];

  constructor(database: Database, clock: Clock, { commission }: Settings) {
    this.#database = database;
    this.#clock = clock;
    this.#settings = commission;
  }

  /** By the code in any case, or by the id of its referral; null if there is none. */
  async of(code: string | number): Promise<CodeOffer | null> {
    const { referrals, programs, channels } = this.#database.tables;
    const isId = typeof code === 'number';
    const [row] = await this.#database.query<Row>(
      `SELECT r.code, p.commission_ratio::text AS ratio, p.commission_max_per_referee::text AS max, ${isOpen(timeOf('$2'))} AS "isOpen",
         ${this.#database.columns(ReferralChannel, 'c', 'channel.')}
       FROM ${referrals} r LEFT JOIN ${programs} p ON p.id = r.program_id LEFT JOIN ${channels} c ON c.id = r.id
       WHERE ${isId ? 'r.id = $1' : 'lower(r.code) = lower($1)'}`,
      [code, this.#clock.parameter()],
    );
    if (!row) return null;
    if (row['channel.id'] !== null) {
      const channel = this.#database.entity(ReferralChannel, row, 'channel.');
      const { initialRate, ongoingRate, initialRatePeriodDays, maxEarningsPerReferred: maxPerReferee } = channel;
      const rates = { initialRate, ongoingRate, initialRatePeriodDays, maxPerReferee };
      return { code: row.code, promo: row.isOpen ? channel : null, ...rates };
    }
    const ratio = shownAmount(row.ratio ?? this.#settings.ratio);
    const max = row.ratio === null ? this.#settings.maxPerReferee : row.max;
    return {
      ...{ code: row.code, promo: null, initialRate: ratio, ongoingRate: ratio, initialRatePeriodDays: 0 },
      maxPerReferee: max === null ? null : shownAmount(max),
    };
  }
}

interface Row {
  'code': string;
  'ratio': string | null;
  'max': string | null;
  'isOpen': boolean | null;
  'channel.id': string | null;
}
