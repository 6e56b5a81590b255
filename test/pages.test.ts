import { Referral } from '../lib';
import { closeAll } from './support/host';
import { type Browser, formIn, mounted, type PagesHost, send, signedIn, startPages } from './support/pages';

afterAll(closeAll);

let host: PagesHost;
let anna: Browser;

/** Anna has two friends, of whom one has bought; she has a link, a coupon, credit, and two payouts. */
beforeAll(async () => {
  host = await startPages();
  const { referrals, clock } = host;
  const { id } = await referrals.accounts.of('anna');
  await referrals.accounts.update(id, { mode: 'payout', payoutEmail: 'anna@pay.example' });
  const type = await referrals.creditTypes.create({ name: 'inside-name', refundable: true });
  const program = await referrals.programs.create({
    name: 'inside-program',
    beforeRewardUsageThreshold: '50',
    referralCredit: { amount: '10', durationDays: 90, type },
    rewardCredit: { amount: '15', durationDays: 180, type },
  });
  const link = await Referral.create({ user: 'anna', redirectTo: '/', label: 'Newsletter', program });
  await referrals.signups.create({ user: 'ben@friends.example', code: link.code });
  await referrals.signups.create({ user: 'carl', code: link.code });
  await referrals.recordUsage('ben@friends.example', { reference: 'u1', amount: '30' });
  await referrals.channels.create({
    ...{ user: 'anna', code: 'ANNA20', promoType: 'percent_off', promoValue: '0.2', maxRedemptions: 100 },
  });
  await referrals.coupons.apply('carl', 'ANNA20');
  await referrals.recordPurchase('carl', { reference: 'p1', amount: '100' });
  clock.advanceDays(40);
  await referrals.runEarnOuts();
  await referrals.recordPurchase('carl', { reference: 'p2', amount: '1' });
  await referrals.credits.create({ user: 'anna', creditType: type, initialBalance: '20', durationDays: 30 });
  await referrals.credits.spend('anna', { amount: '3.5', reference: 's1', description: 'Order 7' });
  anna = await signedIn(host, 'anna');
});

const page = async (path: string, browser = anna): Promise<string> =>
  (await browser.get(`/referrals${path}`).expect(200)).text;
/** What a page says, without its markup. */
const said = (html: string): string =>
  html
    .replace(/<script[^]*?<\/script>|<[^>]*>/g, ' ')
    .replaceAll('&amp;', '&')
    .replaceAll('&quot;', '"')
    .replace(/\s+/g, ' ');

