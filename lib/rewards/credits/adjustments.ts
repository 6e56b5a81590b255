import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import { ReferralCredit } from '../../entities/referral-credit';
import { ReferralCreditTransaction } from '../../entities/referral-credit-transaction';
import { invalid, referralError } from '../../errors';
import { amountOf, type FieldsOf, objectOf, referenceOf, someUserIdOf } from '../../input';
import type { UserRef } from '../../types/common';
import type { CreditAdjustmentInput } from '../../types/credits';
import { type Audit, reasonedStaffOf, staffFields } from '../records/audit';
import type { OverdueHolds } from './overdue-holds';
import { isInTime } from './spendable';

const fields: FieldsOf<CreditAdjustmentInput> = { amount: true, reference: true, ...staffFields };

interface Adjustment {
  user: string;
  /** The only credit to change; null for the user's. */
  credit: number | null;
  amount: string;
  description: string;
  reference: string;
  /** The injected clock's time; null for the database's. */
  now: Date | null;
}

/** An entry of the adjustment; one row of nulls if nothing could be changed. */
interface AdjustmentRow {
  id: string | null;
  creditId: string | null;
  isNew: boolean;
  /** Whether the adjustment with the reference is that of this call. */
  isSame: boolean | null;
  /** The balance of the credit before; null for an earlier adjustment. */
  before: string | null;
  after: string | null;
  /** The sum of the balances that the call may change. */
  available: string;
  /** Whether there is a credit that the call may change. */
  hasCredit: boolean;
}

/** Corrections by staff, of a user's credit or of one credit, once for each user and reference. */
export class Adjustments {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #overdue: OverdueHolds;
  readonly #audit: Audit;

  constructor(database: Database, clock: Clock, overdue: OverdueHolds, audit: Audit) {
    this.#database = database;
    this.#clock = clock;
    this.#overdue = overdue;
    this.#audit = audit;
  }

