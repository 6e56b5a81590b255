import { createContext, runInContext } from 'node:vm';
import ejs from 'ejs';
import express from 'express';
import Handlebars from 'handlebars';
import nunjucks from 'nunjucks';
import pug from 'pug';
import request from 'supertest';
import { Referral } from '../lib';
import { closeAll, type Host, openDataSource, Product, startHost, StatementLog } from './support/host';

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

describe('POST /r/ of a browser that navigates, because its form has no script', () => {
  /** What Chromium sends; Firefox and Safari differ in the types after the first. */
  const accept = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8';
  const submit = (fields: object, headers: Record<string, string> = {}): request.Test =>
    browser
      .post('/r/')
      .type('form')
      .set({ ...sameOrigin, Accept: accept, ...headers })
      .send(fields);
  const textOf = (html: string): string => html.replace(/<[^>]*>/g, '');

  function expectPage({ status, headers, text }: request.Response, expected: number): void {
    expect([status, headers['content-type']]).toEqual([expected, 'text/html; charset=utf-8']);
    expect(headers['cache-control']).toBe('no-store');
    expect(text).toMatch(/^<!doctype html>\n<html lang="en">/);
    expect(text).toContain('<meta name="viewport" content="width=device-width, initial-scale=1">');
    expect(text).toContain('<meta name="color-scheme" content="light dark">');
    expect(text.match(/<title>(.+)<\/title>/)![1]).toBe(text.match(/<h1>(.+)<\/h1>/)![1]);
    // A Content-Security-Policy without 'unsafe-inline' leaves the page as it is, and nothing else is loaded.
    expect(text).not.toMatch(/<script|<style|<link|<img|style=|\son\w+=|src=/i);
  }

  test('is a page with the link, and the way back to the form', async () => {
    const before = 'https://shop.example/teapot?a=1&b="<script>';
    const answer = await submit({ redirect_to: '/paged', label: 'paged' }, { Referer: before });
    expectPage(answer, 200);
    const url = answer.text.match(/<a class="referral-link" href="([^"]*)">/)![1]!;
    expect(textOf(answer.text)).toContain(`\n${url}\n`);
    expect(await Referral.findByCode(url.split('/').at(-1)!)).toMatchObject({ redirectTo: '/paged', userId: 'anna' });
    expect(answer.text).toContain('<a href="https://shop.example/teapot?a=1&amp;b=%22%3Cscript%3E">Go back</a>');
  });

  test('a long link can be broken into lines everywhere', async () => {
    const { text } = await submit({ redirect_to: '/paged' });
    for (const part of text.match(/<a class="referral-link"[^>]*>(.*)<\/a>/)![1]!.split('<wbr>'))
      expect(part.length).toBeLessThanOrEqual(20);
  });

  test.each([
    ['nowhere', {}],
    ['another site', { Referer: 'https://evil.example/"><script>' }],
    ['what is no address', { Referer: 'javascript:alert(1)' }],
  ])('coming from %s, the way back leads to the front page', async (_where, headers) => {
    expect((await submit({ redirect_to: '/' }, headers)).text).toContain('<a href="https://shop.example/">Go back</a>');
  });

  test('400 is a page that names each field, escaped', async () => {
    const answer = await submit({ label: '<img src=x onerror=alert(1)>'.repeat(4), target_id: 1, redirect_to: '' });
    expectPage(answer, 400);
    expect(answer.text.match(/<strong>\w+<\/strong>/g)).toEqual([
      ...['<strong>redirect_to</strong>', '<strong>target_type</strong>'],
    ]);
    const quoted = await submit({ redirect_to: '/', label: '<img src=x onerror=alert(1)>'.repeat(4) });
    expect([quoted.status, quoted.text.includes('<img')]).toEqual([400, false]);
    expect(textOf(quoted.text)).toContain('label: Up to 100 characters');
  });

  test('401, 403 and 413 are pages too', async () => {
    const nobody = await request(host.app)
      .post('/r/')
      .set({ ...sameOrigin, Accept: accept })
      .send('redirect_to=/');
    expectPage(nobody, 401);
    expect(textOf(nobody.text)).toContain('Sign in to create a referral.');
    const forged = await submit({ redirect_to: '/' }, { 'Sec-Fetch-Site': 'cross-site' });
    expectPage(forged, 403);
    expect(textOf(forged.text)).toContain('from pages of this site only');
    expectPage(await submit({ redirect_to: '/', label: 'x'.repeat(11_000) }), 413);
  });

  test.each([
    ...['*/*', 'application/json', 'application/json, text/plain, */*', 'application/json, text/html'],
    ...['text/html;q=0.5, application/json', 'text/html;q=0.9, */*', 'image/png', 'nonsense', undefined],
  ])('a script that accepts %s gets JSON as ever', async (accepts) => {
    const post = (fields: object, headers: Record<string, string> = {}): request.Test =>
      browser
        .post('/r/')
        .type('form')
        .set({ ...sameOrigin, ...(accepts !== undefined && { Accept: accepts }), ...headers })
        .send(fields);
    const json = 'application/json; charset=utf-8';
    const created = await post({ redirect_to: '/' });
    expect([created.status, created.headers['content-type'], Object.keys(created.body)]).toEqual([
      ...[200, json, ['url', 'code', 'html']],
    ]);
    const wrong = await post({});
    expect([wrong.status, wrong.headers['content-type'], Object.keys(wrong.body)]).toEqual([
      ...[400, json, ['redirect_to']],
    ]);
    const forged = await post({ redirect_to: '/' }, { 'Sec-Fetch-Site': 'cross-site' });
    expect([forged.status, forged.headers['content-type'], forged.body]).toEqual([
      ...[403, json, { detail: expect.any(String) }],
    ]);
  });

  test('an error that is not the visitor’s goes to the error handler of the host', async () => {
    const failing = await startHost({ user: () => Promise.reject(new Error('no user')) });
    const answer = await request(failing.app)
      .post('/r/')
      .set({ ...sameOrigin, Accept: accept })
      .send('redirect_to=/');
    expect([answer.status, answer.body.message]).toEqual([500, 'no user']);
    await failing.referrals.close();
  });
});

