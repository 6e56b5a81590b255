import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import http, { type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DataSource } from 'typeorm';
import { entities, migrations, Referral, ReferralDailyCount, ReferralResponse } from '../lib';
import { type OwnServer, startOwnServer } from './support/own-server';

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

interface Server {
  url: string;
  child: ChildProcess;
}

/** An app in a process of its own, on the built package. */
async function startApp(): Promise<Server> {
  const child = fork(path.join(__dirname, 'support', 'app.js'), [], {
    env: { ...process.env, TEST_DATABASE_URL: postgres.url },
  });
  const url = await new Promise<string>((resolve, reject) => {
    child.once('message', (message) => resolve(message as string));
    child.once('exit', (code) => reject(new Error(`the app ended with ${code}`)));
  });
  return { url, child };
}

/** As a browser asks; `fetch` would say that it is a script. */
function get(url: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    http
      .get(url, (answer) =>
        answer
          .resume()
          .once('end', () => resolve(answer))
          .once('error', reject),
      )
      .once('error', reject);
  });
}

/** Clicks one after the other until the app is gone; answers the visitor ids whose redirect arrived. */
async function clickOn(url: string, code: string, until: () => boolean): Promise<string[]> {
  const answered: string[] = [];
  while (!until()) {
    const answer = await get(`${url}/r/${code}`).catch(() => null);
    if (!answer) return answered; // the app is gone: this click got no redirect
    expect(answer.statusCode).toBe(302);
    answered.push(answer.headers['set-cookie']![0]!.split('.')[2]!);
  }
  return answered;
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
    let isOver = false;
    // Every app on every link: batches of several processes meet on the same counters.
    const clicking = apps.flatMap(({ url }) =>
      referrals.flatMap((_id, link) =>
        Array.from({ length: 5 }, async () =>
          answered[link]!.push(...(await clickOn(url, `KILL-${'ABC'[link]}`, () => isOver))),
        ),
      ),
    );
    await new Promise((resolve) => setTimeout(resolve, 300 + Math.random() * 300));
    for (const { child } of apps) child.kill('SIGKILL');
    isOver = true;
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
  let isOver = false;
  const clicking = Array.from({ length: 20 }, () => clickOn(app.url, 'CLOSE', () => isOver));
  await new Promise((resolve) => setTimeout(resolve, 300));
  app.child.send('stop');
  const exitCode = await new Promise((resolve) => app.child.once('exit', resolve));
  isOver = true;
  const answered = (await Promise.all(clicking)).flat();
  const { visitors, clicks, counted } = await stored(referral);
  expect(exitCode).toBe(0);
  expect(answered.length).toBeGreaterThan(30);
  expect(answered.filter((visitor) => !visitors.has(visitor))).toEqual([]);
  expect(counted).toBe(clicks);
});
