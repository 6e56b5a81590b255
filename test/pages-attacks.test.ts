import { CsrfTokens } from '../lib/http/views/csrf';
import { Referral } from '../lib';
import { firefox } from './support/browser';
import { baseUrl, closeAll, secret } from './support/host';
import { type Browser, formIn, type PagesHost, send, signedIn, startPages } from './support/pages';

afterAll(closeAll);

let host: PagesHost;
let mallory: Browser;
let victim: Browser;

beforeAll(async () => {
  host = await startPages();
  [mallory, victim] = [await signedIn(host, 'mallory'), await signedIn(host, 'victim')];
});

const evil = `"'><script>alert(1)</script><img src=x onerror=alert(1)>`;
/** What no page may contain: stored text as markup, or an address that runs. */
const markup = /<script>alert|<img src=x|javascript:/i;

describe('stored text is only ever text', () => {
  test('in every field that somebody else, or the user, has filled in', async () => {
    const { referrals, clock } = host;
    const user = `victim`;
    const link = await Referral.create(
      { user, redirectTo: '/?q=%22><script>alert(1)</script>', label: evil },
      { manager: host.dataSource.manager },
    );
    const friend = `${evil}@friends.example`;
    await host
      .browser()
      .get(`/r/${link.code}`)
      .set({ 'User-Agent': `${firefox} ${evil.slice(0, 50)}`, 'Referer': 'javascript:alert(1)' });
    await referrals.signups.create({ user: friend, code: link.code });
    await referrals.recordUsage(friend, { reference: evil, amount: '1' });
    await referrals.channels.create({
      ...{ user, code: 'EVIL', description: evil, promoType: 'value_off', promoValue: '1' },
    });
    await referrals.coupons.apply(friend, 'EVIL');
    await referrals.recordPurchase(friend, { reference: `${evil} 1`, amount: '100' });
    const type = await referrals.creditTypes.create({ name: evil, refundable: true });
    await referrals.credits.create({ user, creditType: type, name: evil, initialBalance: '5', durationDays: 9 });
    await referrals.credits.spend(user, { amount: '1', reference: 's', description: evil });
    await referrals.commissions.adjust(user, { amount: '5', reference: 'a', reason: evil, by: evil });
    const { id } = await referrals.accounts.of(user);
    await referrals.accounts.update(id, { mode: 'payout', payoutEmail: `'"&x@pay.example`.replace('"', '') });
    clock.advanceDays(40);
    await referrals.runEarnOuts();

    const found: string[] = [];
    const paths = [
      '',
      '?days=all',
      '/links',
      '/coupons',
      '/friends',
      '/credits',
      '/commissions',
      '/payouts',
      '/settings',
    ];
    for (const path of [...paths, '/embed', '/embed/friends']) {
      const { text } = await victim.get(`/referrals${path}`).expect(200);
      if (markup.test(text)) found.push(path);
    }
    expect(found).toEqual([]);
    const { text } = await victim.get('/referrals/links');
    expect(text).toContain("&quot;'>&lt;script>alert(1)&lt;/script>");
  });

  test('what was typed into a form, and what stands in the address', async () => {
    const form = formIn((await victim.get('/referrals/links')).text);
    const { text } = await send(victim, '/referrals/links', {
      ...form,
      destination: `https://x.example/${evil}`,
      label: evil,
    });
    expect(text).not.toMatch(markup);
    for (const name of ['done', 'days', 'status', 'after', 'code']) {
      const query = new URLSearchParams({ [name]: evil }).toString();
      for (const path of ['', '/commissions', '/links', '/qr.svg', '/nothing'])
        expect(String((await victim.get(`/referrals${path}?${query}`)).text)).not.toMatch(markup);
    }
    expect((await victim.get(`/referrals/${encodeURIComponent(evil)}`).expect(404)).text).not.toMatch(markup);
  });

  test('what the host names friends, also with characters that turn text around', async () => {
    const named = await startPages({ pages: { userName: () => `${evil}\u202e` } });
    const link = await Referral.create({ user: 'victim', redirectTo: '/' }, { manager: named.dataSource.manager });
    await named.referrals.signups.create({ user: 'f', code: link.code });
    const browser = await signedIn(named, 'victim');
    expect((await browser.get('/referrals/friends')).text).not.toMatch(markup);
    const { text } = await browser.get('/referrals/friends.csv').expect(200);
    expect(text).toContain(`"""'><script>`); // a cell in quotation marks, with its own doubled
  });
});