describe('what the pages show', () => {
  test('the link, to copy and to share, which is no link itself', async () => {
    const html = await page('');
    const { referralId } = await host.referrals.accounts.of('anna');
    const { url } = await host.dataSource.getRepository(Referral).findOneByOrFail({ id: referralId! });
    expect(html).toContain(`readonly value="${url}"`);
    expect(html).toContain(`href="mailto:?subject=An%20invitation%20for%20you&amp;body=`);
    expect(html).not.toContain(`href="${url}`);
    expect(html).not.toMatch(/(href|src|action)="[^"]*(\/r\/|referral_code=)/);
  });

  test('figures and charts with their tables', async () => {
    for (const days of ['7', '30', '90', 'all']) expect(await page(`?days=${days}`)).toContain('How it is going');
    const text = said(await page('?days=90'));
    expect(text).toMatch(/Sign-ups 2 Customers 1 Earned €\d/);
    expect(text).toContain('Show as a table');
    expect(said(await page('?days=8'))).toContain('30 days'); // an unknown period is the default
  });

  test('links by label', async () => {
    const text = said(await page('/links'));
    expect(text).toContain('Newsletter');
    expect(text).toContain('Without a label');
  });

  test('coupons with their uses and revenue', async () => {
    const text = said(await page('/coupons'));
    expect(text).toMatch(/ANNA20 20% off once Valid 1 of 100 €100\.00 €20\.00/);
  });

  test('friends with their state, masked', async () => {
    const html = await page('/friends');
    const text = said(html);
    expect(text).toMatch(/b\*\*\*@friends\.example/);
    expect(text).toContain('€30.00 of €50.00 used');
    expect(text).toContain('Customer');
    expect(html).not.toContain('ben@friends.example');
    expect(html).not.toContain('carl');
  });

  test('credit with what is left and until when, and its entries', async () => {
    const html = await page('/credits');
    expect(said(html)).toMatch(/You can spend €16\.50/);
    expect(said(html)).toMatch(/A gift from us .* €20\.00 €16\.50/);
    expect(html).not.toContain('inside');
    const [, path] = /href="\/referrals(\/credits\/\d+)"/.exec(html)!;
    expect(said(await page(path!))).toMatch(/Spent Order 7 -€3\.50/);
  });

  test('commissions by status', async () => {
    expect(said(await page('/commissions'))).toMatch(/Purchase of c\*\*\*l|Purchase of \S+/);
    expect(said(await page('/commissions?status=paid'))).toMatch(/Paid as money on .* €20\.00/);
    expect(said(await page('/commissions?status=held'))).toContain('None of these');
    expect(said(await page('/commissions?status=nothing'))).toMatch(/€20\.00/);
  });

  test('payouts, and why one was refused', async () => {
    expect(said(await page('/payouts'))).toMatch(/anna@pay\.example Paid .* €20\.00/);
  });

  test('empty pages say what to do next', async () => {
    const nobody = await signedIn(host, 'new');
    for (const path of ['/coupons', '/friends', '/credits', '/commissions', '/payouts'])
      expect(await page(path, nobody)).toMatch(/rf-empty[^]*<a href="\/referrals/);
  });

  test('statements as CSV', async () => {
    for (const kind of 'days links coupons friends credits entries commissions adjustments payouts'.split(' ')) {
      const response = await anna.get(`/referrals/${kind}.csv`).expect(200);
      expect(response.headers['content-type']).toBe('text/csv; charset=utf-8');
      expect(response.headers['content-disposition']).toMatch(
        new RegExp(`^attachment; filename="?referrals-${kind}.csv"?$`),
      );
      expect(response.headers['cache-control']).toBe('no-store');
      expect(response.text).not.toContain('ben@friends.example');
    }
    const { text } = await anna.get('/referrals/commissions.csv');
    expect(text.split('\r\n')).toHaveLength(4); // a head, two rows, and the end of the last line
    expect(text).toMatch(/,ANNA20,Paid,/);
  });

  test('the QR code of a link, to download', async () => {
    const { referralId } = await host.referrals.accounts.of('anna');
    const { code } = await host.dataSource.getRepository(Referral).findOneByOrFail({ id: referralId! });
    const response = await anna.get(`/referrals/qr.svg?code=${code}`).expect(200);
    expect(response.headers['content-type']).toBe('image/svg+xml; charset=utf-8');
    expect(response.headers['content-disposition']).toMatch(new RegExp(`^attachment; filename="?${code}.svg"?$`));
    expect(String(response.body)).toContain('<svg xmlns="http://www.w3.org/2000/svg"');
    for (const query of ['', '?code=', '?code=nothing', '?code=..%2f'])
      await anna.get(`/referrals/qr.svg${query}`).expect(404);
  });
});

