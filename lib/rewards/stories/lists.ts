import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import type { RecordsByManager } from '../../entities/instance';
import type { ReferralRecord } from '../../entities/record';
import type { ReferralResponse } from '../../entities/referral-response';
import type { Settings } from '../../options';
import { storedIp } from '../../tracking/ip';
import type { AnyManager } from '../records/records';
import { type Condition, whereOf } from './conditions';
import { responsePage } from './response-pages';

/** The lists that staff read: the records of each manager, and the responses. */
export interface ListRecords extends RecordsByManager {
  responses: ReferralResponse;
}

export type ListName = keyof ListRecords;

/** Which part of a list to read. */
export interface PageOf {
  /** How many records. */
  take: number;
  /** The `next` of the page before; null for the first page. */
  after: string | null;
}

/** A page of a list, newest first. Pages don't overlap or leave out records while others are added. */
export interface ListPage<R> {
  records: R[];
  /** Where the next page begins; null for the last one. */
  next: string | null;
}

/** What lists call the records that their rows name by id. */
export interface Names {
  referrals: ReadonlyMap<number, { code: string; label: string; userId: string | null }>;
  programs: ReadonlyMap<number, string>;
  creditTypes: ReadonlyMap<number, string>;
}

/** The ids of records that rows name. */
export type NamedIds = Readonly<Record<keyof Names, readonly number[]>>;

/** Reads the lists of staff, page by page in the order of an index. */
export class Lists {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #ip: Settings['ip'];
  readonly #managers: Readonly<Partial<Record<ListName, AnyManager>>>;

  constructor(
    database: Database,
    clock: Clock,
    { ip }: Settings,
    managers: Readonly<Record<keyof RecordsByManager, unknown>>,
  ) {
    this.#ip = ip;
    this.#database = database;
    this.#clock = clock;
    this.#managers = managers as Readonly<Partial<Record<ListName, AnyManager>>>;
  }

  /** Returns a page of the records for which all conditions hold. */
  async page<L extends ListName>(
    list: L,
    conditions: readonly Condition[],
    page: PageOf,
  ): Promise<ListPage<ListRecords[L]>> {
    if (list === 'responses') {
      const asStored = conditions.map((condition) => this.#asStored(condition));
      return (await responsePage(this.#database, this.#clock, asStored, page)) as ListPage<ListRecords[L]>;
    }
    const manager = this.#managers[list]!;
    const after = /^\d{1,15}$/.test(page.after ?? '') ? [beforeId(Number(page.after))] : [];
    const found = await manager.search({
      where: whereOf([...conditions, ...after]),
      order: { id: 'DESC' },
      take: page.take + 1,
      ...(list === 'referralCodes' && { fields: codeFields(manager) as ['id'] }),
    });
    const records = found.slice(0, page.take) as (ReferralRecord & ListRecords[L])[];
    return { records, next: found.length > page.take ? String(records.at(-1)!.id) : null };
  }

  /** An address is looked for as it is stored: without its last part, where the option `ip` says so. */
  #asStored(condition: Condition): Condition {
    if (condition.field !== 'ipAddress' || condition.is !== 'equal') return condition;
    return { ...condition, value: storedIp(String(condition.value), this.#ip) ?? condition.value };
  }

  /** Returns what the records with some ids are called. */
  async names({ referrals, programs, creditTypes }: NamedIds): Promise<Names> {
    const { tables } = this.#database;
    const names = { referrals: new Map(), programs: new Map(), creditTypes: new Map() } satisfies Record<
      keyof Names,
      Map<number, unknown>
    >;
    if (referrals.length + programs.length + creditTypes.length === 0) return names;
    const query = sql(
      { referrals, programs, creditTypes },
      ($) => `
      SELECT 'referrals' AS kind, id::text AS id, code AS name, label, user_id AS "userId" FROM ${tables.referrals}
      WHERE id = ANY (${$.referrals}::bigint[])
      UNION ALL SELECT 'programs', id::text, name, NULL, NULL FROM ${tables.programs}
      WHERE id = ANY (${$.programs}::bigint[])
      UNION ALL SELECT 'creditTypes', id::text, name, NULL, NULL FROM ${tables.creditTypes}
      WHERE id = ANY (${$.creditTypes}::bigint[])`,
    );
    for (const { kind, id, name, label, userId } of await this.#database.query<NameRow>(query))
      names[kind].set(Number(id), kind === 'referrals' ? { code: name, label: label!, userId } : name);
    return names;
  }
}

interface NameRow {
  kind: keyof Names;
  id: string;
  name: string;
  label: string | null;
  userId: string | null;
}

const beforeId = (id: number): Condition => ({ field: 'id', is: 'below', value: id });

/** All fields of a code but the ids of those who signed up with it, which can be very many. */
function codeFields({ kind }: AnyManager): string[] {
  return [...kind.fields.keys(), 'name'];
}
