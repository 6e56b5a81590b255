import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import http, { type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DataSource } from 'typeorm';
import { createReferrals, entities, migrations, Referral, ReferralDailyCount, ReferralResponse } from '../lib';
import { firefox } from './support/browser';
import { baseUrl, patient, secret, waitFor } from './support/host';
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

test('links that are deleted while several processes record clicks on them leave no click and no count', async () => {
  const referrals = createReferrals({ dataSource, baseUrl, secret, user: () => null, ...patient() });
  const apps = await Promise.all([startApp(), startApp(), startApp()]);
  let isOver = false;
  try {
    const codes = Array.from({ length: 12 }, (_, index) => `GONE-${index}`);
    const ids = (await Promise.all(codes.map(make))).map(Number); // a bigint, which the driver returns as text
    const apps = await Promise.all([startApp(), startApp(), startApp()]);
    const killed = apps[0];
    let answered = 0;
    const clicking = apps.map(async ({ said: url }) => {
      while (!isOver) {
        const answers = await Promise.all(codes.map((code) => get(`${url}/r/${code}`).catch(() => null)));
        if (answers.includes(null)) return expect(killed.said).toBe(url);
        // A process redirects for a link that it has cached also when it is deleted, and does not count it.
        for (const answer of answers) expect([302, 404]).toContain(answer!.statusCode);
        answered++;
      }
    });
    const [left, ...rest] = ids;
    for (const [index, id] of rest.entries()) {
      const before = answered;
      await waitFor(() => Promise.resolve(answered > before + 1)); // each link is deleted in the middle of clicks
      await referrals.referralCodes.delete(id);
      if (index === 5) killed.child.kill('SIGKILL'); // with a batch under way, which is committed or undone
    }
    isOver = true;
    await Promise.all(clicking);
    for (const { child } of apps) child.kill('SIGKILL');
    // What a process had begun when it was killed ends by itself.
    await waitFor(async () => {
      const [row] = await dataSource.query<{ open: number }[]>(
        `SELECT count(*)::int AS open FROM pg_stat_activity
         WHERE datname = current_database() AND state = 'active' AND pid <> pg_backend_pid()`,
      );
      return row!.open === 0;
    });
    for (const id of rest) expect(await stored(id)).toEqual({ visitors: new Set(), clicks: 0, counted: 0 });
    const kept = await stored(left!);
    expect(kept.clicks).toBeGreaterThan(0);
    expect(kept.counted).toBe(kept.clicks);
    expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
  } finally {
    isOver = true;
    for (const { child } of apps) child.kill('SIGKILL');
    await referrals.close();
  }
});
