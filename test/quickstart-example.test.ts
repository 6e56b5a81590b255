import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import path from 'node:path';
import request from 'supertest';
import { DataSource } from 'typeorm';
import { browserOf } from './support/browser';
import { databaseUrl } from './support/host';

const schema = `quickstart_${randomBytes(4).toString('hex')}`;
let dataSource: DataSource;
const servers: ChildProcess[] = [];
const file = path.join(__dirname, '..', 'examples', 'quickstart', 'server.mjs');
let url: string;

beforeAll(async () => {
  dataSource = new DataSource({ type: 'postgres', url: databaseUrl() });
  await dataSource.initialize();
  await dataSource.query(`CREATE SCHEMA ${schema}`);
  url = await start();
});

afterAll(async () => {
  for (const server of servers.filter(({ exitCode }) => exitCode === null)) {
    const ended = once(server, 'exit');
    server.kill();
    await ended;
  }
  await dataSource.query(`DROP SCHEMA ${schema} CASCADE`);
  await dataSource.destroy();
});

const sameOrigin = { 'Sec-Fetch-Site': 'same-origin' };
/** A browser on pages of the site. */
const open = () => browserOf(url).set(sameOrigin);
type Browser = ReturnType<typeof open>;

async function register(name: string): Promise<Browser> {
  const browser = open();
  await browser.post('/register').type('form').send({ name }).expect(302).expect('Location', '/me');
  return browser;
}

const textOf = async (page: request.Test): Promise<string> => (await page.expect(200)).text;
const linkOf = async (browser: Browser): Promise<string> =>
  /Share your link: (\S+?)<\/p>/.exec(await textOf(browser.get('/me')))![1]!;

test('Anna shares her link, Carl comes through it, registers and buys, and Anna has earned 5.00', async () => {
  const [anna, carl, dora] = [await register('Anna'), open(), open()];
  const link = await linkOf(anna);
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

/** How many rows the attacks could add to. */
async function counts(): Promise<Record<string, string>> {
  const count = (table: string): string => `(SELECT count(*) FROM ${schema}.${table}) AS ${table}`;
  const tables = ['quickstart_users', 'referral_signups', 'referral_purchases', 'referrals', 'referral_responses'];
  return (await dataSource.query(`SELECT ${tables.map(count).join(', ')}`))[0];
}

const nul = 'a\u0000b';
const malformed: [string, string, string | object][] = [
  ['/register', 'application/json', { name: 'Eve' }],
  ['/register', 'application/json', '[]'],
  ['/register', 'application/json', '{"name"'],
  ['/register', 'text/plain', 'name=Eve'],
  [
    '/register',
    'multipart/form-data; boundary=x',
    '--x\r\nContent-Disposition: form-data; name="name"\r\n\r\nE\r\n--x--',
  ],
  ['/register', 'form', ''],
  ['/register', 'form', 'name='],
  ['/register', 'form', 'name=%20%09'],
  ['/register', 'form', 'name[]=Eve'],
  ['/register', 'form', 'name[first]=Eve'],
  ['/register', 'form', 'name=Eve&name=Eve'],
  ['/register', 'form', '__proto__[name]=Eve&constructor=Eve'],
  ['/register', 'form', { name: nul }],
  ['/register', 'form', { name: 'x'.repeat(81) }],
  ['/register', 'form', { name: 'Eve', code: nul }],
  ['/register', 'form', 'name=Eve&code=a&code=b'],
  ['/register', 'form', { name: 'Eve', code: 'x'.repeat(101) }],
  ['/register', 'form', { name: 'Eve', code: 'nobodys' }],
  ['/register', 'form', { name: 'Eve', code: '__proto__' }],
  ['/buy', 'application/json', { order: 'json' }],
  ['/buy', 'form', ''],
  ['/buy', 'form', 'order='],
  ['/buy', 'form', 'order[]=one'],
  ['/buy', 'form', 'order=one&order=two'],
  ['/buy', 'form', { order: nul }],
  ['/buy', 'form', { order: 'x'.repeat(101) }],
];

test.each(malformed)('%s refuses %s of %j with 400, and writes nothing', async (to, type, body) => {
  const browser = await register('Mallory');
  const before = await counts();
  const answer = await browser.post(to).type(type).send(body);
  expect([answer.status, answer.headers['content-type']]).toEqual([400, 'text/html; charset=utf-8']);
  expect(answer.text).not.toMatch(/ at |node_modules/); // no stack
  expect(await counts()).toEqual(before);
});

test('a body that is too long, or has too many fields, is 413', async () => {
  const browser = open();
  for (const body of [`name=${'x'.repeat(20_000)}`, 'a=1&'.repeat(1100)])
    await browser.post('/register').type('form').send(body).expect(413);
});

const foreign: Record<string, string>[] = [
  { 'Sec-Fetch-Site': 'cross-site' },
  { 'Sec-Fetch-Site': 'same-site' },
  { 'Sec-Fetch-Site': 'none' },
  { 'Sec-Fetch-Site': 'cross-site', 'Origin': 'the site itself' },
  { Origin: 'https://evil.example' },
  { Origin: 'null' },
  {},
];

test.each(foreign)('%j: no form of another site is accepted', async (headers) => {
  const link = await linkOf(await register('Nora'));
  const signedIn = await request.agent(url).set(sameOrigin).post('/register').type('form').send({ name: 'Olga' });
  const cookies = signedIn.headers['set-cookie'] as unknown as string[];
  const sent = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, ownOr(value)]));
  const post = (to: string) => request(url).post(to).set('Cookie', cookies).set(sent).type('form');
  const before = await counts();
  await post('/buy').send({ order: 'forged' }).expect(403);
  await post('/register')
    .send({ name: 'Eve', code: link.slice(link.lastIndexOf('/') + 1) })
    .expect(403);
  await post('/r/').send({ redirect_to: '/' }).expect(403);
  expect(await counts()).toEqual(before);
});