describe('GET /r/create-link.js', () => {
  test('is the script, which browsers keep', async () => {
    const answer = await request(host.app).get('/r/create-link.js');
    expect([answer.status, answer.headers['content-type']]).toEqual([200, 'text/javascript; charset=utf-8']);
    expect(answer.headers).toMatchObject({
      'cache-control': 'private, max-age=3600',
      'x-content-type-options': 'nosniff',
      'etag': expect.any(String),
    });
    expect(answer.headers['set-cookie']).toBeUndefined();
    const again = await request(host.app).get('/r/create-link.js').set('If-None-Match', answer.headers['etag']!);
    expect([again.status, again.text]).toEqual([304, '']);
    const head = await request(host.app).head('/r/create-link.js');
    expect([head.status, head.text, head.headers['etag']]).toEqual([200, undefined, answer.headers['etag']]);
    expect(head.headers['content-length']).toBe(String(Buffer.byteLength(answer.text)));
  });

  test('asks no database, and is no click', async () => {
    const log = new StatementLog();
    const quiet = await startHost({ dataSource: await openDataSource({ logger: log, logging: true }) });
    await request(quiet.app).get('/r/nobodys').expect(404); // the queries of the start have run
    expect(log.statements).not.toEqual([]);
    log.statements = [];
    await request(quiet.app).get('/r/create-link.js?from=form').expect(200);
    expect(log.statements).toEqual([]);
    await quiet.referrals.close();
  });

  test('is at the option linkPath; with another method it is the host’s', async () => {
    const elsewhere = await startHost({ linkPath: '/invite/to' });
    await request(elsewhere.app).get('/invite/to/create-link.js').expect(200);
    await request(elsewhere.app).post('/invite/to/create-link.js').expect(404);
    await request(elsewhere.app).get('/invite/to/create-link.css').expect(404);
    await elsewhere.referrals.close();
  });
});

