import type { EntityManager } from 'typeorm';
import type { Currency } from '../../currency';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import { ReferralEarnOut } from '../../entities/referral-earn-out';
import { invalid } from '../../errors';
import { amountOf, dateOf, isNothing, listOf, objectOf, referenceOf, someUserIdOf, textOf } from '../../input';
import { lengths } from '../../limits';
import { quoted } from '../../shown';
import type { ProviderPayment, Reconciliation as Result } from '../../types/earn-outs';
import type { Audit, Author } from '../records/audit';
import { isPaidOut } from './statuses';
import type { Transitions } from './transitions';

/** How many payments are compared in one statement. */
const batchSize = 1000;

/** Books payments of the provider's list that the database has forgotten, because it was restored from a backup. */
export class Reconciliation {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #transitions: Transitions;
  readonly #audit: Audit;

  constructor(database: Database, clock: Clock, transitions: Transitions, audit: Audit) {
    this.#database = database;
    this.#clock = clock;
    this.#transitions = transitions;
    this.#audit = audit;
  }

  /** Refuses the whole list before it books anything. Then each payment is booked in a transaction of its own. */
  async reconcile(
    list: readonly ProviderPayment[],
    author: Author,
    manager: EntityManager | undefined,
  ): Promise<Result> {
    const payments = listOf('payments', list).map((payment, index) => checked(payment, index, this.#database.currency));
    refuseDuplicates(payments);
    const known = new Set<Payment>();
    for (let start = 0; start < payments.length; start += batchSize)
      for (const payment of await this.#compare(payments.slice(start, start + batchSize), start, manager))
        known.add(payment);
    const result = { known: known.size, completed: 0, booked: 0 };
    const debts: string[] = [];
    for (const payment of payments.filter((one) => !known.has(one))) {
      const { step, debt } = await this.#database.transaction((within) => this.#book(payment, author, within), manager);
      result[step]++;
      if (debt !== null) debts.push(debt);
    }
    return { ...result, debt: this.#database.shown(await this.#sum(debts, manager)) };
  }

  /**
   * Throws if an earn-out with the key of a payment is of another user or amount. Returns the payments that the database
   * knows completely: most of the list, which needs no transaction for each.
   */
  async #compare(
    payments: readonly Payment[],
    start: number,
    manager: EntityManager | undefined,
  ): Promise<ReadonlySet<Payment>> {
    const parameters = {
      keys: payments.map(({ key }) => key),
      users: payments.map(({ user }) => user),
      amounts: payments.map(({ amount }) => amount),
      references: payments.map(({ reference }) => reference),
    };
    const rows = await this.#database.query<ComparedRow>(
      sql(
        parameters,
        ($) => `
        SELECT given.place, o.user_id AS user, o.amount::text AS amount, o.mode,
          o.user_id <> given.user_id OR o.amount <> given.amount OR o.mode <> 'payout' AS "isWrong",
          ${isPaidOut('o')} AND (given.reference IS NULL OR o.reference IS NOT NULL) AS "isKnown"
        FROM unnest(${$.keys}::varchar[], ${$.users}::varchar[], ${$.amounts}::numeric[], ${$.references}::varchar[])
          WITH ORDINALITY AS given (key, user_id, amount, reference, place)
        JOIN ${this.#database.tables.earnOuts} o ON o.idempotency_key = given.key ORDER BY given.place`,
      ),
      manager,
    );
    const wrong = rows.find(({ isWrong }) => isWrong);
    const paymentOf = ({ place }: ComparedRow): Payment => payments[Number(place) - 1]!;
    if (!wrong) return new Set(rows.filter(({ isKnown }) => isKnown).map(paymentOf));
    const { amount, user } = paymentOf(wrong);
    const known = `the payment of its earn-out, ${this.#database.shown(wrong.amount)} for the user ${quoted(wrong.user)} (${wrong.mode})`;
    throw invalid(`payments[${start + Number(wrong.place) - 1}]`, known, `${amount} for the user ${quoted(user)}`);
  }

  async #book(payment: Payment, author: Author, manager: EntityManager): Promise<{ step: Step; debt: string | null }> {
    const { user, key, at, reference } = payment;
    await this.#ensureAccount(user, manager);
    await this.#transitions.lockAccount(user, manager);
    const known = await this.#find(key, manager);
    if (known && (known.status === 'completed' || known.status === 'returned')) {
      if (known.reference === null && reference !== null) await this.#addReference(known, reference, manager);
      return { step: 'known', debt: null };
    }
    if (known?.status === 'processing') {
      await this.#transitions.complete(known, { claim: null, reference, paidAt: at }, manager);
      await this.#keep(known, known.status, author, manager);
      return { step: 'completed', debt: null };
    }
    const earnOut = known ?? (await this.#insert(payment, manager));
    const { debt } = await this.#transitions.book(earnOut, { paidAt: at, reference }, manager);
    await this.#keep(earnOut, known?.status ?? null, author, manager);
    return { step: known ? 'completed' : 'booked', debt };
  }

  async #keep(
    { id: subjectId, userId, amount }: ReferralEarnOut,
    status: string | null,
    author: Author,
    manager: EntityManager,
  ): Promise<void> {
    const before = status === null ? null : { status };
    const after = { status: 'completed', ...(status === null && { amount }) };
    const change = { call: 'earnOuts.reconcile', subject: 'earn-out', subjectId, userId, before, after };
    await this.#audit.record([change], author, manager);
  }

  async #find(key: string, manager: EntityManager): Promise<ReferralEarnOut | null> {
    const { earnOuts } = this.#database.tables;
    const columns = this.#database.columns(ReferralEarnOut);
    const query = sql(
      { key },
      ($) => `SELECT ${columns} FROM ${earnOuts} WHERE idempotency_key = ${$.key} FOR NO KEY UPDATE`,
    );
    const [row] = await this.#database.query<object>(query, manager);
    return row ? this.#database.entity(ReferralEarnOut, row) : null;
  }

