import { isIP } from 'node:net';
import type { Database } from '../../database/database';
import { folded } from '../../database/folding';
import { type Placeholders, sql } from '../../database/named-parameters';
import { isStorable } from '../../input';
import type { Settings } from '../../options';
import { storedIp } from '../../tracking/ip';
import { prefixPattern } from './conditions';
import { hasRowsOfUser } from './user-rows';

/** What a search can find. */
export const foundKinds = [
  ...(['user', 'referral', 'program', 'account', 'signup', 'purchase', 'refund', 'usage'] as const),
  ...(['earnOut', 'credit', 'spend', 'adjustment'] as const),
] as const;

export type FoundKind = (typeof foundKinds)[number];

/** Something that a search has found. */
export interface Found {
  kind: FoundKind;
  /** The id of the record, as text; where the record has none, its reference. */
  id: string;
  /** Whose it is; null for nobody's. */
  userId: string | null;
  /** What it was found by: a code, a label, an address, a reference. */
  text: string;
}

/** How many of each kind are returned. */
const mostOfKind = 20;

/** The longest text that anything can be found by: the name of a payout address. */
const maxLength = 255;

interface Parameters {
  text: string;
  beginning: string;
  /** The address as it is stored; null for a text that is none. */
  ip: string | null;
  most: number;
}

/** A kind, its table, its id, its owner, what it was found by, and when it is found. */
type Source = readonly [kind: FoundKind, from: string, id: string, user: string, text: string, where: string];

/**
 * Finds what staff look for by one text, each by an index: codes (also of the past), labels and payout addresses by their
 * beginning; users, references, keys of payouts and addresses of sign-ups as a whole.
 */
export class StaffSearch {
  readonly #database: Database;
  readonly #ip: Settings['ip'];

  constructor(database: Database, { ip }: Settings) {
    this.#database = database;
    this.#ip = ip;
  }

  async find(typed: string): Promise<Found[]> {
    const text = typed.trim();
    if (text === '' || text.length > maxLength || !isStorable(text)) return [];
    const parameters: Parameters = {
      ...{ text, beginning: prefixPattern(text), most: mostOfKind },
      ip: isIP(text) ? storedIp(text, this.#ip) : null,
    };
    const query = sql(parameters, ($) => {
      const found = this.#sources($).map(
        ([kind, from, id, user, shown, where]) =>
          `(SELECT '${kind}' AS kind, (${id})::text AS id, ${user} AS "userId", ${shown} AS text FROM ${from}
            WHERE ${where} ORDER BY 2 LIMIT ${$.most}::integer)`,
      );
      const user = `SELECT 'user' AS kind, ${$.text}::text AS id, ${$.text}::text AS "userId", ${$.text}::text AS text WHERE ${hasRowsOfUser(this.#database, $.text)}`;
      return `${user} UNION ALL ${found.join('\n UNION ALL ')}`;
    });
    const rows = await this.#database.query<Found>(query);
    const unique = new Map(rows.map((row) => [`${row.kind} ${row.id} ${row.userId}`, row]));
    return [...unique.values()].sort((a, b) => foundKinds.indexOf(a.kind) - foundKinds.indexOf(b.kind));
  }

  #sources($: Placeholders<Parameters>): Source[] {
    const { referrals, aliases, programs, accounts, signups, purchases, refunds, usages } = this.#database.tables;
    const { earnOuts, credits, spends, adjustments } = this.#database.tables;
    const begins = (column: string): string => `${folded(column)} LIKE ${folded($.beginning)}`;
    const is = (column: string): string => `${column} = ${$.text}`;
    return [
      ['referral', `${referrals} r`, 'r.id', 'r.user_id', 'r.code', begins('r.code')],
      [
        'referral',
        `${aliases} a JOIN ${referrals} r ON r.id = a.referral_id`,
        ...(['r.id', 'r.user_id', 'r.code', `a.code = ${folded($.text)}`] as const),
      ],
      ['referral', `${referrals} r`, 'r.id', 'r.user_id', 'r.label', begins('r.label')],
      ['program', programs, 'id', 'NULL', 'name', begins('name')],
      ['account', accounts, 'id', 'user_id', 'payout_email', `payout_email IS NOT NULL AND ${begins('payout_email')}`],
      ['signup', signups, 'id', 'user_id', 'ip_address', `ip_address = ${$.ip}::text`],
      ['purchase', purchases, 'id', 'user_id', 'reference', is('reference')],
      ['refund', refunds, 'reference', 'user_id', 'purchase', is('reference')],
      ['usage', usages, 'reference', 'user_id', 'reference', is('reference')],
      ['earnOut', earnOuts, 'id', 'user_id', 'reference', is('reference')],
      ['earnOut', earnOuts, 'id', 'user_id', 'idempotency_key', is('idempotency_key')],
      ['credit', credits, 'id', 'user_id', 'reference', is('reference')],
      ['spend', spends, 'reference', 'user_id', 'reference', is('reference')],
      ['adjustment', adjustments, 'id', 'user_id', 'reference', is('reference')],
    ];
  }
}
