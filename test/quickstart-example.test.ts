import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import path from 'node:path';
import type request from 'supertest';
import { DataSource } from 'typeorm';
import { browserOf } from './support/browser';
import { databaseUrl } from './support/host';

const schema = `quickstart_${randomBytes(4).toString('hex')}`;
let dataSource: DataSource;
let server: ChildProcess | undefined;

beforeAll(async () => {
  dataSource = new DataSource({ type: 'postgres', url: databaseUrl() });
  await dataSource.initialize();
  await dataSource.query(`CREATE SCHEMA ${schema}`);
});

afterAll(async () => {
  if (server && server.exitCode === null) {
    const ended = once(server, 'exit');
    server.kill();
    await ended;
  }
  await dataSource.query(`DROP SCHEMA ${schema} CASCADE`);
  await dataSource.destroy();
});

test('Anna shares her link, Carl comes through it, registers and buys, and Anna has earned 5.00', async () => {
  const url = await start();
  const textOf = async (page: request.Test): Promise<string> => (await page.expect(200)).text;
  const [anna, carl, dora] = [browserOf(url), browserOf(url), browserOf(url)];

  await anna.post('/register').type('form').send({ name: 'Anna' }).expect(302).expect('Location', '/me');
  const link = /Share your link: (\S+?)<\/p>/.exec(await textOf(anna.get('/me')))![1]!;
  expect(link.startsWith(`${url}/r/`)).toBe(true);

  await carl.get(link.slice(url.length)).expect(302);
  expect(await textOf(carl.get('/'))).toContain('Anna invited you.');
  await carl.post('/register').type('form').send({ name: 'Carl', code: '' }).expect(302);
  for (let again = 0; again < 2; again++) await carl.post('/buy').type('form').send({ order: 'one' }).expect(302);
  expect(await textOf(anna.get('/me'))).toContain('Users you referred: 1. You have earned 5.00.');

  const code = link.slice(link.lastIndexOf('/') + 1);
  await dora.post('/register').type('form').send({ name: 'Dora', code }).expect(302);
  expect(await textOf(anna.get('/me'))).toContain('Users you referred: 2. You have earned 5.00.');
});

/** Runs the program as a reader would, in a schema of its own; answers its address. */
async function start(): Promise<string> {
  const port = await freePort();
  const url = new URL(databaseUrl());
  url.searchParams.set('options', `-c search_path=${schema}`);
  const file = path.join(__dirname, '..', 'examples', 'quickstart', 'server.mjs');
  const env = { ...process.env, PORT: String(port), DATABASE_URL: url.href };
  server = spawn(process.execPath, [file], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let errors = '';
  server.stderr!.on('data', (data) => (errors += String(data)));
  return new Promise((resolve, reject) => {
    server!.stdout!.once('data', (data) => resolve(String(data).trim()));
    server!.once('exit', (code) => reject(new Error(`The quickstart ended with ${code}: ${errors}`)));
  });
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, 'close');
  return port;
}
