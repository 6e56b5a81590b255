import { type EarningsHost, fresh, refer, startEarnings } from './support/earnings';
import { closeAll } from './support/host';
import { inProcesses, type Process, startWorker } from './support/processes';

afterAll(closeAll);

interface Task {
  call: 'purchase' | 'signup' | 'suspend' | 'ban' | 'reinstate';
  user: string;
  input: object;
  inTransaction: boolean;
}

interface Answer {
  index: number;
  isDone?: boolean;
  error?: string;
}

interface Worker extends Process {
  work(tasks: Task[]): Promise<Answer[]>;
}

const starterOf =
  ({ clock, schema }: EarningsHost) =>
  async (): Promise<Worker> => {
    const env = { SCHEMA: JSON.parse(schema) as string, NOW: clock.time.toJSON() };
    const { child, ask } = await startWorker<Answer>('earnings-worker.js', env);
    return { child, work: (tasks) => ask({ tasks, atOnce: 4, now: clock.time }) };
  };

const reason = 'looks made up';

test.each(['suspend', 'ban'] as const)(
  '%s against purchases and sign-ups of four processes: whichever is committed first counts',
  async (call) => {
    const host = await startEarnings();
    const { referrals } = host;
    await inProcesses(4, starterOf(host), async (workers) => {
      for (let round = 0; round < 12; round++) {
        const user = fresh('anna');
        // Some have bought before, so that a row of totals is there; without them, the first purchases make it.
        const known = Array.from({ length: 8 }, (_, n) => `${user}'s ${n}`);
        for (const buyer of known) await refer(host, user, buyer);
        const { code } = await refer(host, user, `${user}'s first`);
        if (round % 2 === 0)
          for (const buyer of known) await referrals.recordPurchase(buyer, { amount: 100, reference: 'before' });
        const stopping: Task = { call, user, input: { reason }, inTransaction: round % 3 === 0 };
        const answers = await Promise.all(
          workers.map((worker, n) => {
            const tasks = known.flatMap((buyer, place): Task[] => [
              {
                call: 'purchase',
                user: buyer,
                input: { amount: 100, reference: `of ${n}` },
                inTransaction: place % 2 === 0,
              },
              { call: 'signup', user: `${buyer} by ${n}`, input: { code }, inTransaction: false },
            ]);
            if (n === 0) tasks.splice(round, 0, stopping);
            return worker.work(tasks);
          }),
        );
        const errors = answers.flat().flatMap(({ error }) => error ?? []);
        expect(errors.filter((error) => error !== 'SIGNUP_REFUSED')).toEqual([]);

        const { suspendedAt } = await referrals.accounts.of(user);
        expect(suspendedAt).not.toBeNull();
        const purchases = await referrals.purchases.search({ where: { referrerId: user }, take: 1000 });
        expect(new Set(purchases.map(({ noCommission }) => noCommission ?? 'suspended'))).toEqual(
          new Set(['suspended']),
        );
        if (call === 'ban') {
          const left = await referrals.commissions.search({ where: { userId: user, rejectedAt: null } });
          expect(left).toEqual([]);
        }
        const late = await referrals.recordPurchase(known[0]!, { amount: 100, reference: 'late' });
        expect(late.purchase.noCommission).toBe('suspended');
        expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
      }
    });
  },
);
