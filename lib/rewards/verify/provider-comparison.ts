import type { EntityManager } from 'typeorm';
import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import { ReferralEarnOut } from '../../entities/referral-earn-out';
import { invalid } from '../../errors';
import type { PayoutInquiry, ProviderAnswer } from '../../types/earn-outs';
import type { Problem } from './verify';

/** How many payouts are read in one statement. */
const pageSize = 1000;

/** What the provider must not answer, and the invariant that it would break. */
const wrongAnswers: readonly { isIn: (payout: AskedPayout) => boolean; answer: ProviderAnswer; name: string }[] = [
  { isIn: ({ status }) => status === 'completed', answer: 'not paid', name: 'a completed payout was paid' },
  { isIn: ({ status }) => status === 'failed', answer: 'paid', name: 'a failed payout was not paid' },
  // One that is still asked for, or whose report is awaited, may have been paid a moment ago.
  { isIn: ({ isForStaff }) => isForStaff, answer: 'paid', name: 'a payout that waits for staff was not paid' },
];

interface AskedPayout {
  id: number;
  key: string;
  status: ReferralEarnOut['status'];
  /** In progress, and neither asked for again nor reported by the provider later. */
  isForStaff: boolean;
}

/**
 * Asks the host's function about each payout that was completed, has failed or waits for staff, some at once, and
 * returns those where the answer contradicts the status. It reads in pages, and holds no connection of its own while the
 * function runs.
 */
export async function compareWithProvider(
  database: Database,
  inquiry: PayoutInquiry,
  { concurrency, maxProblems }: { concurrency: number; maxProblems: number },
  manager: EntityManager | undefined,
): Promise<Problem[]> {
  const problems: Problem[] = [];
  const { tableName } = database.dataSource.getMetadata(ReferralEarnOut);
  for (let page = await pageAfter(0); page.length > 0; page = await pageAfter(page.at(-1)!.id)) {
    const rest = page.values(); // shared: each lane takes the next payout
    const lane = async (): Promise<void> => {
      for (const payout of rest) await compare(payout);
    };
    await Promise.all(Array.from({ length: concurrency }, lane));
  }
  return problems.sort((a, b) => Number(a.id) - Number(b.id)).slice(0, maxProblems);

  async function compare(payout: AskedPayout): Promise<void> {
    const answer = checkedAnswer(await inquiry(payout.key));
    const wrong = wrongAnswers.find((one) => one.isIn(payout) && one.answer === answer);
    if (!wrong) return;
    // Read again, because a report may have changed the status since the page was read.
    const [now] = await read(payout.id - 1, 1);
    if (now?.id !== payout.id || now.status !== payout.status) return;
    const expected = answer === 'paid' ? 'not paid' : 'paid';
    problems.push({ invariant: wrong.name, table: tableName, id: payout.id, expected, found: answer });
  }

  function pageAfter(id: number): Promise<AskedPayout[]> {
    return read(id, pageSize);
  }

  async function read(after: number, limit: number): Promise<AskedPayout[]> {
    const rows = await database.query<Omit<AskedPayout, 'id'> & { id: string }>(
      sql(
        { after, limit },
        ($) => `
        SELECT * FROM (
          SELECT id, idempotency_key AS key, status,
            status = 'processing' AND next_attempt_at IS NULL AND submitted_at IS NULL AS "isForStaff"
          FROM ${database.tables.earnOuts} WHERE mode = 'payout' AND id > ${$.after}::bigint
        ) AS payouts
        WHERE status IN ('completed', 'failed') OR "isForStaff"
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
