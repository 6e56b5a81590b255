import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import supertest from 'supertest';
import { Referral } from '../lib';
import { firefox } from './support/browser';
import { closeAll, databaseUrl, startHost } from './support/host';

afterAll(closeAll);

const longAgo = new Date('2020-01-01T00:00:00Z');

/** Requests that are no clicks, each with the reason that is printed. The last one is a click. */
const requests: [reason: string | null, headers: Record<string, string>, code?: string][] = [
  ['bot', { 'User-Agent': 'Googlebot/2.1 (+http://www.google.com/bot.html)' }],
  ['bot', { 'User-Agent': '' }],
  ['prefetch', { 'Sec-Purpose': 'prefetch;prerender' }],
  ['navigation', { 'Sec-Fetch-Mode': 'no-cors', 'Sec-Fetch-Dest': 'image' }],
  ['consent', { 'X-Consent': 'no' }],
  ['own', { 'X-User': 'anna' }],
  ['expired', {}, 'OLD'],
  [null, { 'X-User': 'boris' }],
];

async function printed(debug: string): Promise<string> {
  const host = await startHost();
  const { schema } = host.dataSource.options as { schema: string };
  const { manager } = host.dataSource;
  await Referral.create({ user: 'anna', redirectTo: '/', code: 'LINK' }, { manager });
  await Referral.create({ redirectTo: '/', code: 'OLD', expiredAt: longAgo }, { manager });
  await host.referrals.close();
  const child = spawn(process.execPath, [path.join(__dirname, 'support/debug-page.js')], {
    env: { ...process.env, TEST_DATABASE_URL: databaseUrl(schema), SCHEMA: schema, NODE_DEBUG: debug },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  const output = text(child.stderr!);
  const [url] = (await once(child, 'message')) as [string];
  for (const [, headers, code = 'LINK'] of requests) {
    const answer = await supertest(url)
      .get(`/r/${code}`)
      .set({ 'User-Agent': firefox, ...headers });
    expect([302, 503]).toContain(answer.status);
    await supertest(url)
      .get(`/page?referral_code=${code}`)
      .set({ 'User-Agent': firefox, ...headers });
  }
  child.kill();
  return output;
}

test('NODE_DEBUG=express-referrals prints why a click was not counted', async () => {
  const lines = (await printed('express-referrals')).split('\n').filter((line) => line.includes('not counted'));
  expect(lines.map((line) => line.replace(/^EXPRESS-REFERRALS \d+: /, ''))).toEqual(
    requests.flatMap(([reason, , code = 'LINK']) =>
      reason === null ? [] : Array.from({ length: 2 }, () => `${code}: not counted: ${reason}`),
    ),
  );
});

test('without it, nothing is printed', async () => {
  expect(await printed('')).toBe('');
});
