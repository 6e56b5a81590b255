import type { EntityManager } from 'typeorm';
import { currencyOf, shownAmount } from '../../currency';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { isRefusal } from '../../database/driver-errors';
import type { Events } from '../../database/events';
import { sql, type Statement } from '../../database/named-parameters';
import { callHost } from '../../database/own-runners';
import { timeInResult } from '../../database/result-types';
import { timeOf } from '../../database/statement-time';
import { ReferralCommission } from '../../entities/referral-commission';
import type { ReferralPurchase } from '../../entities/referral-purchase';
import type { Settings } from '../../options';
import type { Asking } from '../../tracking/same-person';
import { takeTurn } from '../records/buyer-turn';
import { type RuleAnswers, type SecondLook, waitingPurchases } from '../records/second-look';
import type { FraudRules } from '../reviews/fraud-rules';
import type { BuyersReferral, BuyersReferrals } from './buyers-referrals';
import { optionTerms } from './chosen-terms';
import { type LateParameters, type LateRow, lateStatement } from './late-statement';
import { unlessOvertaken } from './referrer-periods';

/**
 * Looks a second time at purchases without a referrer, or through the buyer's own link, when the buyer's sign-up or first attribution has arrived, and
 * makes the commissions that they would have earned.
 *
 * A sign-up decides them in its own transaction. An attribution is committed before, because the option `isSamePerson`
 * is called in between. If the process dies there, or the purchase was recorded in the same moment and neither saw the
 * other, the next call about the buyer looks again: a sign-in with the same cookie, a click, a repeated sign-up, the
 * same purchase again, or the first one that is credited to the sign-up or the attribution.
 */
export class LateAttributions implements SecondLook {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #events: Events;
  readonly #buyersReferrals: BuyersReferrals;
  readonly #settings: Settings;
  readonly #fraud: FraudRules;
  readonly #statement: Statement<LateParameters>;

  constructor(
    database: Database,
    clock: Clock,
    events: Events,
    buyersReferrals: BuyersReferrals,
    settings: Settings,
    fraud: FraudRules,
  ) {
    this.#database = database;
    this.#clock = clock;
    this.#events = events;
    this.#buyersReferrals = buyersReferrals;
    this.#settings = settings;
    this.#fraud = fraud;
    this.#statement = database.prepared(lateStatement(database, settings, fraud.comparesAddresses));
  }

  isDue(user: string, now: string): string {
    return `EXISTS (${waitingPurchases(this.#database.tables, this.#settings, user, now)})`;
  }