describe('forms', () => {
  test('a new link', async () => {
    const form = { ...formIn(await page('/links')), destination: '/pricing', label: 'Talk in Łódź' };
    const response = await send(anna, '/referrals/links', form).expect(303);
    expect(response.headers['location']).toBe('/referrals/links?done=link-created');
    const text = said(await page('/links?done=link-created'));
    expect(text).toContain('Your new link is ready to share.');
    expect(text).toContain('Talk in Łódź');
  });

  test.each([
    ['destination', { destination: '', label: '' }, 'Enter the page that the link leads to.'],
    ['destination', { destination: 'https://evil.example/', label: 'x' }, 'must lead to a page of this site'],
    ['destination', { destination: 'javascript:alert(1)', label: 'x' }, 'must lead to a page of this site'],
    ['destination', { destination: '/r/CODE', label: 'x' }, 'must lead to a page of this site'],
    ['label', { destination: '/', label: 'x'.repeat(101) }, 'Up to 100 characters'],
    ['label', { destination: '/', label: 'a\0b' }, 'Up to 100 characters'],
  ])('a wrong %s is said at its field, with what was typed', async (field, typed, message) => {
    const before = await host.dataSource.getRepository(Referral).count();
    const response = await send(anna, '/referrals/links', { ...formIn(await page('/links')), ...typed }).expect(400);
    expect(response.text).toMatch(new RegExp(`id="rf-${field}"[^>]*aria-invalid="true"`));
    expect(said(response.text)).toContain(message);
    expect(response.text).toMatch(/<div class="rf-notice rf-bad" role="alert">Nothing was saved\. [^]*<form/);
    if (typed.label !== '') expect(response.text).toContain(`value="${typed.label}"`);
    expect(await host.dataSource.getRepository(Referral).count()).toBe(before);
  });

  test('how the user is paid, and the hold after a change', async () => {
    const dora = await signedIn(host, 'dora');
    const path = '/referrals/settings';
    const form = formIn(await page('/settings', dora));
    expect(form['mode']).toBe('credits');
    for (const [typed, message] of [
      [{ mode: 'payout', address: '' }, 'Enter the address that money goes to.'],
      [{ mode: 'payout', address: 'no address' }, 'This is not an e-mail address.'],
      [{ mode: 'gold', address: '' }, 'Choose one of these.'],
    ] as const) {
      const response = await send(dora, path, { ...form, ...typed }).expect(400);
      expect(said(response.text)).toContain(message);
    }
    await send(dora, path, { ...form, mode: 'payout', address: 'dora@pay.example' }).expect(303);
    expect(said(await page('/settings', dora))).not.toContain('Payouts wait until');
    await send(dora, path, { ...form, mode: 'payout', address: 'd2@pay.example' }).expect(303);
    expect(said(await page('/settings', dora))).toContain('Your address was changed. Payouts wait until');
    const account = await host.referrals.accounts.of('dora');
    expect(account).toMatchObject({ mode: 'payout', payoutEmail: 'd2@pay.example' });
    await send(dora, path, { ...form, mode: 'credits', address: '' }).expect(303);
    expect(await host.referrals.accounts.of('dora')).toMatchObject({ mode: 'credits', payoutEmail: null });
  });

  test('the mode payout can’t be chosen where the site does not pay out', async () => {
    const poor = await startPages({ earnOuts: {} });
    const eve = await signedIn(poor, 'eve');
    const html = await page('/settings', eve);
    expect(html).not.toContain('value="payout"');
    await send(eve, '/referrals/settings', { ...formIn(html), mode: 'payout', address: 'e@pay.example' }).expect(400);
    expect((await poor.referrals.accounts.of('eve')).mode).toBe('credits');
  });
});

