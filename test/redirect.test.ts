import fc from 'fast-check';
import { browserOf as request } from './support/browser';
import { locationOf, safeDestination } from '../lib/tracking/redirect';
import type { DataSource } from 'typeorm';
import { Referral } from '../lib';
import { settingsOf } from '../lib/options';
import { baseUrl, closeAll, type Host, secret, startHost } from './support/host';

afterAll(closeAll);

const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);
console.log(`redirect properties: SEED=${seed}`);

/** Origins of the site under another name, and of another app of the host's. */
const allowedOrigins = ['https://docs.shop.example', 'https://www.shop.example', 'http://shop.example:8080'];
const settings = settingsOf({
  ...{ baseUrl, secret, user: () => null, redirect: { allowedOrigins } },
  dataSource: { hasMetadata: () => true } as unknown as DataSource,
});

let host: Host;
let path: string;

beforeAll(async () => {
  host = await startHost({ redirect: { allowedOrigins } });
  path = `/r/${(await Referral.create({ redirectTo: '/stored' })).code}`;
});

const followed = async (parameter: string): Promise<string | undefined> =>
  (await request(host.app).get(`${path}?redirect_to=${encodeURIComponent(parameter)}`)).headers['location'];

describe('leads nowhere else', () => {
  test.each([
    '//e.com',
    '///e.com',
    '/\\e.com',
    '/\t/e.com',
    '\\\\e.com',
    '\t//e.com',
    ' //e.com',
    '\u0000//e.com',
    '/\r\n/e.com',
    'http:e.com',
    'https://shop.example@e.com',
    'https://shop.example:pw@e.com/',
    'https://user@shop.example/',
    'https://shop.example.e.com',
    'https://shop.example%2ee.com',
    'https://e.com\\@shop.example',
    'https://e.com#@shop.example',
    'http://shop.example/',
    'https://www.shop.example.e.com/',
    'https://shop.example:8443/',
    'javascript:alert(1)',
    'JaVaScRiPt:alert(1)',
    'java\nscript:alert(1)',
    'data:text/html,<script>alert(1)</script>',
    'blob:https://shop.example/1',
    'file:///etc/passwd',
    'ftp://shop.example/',
    'https:\\\\e\uff0ecom',
    '//e\u3002com',
    'https://[::1]/',
    `https://e.com/${'a'.repeat(100_000 - 14)}`,
    `/${'a'.repeat(100_000)}`,
    'https://',
  ])('%j', async (destination) => {
    expect(safeDestination(destination, settings)).toBeNull();
    const query = encodeURIComponent(destination);
    if (query.length < 15_000) expect(await followed(destination)).toBe('/stored');
    if (!destination.includes('\u0000'))
      await expect(Referral.create({ redirectTo: destination })).rejects.toMatchObject({
        code: 'INVALID_INPUT',
        field: 'redirectTo',
      });
  });

  test.each([
    'redirect_to[]=https://e.com',
    'redirect_to[a]=https://e.com',
    'redirect_to=',
    'redirect_to',
    'redirect_to=%zz//e.com',
  ])('?%s', async (query) => {
    const location = (await request(host.app).get(`${path}?${query}`)).headers['location']!;
    expect(location).toMatch(/^\/(?![/\\])/);
    expect(new URL(location, baseUrl).origin).toBe('https://shop.example');
  });

  test.each([[['https://e.com']], [{ href: 'https://shop.example' }], [7], [null], [undefined]])(
    '%p is no text',
    (value) => {
      expect(safeDestination(value, settings)).toBeNull();
    },
  );

  test('whatever the text, what is sent is an http(s) address of an allowed origin, and stays so when parsed again', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        '/',
        '\\',
        '//',
        'https:',
        'http:',
        'javascript:',
        'e.com',
        'shop.example',
        '@',
        ':',
        '?',
        '#',
        '.',
        '..',
      ),
      fc.constantFrom('\t', '\r\n', ' ', '\u0000', '\uff0e', '\u3002', '%2f', '%5c', '%09', '[', ']'),
      fc.string({ unit: 'binary', maxLength: 4 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const sent = safeDestination(pieces.join(''), settings);
        if (sent === null) return;
        const url = new URL(sent);
        expect([...settings.redirect.allowedOrigins]).toContain(url.origin);
        expect([url.username, url.password, url.href]).toEqual(['', '', sent]);
        expect(sent).toMatch(/^[\x21-\x7e]+$/); // nothing that could end a header or a URL early
      }),
      { seed, numRuns: 3000 },
    );
  });
});