  async ask(buyer: string, owner: string | null, manager: EntityManager | undefined): Promise<RuleAnswers | null> {
    if (!this.#fraud.hasRule) return null;
    const answers = new Map<string, string | null>();
    const referrer = await this.#referrerOf(buyer, owner, manager);
    if (referrer === null) return answers;
    for (const { reference, amount, currency, at } of await this.#waiting(buyer, manager)) {
      const { code, digits } = currency === null ? this.#database.currency : currencyOf(currency);
      const paid = { amount: shownAmount(amount, digits), currency: code };
      const facts = { about: 'purchase', referrer, referee: buyer, ...paid, reference, at, manager } as const;
      answers.set(reference, await this.#fraud.ask(facts));
    }
    return answers;
  }

  decide(buyer: string, manager: EntityManager, answers: RuleAnswers | null = null): Promise<void> {
    return this.#decide(buyer, null, answers, manager);
  }

  /**
   * Looks at the waiting purchases of a buyer, if there are any, whose attribution may have arrived. It calls the option
   * `isSamePerson`, and the host's rule, so it must not run in a transaction of our own. It locks nothing if none waits,
   * because a user may click often.
   */
  async arrived(asking: Asking): Promise<void> {
    const { userId: buyer, manager } = asking;
    const now = this.#clock.parameter();
    const query = sql({ buyer, now }, ($) => `SELECT WHERE ${this.isDue($.buyer, timeOf($.now))}`);
    if ((await this.#database.query(query, manager)).length === 0) return;
    const attributed = await this.#buyersReferrals.ofBuyer(asking);
    const answers = await this.ask(buyer, attributed?.owner ?? null, manager);
    await this.#database.transaction(async (within) => {
      await takeTurn(this.#database, buyer, within);
      await this.#decide(buyer, attributed, answers, within);
    }, manager);
  }

  /** Returns the referrer whom a second look would find: that of an earlier sign-up counts before the given one. */
  async #referrerOf(buyer: string, owner: string | null, manager: EntityManager | undefined): Promise<string | null> {
    const { signups } = this.#database.tables;
    const query = sql({ buyer }, ($) => `SELECT referrer_id FROM ${signups} WHERE user_id = ${$.buyer}`);
    const [signup] = await this.#database.query<{ referrer_id: string | null }>(query, manager);
    return signup ? signup.referrer_id : owner;
  }

  /** Returns the commission that a second look has given to a purchase; null if there is none. */
  async commissionOf(
    { userId: buyer, reference }: ReferralPurchase,
    manager: EntityManager | undefined,
  ): Promise<ReferralCommission | null> {
    const { lateAttributions, commissions } = this.#database.tables;
    const query = sql(
      { buyer, reference },
      ($) => `
      SELECT ${this.#database.columns(ReferralCommission, 'm')}
      FROM ${lateAttributions} l
      JOIN ${commissions} m ON m.user_id = l.referrer_id AND m.referee_id = l.user_id AND m.purchase = l.purchase
        AND m.kind = 'purchase' AND m.moved_at IS NULL
      WHERE l.user_id = ${$.buyer} AND l.purchase = ${$.reference}`,
    );
    const [row] = await this.#database.query<object>(query, manager);
    return row ? this.#database.entity(ReferralCommission, row) : null;
  }

  /**
   * Decides the waiting purchases, oldest first, because each takes from the limit for the referee. If PostgreSQL
   * refuses one, that one goes on waiting: it prevents neither the sign-up nor the decision about the others.
   */
  async #decide(
    buyer: string,
    attributed: BuyersReferral | null,
    answers: RuleAnswers | null,
    manager: EntityManager,
  ): Promise<void> {
    const parameters: Omit<LateParameters, 'reference'> = {
      ...{ buyer, now: this.#clock.parameter(), attributedReferral: attributed?.id ?? null },
      ...{ attributedOwner: attributed?.owner ?? null, isOwnReferral: attributed?.isOwnReferral ?? false },
      isSelfReferral: attributed?.isSelfReferral ?? false,
      ...{ pendingDays: this.#settings.commission.pendingDays, ...optionTerms(this.#settings) },
    };
    for (const { reference } of await this.#waiting(buyer, manager)) {
      if (answers && !answers.has(reference)) continue;
      const one = { ...parameters, reference };
      const sentence = answers?.get(reference) ?? null;
      try {
        const isDecided = await unlessOvertaken(() =>
          this.#database.transaction((within) => this.#decideOne(one, sentence, within), manager),
        );
        if (!isDecided) return; // the buyer has no referrer
      } catch (error) {
        if (!isRefusal(error)) throw error;
        callHost(() => this.#settings.onError(error), manager.queryRunner);
      }
    }
  }

  /** Returns the waiting purchases of a buyer, oldest first, as they were paid. */
  async #waiting(buyer: string, manager: EntityManager | undefined): Promise<WaitingPurchase[]> {
    const { tables } = this.#database;
    const query = sql({ buyer, now: this.#clock.parameter() }, ($) => {
      const waiting = waitingPurchases(tables, this.#settings, $.buyer, timeOf($.now));
      return `SELECT reference, coalesce(original_amount, amount)::text AS amount, currency,
        ${timeInResult('purchased_at')} AS at FROM (${waiting}) AS waiting ORDER BY purchased_at, id`;
    });
    return this.#database.query<WaitingPurchase>(query, manager);
  }

  /** Decides a purchase, and opens the review of a new pair in the same transaction, so that one that holds misses nothing. */
  async #decideOne(one: LateParameters, sentence: string | null, manager: EntityManager): Promise<boolean> {
    const [row] = await this.#database.query<LateRow>(this.#statement.with(one), manager);
    const { isDecided, sharesAddress, referrerId, 'commission.id': id } = row!;
    if (id !== null)
      this.#events.emit(manager, 'commissionEarned', this.#database.entity(ReferralCommission, row!, 'commission.'));
    if (sharesAddress || (referrerId !== null && sentence !== null)) {
      const { buyer: userId, reference } = one;
      await this.#fraud.lookAtPurchase({ referrerId, userId, reference }, sharesAddress, sentence, manager);
    }
    return isDecided;
  }
}

interface WaitingPurchase {
  readonly reference: string;
  /** In the currency of the purchase; null for the program's. */
  readonly amount: string;
  readonly currency: string | null;
  readonly at: Date;
}