  async adjust(whose: UserRef | ReferralCredit, input: CreditAdjustmentInput): Promise<ReferralCreditTransaction[]> {
    const given = objectOf<CreditAdjustmentInput>('credits.adjust', input, fields);
    const isCredit = whose instanceof ReferralCredit;
    const author = reasonedStaffOf(given);
    const adjustment = {
      user: someUserIdOf('user', isCredit ? whose.userId : whose),
      credit: isCredit ? whose.id : null,
      amount: amountOf('amount', given.amount, 'not zero', this.#database.currency),
      description: author.reason!,
      reference: referenceOf('reference', given.reference),
    };
    return this.#database.transaction(async (within) => {
      await this.#overdue.release(adjustment.user, within);
      const rows = await this.#write({ ...adjustment, now: this.#clock.parameter() }, within);
      const [first] = rows;
      if (first!.id === null) throw refusal(this.#database, adjustment, first!);
      if (!first!.isSame)
        throw referralError(
          'REFERENCE_REUSED',
          adjustment.reference,
          'another adjustment',
          `one of ${adjustment.amount}`,
        );
      const changes = rows
        .filter(({ isNew }) => isNew)
        .map(({ creditId, before, after }) => ({
          ...{ call: 'credits.adjust', subject: 'credit', subjectId: creditId!, userId: adjustment.user },
          before: { currentBalance: this.#database.shown(before!) },
          after: { currentBalance: this.#database.shown(after!) },
        }));
      await this.#audit.record(changes, author, within);
      return rows.map((row) => this.#database.entity(ReferralCreditTransaction, row));
    }, given.manager);
  }

  /**
   * Locks the user's credits in a first statement, so that the snapshot of the second one contains all earlier
   * adjustments.
   */
  async #write(adjustment: Adjustment, manager: EntityManager): Promise<AdjustmentRow[]> {
    const { credits, transactions } = this.#database.tables;
    const { user } = adjustment;
    await this.#database.query(
      sql(
        { user },
        ($) => `SELECT FROM ${credits} WHERE user_id = ${$.user} ORDER BY expiry_date, id FOR NO KEY UPDATE`,
      ),
      manager,
    );
    const query = sql(adjustment, ($) => {
      const amount = `${$.amount}::numeric`;
      return `
      WITH
      -- The entries of an earlier adjustment with this reference. If there are any, nothing is written.
      known AS (
        SELECT * FROM ${transactions}
        WHERE user_id = ${$.user} AND kind = 'adjustment' AND reference = ${$.reference}
      ),
      -- The credits that may change: the given one, or those that can be spent now. before: the sum of those that expire
      -- sooner.
      chosen AS (
        SELECT c.id, c.current_balance, sum(c.current_balance) OVER (ORDER BY c.expiry_date, c.id) - c.current_balance AS before,
          row_number() OVER (ORDER BY c.expiry_date DESC, c.id DESC) AS from_last
        FROM ${credits} c WHERE c.user_id = ${$.user}
          AND CASE WHEN ${$.credit}::bigint IS NULL THEN ${isInTime(timeOf($.now))} ELSE c.id = ${$.credit}::bigint END
      ),
      -- What each of them changes by: an amount above 0 goes to the one that expires last, one below 0 is taken from those
      -- that expire first.
      share AS (
        SELECT id, current_balance, CASE WHEN ${amount} > 0 THEN ${amount}
          ELSE greatest(-current_balance, ${amount} + before) END AS value
        FROM chosen WHERE NOT EXISTS (SELECT FROM known) AND CASE WHEN ${amount} > 0 THEN from_last = 1
          ELSE current_balance > 0 AND before < -${amount} END
      ),
      -- Changes the balances, if the credits suffice. It guards the entries.
      adjusted AS (
        UPDATE ${credits} c SET current_balance = share.current_balance + share.value,
          is_used_up = share.current_balance + share.value = 0, entries = c.entries + 1
        FROM share WHERE c.user_id = ${$.user} AND c.id = share.id AND (SELECT sum(value) FROM share) = ${amount}
          AND share.current_balance + share.value <= 9999999999999999.9999
        RETURNING c.id, share.value, share.current_balance AS before, c.current_balance AS after
      ),
      -- Adds the ledger entries.
      entered AS (
        INSERT INTO ${transactions} (user_id, credit_id, kind, value, description, reference, created_at)
        SELECT ${$.user}, id, 'adjustment', value, ${$.description}, ${$.reference}, ${timeOf($.now)} FROM adjusted ORDER BY id
        RETURNING *
      )
      SELECT ${this.#database.columns(ReferralCreditTransaction, 'e')}, EXISTS (SELECT FROM entered) AS "isNew",
        (SELECT sum(value) = ${amount} AND bool_and(${$.credit}::bigint IS NULL OR credit_id = ${$.credit}::bigint)
          FROM (SELECT * FROM entered UNION ALL SELECT * FROM known) AS all_entries) AS "isSame",
        a.before::text, a.after::text, (SELECT coalesce(sum(current_balance), 0) FROM chosen)::text AS available,
        EXISTS (SELECT FROM chosen) AS "hasCredit"
      FROM (SELECT) AS always LEFT JOIN (SELECT * FROM entered UNION ALL SELECT * FROM known) e ON true
      LEFT JOIN adjusted a ON a.id = e.credit_id ORDER BY e.id`;
    });
    return this.#database.query<AdjustmentRow>(query, manager);
  }
}

/** Why nothing could be changed. */
function refusal(
  database: Database,
  { amount }: Pick<Adjustment, 'amount'>,
  { available, hasCredit }: AdjustmentRow,
): Error {
  if (!hasCredit)
    return invalid('user', 'a user with credit that has not run out; give one with credits.create', 'none');
  const takes = `an amount that leaves the balance, now ${database.shown(available)}, within 0 and numeric(20,4)`;
  return invalid('amount', takes, amount);
}
