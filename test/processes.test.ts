import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import http, { type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DataSource } from 'typeorm';
import { entities, migrations, Referral, ReferralDailyCount, ReferralResponse } from '../lib';
import { firefox } from './support/browser';
import { type OwnServer, startOwnServer } from './support/own-server';
import { after, killAfter, startProcess } from './support/processes';

/** A server with everything on disk when it says so: here that is what is shown. */
let postgres: OwnServer;
let dataSource: DataSource;

beforeAll(async () => {
  const folder = path.join(tmpdir(), `express-referrals-processes-${randomBytes(6).toString('hex')}`);
  postgres = await startOwnServer({ folder, persistent: false });
  dataSource = new DataSource({ type: 'postgres', url: postgres.url, entities, migrations });
  await dataSource.initialize();
  await dataSource.runMigrations();
});

afterAll(async () => {
  await dataSource.destroy();
  await postgres.stop();
});

/** An app in a process of its own, on the built package; it says its URL. */
const startApp = () => startProcess<string>('app.js', { env: { TEST_DATABASE_URL: postgres.url } });

/** As a browser asks; `fetch` would say that it is a script. */
function get(url: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    http
      .get(url, { headers: { 'user-agent': firefox } }, (answer) =>
        answer
          .resume()
          .once('end', () => resolve(answer))
          .once('error', reject),
      )
      .once('error', reject);
  });
}

/** Clicks one after the other until the app is gone, and notes the visitor id of each redirect that arrived. */
async function clickOn(url: string, code: string, note: (visitor: string) => void): Promise<void> {
  for (;;) {
    const answer = await get(`${url}/r/${code}`).catch(() => null);
    if (!answer) return; // the app is gone: this click got no redirect
    expect(answer.statusCode).toBe(302);
    note(answer.headers['set-cookie']![0]!.split('.')[2]!);
  }
}

async function stored(referral: number): Promise<{ visitors: Set<string>; clicks: number; counted: number }> {
  const responses = await dataSource.getRepository(ReferralResponse).findBy({ referralId: referral });
  const counts = await dataSource.getRepository(ReferralDailyCount).findBy({ referralId: referral });
  return {
    visitors: new Set(responses.map(({ visitorId }) => visitorId!)),
    clicks: responses.length,
    counted: counts.reduce((sum, { clicks }) => sum + clicks, 0),
  };
}

const make = async (code: string): Promise<number> => {
  const { identifiers } = await dataSource.getRepository(Referral).insert({ code, redirectTo: '/', label: code });
  return identifiers[0]!['id'] as number;
};

test('each click whose redirect was sent is on record, and counted once, when processes are killed at any moment', async () => {
  const referrals = [await make('KILL-A'), await make('KILL-B'), await make('KILL-C')];
  const answered: string[][] = [[], [], []];
  for (let round = 0; round < 3; round++) {
    const apps = await Promise.all([startApp(), startApp(), startApp()]);
    // Once so many clicks on each link have arrived in this round.
    const clicks = 11 + randomInt(100);
    const acknowledge = killAfter(clicks * referrals.length, apps);
    // Every app on every link: batches of several processes meet on the same counters.
    const clicking = referrals.flatMap((_id, link) => {
      const before = answered[link]!.length;
      const note = (visitor: string): void => {
        if (answered[link]!.push(visitor) <= before + clicks) acknowledge();
      };
      return apps.flatMap(({ said: url }) =>
        Array.from({ length: 5 }, () => clickOn(url, `KILL-${'ABC'[link]}`, note)),
      );
    });
    await Promise.all(clicking);
  }
  // What the server had begun when a process died is done or undone: nobody waits on its locks.
  for (const [link, referral] of referrals.entries()) {
    const { visitors, clicks, counted } = await stored(referral);
    expect(answered[link]!.length).toBeGreaterThan(30);
    expect(answered[link]!.filter((visitor) => !visitors.has(visitor))).toEqual([]);
    expect(counted).toBe(clicks);
  }
});

test('close() writes what is in flight before a process ends', async () => {
  const referral = await make('CLOSE');
  const app = await startApp();
  const exit = once(app.child, 'exit');
  const answered: string[] = [];
  const acknowledge = after(31 + randomInt(200), () => app.child.send('stop'));
  const note = (visitor: string): void => {
    answered.push(visitor);
    acknowledge();
  };
  await Promise.all(Array.from({ length: 20 }, () => clickOn(app.said, 'CLOSE', note)));
  const [exitCode] = (await exit) as [number];
  const { visitors, clicks, counted } = await stored(referral);
  expect(exitCode).toBe(0);
  expect(answered.length).toBeGreaterThan(30);
  expect(answered.filter((visitor) => !visitors.has(visitor))).toEqual([]);
  expect(counted).toBe(clicks);
});
