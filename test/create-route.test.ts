import ejs from 'ejs';
import express from 'express';
import Handlebars from 'handlebars';
import nunjucks from 'nunjucks';
import pug from 'pug';
import request from 'supertest';
import { Referral } from '../lib';
import { closeAll, type Host, Product, startHost } from './support/host';

afterAll(closeAll);

let host: Host;
let product: Product;
let browser: ReturnType<Host['browser']>;
const sameOrigin = { 'Sec-Fetch-Site': 'same-origin' };

beforeAll(async () => {
  host = await startHost(
    { targetTypes: [Product, 'newsletter'], actionDisplay: { BOUGHT: 'Bought <something>' } },
    (app) => {
      app.get('/helpers', (req, res, next) => {
        try {
          if (req.query['csrf']) res.locals['csrfToken'] = 'from "locals"';
          const template = req.query['template'] as string;
          const locals = { ...res.locals, product };
          const render: Record<string, () => string> = {
            ejs: () => ejs.render(template, locals),
            pug: () => pug.render(template, locals),
            handlebars: () => Handlebars.compile(template)(locals),
            nunjucks: () => new nunjucks.Environment(null, { autoescape: true }).renderString(template, locals),
          };
          res.type('text').send(render[req.query['engine'] as string]!());
        } catch (error) {
          next(error);
        }
      });
    },
  );
  product = await host.dataSource.manager.save(Object.assign(new Product(), { name: 'Teapot' }));
  browser = host.browser();
  await browser.post('/login/anna');
});

describe('POST /r/', () => {
  test.each([
    ['a form', 'form'],
    ['JSON', 'json'],
  ])('makes a referral from %s', async (_what, type) => {
    const fields = {
      redirect_to: '/teapot',
      label: 'sent as "it" is',
      target_type: 'Product',
      target_id: String(product.id),
    };
    const answer = await browser.post('/r/').type(type).set(sameOrigin).send(fields);
    expect(answer.status).toBe(200);
    const { url, code, html } = answer.body as Record<string, string>;
    expect(url).toBe(`https://shop.example/r/${code}`);
    expect(html).toBe(`<a class="referral-link" href="${url}">${url}</a>`);
    expect(await Referral.findByCode(code!)).toMatchObject({
      ...{
        userId: 'anna',
        redirectTo: '/teapot',
        label: 'sent as "it" is',
        targetType: 'Product',
        targetId: String(product.id),
      },
    });
  });

  test('also without the slash, with an Origin for want of Sec-Fetch-Site, and again with the same answer', async () => {
    const post = (path: string): request.Test =>
      browser.post(path).set('Origin', 'https://shop.example').send({ redirect_to: '/' });
    const [first, second] = [await post('/r'), await post('/r/')];
    expect(first.status).toBe(200);
    expect(second.body).toEqual(first.body);
  });

  test('works behind the body parsers of the host', async () => {
    const app = express();
    app.use(express.json(), express.urlencoded(), host.app);
    const cookie = (await request(host.app).post('/login/parsed')).headers['set-cookie']![0]!.split(';')[0]!;
    const answer = await request(app).post('/r/').set(sameOrigin).set('Cookie', cookie).send({ redirect_to: '/' });
    expect([answer.status, answer.body.code]).toEqual([200, expect.any(String)]);
  });

  test('is 401 for nobody', async () => {
    const answer = await request(host.app).post('/r/').set(sameOrigin).send({ redirect_to: '/' });
    expect([answer.status, answer.body]).toEqual([401, { detail: expect.any(String) }]);
  });

  test.each<[string, Record<string, string>]>([
    ['another site', { 'Sec-Fetch-Site': 'cross-site', 'Origin': 'https://shop.example' }],
    ['a sibling', { 'Sec-Fetch-Site': 'same-site' }],
    ['another origin', { Origin: 'https://evil.example' }],
    ['an opaque origin', { Origin: 'null' }],
    ['who knows where', {}],
  ])('is 403 from %s', async (_what, headers) => {
    const before = await host.dataSource.getRepository(Referral).count();
    const answer = await browser.post('/r/').set(headers).send({ redirect_to: '/forged' });
    expect(answer.status).toBe(403);
    expect(await host.dataSource.getRepository(Referral).count()).toBe(before);
  });

  test.each<[object, string[]]>([
    [{}, ['redirect_to']],
    [{ redirect_to: ['/'] }, ['redirect_to']],
    [{ redirect_to: 'https://evil.example/' }, ['redirect_to']],
    [{ redirect_to: `/${'x'.repeat(3000)}` }, ['redirect_to']],
    [{ redirect_to: '/', label: 'x'.repeat(101) }, ['label']],
    [{ redirect_to: '/', label: 7 }, ['label']],
    [{ redirect_to: '/', label: '\u0000' }, ['label']],
    [{ redirect_to: '/', target_type: 'User', target_id: 1 }, ['target_type']],
    [{ redirect_to: '/', target_type: 'Referral', target_id: 1 }, ['target_type']],
    [{ redirect_to: '/', target_type: 'Product' }, ['target_id']],
    [{ redirect_to: '/', target_type: 'Product', target_id: 999_999 }, ['target_id']],
    [{ redirect_to: '/', target_type: 'Product', target_id: "1' OR true" }, ['target_id']],
    [{ redirect_to: '/', target_type: 'Product', target_id: { $gt: 0 } }, ['target_id']],
    [{ redirect_to: '/', target_type: 'newsletter', target_id: 'x'.repeat(129) }, ['target_id']],
    [{ redirect_to: '/', target_id: 1 }, ['target_type']],
    [{ label: 7, target_type: 'nonsense', target_id: 1 }, ['redirect_to', 'label', 'target_type']],
  ])('%j is 400 with a message for each field', async (fields, wrong) => {
    const answer = await browser.post('/r/').set(sameOrigin).send(fields);
    expect([answer.status, Object.keys(answer.body as object)]).toEqual([400, wrong]);
    for (const errors of Object.values(answer.body as object))
      expect(errors).toEqual([{ message: expect.any(String), code: 'invalid' }]);
  });

  test.each<[number, string, string]>([
    [400, 'application/json', '{"redirect_to"'],
    [400, 'application/json', '"/"'],
    [413, 'application/json', JSON.stringify({ redirect_to: '/', label: 'x'.repeat(11_000) })],
    [400, 'text/plain', 'redirect_to=/'],
  ])('is %d for a %s body of %.40s', async (status, type, body) => {
    expect((await browser.post('/r/').set(sameOrigin).type(type).send(body)).status).toBe(status);
  });

  test('however an id is spelled, an entity is one target', async () => {
    const post = (id: string | number): request.Test =>
      browser.post('/r/').set(sameOrigin).send({ redirect_to: '/spelled', target_type: 'Product', target_id: id });
    const { code } = (await post(product.id)).body;
    for (const id of [String(product.id), `0${product.id}`, ` ${product.id}`])
      expect((await post(id)).body.code).toBe(code);
  });

  test('a word of the host as target type is taken as it is', async () => {
    const fields = { redirect_to: '/', target_type: 'newsletter', target_id: '2026-11' };
    const { body } = await browser.post('/r/').set(sameOrigin).send(fields);
    expect(await Referral.findByCode(body.code)).toMatchObject({ targetType: 'newsletter', targetId: '2026-11' });
  });
});

