import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { entityOf } from '../../entities';
import { invalid } from '../../errors';
import { objectOf } from '../../input';
import type { Settings } from '../../options';
import type { WithManager } from '../../types/common';
import type { PayoutInquiry } from '../../types/earn-outs';
import { clickInvariants } from './click-invariants';
import { commissionInvariants } from './commission-invariants';
import { books, constraintInvariants } from './constraint-invariants';
import { couponInvariants } from './coupon-invariants';
import { creditInvariants } from './credit-invariants';
import { dayInvariants } from './day-invariants';
import { earnOutInvariants } from './earn-out-invariants';
import type { Invariant } from './invariant';
import { type InvariantQuery, invariantQueries, withProblems } from './invariant-queries';
import { moveInvariants } from './move-invariants';
import { compareWithProvider } from './provider-comparison';
import { refundInvariants } from './refund-invariants';
import { reviewInvariants } from './review-invariants';
import { signupInvariants } from './signup-invariants';
import { termInvariants } from './term-invariants';
import { totalInvariants } from './total-invariants';

/** A row where an invariant does not hold. */
export interface Problem {
  /** The name of the invariant. Names are stable. */
  invariant: string;
  /** The table of the row. */
  table: string;
  /** The id of the row. In a table without ids: a text of the primary key, such as `user/reference`. */
  id: number | string;
  /** The value that the row should have, as text; null for none. */
  expected: string | null;
  /** The value that the row has, as text; null for none. */
  found: string | null;
}

/** The result of `verify`. */
export interface Verification {
  /** Whether every invariant holds. */
  ok: boolean;
  /** How many rows were checked. */
  checked: number;
  /** The rows where an invariant does not hold, at most 1,000 for each invariant. */
  problems: Problem[];
}

/** The options of `verify`. */
export interface VerifyOptions extends WithManager {
  /**
   * Asks the payment provider about the key of each payout that was completed, has failed, waits for staff, or is in
   * progress and was last changed longer ago than a claim of it lasts (`earnOuts.payoutTimeoutMs` and five minutes), and
   * lists those where the answer contradicts the status. It is called after the other checks, `earnOuts.concurrency` at
   * once. What it throws, `verify` throws, when all calls under way have ended. Default: the provider is not asked.
   */
  payouts?: PayoutInquiry;
}

/** How far a check has come, in steps of about the same number of queries. */
export interface VerifyProgress {
  done: number;
  of: number;
}

const maxProblems = 1000;

/** How many queries a step of a check has whose progress is told. */
const queriesOfStep = 16;

/**
 * Settings of our own transaction, for queries that read whole tables: they join and group in memory, and are not
 * compiled, which takes longer than most of them run. Workers share the queries out among them, instead of the rows of
 * each table, because the larger queries have joins and groups that can't be shared out.
 */
const settings = {
  ...{ work_mem: '128MB', jit: 'off' },
  ...{ min_parallel_table_scan_size: '1TB', min_parallel_index_scan_size: '1TB' },
};

/** The invariants by subject, in the order in which the problems are listed. */
const subjects = [
  creditInvariants,
  signupInvariants,
  commissionInvariants,
  termInvariants,
  moveInvariants,
  refundInvariants,
  totalInvariants,
  couponInvariants,
  earnOutInvariants,
  clickInvariants,
  reviewInvariants,
  dayInvariants,
];

/**
 * Checks every invariant on live data, with one pass for those of the same rows. Without a manager, all queries have
 * the same snapshot, which contains each concurrent transaction either completely or not at all. With the host's
 * manager, the isolation level and the settings of that transaction apply. It takes no row locks.
 *
 * @param onProgress is told after each step. Then PostgreSQL has fewer queries at once to share out among its workers.
 */
export async function verify(
  database: Database,
  clock: Clock,
  { earnOuts }: Settings,
  options: VerifyOptions = {},
  onProgress?: (progress: VerifyProgress) => void,
): Promise<Verification> {
  const { manager, payouts } = objectOf('verify', options, { manager: true, payouts: true });
  if (payouts !== undefined && typeof payouts !== 'function') throw invalid('payouts', 'a function', payouts);
  const checked = manager ? await checkAll(database, manager, onProgress) : await checkSnapshot(database, onProgress);
  if (!payouts) return checked;
  const problems = await compareWithProvider(database, clock, payouts, { ...earnOuts, maxProblems }, manager);
  return { ...checked, ok: checked.ok && problems.length === 0, problems: [...checked.problems, ...problems] };
}

type OnProgress = ((progress: VerifyProgress) => void) | undefined;

async function checkSnapshot(database: Database, onProgress: OnProgress): Promise<Verification> {
  return database.unlimited('snapshot', async (snapshot) => {
    const values = Object.entries(settings).map(([name, value]) => `set_config('${name}', '${value}', true)`);
    await database.query(`SELECT ${values.join(', ')}`, snapshot);
    return checkAll(database, snapshot, onProgress);
  });
}

async function checkAll(database: Database, manager: EntityManager, onProgress: OnProgress): Promise<Verification> {
  const invariants = [
    ...subjects.flatMap((invariantsOf) => invariantsOf(database.tables, database.currency)),
    ...(await constraintInvariants(database, manager)),
  ];
  const queries = invariantQueries(invariants, maxProblems);
  const problems: Problem[] = [];
  const size = onProgress ? queriesOfStep : queries.length;
  const steps = Math.ceil(queries.length / size);
  for (let step = 0; step < steps; step++) {
    onProgress?.({ done: step, of: steps + 1 });
    const some = queries.slice(step * size, (step + 1) * size);
    for (const { n } of await database.query<{ n: number }>(withProblems(some), manager))
      problems.push(...(await problemsOf(some[n]!, database, manager)));
  }
  onProgress?.({ done: steps, of: steps + 1 });
  const checked = await countRows(new Set([...books, ...invariants.map(({ table }) => table)]), database, manager);
  return { ok: problems.length === 0, checked, problems };
}

async function problemsOf(query: InvariantQuery, database: Database, manager: EntityManager): Promise<Problem[]> {
  const rows = await database.query<ProblemRow>(query.sql, manager);
  return rows.map(({ n, id, expected, found }) => {
    const { name, table } = query.invariants[n]!;
    return {
      invariant: name,
      table: database.dataSource.getMetadata(entityOf[table]).tableName,
      id: JSON.parse(id) as number | string,
      expected: shown(expected, database),
      found: shown(found, database),
    };
  });
}

async function countRows(
  counted: Iterable<Invariant['table']>,
  database: Database,
  manager: EntityManager,
): Promise<number> {
  const counts = Array.from(counted, (table) => `(SELECT count(*) FROM ${database.tables[table]})`);
  const [row] = await database.query<{ checked: string }>(`SELECT ${counts.join(' + ')} AS checked`, manager);
  return Number(row!.checked);
}

/** The other columns are text, so that the parsers of the host's driver make no difference. */
interface ProblemRow {
  n: number;
  /** As JSON: a number or a string, by the type that the invariant's query selects. */
  id: string;
  expected: string | null;
  found: string | null;
}

/** Formats an amount as the package does everywhere. Returns every other value unchanged. */
function shown(value: string | null, database: Database): string | null {
  return value !== null && /^-?\d+\.\d+$/.test(value) ? database.shown(value) : value;
}
