import express from 'express';
import { createReferrals, Referral, type ReferralsOptions } from '../lib';
import { baseUrl, closeAll, openDataSource, secret } from './support/host';
import { formIn, mounted, type PagesHost, send, signedIn, startPages } from './support/pages';

afterAll(closeAll);

describe('where a host mounts the pages', () => {
  test.each<[what: string, mount: string, path: string, options: Partial<ReferralsOptions>]>([
    ['another path', '/account/friends', '/account/friends', {}],
    ['below a path of baseUrl', '/referrals', '/app/referrals', { baseUrl: 'https://shop.example/app' }],
    ['with the path of baseUrl', '/app/referrals', '/app/referrals', { baseUrl: 'https://shop.example/app/' }],
    ['a path with a parameter', '/:shop/referrals', '/a%20b/referrals', {}],
  ])('%s', async (_what, mount, path, options) => {
    const host = await startPages(options, (app, get) =>
      app.use(mount, (req, res, next) => get().referrals.pages(req, res, next)),
    );
    const anna = await signedIn(host, 'anna');
    const at = mount.includes(':') ? path : mount; // where the app has it
    const { text } = await anna.get(`${at}/links`).expect(200);
    const links = [...text.matchAll(/(?:href|src|action)="(\/[^"]*)"/g)].map(([, link]) => link!);
    expect(links.filter((link) => link !== path && !link.startsWith(`${path}/`))).toEqual([]);
    const response = await send(anna, `${at}/links`, { ...formIn(text), destination: '/' }).expect(303);
    expect(response.headers['location']).toBe(`${path}/links?done=link-created`);
  });

  test('links never lead to another site, whatever the address looks like', async () => {
    const host = await startPages({}, (app, get) => app.use((req, res, next) => {
      req.url = '/links';
      req.baseUrl = '//evil.example/referrals';
      get().referrals.pages(req, res, next);
    })); // prettier-ignore
    const anna = await signedIn(host, 'anna');
    expect((await anna.get('/x')).text).not.toMatch(/(href|src|action)="(\/\/|\/\\|https?:\/\/evil)/);
  });
});

describe('beside the host’s own', () => {
  /** A CSRF middleware of the host's: each form must carry its field. */
  const hostsCsrf = (app: express.Express): void => {
    app.use(express.urlencoded({ extended: true }));
    app.use((req, res, next) => {
      res.locals['csrfToken'] = 'the "host’s" token';
      const isSafe = req.method === 'GET' || req.path.startsWith('/login');
      if (isSafe || (req.body as Record<string, string>)?.['_csrf'] === 'the "host’s" token') return next();
      res.status(403).send('refused by the host');
    });
  };

  test('CSRF middleware: forms carry both fields', async () => {
    const host = await startPages({}, (app, get) => {
      hostsCsrf(app);
      mounted(app, get);
    });
    const anna = await signedIn(host, 'anna');
    const form = formIn((await anna.get('/referrals/links')).text);
    const { _csrf: hosts, ...ours } = form;
    expect(hosts).toContain('host’s');
    const whole = { ...form, _csrf: 'the "host’s" token', destination: '/' };
    await send(anna, '/referrals/links', whole).expect(303);
    expect((await send(anna, '/referrals/links', { ...ours, destination: '/' }).expect(403)).text).toBe(
      'refused by the host',
    );
    const alone = await send(anna, '/referrals/links', { _csrf: whole._csrf, destination: '/' }).expect(403);
    expect(alone.text).toContain('This form has expired');
  });

  test.each([
    ['none', null],
    ['urlencoded', express.urlencoded({ extended: false })],
    ['extended', express.urlencoded({ extended: true })],
    ['json', express.json()],
  ])('body parsers: %s', async (_name, parser) => {
    const host = await startPages({}, (app, get) => {
      if (parser) app.use(parser);
      mounted(app, get);
    });
    const anna = await signedIn(host, 'anna');
    const form = formIn((await anna.get('/referrals/links')).text);
    await send(anna, '/referrals/links', { ...form, destination: '/', label: 'parsed' }).expect(303);
    expect((await anna.get('/referrals/links')).text).toContain('parsed');
  });

  test('headers of the host’s: ours stand on our pages', async () => {
    const host = await startPages({}, (app, get) => {
      app.use((_req, res, next) => {
        res.set({
          'Content-Security-Policy': "default-src 'none'",
          'CDN-Cache-Control': 'max-age=60',
          'X-Frame-Options': 'ALLOW',
        });
        next();
      });
      mounted(app, get);
    });
    const { headers } = await (await signedIn(host, 'anna')).get('/referrals');
    expect(headers['content-security-policy']).toContain("default-src 'self'");
    expect(headers).not.toHaveProperty('cdn-cache-control');
    expect(headers['x-frame-options']).toBe('DENY');
  });
});

describe('the reader’s language, place and money', () => {
  const at = async (host: PagesHost, path: string, languages?: string): Promise<string> => {
    const browser = await signedIn(host, 'anna');
    const request = browser.get(`/referrals${path}`);
    return (await (languages === undefined ? request : request.set('Accept-Language', languages)).expect(200)).text;
  };

  test('the first language of the browser’s that there are words in', async () => {
    const host = await startPages();
    for (const [languages, lang] of [
      ['de-AT,de;q=0.9,en;q=0.8', 'de-AT'],
      ['fr-FR,fr;q=0.9,de-CH;q=0.5,en;q=0.1', 'de-CH'],
      ['fr', 'en'],
      ['en-GB', 'en-GB'],
      ['*', 'en'],
      ['x;;q=1,!!,de', 'de'],
    ] as const)
      expect(await at(host, '', languages)).toContain(`<html lang="${lang}">`);
    expect(await at(host, '', 'de')).toContain('Freunde einladen');
  });

  test('what the host says, and what it says wrongly', async () => {
    const host = await startPages({ pages: { locale: () => 'de_AT', timeZone: () => 'Asia/Tokyo' } });
    host.clock.time = new Date('2026-03-01T20:00:00Z'); // the next day in Tokyo
    const type = await host.referrals.creditTypes.create({ name: 'any', refundable: true });
    await host.referrals.credits.create({ user: 'anna', creditType: type, initialBalance: '1234.5', durationDays: 90 });
    const html = await at(host, '/credits', 'en');
    expect(html).toContain('<html lang="de-AT">');
    expect(html).toMatch(/€\u00a01\.234,50|€ 1\.234,50/);
    expect(html).toContain('31.05.2026'); // 90 days later, in Tokyo
    expect(html).toContain('Asia/Tokyo');
    expect(html).not.toContain('data-rf-time');

    const wrong = await startPages({ pages: { locale: () => 7 as never, timeZone: () => 'Nowhere/At All' } });
    expect(await at(wrong, '', 'de')).toContain('<html lang="de">');
    expect(wrong.errors.map((error) => (error as Error).message)).toEqual([
      expect.stringContaining('pages.locale'),
      expect.stringContaining('pages.timeZone'),
    ]);
  });

  test.each([
    ['JPY', '1234', '¥1,234'],
    ['KWD', '1234.567', 'KWD\u00a01,234.567'],
    ['EUR', '1234.5', '€1,234.50'],
  ])('amounts of %s', async (currency, amount, shown) => {
    const host = await startPages({ currency });
    const type = await host.referrals.creditTypes.create({ name: 'any', refundable: true });
    await host.referrals.credits.create({ user: 'anna', creditType: type, initialBalance: amount, durationDays: 90 });
    expect(await at(host, '/credits')).toContain(`<span class="rf-money">${shown}</span>`);
    expect((await (await signedIn(host, 'anna')).get('/referrals/credits.csv')).text).toContain(
      `,${amount.padEnd(currency === 'EUR' ? 7 : 0, '0')},`,
    );
  });

  test('amounts and counts far above what a float has', async () => {
    const host = await startPages();
    const type = await host.referrals.creditTypes.create({ name: 'any', refundable: true });
    await host.referrals.credits.create({
      user: 'anna',
      creditType: type,
      initialBalance: '9007199254740993.01',
      durationDays: 9,
    });
    expect(await at(host, '/credits')).toContain('€9,007,199,254,740,993.01');
  });
});

describe('what a host overrides', () => {
  const get = async (host: PagesHost, path = '', languages = 'en'): Promise<string> =>
    (await (await signedIn(host, 'anna')).get(`/referrals${path}`).set('Accept-Language', languages)).text;

  test('words, also in a language of its own', async () => {
    const host = await startPages({
      pages: {
        texts: {
          en: { overview: { title: 'Bring <friends>' }, links: { title: undefined as never } },
          fr: { overview: { title: 'Inviter des amis' }, terms: { purchaseShare: (share) => `${share} de tout` } },
        },
      },
    });
    expect(await get(host)).toContain('<h1>Bring &lt;friends></h1>');
    expect(await get(host, '/links')).toContain('<h1>Links</h1>');
    expect(await get(host, '', 'de')).toContain('<h1>Freunde einladen</h1>');
    const french = await get(host, '', 'fr-CA');
    expect(french).toContain('<html lang="fr-CA">');
    expect(french).toContain('<h1>Inviter des amis</h1>');
    expect(french).toMatch(/20\s%\sde tout/);
    expect(french).toContain('Copy link'); // the rest is English
  });

  test('colours: in the style, with words on them that can be read', async () => {
    const host = await startPages({
      pages: { colors: { accent: '#ffee00', ink: { light: '#102030', dark: '#fefefe' } } },
    });
    const path = /href="(\/referrals\/assets\/[^"]+css)"/.exec(await get(host))![1]!;
    const { text } = await host.browser().get(path).expect(200);
    expect(text).toContain('.rf{--accent:#ffee00;--ink:#102030;--on-accent:#000000;}');
    expect(text).toContain('--ink:#fefefe;');
    const other = /href="(\/referrals\/assets\/[^"]+css)"/.exec(await get(await startPages()))![1]!;
    expect(other).not.toBe(path); // a browser that has the one loads the other
  });

  test('templates: a page, and the document around all', async () => {
    const host = await startPages({
      pages: {
        templates: {
          coupons: (data, { html, title }) => `<b>${title}: ${(data as { rows: unknown[] }).rows.length}</b>${html}`,
          links: async (_data, { hidden }) => Promise.resolve(`<form method="post">${hidden}</form>`),
          frame: (_data, { title, head, html, locale }) =>
            `<!doctype html><html lang="${locale}"><head><title>${title}</title>${head}</head><body><header>My shop</header>${html}</body></html>`,
        },
      },
    });
    const coupons = await get(host, '/coupons');
    expect(coupons).toMatch(/^<!doctype html><html lang="en"><head><title>Coupons<\/title><link rel="stylesheet"/);
    expect(coupons).toContain('<header>My shop</header>');
    expect(coupons).toContain('<b>Coupons: 0</b>');
    expect(coupons).toContain('No coupons yet');
    expect(formIn(await get(host, '/links'))).toHaveProperty('_referrals_csrf');
    expect(await get(host, '/nothing')).toContain('My shop');
    expect(await get(host, '/embed')).not.toContain('My shop');
  });

  test('the names of friends: of the host’s function, once for each, and masked if it fails', async () => {
    const asked: string[] = [];
    const host = await startPages({
      pages: {
        userName: async (id) => {
          asked.push(id);
          if (id === 'bad@x.example') throw new Error('no such user');
          return Promise.resolve(id === 'nameless' ? ' ' : `Name of ${id}`);
        },
      },
    });
    const link = await Referral.create({ user: 'anna', redirectTo: '/' }, { manager: host.dataSource.manager });
    for (const user of ['good', 'nameless', 'bad@x.example'])
      await host.referrals.signups.create({ user, code: link.code });
    const html = await get(host, '/friends');
    expect(html).toContain('Name of good');
    expect(html).toContain('A friend');
    expect(html).toContain('b***@x.example');
    expect(asked.sort()).toEqual(['bad@x.example', 'good', 'nameless']);
    expect(host.errors).toHaveLength(1);
  });
});