describe('leads where it should', () => {
  test.each([
    ['/cart', '/cart'],
    ['cart?x=1#top', '/cart?x=1#top'],
    ['https://shop.example/a b', '/a%20b'],
    ['https://shop.example:443/', '/'],
    ['HTTPS://SHOP.EXAMPLE/Ä', '/%C3%84'],
    ['https://docs.shop.example/guide', 'https://docs.shop.example/guide'],
    ['https://www.shop.example/guide', 'https://www.shop.example/guide'],
    ['https:e.com', '/e.com'], // relative, for a base with the same scheme
    ['https://shop\u3002example/', '/'],
    ['/r-and-more', '/r-and-more'], // not below /r
    ['https://docs.shop.example/r/CODE', 'https://docs.shop.example/r/CODE'], // not of the site
    ['http://shop.example:8080/r/CODE', 'http://shop.example:8080/r/CODE'],
    // Paths that look like another host are sent with scheme and host.
    ['/..//e.com', 'https://shop.example//e.com'],
    ['https://shop.example//e.com', 'https://shop.example//e.com'],
    ['https://shop.example/\\e.com', 'https://shop.example//e.com'],
    ['/.//e.com', 'https://shop.example//e.com'],
    ['/.\\/e.com', 'https://shop.example//e.com'],
    ['/%2e//e.com', 'https://shop.example//e.com'],
    ['/%5Ce.com', '/%5Ce.com'],
  ])('%j to %s', async (parameter, expected) => {
    expect(await followed(parameter)).toBe(expected);
    const { url } = await Referral.create({ redirectTo: parameter });
    expect((await request(host.app).get(new URL(url).pathname)).headers['location']).toBe(expected);
  });

  test('a browser resolves what is sent to what was checked', () => {
    const piece = fc.constantFrom('/', '\\', '//', '.', '..', 'e.com', '%2e', '%5c', '?', '#', 'a', '\t', '@', ':');
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 10 }),
        fc.constantFrom('', '?utm=1', '?utm=//e.com#'),
        (pieces, query) => {
          const checked = safeDestination(`/${pieces.join('')}`, settings);
          if (checked === null) return;
          const sent = new URL(locationOf(checked, query, settings), 'https://shop.example/r/CODE');
          const before = new URL(checked);
          expect([sent.origin, sent.pathname, sent.hash]).toEqual([before.origin, before.pathname, before.hash]);
        },
      ),
      { seed, numRuns: 3000 },
    );
  });

  test('on the host name that the visitor came to', async () => {
    const answer = await request(host.app).get(path).set('Host', 'www.shop.example');
    expect(answer.headers['location']).toBe('/stored');
  });

  test('a parameter of another name, or none', async () => {
    await host.referrals.close();
    const named = await startHost({ dataSource: host.dataSource, redirect: { parameter: 'next' } });
    const location = async (query: string): Promise<string | undefined> =>
      (await request(named.app).get(`${path}?${query}`)).headers['location'];
    expect(await location('next=/a')).toBe('/a');
    expect(await location('redirect_to=/a')).toBe('/stored?redirect_to=%2Fa');
    await named.referrals.close();
    const off = await startHost({ dataSource: host.dataSource, redirect: { parameter: false } });
    expect((await request(off.app).get(`${path}?redirect_to=/a`)).headers['location']).toBe('/stored?redirect_to=%2Fa');
    await off.referrals.close();
    host = await startHost({ dataSource: host.dataSource, redirect: { allowedOrigins } });
  });
});

