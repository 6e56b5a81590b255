import { readFileSync } from 'node:fs';
import path from 'node:path';
import ejs from 'ejs';
import pug from 'pug';
import express from 'express';
import { createReferrals, entities, migrations, runMigrations } from 'express-referrals';
import request from 'supertest';
import { DataSource } from 'typeorm';
import * as example from '../examples/links/links';
import { browserOf } from './support/browser';
import { closeAll, databaseUrl, Product, startHost, TestClock } from './support/host';

const { clicksByDay, enterCode, linksOf, news, newsletterLink, placeOrder, productLink, tellReferrers } = example;

afterAll(closeAll);

test('the example does what it says', async () => {
  const schema = 'links_example';
  const extra = { options: `-c search_path=${schema}` };
  const dataSource = new DataSource({ type: 'postgres', url: databaseUrl(), schema, extra, entities, migrations });
  await dataSource.initialize();
  await dataSource.query(`CREATE SCHEMA "${schema}"`);
  await runMigrations(dataSource);
  await dataSource.query('CREATE TABLE orders (id integer PRIMARY KEY, product_id integer)');
  const secret = 'a secret of at least thirty-two characters';
  const clock = new TestClock();
  const user = (req: express.Request) => req.get('authorization');
  const referrals = createReferrals({ dataSource, baseUrl: 'https://shop.example', secret, user, clock: clock.read });
  try {
    const anna = { id: 1 };
    const told: number[] = [];
    tellReferrers(referrals, (referralId) => Promise.resolve(void told.push(referralId)));
    const app = express();
    app.use(referrals.middleware);
    app.use('/r', referrals.router);
    app.post('/order/:id', async (req, res) => {
      const order = { id: Number(req.params.id), productId: 7 };
      res.json((await dataSource.transaction((manager) => placeOrder(req, order, manager))) !== null);
    });
    app.post('/code/:code', async (req, res) => void res.json(await enterCode(req, req.params.code)));
    app.get('/whose', async (req, res) => void res.json((await req.referralForRequest())?.id ?? null));

    const link = await productLink(anna, 7);
    expect((await productLink(anna, 7)).id).toBe(link.id);
    const carl = browserOf(app);
    await carl.get(new URL(link.url).pathname).expect('Location', '/products/7');
    await carl.post('/order/1').expect('true');
    await request(app).post('/order/2').expect('false');
    expect(await dataSource.query('SELECT id FROM orders ORDER BY 1')).toEqual([{ id: 1 }, { id: 2 }]);
    expect(told).toEqual([link.id]);
    await carl.get('/whose').set('authorization', 'carl').expect(String(link.id));

    expect(await news(anna)).toEqual(['ORDERED by carl', 'RESPONDED by carl']);
    expect(await linksOf(dataSource, anna)).toEqual([{ url: link.url, clicks: 1 }]);
    expect(await clicksByDay(dataSource, link)).toMatchObject([{ day: '2026-03-01', clicks: 1 }]);

    const end = new Date(clock.time.getTime() + 86_400_000);
    const letter = await newsletterLink(end);
    const dora = browserOf(app);
    await dora.post('/code/nobody').expect('false');
    await dora.post('/code/autumn').expect('true');
    await dora.get('/whose').expect(String(letter.id));
    clock.advanceDays(2);
    await request(app).post('/code/autumn').expect('false');
  } finally {
    await referrals.close();
    await dataSource.query(`DROP SCHEMA "${schema}" CASCADE`);
    await dataSource.destroy();
  }
});

test('the templates work, and give the same', async () => {
  const host = await startHost({ targetTypes: [Product] }, (app) => {
    app.get('/:engine', (req, res) => {
      const locals = {
        ...res.locals,
        product: Object.assign(new Product(), { id: 7, name: 'Teapot' }),
        responses: [{ action: 'RESPONDED' }, { action: 'BOUGHT' }],
      };
      const file = path.join(__dirname, '..', 'examples', 'links', 'templates', `create-form.${req.params.engine}`);
      const template = readFileSync(file, 'utf8');
      res.send(req.params.engine === 'ejs' ? ejs.render(template, locals) : pug.render(template, locals));
    });
  });
  const [fromEjs, fromPug] = await Promise.all(
    ['ejs', 'pug'].map(async (engine) => (await host.browser().get(`/${engine}`)).text.replace(/\s*\n\s*/g, '')),
  );
  expect(fromEjs).toBe(fromPug);
  expect(fromEjs).toContain('<li>Clicked the link</li><li>BOUGHT</li>');
  expect(fromEjs).toContain('name="target_type" value="Product"');
});