describe('wrong options are refused', () => {
  test.each<[option: string, pages: object]>([
    ['pages.path', { path: 'referrals' }],
    ['pages.path', { path: '/' }],
    ['pages.signInPath', { signInPath: 'https://evil.example/' }],
    ['pages.signInPath', { signInPath: '//evil.example' }],
    ['pages.signInPath', { signInPath: '/\\evil.example' }],
    ['pages.userName', { userName: 'name' }],
    ['pages.locale', { locale: 'de' }],
    ['pages.timeZone', { timeZone: 'UTC' }],
    ['pages.texts', { texts: [] }],
    ['pages.texts', { texts: { 'de-AT': {} } }],
    ['pages.texts', { texts: { en: { nothing: { title: 'x' } } } }],
    ['pages.texts', { texts: { en: { overview: { title: 7 } } } }],
    ['pages.texts', { texts: { en: { overview: { title: () => 'x' } } } }],
    ['pages.texts', { texts: { en: { overview: 'x' } } }],
    ['pages.texts', { texts: { en: { constructor: 'x' } } }],
    ['pages.colors', { colors: { accent: 'red' } }],
    ['pages.colors', { colors: { accent: '#fff;}' } }],
    ['pages.colors', { colors: { accent: { light: '#ffffff' } } }],
    ['pages.colors', { colors: { background: '#ffffff' } }],
    ['pages.templates', { templates: { overview: '<p>' } }],
    ['pages.templates', { templates: { nothing: () => '' } }],
  ])('%s: %j', async (option, pages) => {
    const dataSource = await openDataSource({ migrate: false });
    const make = (): unknown => createReferrals({ dataSource, baseUrl, secret, user: () => null, pages });
    expect(make).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }));
    expect(make).toThrow(`"${option}"`);
  });
});
