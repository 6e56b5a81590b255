import fc from 'fast-check';
import request from 'supertest';
import { safeDestination } from '../lib/tracking/redirect';
import { Referral } from '../lib';
import { closeAll, type Host, startHost } from './support/host';

afterAll(closeAll);

const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);
console.log(`redirect properties: SEED=${seed}`);

const settings = {
  baseUrl: new URL('https://shop.example'),
  redirect: {
    parameter: 'redirect_to',
    allowedOrigins: new Set(['https://shop.example', 'https://docs.shop.example']),
  },
} as const;

let host: Host;
let path: string;

beforeAll(async () => {
  host = await startHost({ redirect: { allowedOrigins: ['https://docs.shop.example'] } });
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
    if (query.length < 15_000) expect(await followed(destination)).toBe('https://shop.example/stored');
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
    expect(new URL(location).origin).toBe('https://shop.example');
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
        expect(settings.redirect.allowedOrigins).toContain(url.origin);
        expect([url.username, url.password, url.href]).toEqual(['', '', sent]);
        expect(sent).toMatch(/^[\x21-\x7e]+$/); // nothing that could end a header or a URL early
      }),
      { seed, numRuns: 3000 },
    );
  });
});

describe('leads where it should', () => {
  test.each([
    ['/cart', 'https://shop.example/cart'],
    ['cart?x=1#top', 'https://shop.example/cart?x=1#top'],
    ['https://shop.example/a b', 'https://shop.example/a%20b'],
    ['https://shop.example:443/', 'https://shop.example/'],
    ['HTTPS://SHOP.EXAMPLE/Ä', 'https://shop.example/%C3%84'],
    ['https://docs.shop.example/guide', 'https://docs.shop.example/guide'],
    ['/..//e.com', 'https://shop.example//e.com'], // a path of ours, whatever it looks like
    ['https:e.com', 'https://shop.example/e.com'], // relative, for a base with the same scheme
    ['https://shop\u3002example/', 'https://shop.example/'],
  ])('%j to %s', async (parameter, expected) => {
    expect(await followed(parameter)).toBe(expected);
    const { url } = await Referral.create({ redirectTo: parameter });
    expect((await request(host.app).get(new URL(url).pathname)).headers['location']).toBe(expected);
  });

  test('a parameter of another name, or none', async () => {
    await host.referrals.close();
    const named = await startHost({ dataSource: host.dataSource, redirect: { parameter: 'next' } });
    const location = async (query: string): Promise<string | undefined> =>
      (await request(named.app).get(`${path}?${query}`)).headers['location'];
    expect(await location('next=/a')).toBe('https://shop.example/a');
    expect(await location('redirect_to=/a')).toBe('https://shop.example/stored');
    await named.referrals.close();
    const off = await startHost({ dataSource: host.dataSource, redirect: { parameter: false } });
    expect((await request(off.app).get(`${path}?redirect_to=/a`)).headers['location']).toBe(
      'https://shop.example/stored',
    );
    await off.referrals.close();
  });
});
