import type { EntityManager } from 'typeorm';
import type { Database } from '../../database/database';
import { shownAmount } from '../../entities/columns';
import type { WithManager } from '../../types/common';
import { commissionInvariants } from './commission-invariants';
import { invariants } from './signup-invariants';

/** Something that does not add up. */
export interface Problem {
  /** What should hold, as a stable name. */
  invariant: string;
  /** The table of the row that it was found on. */
  table: string;
  /** The row: its id, or, in a table that goes by users, its user and what else tells it apart, as `user/reference`. */
  id: number | string;
  /** As text; null for nothing. */
  expected: string | null;
  found: string | null;
}

/** What `verify` answers. */
export interface Verification {
  ok: boolean;
  /** How many rows were looked at. */
  checked: number;
  /** At most 1,000 for each invariant. */
  problems: Problem[];
}

const maxProblems = 1000;

/** Tables whose rows go by the host's users and references. */
const isNamed = new Set(
  ['credit_spends', 'usages', 'refunds', 'account_totals', 'referees', 'redemptions', 'buyers', 'accounts'].map(
    (name) => `referral_${name}`,
  ),
);

/** The tables that the invariants are about. */
const checkedTables = [
  ...(['referrals', 'signups', 'usages', 'credits', 'transactions', 'spends'] as const),
  ...(['channels', 'accounts', 'totals', 'referees', 'buyers', 'redemptions', 'purchases', 'refunds'] as const),
  ...(['commissions', 'commissionEntries', 'earnOuts'] as const),
];

type Row = Pick<Problem, 'id' | 'expected' | 'found'>;

/**
 * Proves every invariant of sign-ups, credits and commissions on live data: one aggregating statement each, all on one snapshot (with the
 * host's manager: as its isolation has it), so that what is being written meanwhile is either wholly seen or not at all.
 * Locks nothing.
 */
export function verify(database: Database, { manager }: WithManager): Promise<Verification> {
  return manager ? check(database, manager) : database.unlimited('snapshot', (snapshot) => check(database, snapshot));
}

async function check(database: Database, manager: EntityManager): Promise<Verification> {
  const { tables } = database;
  const problems: Problem[] = [];
  for (const { name, table, sql } of [...invariants(tables), ...commissionInvariants(tables)]) {
    const statement = `SELECT id, expected::text, found::text FROM (${sql}) AS problems LIMIT ${maxProblems}`;
    const rows = await database.query<Row>(statement, [], manager);
    for (const { id, expected, found } of rows)
      problems.push({
        invariant: name,
        table,
        id: isNamed.has(table) ? id : Number(id),
        expected: shown(expected),
        found: shown(found),
      });
  }
  const counted = checkedTables.map((name) => tables[name]);
  const [row] = await database.query<{ checked: string }>(
    `SELECT ${counted.map((table) => `(SELECT count(*) FROM ${table})`).join(' + ')} AS checked`,
    [],
    manager,
  );
  return { ok: problems.length === 0, checked: Number(row!.checked), problems };
}

/** Amounts as everywhere else. */
function shown(value: string | null): string | null {
  return value !== null && /^-?\d+\.\d+$/.test(value) ? shownAmount(value) : value;
}