describe('a form is refused', () => {
  const forms: [path: string, fields: Record<string, string>][] = [
    ['/referrals/links', { destination: '/', label: 'forged' }],
    ['/referrals/settings', { mode: 'payout', address: 'mallory@pay.example' }],
    ['/referrals/embed/links', { destination: '/', label: 'forged' }],
    ['/referrals/embed/settings', { mode: 'payout', address: 'mallory@pay.example' }],
  ];
  const csrf = '_referrals_csrf';
  const tokens = (now: Date, key = secret, of: 'pages' | 'admin' = 'pages'): string =>
    new CsrfTokens([key], of).sign('victim', now);

  test.each(forms)('%s without a token of the user, or from elsewhere', async (path, fields) => {
    const token = formIn((await victim.get(path)).text)[csrf]!;
    const others = formIn((await mallory.get(path)).text)[csrf]!;
    const now = host.clock.time;
    const wrong: [what: string, value: string | undefined][] = [
      ['missing', undefined],
      ['empty', ''],
      ['nonsense', 'x.y'],
      ['another user’s', others],
      ['of another secret', tokens(now, 'another secret of at least 32 characters')],
      ['of the pages of staff', tokens(now, secret, 'admin')],
      ['with a later end', token.replace(/^[^.]+/, (end) => (parseInt(end, 36) + 1).toString(36))],
      ['expired', tokens(new Date(now.getTime() - 12 * 60 * 60 * 1000))],
      ['of the future', tokens(new Date(now.getTime() + 1000))],
    ];
    for (const [what, value] of wrong) {
      const response = await send(victim, path, { ...fields, ...(value === undefined ? {} : { [csrf]: value }) });
      expect([what, response.status]).toEqual([what, 403]);
      expect(response.text).toContain('This form has expired');
    }
    for (const origin of [
      { Origin: 'https://evil.example' },
      { 'Origin': baseUrl, 'Sec-Fetch-Site': 'same-site' },
      {},
    ]) {
      const response = await victim
        .post(path)
        .set(origin)
        .type('form')
        .send({ ...fields, [csrf]: token });
      expect(response.status).toBe(403);
    }
    expect((await host.referrals.accounts.of('victim')).payoutEmail).not.toBe('mallory@pay.example');
    expect(await host.dataSource.getRepository(Referral).countBy({ label: 'forged' })).toBe(0);
    // The same form, with the token, is taken.
    await send(victim, path, { ...fields, label: 'taken', address: 'v@pay.example', [csrf]: token }).expect(303);
  });

  test('a token given twice, or as an object, is none', async () => {
    const token = formIn((await victim.get('/referrals/links')).text)[csrf]!;
    const body = `destination=/&${csrf}=${token}&${csrf}=${token}`;
    await victim.post('/referrals/links').set('Origin', baseUrl).type('form').send(body).expect(403);
    const object = { destination: '/', [csrf]: { toString: token } };
    await victim.post('/referrals/links').set('Origin', baseUrl).send(object).expect(403);
  });

  test('one of over 10 kB, and one that can’t be read', async () => {
    const large = `destination=${'x'.repeat(11_000)}`;
    await victim.post('/referrals/links').set('Origin', baseUrl).type('form').send(large).expect(413);
    await victim.post('/referrals/links').set('Origin', baseUrl).type('json').send('{').expect(400);
  });
});

test('another’s id is like none, on every path', async () => {
  const { referrals } = host;
  const type = await referrals.creditTypes.create({ name: 'other', refundable: true });
  const credit = await referrals.credits.create({
    user: 'owner',
    creditType: type,
    initialBalance: '5',
    durationDays: 9,
  });
  const link = await Referral.create({ user: 'owner', redirectTo: '/' }, { manager: host.dataSource.manager });
  const owner = await signedIn(host, 'owner');
  await owner.get(`/referrals/credits/${credit.id}`).expect(200);
  await owner.get(`/referrals/qr.svg?code=${link.code}`).expect(200);
  const answers = async (paths: string[]): Promise<string[]> =>
    Promise.all(
      paths.map(async (path) => {
        const { text } = await mallory.get(path).expect(404);
        return text;
      }),
    );
  const [foreign, missing] = await answers([`/referrals/credits/${credit.id}`, '/referrals/credits/999999']);
  const unsigned = (html: string): string => html.replace(/href="[^"]*"/g, '');
  expect(unsigned(foreign!)).toBe(unsigned(missing!));
  await answers([
    ...['-1', '0', '1e3', '1.5', 'x', '99999999999999999999', '%00'].map((id) => `/referrals/credits/${id}`),
    ...[link.code, 'nothing'].map((code) => `/referrals/qr.svg?code=${code}`),
    ...['/referrals/embed/credits/999999', '/referrals/links/1', '/referrals/users/owner'],
  ]);
});

test('another’s rows are on no page and in no statement', async () => {
  const { referrals, clock } = host;
  const link = await Referral.create(
    { user: 'secretive', redirectTo: '/secret-destination', label: 'secret-label' },
    { manager: host.dataSource.manager },
  );
  await referrals.signups.create({ user: 'secret-friend', code: link.code });
  await referrals.channels.create({ user: 'secretive', code: 'SECRETCODE', promoType: 'value_off', promoValue: '1' });
  await referrals.recordPurchase('secret-friend', { reference: 'x1', amount: '77.77' });
  clock.advanceDays(40);
  await referrals.runEarnOuts();
  const paths = [
    '',
    '?days=all',
    '/links',
    '/coupons',
    '/friends',
    '/credits',
    '/commissions',
    '/payouts',
    '/settings',
  ];
  const files = 'days links coupons friends credits entries commissions adjustments payouts'.split(' ');
  for (const path of [...paths, ...files.map((kind) => `/${kind}.csv`)]) {
    const { text } = await mallory.get(`/referrals${path}`).expect(200);
    expect(text).not.toMatch(/secret|15\.55/i);
  }
});

test('a mark of another list, or made up, is a page that does not exist', async () => {
  for (const path of ['links', 'coupons', 'friends', 'credits', 'commissions', 'payouts'])
    for (const after of ["1'", '-1', 'x', '1 OR 1=1', '9'.repeat(40)]) {
      const { status } = await mallory.get(`/referrals/${path}?${new URLSearchParams({ after }).toString()}`);
      expect([200, 404]).toContain(status);
    }
});
