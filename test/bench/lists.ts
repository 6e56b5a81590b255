import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import express, { type Request } from 'express';
import { createReferrals, entities, migrations, Referral, type Referrals } from 'express-referrals';
import { DataSource, type EntityManager } from 'typeorm';
import type { Bench } from './bench';
import { type Schema, someResponses, usersOf } from './fill';
import type { RowId } from './rows';
import { median } from './scores';

const take = 20;

/** Something that is called over and over; the time of a call in milliseconds. */
type Timed = () => Promise<number>;

/** What it costs to read where much is stored, against little. */
export async function lists(bench: Bench): Promise<void> {
  bench.become('app');
  const [big, some] = [await open(bench, 'big'), await open(bench, 'some')];
  // Against few in a small table: in the big one, reading few may be as slow as reading many.
  const find = async ({ manager }: Opened, code: string): Promise<Referral> =>
    (await Referral.findByCode(code, { manager }))!;
  const [many, few] = [await find(big, 'MANY0'), await find(some, 'FEW0')];
  const [year, day] = [await find(big, 'MANY1'), await find(some, 'FEW1')];
  const pairs: [RowId, Timed, Timed][] = [
    [
      'for referrer',
      timed(() => Referral.responsesForReferrer('many', { take, manager: big.manager })),
      timed(() => Referral.responsesForReferrer('few', { take, manager: some.manager })),
    ],
    ['filtered', timed(() => many.filteredResponses({ take })), timed(() => few.filteredResponses({ take }))],
    ['count', timed(() => year.responseCount()), timed(() => day.responseCount())],
    ['for request', big.whose(usersOf(bench.options.responses)), some.whose(usersOf(someResponses))],
  ];
  for (const [id, ofMany, ofFew] of pairs) {
    const medians: [number[], number[]] = [[], []];
    await Promise.all([ofMany(), ofFew()]);
    for (let round = 0; round < bench.options.rounds; round++) {
      const times: [number[], number[]] = [[], []];
      const end = performance.now() + bench.options.seconds * 1000;
      do {
        times[0].push(await ofMany());
        times[1].push(await ofFew());
      } while (performance.now() < end);
      for (const side of [0, 1] as const) medians[side].push(median(times[side]));
    }
    bench.scores.addRatio(id, ...medians);
  }
  for (const one of [big, some]) await one.close();
}

function timed(call: () => Promise<unknown>): Timed {
  return async () => {
    const start = performance.now();
    await call();
    return performance.now() - start;
  };
}

interface Opened {
  manager: EntityManager;
  /** Asks whom one of so many signed-in users came through, in a request of its own: the answer is cached for a request. */
  whose(users: number): Timed;
  close(): Promise<void>;
}

async function open(bench: Bench, schema: Schema): Promise<Opened> {
  const dataSource = new DataSource({ type: 'postgres', url: bench.databaseUrl, schema, entities, migrations });
  await dataSource.initialize();
  const referrals: Referrals = createReferrals({
    ...{ dataSource, baseUrl: 'https://shop.example', secret: 'a secret of at least thirty-two characters' },
    ...{ user: (req) => req.headers['x-user'] as string | undefined, queryTimeoutMs: 60_000 },
  });
  const seen: Request[] = [];
  const app = express().use(referrals.middleware);
  app.get('/', (req, res) => {
    seen.push(req);
    res.end();
  });
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  return {
    manager: dataSource.manager,
    whose: (users) => {
      let user = 0;
      return async () => {
        user = (user + 7919) % users;
        await (await fetch(url, { headers: { 'x-user': String(user) } })).text();
        const req = seen.pop()!;
        return timed(async () => {
          if (!(await req.referralForRequest())) throw new Error(`user ${user} has no referral`);
        })();
      };
    },
    close: async () => {
      server.close();
      server.closeAllConnections();
      await referrals.close();
      await dataSource.destroy();
    },
  };
}
