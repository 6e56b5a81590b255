import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Referral } from '../lib';
import { closeAll, type Host, Order, startHost } from './support/host';

afterAll(closeAll);

/** The version that a name leads to in this run: jest.config.js maps them. */
function versionOf(name: string): string {
  let folder = path.dirname(require.resolve(name));
  while (!existsSync(path.join(folder, 'package.json'))) folder = path.dirname(folder);
  return (JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')) as { version: string }).version;
}

/** Run once for each major of Express and TypeORM that the package supports; see jest.config.js. */
describe(`express ${versionOf('express')}, typeorm ${versionOf('typeorm')}`, () => {
  let host: Host;

  beforeAll(async () => {
    host = await startHost({ targetTypes: ['newsletter'] }, (app, dataSource) => {
      app.post('/buy', (req, res, next) => {
        dataSource
          .transaction(async (manager) => {
            const order = await manager.save(new Order());
            const response = await Referral.recordResponse(req, 'BOUGHT', { target: order, manager });
            if (req.query['fail']) throw Object.assign(new Error('failed'), { status: 402 });
            return response;
          })
          .then((response) => res.json(response), next);
      });
      app.get('/form', (_req, res) => void res.send(res.locals['referrals'].createForm({ redirectTo: '/' })));
    });
  });

  test('migrations leave the schema builder nothing to do', async () => {
    const { upQueries } = await host.dataSource.driver.createSchemaBuilder().log();
    expect(upQueries.map(({ query }) => query)).toEqual([]);
  });

  test('click, sign in, buy in a transaction, with events after the commit', async () => {
    const events: string[] = [];
    host.referrals.on('response', ({ action }) => void events.push(action));
    host.referrals.on('userLinkedToResponse', ({ userId }) => void events.push(`linked to ${userId}`));
    const referral = await Referral.create({ user: 'anna', redirectTo: '/welcome' });
    const browser = host.browser();
    const click = await browser.get(`/r/${referral.code.toLowerCase()}/`);
    expect([click.status, click.headers['location']]).toEqual([302, '/welcome']);
    await browser.post('/login/bob');
    expect((await browser.get('/whose')).body).toEqual({ code: referral.code });
    expect((await browser.post('/buy?fail=1')).status).toBe(402);
    const bought = await browser.post('/buy');
    expect(bought.body).toMatchObject({
      referralId: referral.id,
      userId: 'bob',
      action: 'BOUGHT',
      targetType: 'Order',
    });
    expect(events).toEqual(['RESPONDED', 'linked to bob', 'BOUGHT']);
    const [response] = await referral.filteredResponses();
    expect(await response!.loadTarget()).toBeInstanceOf(Order);
    const loaded = await host.dataSource.getRepository(Referral).findOneByOrFail({ id: referral.id });
    expect([loaded.id, loaded.url, await loaded.responseCount()]).toEqual([referral.id, referral.url, 1]);
  });

  test('links are left to the host when unknown; forms are shown and posted', async () => {
    const browser = host.browser();
    expect((await browser.get('/r/unknown')).status).toBe(404);
    await browser.post('/login/carl');
    expect((await browser.get('/form')).text).toContain('name="redirect_to"');
    const made = await browser
      .post('/r/')
      .type('form')
      .set('Sec-Fetch-Site', 'same-origin')
      .send({ redirect_to: '/', target_type: 'newsletter', target_id: '7' });
    expect([made.status, made.body.url]).toEqual([200, `https://shop.example/r/${made.body.code}`]);
    const wrong = await browser.post('/r/').set('Sec-Fetch-Site', 'same-origin').send({ redirect_to: '//e.com' });
    expect([wrong.status, Object.keys(wrong.body as object)]).toEqual([400, ['redirect_to']]);
  });
});
