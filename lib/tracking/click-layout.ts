import type { EntityManager } from 'typeorm';
import type { Database } from '../database/database';
import { sql } from '../database/named-parameters';
import { referralError } from '../errors';

/** SQL: whether the database has Citus, which distributes tables. */
export const hasCitus = `to_regclass('pg_dist_partition') IS NOT NULL`;

/** How Citus stores a table. A table that it does not know is local. */
type Place = 'local' | 'a reference table' | 'in a distributed schema' | `distributed by ${string}`;

interface PlaceRow {
  table: string;
  place: Place;
  /** Tables with the same number have the rows of a referral on the same server. */
  group: number;
}

/**
 * Where the tables of clicks are: plain tables, as nearly everywhere, or distributed by Citus. It is read once. The
 * statements that record clicks depend on it.
 */
export class ClickLayout {
  readonly #database: Database;
  #isDistributed: boolean | undefined;
  /** The refusal of a layout, which each later call throws too. */
  #refusal: Error | null = null;

  constructor(database: Database) {
    this.#database = database;
  }

  /**
   * Whether responses or daily counts are distributed, by the referral.
   *
   * @throws ReferralError `LAYOUT_UNSUPPORTED`.
   */
  async isDistributed(manager?: EntityManager): Promise<boolean> {
    if (this.#refusal) throw this.#refusal;
    if (this.#isDistributed !== undefined) return this.#isDistributed;
    const [row] = await this.#database.query<{ hasCitus: boolean }>(`SELECT ${hasCitus} AS "hasCitus"`, manager);
    return this.read(row!.hasCitus, manager);
  }

  /** Reads it, if it is known whether the database has Citus. @throws ReferralError `LAYOUT_UNSUPPORTED`. */
  async read(hasCitus: boolean, manager?: EntityManager): Promise<boolean> {
    this.#isDistributed = hasCitus && (await this.#read(manager));
    return this.#isDistributed;
  }

  async #read(manager: EntityManager | undefined): Promise<boolean> {
    const { referrals, responses, dailyCounts } = this.#database.tables;
    const query = sql(
      { tables: [referrals, responses, dailyCounts] },
      ($) => `
      SELECT quoted AS "table", CASE
          WHEN partmethod <> 'n' THEN 'distributed by ' || column_to_column_name(logicalrelid, partkey)
          WHEN repmodel = 't' THEN 'a reference table'
          WHEN colocationid <> 0 THEN 'in a distributed schema'
          ELSE 'local'
        END AS place, colocationid AS "group"
      FROM unnest(${$.tables}::text[]) AS given (quoted) JOIN pg_dist_partition ON logicalrelid = to_regclass(quoted)`,
    );
    const rows = await this.#database.query<PlaceRow>(query, manager);
    const isByReferral = ({ place }: PlaceRow): boolean => place === 'distributed by referral_id';
    const isSupported = (row: PlaceRow): boolean =>
      row.place === 'local' || (isByReferral(row) && row.table !== referrals);
    const unsupported = rows.filter((row) => !isSupported(row)).map(({ table, place }) => `${table} is ${place}`);
    const distributed = rows.filter(isByReferral);
    const isTogether = distributed.length === 2 && distributed[0]!.group === distributed[1]!.group;
    if (unsupported.length === 0 && distributed.length > 0 && !isTogether)
      unsupported.push(`${responses} and ${dailyCounts} are not distributed together (colocate_with)`);
    if (unsupported.length === 0) return isTogether;
    this.#refusal = referralError('LAYOUT_UNSUPPORTED', unsupported.join(', '));
    throw this.#refusal;
  }
}
