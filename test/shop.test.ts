import { randomBytes } from 'node:crypto';
import pg from 'pg';
import request from 'supertest';
import { createShop } from '../examples/shop/app';
import { openDatabase } from '../examples/shop/database';
import { User } from '../examples/shop/entities';
import { friendsProgram } from '../examples/shop/friends';
import { databaseUrl } from './support/host';

interface Opened extends Awaited<ReturnType<typeof createShop>> {
  dataSource: Awaited<ReturnType<typeof openDatabase>>;
  close: () => Promise<void>;
}

const databases: string[] = [];
const shops: Opened[] = [];
let admin: pg.Client;
let shop: Opened;

beforeAll(async () => {
  admin = new pg.Client(databaseUrl());
  await admin.connect();
  shop = await openShop(await createDatabase());
});

afterAll(async () => {
  for (const { close } of shops) await close();
  for (const name of databases) await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
  await admin.end();
});

async function createDatabase(): Promise<string> {
  const name = `shop_${randomBytes(6).toString('hex')}`;
  await admin.query(`CREATE DATABASE ${name}`);
  databases.push(name);
  return Object.assign(new URL(databaseUrl()), { pathname: `/${name}` }).href;
}

async function openShop(url: string): Promise<Opened> {
  const pool = new pg.Pool({ connectionString: url });
  pool.on('error', () => undefined); // of connections that are closing when the database is dropped
  const dataSource = await openDatabase(url);
  const created = await createShop({ dataSource, pool, baseUrl: 'http://localhost' });
  let closed: Promise<void> | undefined;
  const opened = { ...created, dataSource, close: () => (closed ??= close()) };
  async function close(): Promise<void> {
    await created.referrals.close();
    await dataSource.destroy();
    await pool.end();
  }
  shops.push(opened);
  return opened;
}

type Browser = ReturnType<typeof request.agent>;
const open = (): Browser => request.agent(shop.app);

/** Fills in the form of a page and sends it, its CSRF field too. */
async function submit(browser: Browser, page: string, action: string, fields: object): Promise<request.Response> {
  const { text } = await browser.get(page);
  const token = /name="_csrf" value="([^"]*)"/.exec(text)?.[1];
  expect(token).toBeDefined();
  return browser
    .post(action)
    .type('form')
    .set('Sec-Fetch-Site', 'same-origin')
    .send({ _csrf: token, ...fields });
}

function register(browser: Browser, who: string, fields: object = {}): Promise<request.Response> {
  const account = { name: who, email: `${who}@example.com`, password: 'long enough' };
  return submit(browser, '/register', '/register', { ...account, ...fields });
}

/** Buys a product, and reads on the order's page what it came to: the total, the credit used and what is to pay. */
async function buy(browser: Browser, product: number, fields: object = {}): Promise<string[]> {
  const page = `/products/${product}`;
  const bought = await submit(browser, page, `${page}/buy`, fields);
  expect(bought.status).toBe(303);
  const { text } = await browser.get(bought.headers['location']!);
  return [...text.matchAll(/<dd>(.*?)<\/dd>/g)].map(([, sum]) => sum!);
}

/** What a page of credits says: the balance, then each credit, newest first. */
async function creditsOf(browser: Browser): Promise<string[]> {
  const { text } = await browser.get('/credits');
  const rows = [...text.matchAll(/<tr>\s*<td>([\s\S]*?)<\/tr>/g)].map(([, row]) => row!);
  const words = rows.map((row) =>
    row
      .replace(/<time[\s\S]*?<\/time>|<[^>]*>/g, ' ')
      .replace(/\s+/g, ' ')
      .trim(),
  );
  return [/You have <strong>(.*?)<\/strong>/.exec(text)![1]!, ...words];
}

/** The code of the link that a user's account came with. */
async function welcomeCodeOf(browser: Browser): Promise<string> {
  const { text } = await browser.get('/referrals');
  return /<td>welcome<\/td>[\s\S]*?\/r\/([A-Za-z0-9]+)"/.exec(text)![1]!;
}

test('one creates a link, another opens it, looks around, registers and buys, and the first sees it', async () => {
  const [anna, bob] = [open(), open()];

  expect((await register(anna, 'Anna')).status).toBe(303);
  const fields = { redirect_to: '/products/1', label: 'by mail', target_type: 'Product', target_id: '1' };
  const created = await submit(anna, '/products/1', '/r/', fields);
  expect(created.body).toEqual({
    url: expect.stringContaining('http://localhost/r/'),
    code: expect.any(String),
    html: expect.any(String),
  });

  const click = await bob.get(new URL(created.body.url).pathname);
  expect([click.status, click.headers['location']]).toEqual([302, 'http://localhost/products/1']);
  expect((await bob.get('/')).text).toContain('Anna');
  expect((await bob.get('/products/2')).status).toBe(200);
  expect((await register(bob, 'Bob')).status).toBe(303);
  const product = await bob.get('/products/2');
  const action = /action="([^"]*(?:buy|orders)[^"]*)"/.exec(product.text)?.[1];
  expect((await submit(bob, '/products/2', action!, { productId: '2' })).status).toBe(303);

  const seen = (await anna.get('/referrals')).text;
  for (const words of ['Opened the link', 'Bob', created.body.url]) expect(seen).toContain(words);
  expect(seen).toMatch(/Bought/);
  // A link of the form on the page gives credit like any other, though its route knows of no program.
  expect(await creditsOf(bob)).toEqual([
    '€10.00',
    expect.stringMatching(`friends: credit .* with ${created.body.code} €10.00 €10.00`),
  ]);
  expect(await creditsOf(anna)).toEqual([
    '€15.00',
    expect.stringMatching(`friends: reward .* with ${created.body.code} €15.00 €15.00`),
  ]);
});