describe('headers', () => {
  test('of pages: nothing inline, nothing from elsewhere, in no cache, in no frame', async () => {
    const { headers, text } = await anna.get('/referrals');
    expect(headers).toMatchObject({
      'content-security-policy':
        "default-src 'self'; base-uri 'none'; form-action 'self'; object-src 'none'; frame-ancestors 'none'",
      'x-frame-options': 'DENY',
      'referrer-policy': 'same-origin',
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
    });
    for (const path of ['', '/links', '/coupons', '/friends', '/credits', '/commissions', '/payouts', '/settings']) {
      const html = await page(path);
      expect(html).not.toMatch(
        / style=| on[a-z]+=|<style|<script(?! src="\/referrals\/assets\/pages\.[0-9a-f]{10}\.js" defer)/,
      );
      expect(html).not.toMatch(/ (src|action|srcset)="(?!\/referrals)/);
    }
    expect(text).toContain('<html lang="en">');
  });

  test('of errors too', async () => {
    for (const [path, status] of [
      ['/nothing', 404],
      ['/credits/x', 404],
      ['/%E0%A4%A', 404],
    ] as const) {
      const { headers, text } = await anna.get(`/referrals${path}`).expect(status);
      expect(headers['content-security-policy']).toContain("default-src 'self'");
      expect(text).toContain('There is no such page');
    }
    const response = await anna.put('/referrals/links').set('Origin', 'https://shop.example').expect(405);
    expect(response.headers['allow']).toBe('GET, HEAD, POST');
  });

  test('assets have a hash and are cached for a year', async () => {
    const html = await page('');
    const paths = [...html.matchAll(/(?:href|src)="(\/referrals\/assets\/[^"]+)"/g)].map(([, path]) => path!);
    expect(paths).toHaveLength(2);
    for (const path of paths) {
      const { headers } = await anna.get(path).expect(200);
      expect(headers['cache-control']).toBe('public, max-age=31536000, immutable');
      expect(headers['content-type']).toMatch(/^text\/(css|javascript); charset=utf-8$/);
    }
    // Without a user too; and there is no way out of the folder.
    await host.browser().get(paths[0]!).expect(200);
    for (const name of ['views.css', 'pages.0000000000.css', '..%2fassets.js', 'constructor'])
      await anna.get(`/referrals/assets/${name}`).expect(404);
  });

  test('HEAD', async () => {
    for (const path of ['', '/links', '/links.csv'])
      expect((await anna.head(`/referrals${path}`).expect(200)).text).toBeFalsy();
  });
});

describe('nobody signed in', () => {
  const paths = ['', '/links', '/credits/1', '/settings', '/links.csv', '/qr.svg?code=x', '/nothing', '/embed'];

  test('is asked to sign in, whatever the path', async () => {
    for (const path of paths)
      expect((await host.browser().get(`/referrals${path}`).expect(401)).text).toContain('Sign in to invite friends');
    await send(host.browser(), '/referrals/links', { destination: '/' }).expect(401);
    expect(await host.referrals.pages.data({ session: {} } as never)).toBeNull();
  });

  test('is sent to signInPath, in the site’s own path', async () => {
    const elsewhere = await startPages({
      pages: { signInPath: '/login?next=/referrals' },
      baseUrl: 'https://shop.example/app',
    });
    const response = await elsewhere.browser().get('/referrals/links').expect(303);
    expect(response.headers['location']).toBe('/app/login?next=/referrals');
    await elsewhere.browser().get('/referrals/embed').expect(401); // a frame is no place to sign in
  });
});

describe('for the host’s own pages', () => {
  test('embed: the same without a frame, to be shown in pages of this site', async () => {
    for (const path of ['', '/links', '/settings']) {
      const { headers, text } = await anna.get(`/referrals/embed${path}`).expect(200);
      expect(headers['x-frame-options']).toBe('SAMEORIGIN');
      expect(headers['content-security-policy']).toContain("frame-ancestors 'self'");
      // What is clicked in the frame stays in the frame.
      expect(text).not.toMatch(/(href|action)="\/referrals(?!\/embed)/);
    }
    const form = { ...formIn((await anna.get('/referrals/embed/links')).text), destination: '/', label: 'embedded' };
    const response = await send(anna, '/referrals/embed/links', form).expect(303);
    expect(response.headers['location']).toBe('/referrals/embed/links?done=link-created');
  });

  test('embed(req), referralBanner(req) and pages.data(req)', async () => {
    const parts = await startPages({ pages: { userName: (id) => id.toUpperCase() } }, (app, get) => {
      mounted(app, get);
      app.get('/part', async (req, res) => void res.send(await get().referrals.embed(req)));
      app.get('/landing', async (req, res) => void res.send(await get().referrals.referralBanner(req)));
      app.get('/data', async (req, res) => {
        const data = (await get().referrals.pages.data(req))!;
        res.json({ overview: await data.overview(), friends: await data.friends(), settings: await data.settings() });
      });
    });
    const type = await parts.referrals.creditTypes.create({ name: 'any', refundable: true });
    const program = await parts.referrals.programs.create({
      name: 'any',
      referralCredit: { amount: '10', durationDays: 90, type },
    });
    const link = await Referral.create(
      { user: 'olga', redirectTo: '/landing', program },
      { manager: parts.dataSource.manager },
    );

    const visitor = parts.browser();
    expect((await visitor.get('/part')).text).toBe('');
    expect((await visitor.get('/landing')).text).toBe('');
    await visitor.get(`/r/${link.code}`).expect(302);
    const banner = said((await visitor.get('/landing')).text);
    expect(banner).toMatch(/OLGA has invited you You get €10 in credit when you sign up\./);
    await visitor.post('/login/pia');
    await parts.referrals.signups.create({ user: 'pia', code: link.code });
    expect((await visitor.get('/landing')).text).toBe('');

    const olga = await signedIn(parts, 'olga');
    const part = (await olga.get('/part')).text;
    expect(part).toContain('<link rel="stylesheet" href="/referrals/assets/pages.');
    expect(part).toContain('<div class="rf rf-embed" lang="en">');
    expect(part).not.toMatch(/<html|<main|<h1/);
    const { body } = await olga.get('/data');
    expect(body.overview.link.url).toMatch(/^https:\/\/shop\.example\/r\//);
    expect(body.friends.rows).toEqual([expect.objectContaining({ friend: 'PIA' })]);
    expect(body.friends.rows[0]).not.toHaveProperty('id');
    expect(body.settings.mode).toBe('credits');
  });

  test('the banner on the own link, and of a suspended referrer, is empty', async () => {
    const parts = await startPages({}, (app, get) => {
      app.get('/landing', async (req, res) => void res.send(await get().referrals.referralBanner(req)));
    });
    const link = await Referral.create({ user: 'rita', redirectTo: '/landing' }, { manager: parts.dataSource.manager });
    const visitor = parts.browser();
    await visitor.get(`/r/${link.code}`);
    expect(said((await visitor.get('/landing')).text)).toContain('A friend has invited you');
    await parts.referrals.accounts.suspend('rita', { by: 'staff', reason: 'a test' });
    expect((await visitor.get('/landing')).text).toBe('');
    await parts.referrals.accounts.reinstate('rita', { by: 'staff', reason: 'a test' });
    await visitor.post('/login/rita');
    expect((await visitor.get('/landing')).text).toBe('');
  });
});

test('a banner never shows an id, and the landing page stands without it while the database is away', async () => {
  const userName = (): string => {
    throw new Error('no names today');
  };
  const host = await startPages({ pages: { userName } }, (app, get) => {
    app.get('/landing', async (req, res) => void res.send(`<main>${await get().referrals.referralBanner(req)}</main>`));
  });
  const owner = { user: 'nora@home.example', redirectTo: '/landing' };
  const link = await Referral.create(owner, { manager: host.dataSource.manager });
  const visitor = host.browser();
  await visitor.get(`/r/${link.code}`).expect(302);
  const { text } = await visitor.get('/landing').expect(200);
  expect(said(text)).toContain('A friend has invited you');
  expect(text).not.toMatch(/home\.example|n\*\*\*/);
  expect(host.errors).toEqual([expect.objectContaining({ message: 'no names today' })]);

  await host.referrals.close();
  expect((await visitor.get('/landing').expect(200)).text).toBe('<main></main>');
  expect(host.errors.at(-1)).toMatchObject({ status: 503 });
});

test('an error of the database is reported, and the page says nothing about it', async () => {
  const broken = await startPages();
  const sue = await signedIn(broken, 'sue');
  const { schema } = broken.dataSource.options as { schema: string };
  await broken.dataSource.query(`ALTER TABLE "${schema}".referral_accounts RENAME TO gone`);
  const response = await sue.get('/referrals/settings').expect(500);
  expect(response.text).toContain('Something went wrong');
  expect(response.text).not.toContain('referral_accounts');
  expect(broken.errors).not.toEqual([]);
});
