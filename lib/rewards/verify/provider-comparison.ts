import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import { ReferralEarnOut } from '../../entities/referral-earn-out';
import { invalid } from '../../errors';
import type { Settings } from '../../options';
import type { PayoutInquiry, ProviderAnswer } from '../../types/earn-outs';
import { leaseReserveMs } from '../earn-outs/waits';
import type { Problem } from './verify';

/** How many payouts are read in one statement. */
const pageSize = 1000;

/** A payout that the provider is asked about: completed, failed, or in progress while nobody is paying it. */
type State = 'completed' | 'failed' | 'for staff' | 'left';

/** What the provider must not answer about a payout of a state, and the invariant that it would break. */
const wrongAnswers: Record<State, { answer: ProviderAnswer; name: string }> = {
  'completed': { answer: 'not paid', name: 'a completed payout was paid' },
  'failed': { answer: 'paid', name: 'a failed payout was not paid' },
  'for staff': { answer: 'paid', name: 'a payout that waits for staff was not paid' },
  // One whose last attempt is longer ago than a lease. Before that, it may have been paid a moment ago.
  'left': { answer: 'paid', name: 'a payout in progress was not paid' },
};

const states = Object.keys(wrongAnswers);

interface AskedPayout {
  id: number;
  key: string;
  state: State;
}

export interface ComparisonOptions extends Pick<Settings['earnOuts'], 'concurrency' | 'payoutTimeoutMs'> {
  maxProblems: number;
}

/**
 * Asks the host's function about each payout of such a state, some at once, and returns those where the answer
 * contradicts it. If the function throws, no lane begins another call, and the error is thrown when all have ended. It
 * reads in pages, and holds no connection of its own while the function runs.
 */
export async function compareWithProvider(
  database: Database,
  clock: Clock,
  inquiry: PayoutInquiry,
  { concurrency, payoutTimeoutMs, maxProblems }: ComparisonOptions,
  manager: EntityManager | undefined,
): Promise<Problem[]> {
  const problems: Problem[] = [];
  const { tableName } = database.dataSource.getMetadata(ReferralEarnOut);
  for (let page = await pageAfter(0); page.length > 0; page = await pageAfter(page.at(-1)!.id)) {
    const rest = page.values(); // shared: each lane takes the next payout
    const failures: unknown[] = [];
    const lane = async (): Promise<void> => {
      for (const payout of rest) {
        if (failures.length > 0) return;
        await compare(payout).catch((error: unknown) => failures.push(error));
      }
    };
    await Promise.all(Array.from({ length: concurrency }, lane));
    if (failures.length > 0) throw failures[0];
  }
  return problems.sort((a, b) => Number(a.id) - Number(b.id)).slice(0, maxProblems);

  async function compare(payout: AskedPayout): Promise<void> {
    const answer = checkedAnswer(await inquiry(payout.key));
    const wrong = wrongAnswers[payout.state];
    if (wrong.answer !== answer) return;
    // Read again, because a run or a report may have changed the state since the page was read.
    const [now] = await read(payout.id - 1, 1);
    if (now?.id !== payout.id || now.state !== payout.state) return;
    const expected = answer === 'paid' ? 'not paid' : 'paid';
    problems.push({ invariant: wrong.name, table: tableName, id: payout.id, expected, found: answer });
  }

  function pageAfter(id: number): Promise<AskedPayout[]> {
    return read(id, pageSize);
  }

  async function read(after: number, limit: number): Promise<AskedPayout[]> {
    const rows = await database.query<Omit<AskedPayout, 'id'> & { id: string }>(
      sql(
        { after, limit, states, now: clock.parameter(), lease: payoutTimeoutMs + leaseReserveMs },
        ($) => `
        SELECT * FROM (
          SELECT id, idempotency_key AS key, CASE
            WHEN status <> 'processing' THEN status
            WHEN next_attempt_at IS NULL AND submitted_at IS NULL THEN 'for staff'
            WHEN updated_at < at.now - ${$.lease}::float8 * interval '1 millisecond'
              AND coalesce(claimed_until, '-infinity') <= at.now THEN 'left' END AS state
          FROM ${database.tables.earnOuts} CROSS JOIN (SELECT ${timeOf($.now)} AS now) AS at
          WHERE mode = 'payout' AND id > ${$.after}::bigint
        ) AS payouts
        WHERE state = ANY(${$.states}::varchar[])
        ORDER BY id LIMIT ${$.limit}::integer`,
      ),
      manager,
    );
    return rows.map((row) => ({ ...row, id: Number(row.id) }));
  }
}

const answers: readonly unknown[] = ['paid', 'not paid', 'unknown'] satisfies ProviderAnswer[];

function checkedAnswer(answer: unknown): ProviderAnswer {
  if (answers.includes(answer)) return answer as ProviderAnswer;
  throw invalid('payouts', "a function that returns 'paid', 'not paid' or 'unknown'", answer);
}