  async #addReference({ userId, id }: ReferralEarnOut, reference: string, manager: EntityManager): Promise<void> {
    const query = sql(
      { user: userId, id, reference },
      ($) => `
      UPDATE ${this.#database.tables.earnOuts} SET reference = ${$.reference}
      WHERE user_id = ${$.user} AND id = ${$.id}`,
    );
    await this.#database.query(query, manager);
  }

  /** A payment can be of a user whose account the database has forgotten too. */
  async #ensureAccount(user: string, manager: EntityManager): Promise<void> {
    const { accounts } = this.#database.tables;
    const query = sql(
      { user, now: this.#clock.parameter() },
      ($) => `
      INSERT INTO ${accounts} (user_id, created_at, updated_at)
      SELECT ${$.user}, now, now FROM (SELECT ${timeOf($.now)} AS now) AS at ON CONFLICT (user_id) DO NOTHING`,
    );
    await this.#database.query(query, manager);
  }

  /**
   * Inserts the earn-out of a forgotten payment, as a failed one that has nothing yet, and counts it. Its refused_at
   * makes the key of the next earn-out a new one, also if that includes what this key was derived from.
   */
  async #insert({ user, key, amount }: Payment, manager: EntityManager): Promise<ReferralEarnOut> {
    const { earnOuts, accounts } = this.#database.tables;
    const [row] = await this.#database.query<object>(
      sql(
        { user, key, amount, now: this.#clock.parameter() },
        ($) => `
        WITH
        made AS (
          INSERT INTO ${earnOuts} (user_id, mode, payout_email, amount, commissions, status, error_reason, idempotency_key,
            settled_at, refused_at, created_at, updated_at)
          SELECT a.user_id, 'payout', a.payout_email, ${$.amount}::numeric, 0, 'failed', 'It is being booked.', ${$.key},
            at.now, at.now, at.now, at.now
          FROM ${accounts} a CROSS JOIN (SELECT ${timeOf($.now)} AS now) AS at WHERE a.user_id = ${$.user}
          RETURNING *
        ),
        counted AS (
          UPDATE ${accounts} a SET earn_outs = a.earn_outs + 1 FROM made WHERE a.user_id = made.user_id
        )
        SELECT ${this.#database.columns(ReferralEarnOut)} FROM made`,
      ),
      manager,
    );
    return this.#database.entity(ReferralEarnOut, row!);
  }

  async #sum(amounts: readonly string[], manager: EntityManager | undefined): Promise<string> {
    const query = sql(
      { amounts },
      ($) => `SELECT coalesce(sum(amount), 0)::text AS sum FROM unnest(${$.amounts}::numeric[]) AS amount`,
    );
    const [row] = await this.#database.query<{ sum: string }>(query, manager);
    return row!.sum;
  }
}

/** An earn-out that has the key of a payment. */
interface ComparedRow {
  place: string;
  user: string;
  amount: string;
  mode: string;
  isWrong: boolean;
  isKnown: boolean;
}

type Step = 'known' | 'completed' | 'booked';

/** A payment with checked values. */
interface Payment {
  key: string;
  reference: string | null;
  amount: string;
  user: string;
  at: Date;
}

function checked(payment: ProviderPayment, index: number, currency: Currency): Payment {
  const name = (field: string): string => `payments[${index}].${field}`;
  const fields = { key: true, reference: true, amount: true, user: true, at: true } as const;
  const { key, reference, amount, user, at } = objectOf(`payments[${index}]`, payment, fields);
  const paidAt = dateOf(name('at'), at);
  if (paidAt === null) throw invalid(name('at'), 'the Date of the payment', at);
  return {
    key: textOf(name('key'), key, lengths.idempotencyKey, 1),
    reference: isNothing(reference) ? null : referenceOf(name('reference'), reference),
    amount: amountOf(name('amount'), amount, 'positive', currency),
    user: someUserIdOf(name('user'), user),
    at: paidAt,
  };
}

/** Returns a decimal string without zeros that say nothing. */
function plain(amount: string): string {
  return amount.replace(/^0+(?=\d)/, '').replace(/\.?0*$/, (zeros) => (amount.includes('.') ? '' : zeros));
}

/** The same payment may be in the list twice, but one key can't stand for two payments. */
function refuseDuplicates(payments: readonly Payment[]): void {
  const byKey = new Map<string, Payment>();
  for (const [index, payment] of payments.entries()) {
    const first = byKey.get(payment.key);
    if (first && (first.user !== payment.user || plain(first.amount) !== plain(payment.amount)))
      throw invalid(`payments[${index}].key`, 'a key of its own: an earlier payment has the same', payment.key);
    byKey.set(payment.key, first ?? payment);
  }
}
