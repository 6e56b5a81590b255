import { randomBytes } from 'node:crypto';
import pg from 'pg';
import request from 'supertest';
import { createShop } from '../examples/shop/app';
import { openDatabase } from '../examples/shop/database';
import { databaseUrl } from './support/host';

const name = `shop_${randomBytes(6).toString('hex')}`;
let admin: pg.Client;
let pool: pg.Pool;
let dataSource: Awaited<ReturnType<typeof openDatabase>>;
let shop: ReturnType<typeof createShop>;

beforeAll(async () => {
  admin = new pg.Client(databaseUrl());
  await admin.connect();
  await admin.query(`CREATE DATABASE ${name}`);
  const url = Object.assign(new URL(databaseUrl()), { pathname: `/${name}` }).href;
  pool = new pg.Pool({ connectionString: url });
  pool.on('error', () => undefined); // of connections that are closing when the database is dropped
  dataSource = await openDatabase(url);
  shop = createShop({ dataSource, pool, baseUrl: 'http://localhost' });
});

afterAll(async () => {
  await shop.referrals.close();
  await dataSource.destroy();
  await pool.end();
  await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
  await admin.end();
});

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

test('one creates a link, another opens it, looks around, registers and buys, and the first sees it', async () => {
  const [anna, bob] = [open(), open()];
  const register = (browser: Browser, who: string): Promise<request.Response> =>
    submit(browser, '/register', '/register', { name: who, email: `${who}@example.com`, password: 'long enough' });

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
  const buy = /action="([^"]*(?:buy|orders)[^"]*)"/.exec(product.text)?.[1];
  expect((await submit(bob, '/products/2', buy!, { productId: '2' })).status).toBe(303);

  const seen = (await anna.get('/referrals')).text;
  for (const words of ['Opened the link', 'Bob', created.body.url]) expect(seen).toContain(words);
  expect(seen).toMatch(/Bought/);
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