describe('templates', () => {
  const form =
    '<form class="referral-create" method="post" action="/r/">' +
    '<input type="hidden" name="redirect_to" value="/a?b=1&amp;c=&quot;&lt;">' +
    '<input type="hidden" name="label" value="it&#39;s">' +
    '<button type="submit">Get a referral link</button></form>';

  const render = async (engine: string, template: string, more = ''): Promise<string> =>
    (await browser.get(`/helpers?engine=${engine}&template=${encodeURIComponent(template)}${more}`)).text;

  test.each([
    ['ejs', `<%- referrals.createForm({ redirectTo: '/a?b=1&c="<', label: "it's" }) %>`],
    ['pug', `!= referrals.createForm({ redirectTo: '/a?b=1&c="<', label: "it's" })`],
    ['handlebars', `{{{referrals.createForm redirectTo='/a?b=1&c="<' label="it's"}}}`],
    ['nunjucks', `{{ referrals.createForm({ redirectTo: '/a?b=1&c="<', label: "it's" }) | safe }}`],
  ])('%s: createForm', async (engine, template) => {
    expect(await render(engine, template)).toBe(form);
  });

  test.each([
    [
      'ejs',
      `<%= referrals.actionDisplay('BOUGHT') %>|<%= referrals.actionDisplay('RESPONDED') %>|<%= referrals.actionDisplay('toString') %>`,
    ],
    [
      'handlebars',
      `{{referrals.actionDisplay 'BOUGHT'}}|{{referrals.actionDisplay 'RESPONDED'}}|{{referrals.actionDisplay 'toString'}}`,
    ],
  ])('%s: actionDisplay', async (engine, template) => {
    expect(await render(engine, template)).toBe('Bought &lt;something&gt;|Clicked the link|toString');
  });

  test("carries the target and the host's CSRF field, and posts back", async () => {
    const html = await render(
      'ejs',
      `<%- referrals.createForm({ redirectTo: '/', target: product, button: 'Go & get' }) %>`,
      '&csrf=1',
    );
    const inputs = [...html.matchAll(/name="([^"]*)" value="([^"]*)"/g)].map(([, name, value]) => [name, value]);
    expect(inputs).toEqual([
      ['redirect_to', '/'],
      ['target_type', 'Product'],
      ['target_id', String(product.id)],
      ['_csrf', 'from &quot;locals&quot;'],
    ]);
    expect(html).toContain('>Go &amp; get<');
    const answer = await browser.post('/r/').type('form').set(sameOrigin).send(Object.fromEntries(inputs));
    expect(answer.status).toBe(200);
  });

  test('a target that POST would refuse is refused when the form is made', async () => {
    const template = `<%- referrals.createForm({ redirectTo: '/', target: { type: 'User', id: 1 } }) %>`;
    expect(await render('ejs', template)).toContain('targetTypes');
  });

  test('the option csrf names the field', async () => {
    const own = await startHost({ csrf: (req) => ({ name: 'token', value: `of ${req.path}` }) }, (app) => {
      app.get('/form', (_req, res) => void res.send(res.locals['referrals'].createForm({ redirectTo: '/' })));
    });
    expect((await own.browser().get('/form')).text).toContain('<input type="hidden" name="token" value="of /form">');
    await own.referrals.close();
  });
});