describe('create-link.js', () => {
  /** Runs the script with the parts of a browser that it uses; `fetched` gives what its requests get back. */
  async function load(fetched: () => Promise<unknown> = () => Promise.reject(new Error('offline'))) {
    const { text } = await request(host.app).get('/r/create-link.js');
    const asked: { url: string; init: { method: string; headers: object; body: URLSearchParams } }[] = [];
    let listener: (event: object) => void = () => undefined;
    const element = (tag: string) => ({
      ...{ tag, className: '', href: '', textContent: '', children: [] as unknown[] },
      matches: (selector: string) => selector === 'output.new-link',
      replaceChildren(...children: unknown[]) {
        this.children = children;
      },
    });
    const form = {
      fields: { redirect_to: '/scripted' } as Record<string, string>,
      action: '/r/',
      nextElementSibling: null as ReturnType<typeof element> | null,
      matches: (selector: string) => selector === 'form.referral-create',
      after: (output: ReturnType<typeof element>) => void (form.nextElementSibling = output),
    };
    const context = createContext({
      document: {
        addEventListener: (_type: string, called: typeof listener) => void (listener = called),
        createElement: element,
      },
      FormData: function (from: typeof form) {
        return Object.entries(from.fields);
      },
      URLSearchParams,
      fetch: (url: string, init: (typeof asked)[0]['init']) => {
        asked.push({ url, init });
        return fetched();
      },
    });
    const globals = Object.keys(context);
    runInContext(text, context);
    expect(Object.keys(context)).toEqual(globals); // nothing of the page's is overwritten
    const submit = async (event: object = {}): Promise<boolean> => {
      let isPrevented = false;
      listener({ target: form, defaultPrevented: false, preventDefault: () => (isPrevented = true), ...event });
      await new Promise((resolve) => setImmediate(resolve));
      return isPrevented;
    };
    return { form, asked, submit };
  }
  const response = (ok: boolean, result: unknown) => () => Promise.resolve({ ok, json: () => Promise.resolve(result) });

  test('posts the form for JSON, and shows the link after it, each time in the same place', async () => {
    const url = 'https://shop.example/r/abc';
    const { form, asked, submit } = await load(response(true, { url, code: 'abc', html: 'not used' }));
    expect(await submit()).toBe(true);
    expect(asked).toMatchObject([{ url: '/r/', init: { method: 'POST', headers: { Accept: 'application/json' } } }]);
    expect(asked[0]!.init.body.toString()).toBe('redirect_to=%2Fscripted');
    const output = form.nextElementSibling!;
    expect(output).toMatchObject({ tag: 'output', className: 'new-link' });
    expect(output.children).toMatchObject([{ tag: 'a', className: 'referral-link', href: url, textContent: url }]);
    await submit();
    expect(form.nextElementSibling).toBe(output);
  });

  test.each([
    [{ detail: 'Sign in.' }, 'Sign in.'],
    [{ label: [{ message: 'Too long.' }], redirect_to: [{ message: 'Required.' }] }, 'Too long. Required.'],
  ])('shows the messages of %j', async (result, shown) => {
    const { form, submit } = await load(response(false, result));
    await submit();
    expect(form.nextElementSibling!.children).toEqual([shown]);
  });

  test('says so if nothing came back', async () => {
    const { form, submit } = await load();
    await submit();
    expect(form.nextElementSibling!.textContent).toBe('That did not work. Please try again.');
  });

  test('leaves other forms, and what the page handles itself', async () => {
    const { form, asked, submit } = await load();
    expect(await submit({ target: { matches: () => false } })).toBe(false);
    expect(await submit({ defaultPrevented: true })).toBe(false);
    expect([asked, form.nextElementSibling]).toEqual([[], null]);
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