const ownOr = (value: string): string => (value === 'the site itself' ? url : value);

test('a form of the site is accepted by its Origin, where a browser sends no Sec-Fetch-Site', async () => {
  await request(url).post('/register').set('Origin', url).type('form').send({ name: 'Paul' }).expect(302);
});

test('the cookies are not for scripts, nor for forms of other sites', async () => {
  const { headers } = await open().post('/register').type('form').send({ name: 'Rita' });
  const cookies = headers['set-cookie'] as unknown as string[];
  expect(cookies.filter((cookie) => cookie.startsWith('connect.sid='))).toHaveLength(1);
  for (const cookie of cookies) {
    expect(cookie).toMatch(/; HttpOnly/i);
    expect(cookie).toMatch(/; SameSite=Lax/i);
  }
});

test('nobody who is not signed in buys', async () => {
  const before = await counts();
  await open().post('/buy').type('form').send({ order: 'one' }).expect(302).expect('Location', '/');
  expect(await counts()).toEqual(before);
});

test('a name is shown as text', async () => {
  const browser = await register('<script>alert("&")</script>');
  expect(await textOf(browser.get('/me'))).not.toContain('<script>');
});

const good = { REFERRALS_SECRET: randomBytes(32).toString('hex'), SESSION_SECRET: randomBytes(32).toString('hex') };

test.each(Object.keys(good))('in production it does not start without a %s of your own', async (variable) => {
  const published = 'a development secret of 32 characters or more';
  const values = [undefined, '', 'development only', 'x'.repeat(31), published];
  const starts = await Promise.allSettled(
    values.map((value) => start({ NODE_ENV: 'production', ...good, [variable]: value })),
  );
  const refusal = `In production, set ${variable} to a random text of 32 characters or more.`;
  for (const started of starts)
    expect(started).toMatchObject({ reason: { message: expect.stringContaining(refusal) } });
});

test('in production it starts with secrets of your own', async () => {
  const address = await start({ NODE_ENV: 'production', ...good });
  const { status, text } = await request(address).get('/');
  expect([status, text.includes('<form')]).toEqual([200, true]);
});

/** Runs the program as a reader would, in a schema of its own; answers its address. */
async function start(variables: Record<string, string | undefined> = {}): Promise<string> {
  const port = await freePort();
  const database = new URL(databaseUrl());
  database.searchParams.set('options', `-c search_path=${schema}`);
  const secrets = { REFERRALS_SECRET: undefined, SESSION_SECRET: undefined };
  const env = { ...process.env, ...secrets, PORT: String(port), DATABASE_URL: database.href, ...variables };
  const server = spawn(process.execPath, [file], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  servers.push(server);
  let errors = '';
  server.stderr.on('data', (data) => (errors += String(data)));
  return new Promise((resolve, reject) => {
    server.stdout.once('data', (data) => resolve(String(data).trim()));
    server.once('close', (code) => reject(new Error(`The quickstart ended with ${code}: ${errors}`)));
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