test('a taken e-mail, a wrong password, a missing token and a foreign page are refused', async () => {
  const visitor = open();
  const fields = { name: 'Eve', email: 'ANNA@example.com', password: 'long enough' };
  const taken = await submit(visitor, '/register', '/register', fields);
  expect([taken.status >= 400, taken.text.includes('Eve')]).toEqual([true, true]);
  const wrong = await submit(visitor, '/login', '/login', { email: 'anna@example.com', password: 'wrong' });
  expect(wrong.status).toBeGreaterThanOrEqual(400);
  expect((await visitor.post('/login').type('form').send(fields)).status).toBe(403);
});

test('a code is typed, its credit is spent, and once enough was paid its owner has a reward to spend', async () => {
  const [carla, dora] = [open(), open()];
  await register(carla, 'Carla');
  const code = await welcomeCodeOf(carla);

  const mistyped = await register(dora, 'Dora', { code: `${code}<x` });
  expect([mistyped.status, mistyped.text]).toEqual([
    400,
    expect.stringContaining('No referral has the code that was typed.'),
  ]);
  for (const entered of ['Dora', 'Dora@example.com', `${code}&lt;x`]) expect(mistyped.text).toContain(`="${entered}"`);
  expect(await shop.dataSource.manager.countBy(User, { name: 'Dora' })).toBe(0);
  expect((await dora.get('/credits')).headers['location']).toBe('/login?next=/credits');

  expect((await register(dora, 'Dora', { code: ` ${code.toLowerCase()} ` })).status).toBe(303);
  expect(await creditsOf(dora)).toEqual(['€10.00', expect.stringMatching(`with ${code} €10.00 €10.00`)]);
  expect((await carla.get('/referrals')).text).toMatch(
    new RegExp(`<td>${code}</td>\\s*<td class="number">0</td>\\s*<td class="number">1</td>`),
  );

  expect((await dora.get('/products/1')).text).toContain('Use my credit of €10.00');
  expect(await buy(dora, 1, { useCredit: 'yes' })).toEqual(['€18.00', '€10.00', '€8.00']);
  expect((await dora.get('/products/1')).text).not.toContain('Use my credit');
  expect(await creditsOf(dora)).toEqual(['€0.00', expect.stringMatching(/€10.00 €0.00$/)]);
  expect(await buy(dora, 4, { useCredit: 'yes' })).toEqual(['€9.50', '€0.00', '€9.50']);
  // 17.50 of the 20.00 have been paid: what credit covered is not counted.
  expect(await creditsOf(carla)).toEqual(['€0.00']);
  expect(await buy(dora, 4)).toEqual(['€9.50', '€0.00', '€9.50']);
  expect(await creditsOf(carla)).toEqual(['€15.00', expect.stringMatching(`with ${code} €15.00 €15.00`)]);

  expect(await buy(carla, 4, { useCredit: 'yes' })).toEqual(['€9.50', '€9.50', '€0.00']);
  expect(await buy(carla, 4)).toEqual(['€9.50', '€0.00', '€9.50']);
  expect(await creditsOf(carla)).toEqual(['€5.50', expect.stringMatching(/€15.00 €5.50$/)]);
  expect(await shop.referrals.verify()).toMatchObject({ ok: true, problems: [] });
});

test('a link from before the shop had a program gives its credit all the same', async () => {
  const [frida, gina] = [open(), open()];
  await register(frida, 'Frida');
  const code = await welcomeCodeOf(frida);
  await shop.dataSource.query('UPDATE referrals SET program_id = NULL WHERE code = $1', [code]);
  await register(gina, 'Gina', { code });
  expect(await creditsOf(gina)).toEqual(['€10.00', expect.stringContaining(code)]);
  expect(await shop.referrals.verify()).toMatchObject({ ok: true, problems: [] });
});

test('credit that has expired is shown as such, and can not be spent', async () => {
  const hanna = open();
  await register(hanna, 'Hanna');
  await shop.referrals.credits.create({
    user: await shop.dataSource.manager.findOneByOrFail(User, { name: 'Hanna' }),
    creditType: await shop.referrals.creditTypes.getByName('shop credit'),
    initialBalance: '7.50',
    startDate: new Date('2020-01-01T00:00:00Z'),
    expiryDate: new Date('2020-02-01T00:00:00Z'),
    name: 'an apology',
  });
  expect(await creditsOf(hanna)).toEqual(['€0.00', 'an apology €7.50 €7.50 expired']);
  expect(await buy(hanna, 4, { useCredit: 'yes' })).toEqual(['€9.50', '€0.00', '€9.50']);
  expect(await shop.referrals.verify()).toMatchObject({ ok: true, problems: [] });
});

test('of several processes that start at once, one makes the credit type and the program', async () => {
  const url = await createDatabase();
  const started = await Promise.all(Array.from({ length: 4 }, () => openShop(url)));
  const { programs, creditTypes } = started[0]!.referrals;
  // Starting, they took turns with the migrations; now all of them find nothing.
  for (const program of await programs.search()) await program.delete();
  for (const type of await creditTypes.search()) await type.delete();
  const found = await Promise.all(started.map(({ referrals }) => friendsProgram(referrals)));
  expect(await programs.search()).toHaveLength(1);
  expect(await creditTypes.search()).toHaveLength(1);
  for (const { id, name } of found) expect({ id, name }).toEqual({ id: found[0]!.id, name: 'friends' });
  for (const { close } of started) await close();
});