describe('a link leads to no link', () => {
  const links = [
    ...['/r', '/r/', '/r/OTHER', 'r/OTHER', '/R/OTHER', '/r?x=1', '/r#x', '/x/../r/OTHER', '/x/%2e%2E/r/OTHER'],
    ...['/r%2FOTHER', '/%72/OTHER', '/x%2f..%2fr/OTHER', '/r%5cOTHER', '/r\\OTHER', '/x//../../r/OTHER', './r/OTHER'],
    ...['https://shop.example/r/OTHER', 'https://shop.example//r/OTHER', 'HTTPS://SHOP.EXAMPLE:443/R/other'],
    ...['https://www.shop.example/r/OTHER', '/\tr/OTHER', '/r/create-link.js', '/r/OTHER?redirect_to=/r/OTHER'],
  ];

  test.each(links)('%j', async (destination) => {
    const refused = { code: 'INVALID_INPUT', field: 'redirectTo', message: expect.stringContaining('linkPath, "/r"') };
    await expect(Referral.create({ redirectTo: destination })).rejects.toMatchObject(refused);
    const { referralCodes } = host.referrals;
    const before = await Referral.findByCode(path.slice(3));
    await expect(referralCodes.create({ redirectTo: destination })).rejects.toMatchObject(refused);
    await expect(referralCodes.update(before!.id, { redirectTo: destination })).rejects.toMatchObject(refused);
    const posted = await request(host.app).post('/r/').set('Origin', baseUrl).send({ redirect_to: destination });
    expect(posted.status).toBe(401);
    const browser = host.browser();
    await browser.post('/login/poster');
    const answer = await browser.post('/r/').set('Origin', baseUrl).send({ redirect_to: destination });
    expect([answer.status, Object.keys(answer.body as object)]).toEqual([400, ['redirect_to']]);
    expect(await followed(destination)).toBe('/stored');
  });

  test.each(links)('%j that is stored leads to baseUrl, and one click is one click', async (destination) => {
    const link = await Referral.create({ redirectTo: '/', label: `stored ${destination}` });
    await host.dataSource.getRepository(Referral).update(link.id, { redirectTo: destination });
    const browser = host.browser();
    const answer = await browser.get(`/r/${link.code}`).redirects(20);
    expect(answer.redirects).toHaveLength(1);
    expect(new URL(answer.redirects[0]!).pathname).toBe('/');
    expect(await link.responseCount()).toBe(1);
  });

  test('to itself, again and again, counts once', async () => {
    const link = await Referral.create({ redirectTo: '/whose', label: 'itself' });
    let url = '/whose';
    for (let times = 0; times < 12; times++) url = `/r/${link.code}?redirect_to=${encodeURIComponent(url)}`;
    await host.browser().get(url).redirects(20).expect(200);
    await host.browser().get(`/r/${link.code}?redirect_to=/whose?referral_code=${link.code}`).redirects(20).expect(200);
    expect(await link.responseCount()).toBe(2);
  });

  test('and a click on a link is none on the code in its parameter', async () => {
    const [link, other] = [
      await Referral.create({ redirectTo: '/', label: 'path' }),
      await Referral.create({ redirectTo: '/', label: 'parameter' }),
    ];
    const browser = host.browser();
    await browser.get(`/R/${link.code}?referral_code=${other.code}`).expect(302).expect('Location', '/');
    expect([await link.responseCount(), await other.responseCount()]).toEqual([1, 0]);
    await browser.get('/whose').expect({ code: link.code });
  });
});

describe('parameters of the link', () => {
  let link: Referral;
  const locationFor = async (query: string, of = host, code = link.code): Promise<string> =>
    (await request(of.app).get(`/r/${code}?${query}`)).headers['location']!;
  beforeAll(async () => {
    link = await Referral.create({ redirectTo: '/p?own=1&a%20b=c%2Fd#part', label: 'parameters' });
  });

  test.each([
    ['utm_source=mail&gclid=A-1_b.c', '/p?own=1&a%20b=c%2Fd&utm_source=mail&gclid=A-1_b.c#part'],
    ['own=2&x=1', '/p?own=1&a%20b=c%2Fd&x=1#part'], // the destination's own wins
    ['a+b=2&OWN=2', '/p?own=1&a%20b=c%2Fd&OWN=2#part'],
    ['x=1&x=2', '/p?own=1&a%20b=c%2Fd&x=1&x=2#part'],
    ['referral_code=X&redirect_to=//e.com&x=1', '/p?own=1&a%20b=c%2Fd&x=1#part'],
    ['referral%5Fcode=X&redirect%5Fto=//e.com', '/p?own=1&a%20b=c%2Fd#part'],
    ['x=%0d%0aSet-Cookie:a%23b', '/p?own=1&a%20b=c%2Fd&x=%0D%0ASet-Cookie%3Aa%23b#part'],
    ['x=%zz&y=%FF&z', '/p?own=1&a%20b=c%2Fd&x=%25zz&y=%EF%BF%BD&z=#part'],
    ['', '/p?own=1&a%20b=c%2Fd#part'],
    ['redirect_to=/q%3Fx%3D2&x=1&y=3', '/q?x=2&y=3'],
    ['redirect_to=https://docs.shop.example/&y=3', 'https://docs.shop.example/?y=3'],
    ['redirect_to=/.//e.com&y=3', 'https://shop.example//e.com?y=3'],
    ['redirect_to=/q%3Freferral_code%3DX%26x%3D2', '/q?x=2'], // it would count a second click
  ])('?%s leads to %s', async (query, expected) => {
    expect(await locationFor(query)).toBe(expected);
  });

  test('are passed by bots and HEAD too', async () => {
    const answer = await request(host.app).head(`/r/${link.code}?x=1`).set('User-Agent', 'facebookexternalhit/1.1');
    expect(answer.headers['location']).toBe('/p?own=1&a%20b=c%2Fd&x=1#part');
  });

  test('never make the header 8 kB long', async () => {
    const long = await locationFor(`a=${'x'.repeat(5000)}&b=${'y'.repeat(5000)}&c=${'z'.repeat(2000)}&d=1`);
    expect(long.length).toBeLessThanOrEqual(8000);
    expect([...new URL(long, baseUrl).searchParams.keys()]).toEqual(['own', 'a b', 'a', 'c', 'd']);
    for (const length of [7950, 7960, 7970, 7980, 7990, 8000]) {
      const sent = await locationFor(
        `redirect_to=https://docs.shop.example/%23${'h'.repeat(1000)}&a=${'x'.repeat(length - 1030)}`,
      );
      expect(sent.length).toBeLessThanOrEqual(8000);
    }
    // Each character is nine in the URL, which is too long then.
    const stored = await Referral.create({ redirectTo: `/${'字'.repeat(1000)}`, label: 'wide' });
    expect(await locationFor('', host, stored.code)).toBe('/');
    expect(await locationFor('x=1', host, stored.code)).toBe('/');
  });

  test.each([
    [true, '/?utm_source=a&x=1'],
    [false, '/'],
    [['x', 'referral_code'], '/?x=1'],
    [[], '/'],
  ] as const)('redirect.passQuery: %p', async (passQuery, expected) => {
    await host.referrals.close();
    const own = await startHost({ dataSource: host.dataSource, redirect: { passQuery } });
    const { code } = await Referral.create({ redirectTo: '/', label: 'some' });
    expect(await locationFor('utm_source=a&x=1&referral_code=b', own, code)).toBe(expected);
    await own.referrals.close();
    host = await startHost({ dataSource: host.dataSource, redirect: { allowedOrigins } });
  });
});

