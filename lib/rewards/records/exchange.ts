import type { EntityManager } from 'typeorm';
import { aCurrency, currencyOf, isCurrency } from '../../currency';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import { invalid, type ReferralError, referralError } from '../../errors';
import { amountOf, isNothing, numeralOf } from '../../input';
import type { Settings } from '../../options';
import type { Amount } from '../../types/common';

/** An amount as the host gave it. The parameters of a statement that stores it. */
export interface GivenAmount {
  amount: string;
  /** The currency of the amount; null for the program's. */
  currency: string | null;
  /** How much of the program's currency one unit of it is; null for the program's, and if it is not known yet. */
  rate: string | null;
}

/** The fields of an input with an amount in any currency. */
export interface AmountInput {
  amount: Amount;
  currency?: string | null | undefined;
  rate?: Amount | null | undefined;
}

export const amountFields = { amount: true, currency: true, rate: true } as const;

/** SQL: the given amount in the program's currency, rounded half up to its minor unit once. */
export function inProgramsCurrency($: Readonly<Record<keyof GivenAmount, string>>, digits: number): string {
  return `coalesce(round(${$.amount}::numeric * ${$.rate}::numeric, ${digits}), ${$.amount}::numeric)`;
}

/** Takes amounts in other currencies than the program's, and finds their rates. */
export class Exchange {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #settings: Settings;

  constructor(database: Database, clock: Clock, settings: Settings) {
    this.#database = database;
    this.#clock = clock;
    this.#settings = settings;
  }

  /** Checks an amount, and its currency and rate if they are given. */
  given({ amount, currency, rate }: AmountInput, sign: 'any' | 'not negative'): GivenAmount {
    if (!isNothing(currency) && !isCurrency(currency)) throw invalid('currency', aCurrency, currency);
    const program = this.#settings.currency;
    const checked = isNothing(rate) ? null : rateIn(rate);
    if (!isNothing(rate) && checked === null)
      throw invalid('rate', 'a decimal string above 0, with at most 18 digits before the point and 20 after', rate);
    if (isNothing(currency) || currency === program.code) {
      if (checked !== null && !/^0*1(\.0*)?$/.test(checked))
        throw invalid('rate', `no rate, because the amount is in the program's currency, ${program.code}`, rate);
      return { amount: amountOf('amount', amount, sign, program), currency: null, rate: null };
    }
    return { amount: amountOf('amount', amount, sign, currencyOf(currency)), currency, rate: checked };
  }

  /**
   * Returns the amount with its rate. If that was not given, it is that of the record with the reference, or what the
   * option `exchange` returns. It calls that option, so it must not run in a transaction of our own.
   */
  async rated<G extends GivenAmount>(given: G, record: RecordOfAmount, manager: EntityManager | undefined): Promise<G> {
    if (given.currency === null || given.rate !== null) return given;
    const { table, user, reference, at } = record;
    const known = sql(
      { user, reference },
      ($) => `SELECT coalesce(exchange_rate, 1)::text AS rate FROM ${this.#database.tables[table]}
        WHERE user_id = ${$.user} AND reference = ${$.reference}`,
    );
    const [recorded] = await this.#database.query<{ rate: string }>(known, manager);
    return { ...given, rate: recorded?.rate ?? (await this.#ask(given.currency, at)) };
  }

  /** Creates the error of an amount that is too large in the program's currency. */
  tooLarge({ amount, currency, rate }: GivenAmount): ReferralError {
    const { code } = this.#settings.currency;
    return invalid(
      'amount',
      `an amount with at most 16 digits before the point in ${code}, at the rate ${rate}`,
      `${amount} ${currency}`,
    );
  }

  async #ask(from: string, at: Date | null): Promise<string> {
    const { exchange, currency } = this.#settings;
    if (!exchange)
      throw invalid('rate', `a rate of ${from} in ${currency.code}, because the option exchange is not set`, undefined);
    const answer: unknown = await exchange(from, currency.code, at ?? this.#clock.now());
    const rate = rateIn(answer);
    if (rate === null) throw referralError('INVALID_EXCHANGE', from, currency.code, answer);
    return rate;
  }
}

/** An amount and its currency, for error messages. */
export function shownOf(given: { amount: string; currency: string | null; originalAmount?: string | null }): string {
  return given.currency === null ? given.amount : `${given.originalAmount ?? given.amount} ${given.currency}`;
}

/** The record under whose reference an amount is stored. */
interface RecordOfAmount {
  table: 'purchases' | 'usages';
  user: string;
  reference: string;
  /** The time of the payment; null for now. */
  at: Date | null;
}

/** Returns a rate as a decimal string; null for what is none. */
function rateIn(value: unknown): string | null {
  const text = numeralOf(value);
  return /^\d{1,18}(\.\d{1,20})?$/.test(text) && /[1-9]/.test(text) ? text : null;
}