describe.each(['https://shop.example/store', 'https://shop.example/store/'])('baseUrl %s', (baseUrl) => {
  let site: Host;
  beforeAll(async () => {
    site = await startHost({ baseUrl, redirect: { allowedOrigins: ['https://www.shop.example'] } });
  });
  afterAll(() => site.referrals.close());
  const locationOfCode = async (code: string): Promise<string> =>
    (await request(site.app).get(`/r/${code}`)).headers['location']!;

  test('is the default destination of accounts, channels and codes', async () => {
    const { referrals, dataSource } = site;
    const { referralId } = await referrals.accounts.of('anna');
    const ofAccount = await referrals.referralCodes.get(referralId!);
    const terms = { promoType: 'percent_off', promoValue: 0.1 } as const;
    const ofChannel = await referrals.channels.create({ user: 'anna', code: 'CHANNEL', ...terms });
    const ofCode = await referrals.referralCodes.create({ user: 'anna', label: 'code' });
    const unsafe = await Referral.create({ redirectTo: '/', label: 'unsafe' }, { manager: dataSource.manager });
    await dataSource.getRepository(Referral).update(unsafe.id, { redirectTo: 'https://e.com' });
    for (const { code } of [ofAccount, ofChannel, ofCode, unsafe])
      expect(new URL(await locationOfCode(code), baseUrl).href).toBe(baseUrl);
  });

  test.each([
    ['cart', '/store/cart'],
    ['./', '/store/'],
    ['?x=1', '/store/?x=1'],
    ['../other', '/other'],
    ['/cart', '/cart'],
    ['/r/CODE', '/r/CODE'], // not one of its links
    ['https://shop.example/store/cart', '/store/cart'],
  ])('%s leads to %s', async (redirectTo, expected) => {
    const { manager } = site.dataSource;
    const { code, url } = await Referral.create({ redirectTo, label: redirectTo }, { manager });
    expect(url).toBe(`https://shop.example/store/r/${code}`);
    expect(await locationOfCode(code)).toBe(expected);
    const followed = await request(site.app).get(`/r/${code}?redirect_to=${encodeURIComponent(redirectTo)}`);
    expect(followed.headers['location']).toBe(expected);
  });

  test.each(['r/CODE', './r', '/store/r/CODE', '/STORE/R/CODE', 'https://www.shop.example/store/r/CODE', '/store%2Fr'])(
    '%s is a link',
    async (redirectTo) => {
      const { manager } = site.dataSource;
      await expect(Referral.create({ redirectTo }, { manager })).rejects.toMatchObject({ field: 'redirectTo' });
    },
  );
});
