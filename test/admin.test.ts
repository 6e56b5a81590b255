import express from 'express';
import request from 'supertest';
import type { Referrals } from '../lib';
import { lists } from '../lib/http/admin/lists/lists';
import type { EarningsHost } from './support/earnings';
import { baseUrl, closeAll, startHost, StatementLog } from './support/host';
import { adminPath, attack, startStaffWorld } from './support/staff-world';

afterAll(closeAll);

type Browser = ReturnType<EarningsHost['browser']>;

async function signIn(host: EarningsHost, user: string): Promise<Browser> {
  const browser = host.browser();
  await browser.post(`/login/${user}`).expect(204);
  return browser;
}

/** Reads a page of staff. */
const read = async (browser: Browser, path: string, status = 200): Promise<string> =>
  (await browser.get(adminPath + path).expect(status)).text;

const listPaths = Object.values(lists).map(({ path }) => path);
const otherPaths = ['/', '/search?q=anna', '/leaders', '/leaders?days=30&order=signups', '/health'];

/** What a reader sees: no tags, and characters as they are. */
const textOf = (html: string): string =>
  html
    .replace(/<[^>]*>/g, ' ')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&amp;', '&')
    .replace(/\s+/g, ' ');

/** Sends a form of a page, with the fields that nobody sees. */
async function send(browser: Browser, page: string, action: string, fields: object = {}) {
  const html = await read(browser, page);
  const token = /name="_referrals_csrf" value="([^"]+)"/.exec(html)![1]!;
  return browser
    .post(adminPath + action)
    .set('Origin', baseUrl)
    .type('form')
    .send({ _referrals_csrf: token, ...fields });
}

describe('who may see the pages', () => {
  test('without the option `staff` there are none', async () => {
    const { referrals } = await startHost();
    expect(() => referrals.admin).toThrow(expect.objectContaining({ code: 'STAFF_MISSING', status: 500 }));
    expect(() => ({ ...referrals })).not.toThrow();
  });

  test('nobody but staff gets anything, whatever the path and the method', async () => {
    const host = await startStaffWorld();
    const anna = await signIn(host, 'anna');
    const paths = [
      ...[...listPaths, ...listPaths.map((path) => `${path}.csv`), ...otherPaths],
      ...['/referrals/1', '/users/anna', '/health/verify', '/actions/commissions.hold', '/nothing', '/%E0%A4%A', '//'],
    ];
    for (const path of paths)
      for (const browser of [host.browser(), anna])
        for (const method of ['get', 'post', 'head', 'put', 'delete', 'options'] as const) {
          const { status, text = '' } = await browser[method](adminPath + path).set('Origin', baseUrl);
          expect([method, path, status]).toEqual([method, path, 403]);
          expect(text).not.toContain('ANNA');
        }
    expect(host.errors).toEqual([]);
  });

  test('an answer of `staff` that is nobody lets nobody in, and a wrong one is an error', async () => {
    let answer: unknown = null;
    const host = await startStaffWorld('', { staff: () => answer as null });
    for (answer of [null, undefined]) await host.browser().get(`${adminPath}/`).expect(403);
    for (answer of [true, 'staff', {}, { id: '' }, { id: null }, 7])
      expect((await host.browser().get(`${adminPath}/`)).status).toBe(500);
    answer = Promise.resolve({ id: 7 });
    await host.browser().get(`${adminPath}/`).expect(200);
  });
});

describe('the pages of a small world', () => {
  let host: EarningsHost;
  let referrals: Referrals;
  let browser: Browser;
  beforeAll(async () => {
    host = await startStaffWorld();
    referrals = host.referrals;
    browser = await signIn(host, 'staff-1');
  });

  test('each list shows rows, and has the headers of private data', async () => {
    for (const path of listPaths) {
      const response = await browser.get(adminPath + path).expect(200);
      expect([path, response.text.includes('<tbody')]).toEqual([path, true]);
      expect(response.headers).toMatchObject({
        'content-security-policy': expect.stringContaining("default-src 'self'"),
        'x-frame-options': 'DENY',
        'x-content-type-options': 'nosniff',
        'referrer-policy': expect.any(String),
        'cache-control': expect.stringContaining('no-store'),
      });
      expect(response.text).not.toMatch(/<[^>]+ style=|<script>|<style/);
    }
    expect(host.errors).toEqual([]);
  });

  test('the first page says what waits, with links to it', async () => {
    const html = await read(browser, '/');
    const text = textOf(html);
    for (const what of ['Reviews to decide', 'Payouts that failed']) expect(text).toContain(what);
    expect(html).toContain(`href="${adminPath}/reviews?status=open"`);
    expect(text).toContain('Sign-ups 0'); // they were 40 days ago
    expect(textOf(await read(browser, '/?days=90'))).toContain('Sign-ups 2');
    expect(textOf(await read(browser, '/?days=junk'))).toContain('The last days');
  });

  test('the story of a referral: owner, terms, clicks, sign-ups with what was weighed, money, reviews, audit', async () => {
    const { id } = await referrals.referralCodes.getByCode('ANNA');
    const html = await read(browser, `/referrals/${id}`);
    const text = textOf(html);
    for (const part of [
      ...['anna', 'ANNA', 'blog', 'launch', '$25.00', '$40.00', 'once $10.00 are used', 'bert', 'carl'],
      ...[
        'A typed code goes before links',
        'chosen',
        '$22.50',
        'Click',
        'subscribed',
        'looks odd',
        'referralCodes.create',
      ],
      ...['Firefox/140.0', 'order 7', 'Rule of your own'],
    ])
      expect([part, text.includes(part)]).toEqual([part, true]);
    expect(html).toContain(`href="${adminPath}/users/anna"`);
    expect(html).toContain(`${adminPath}/actions/codes.update?id=${id}`);
  });

  test('the story of a user: sentences, account, money, links, reviews, audit', async () => {
    const text = textOf(await read(browser, '/users/anna'));
    const { sentences } = await referrals.explain('anna');
    for (const sentence of sentences) expect(text).toContain(sentence);
    for (const part of ['anna@example.org', 'SAVE20', 'no such account', 'because', 'accounts.update', '$72.50'])
      expect([part, text.includes(part)]).toEqual([part, true]);
    const bert = textOf(await read(browser, '/users/bert'));
    for (const part of ['Signed up through', 'ANNA', 'order', 'gift', 'reward']) expect(bert).toContain(part);
  });

  test.each([
    ['anna', 'User'],
    ['ann', 'Link or code'],
    ['blog', 'Link or code'],
    ['laun', 'Program'],
    ['ANNA@', 'Account, by its payout address'],
    ['order', 'Purchase'],
    ['refund', 'Refund'],
    ['usage', 'Usage'],
    ['grant', 'Credit'],
    ['spend', 'Spent credit'],
    ['bonus', 'Adjustment'],
  ])('the search finds %j', async (typed, kind) => {
    const html = await read(browser, `/search?q=${encodeURIComponent(typed)}`);
    expect(textOf(html)).toContain(kind);
    // Each thing found leads to a page that exists.
    for (const [, href] of html.matchAll(/<th scope="row"[^>]*><a href="([^"]+)"/g))
      await browser.get(href!.replaceAll('&amp;', '&')).expect(200);
  });

  test('what the records of a story are called is read in one statement', async () => {
    const { dataSource } = host;
    const { logger } = dataSource;
    const [code] = await referrals.referralCodes.search({ where: { code: 'ANNA' } });
    for (const path of [`/referrals/${code!.id}`, '/users/anna']) {
      const log = new StatementLog();
      Object.assign(dataSource, { logger: log });
      await read(browser, path).finally(() => Object.assign(dataSource, { logger }));
      expect(log.statements.filter((one) => one.includes(`'creditTypes', id::text`))).toHaveLength(1);
    }
  });

  test('the search finds a payout by its key, and nothing with a hint', async () => {
    const [earnOut] = await referrals.earnOuts.search();
    expect(textOf(await read(browser, `/search?q=${earnOut!.idempotencyKey}`))).toContain('Payout');
    for (const text of ['nobody', '%', '_', '\\', '%00', 'x'.repeat(300), '1.2.3.4'])
      expect(await read(browser, `/search?q=${encodeURIComponent(text)}`)).toContain('Nothing found');
    expect(await read(browser, '/search')).not.toContain('Nothing found');
    expect(await read(browser, '/search?q=1.2.3.4')).toContain('/responses?ipAddress=1.2.3.4');
  });

  test('an unknown id or path is the same 404', async () => {
    const bodies = new Set<string>();
    for (const path of [
      '/referrals/999999',
      '/referrals/0',
      '/referrals/x',
      '/referrals/1e3',
      '/referrals/99999999999999999999',
    ])
      bodies.add(await read(browser, path, 404));
    for (const path of [
      '/users/unknown',
      '/users/%00',
      `/users/${'x'.repeat(500)}`,
      '/nothing',
      '/reviews/1',
      '/%E0%A4%A',
    ])
      bodies.add(await read(browser, path, 404));
    const mains = new Set([...bodies].map((html) => html.slice(html.indexOf('<main'))));
    expect(mains.size).toBe(1);
    expect(host.errors).toEqual([]);
  });

  test('filters find, and say what they take where they can’t be read', async () => {
    expect(textOf(await read(browser, '/signups?user=bert'))).toContain('bert');
    expect(await read(browser, '/signups?user=bert&source=attribution')).toContain('Nothing found');
    expect(await read(browser, '/commissions?status=available')).not.toContain('Nothing found');
    expect(await read(browser, '/commissions?status=held')).toContain('Nothing found');
    const [commission] = await referrals.commissions.search();
    await referrals.commissions.hold(commission!, { reason: 'a look' });
    expect(await read(browser, '/commissions?status=held')).not.toContain('Nothing found');
    await referrals.commissions.release(commission!);
    expect(await read(browser, '/commissions?status=rejected')).toContain('Nothing found');
    expect(await read(browser, '/payouts?waits=provider')).toContain('Nothing found');
    expect(await read(browser, '/accounts?payoutEmail=ANNA%40')).toContain('anna@example.org');
    expect(await read(browser, '/responses?action=subscribed')).toContain('subscribed');
    // The last part of an address is not stored.
    for (const address of ['127.0.0.0', '127.0.0.77', '::ffff:127.0.0.1'])
      expect(textOf(await read(browser, `/responses?ipAddress=${address}`))).toContain('subscribed');
    expect(await read(browser, '/responses?ipAddress=127.0.1.0')).toContain('Nothing found');
    expect(await read(browser, '/referrals?from=2026-03-01&until=2026-03-01')).toContain('ANNA');
    expect(await read(browser, '/referrals?until=2026-02-28')).toContain('Nothing found');
    for (const [path, says] of [
      ['/commissions?id=seven', 'A number.'],
      ['/commissions?status=good', 'One of the choices.'],
      ['/commissions?status=constructor', 'One of the choices.'],
      ['/commissions?from=2026-02-30', 'A day, such as 2026-03-01.'],
      ['/commissions?from=0000-00-00', 'A day, such as 2026-03-01.'],
      ['/responses?visitor=7', 'A visitor as the list shows it.'],
      ['/signups?user=%00', 'A text of at most 255 characters.'],
      [`/signups?user=${'x'.repeat(300)}`, 'A text of at most 255 characters.'],
    ] as const) {
      expect([path, (await read(browser, path, 400)).includes(says)]).toEqual([path, true]);
      await browser.get(`${adminPath}${path.replace('?', '.csv?')}`).expect(400);
    }
    // What is no filter is left alone, and a place that is none begins at the start.
    for (const path of [
      '/signups?junk=1&user[]=x',
      '/signups?after=junk',
      '/responses?after=junk~1',
      '/responses?after=2026~1',
    ])
      expect(await read(browser, path)).toContain('<tbody');
    expect(host.errors).toEqual([]);
  });

  test('all times are of the zone in which the server reads those that staff type', async () => {
    for (const path of ['/signups', '/actions/channels.create']) {
      const html = await read(browser, path);
      expect(html).not.toContain('data-rf-time');
      expect(html).not.toContain('data-rf-zone');
      expect(textOf(html)).toContain('Times are shown in UTC');
    }
  });

  test('an unknown path is not found, whatever the method', async () => {
    await browser.put(`${adminPath}/nothing`).expect(404);
    expect((await browser.put(`${adminPath}/signups`).expect(405)).headers['allow']).toBe('GET, HEAD');
  });

  test('the CSV of a list has its rows and values', async () => {
    for (const { path, columns } of Object.values(lists)) {
      const { text, headers } = await browser.get(`${adminPath}${path}.csv`).expect(200);
      expect(headers).toMatchObject({
        'content-type': 'text/csv; charset=utf-8',
        'content-disposition': expect.stringMatching(`^attachment; filename="?${path.slice(1)}\\.csv"?$`),
        'cache-control': expect.stringContaining('no-store'),
      });
      const [head, ...rows] = text.trimEnd().split('\r\n');
      expect(head).toBe(columns.map(({ key }) => key).join(','));
      const html = await read(browser, path);
      expect([path, rows.length]).toEqual([path, html.match(/<tr[^>]*>/g)!.length - 1]);
    }
    const { text } = await browser.get(`${adminPath}/signups.csv?user=bert`).expect(200);
    expect(text).toContain('bert,anna,ANNA,code,launch,12.00,10.00,');
    await browser.head(`${adminPath}/signups.csv`).expect(200);
  });

  test('the leader board', async () => {
    for (const path of ['/leaders', '/leaders?days=90&order=customers', '/leaders?days=junk&order=junk'])
      expect(textOf(await read(browser, path))).toContain('1. anna');
    expect(await read(browser, '/leaders?days=7')).toContain('Nobody has referred anybody');
  });

  test('the health page: payouts, migrations, pool, version', async () => {
    const text = textOf(await read(browser, '/health'));
    for (const part of [
      'Payouts that failed and are tried again',
      'no such account',
      'complete',
      'AdminSearch1821000000000',
      'PostgreSQL',
      '0.1.0',
    ])
      expect([part, text.includes(part)]).toEqual([part, true]);
  });

  test('a check of the books is started by a form, and its result stays', async () => {
    await browser.post(`${adminPath}/health/verify`).set('Origin', baseUrl).expect(403); // without the token
    await browser.get(`${adminPath}/health/verify`).expect(405);
    const [first, second] = await Promise.all([1, 2].map(() => send(browser, '/health', '/health/verify')));
    for (const { status, text, headers } of [first!, second!]) {
      expect(status).toBe(200);
      expect(headers['cache-control']).toContain('no-transform');
      expect(textOf(text)).toMatch(/Started by staff-1 .*\d+ of \d+ steps.* All is right/);
      expect(text.trimEnd()).toMatch(/<\/html>$/);
    }
    expect(textOf(await read(browser, '/health'))).toMatch(/All is right .*Started by staff-1/);
  });

  test('German, and words of the host’s', async () => {
    const german = (await browser.get(`${adminPath}/payouts`).set('Accept-Language', 'de-AT').expect(200)).text;
    expect(german).toContain('<html lang="de-AT"');
    expect(textOf(german)).toContain('fehlgeschlagen');
  });

  test('mounted elsewhere, twice, below a path of the site, and where the host has parsed bodies', async () => {
    const app = express();
    const inner = express.Router();
    app.use(express.urlencoded({ extended: true }), express.json());
    app.use((req, _res, next) => {
      Object.assign(req, { session: { userId: 'staff-2' } });
      next();
    });
    app.use('/deep', inner);
    inner.use('/staff/', referrals.admin);
    app.use('/', referrals.admin);
    for (const [mount, base] of [
      ['/deep/staff', '/deep/staff'],
      ['', ''],
    ] as const) {
      const { text } = await request(app).get(`${mount}/reviews`).expect(200);
      expect(text).toContain(`href="${base}/payouts"`);
      const [, css] = /href="([^"]+\.css)"/.exec(text)!;
      expect((await request(app).get(css!).expect(200)).headers['cache-control']).toContain('immutable');
    }
  });
});

test('no stored text is ever markup, and only addresses of the web are links', async () => {
  const host = await startStaffWorld(attack);
  const { dataSource, schema } = host;
  const sql = (text: string, parameters: unknown[]): Promise<unknown> =>
    dataSource.query(text.replaceAll('@', `${schema}.`), parameters);
  await sql(
    `UPDATE @referral_responses SET http_referrer = 'javascript:alert(1)', user_agent = $1::text, ip_address = left($1::text, 45)`,
    [attack],
  );
  await sql(`UPDATE @referrals SET redirect_to = 'javascript:alert(1)' || $1::text WHERE code = 'ANNA'`, [attack]);
  await sql(`UPDATE @referral_accounts SET payout_email = $1`, [attack]);
  await sql(`UPDATE @referral_earn_outs SET payout_email = $1::text, reference = $1::text`, [attack]);
  await sql(`UPDATE @referral_audit SET request_id = $1::text, before = jsonb_build_object($1::text, $1::text)`, [
    attack,
  ]);
  await sql(`UPDATE @referral_reviews SET evidence = jsonb_build_object($1::text, jsonb_build_array($1::text))`, [
    attack,
  ]);
  const browser = await signIn(host, 'staff-1');
  const { id } = await host.referrals.referralCodes.getByCode('ANNA');
  const users = ['anna', 'bert', 'carl'].map((name) => `/users/${encodeURIComponent(name + attack)}`);
  const pages = [...listPaths, ...otherPaths, `/referrals/${id}`, ...users, `/search?q=${encodeURIComponent(attack)}`];
  const filters = Object.values(lists).flatMap(({ path, filters: some }) =>
    some.map(({ key }) => `${path}?${key}=${encodeURIComponent(attack)}`),
  );
  let shown = 0;
  for (const page of [...pages, ...filters]) {
    const { text } = await browser.get(adminPath + page);
    expect([page, text.includes('<script>'), /href="\s*javascript:/i.test(text)]).toEqual([page, false, false]);
    if (text.includes('&lt;script>')) shown++;
  }
  expect(shown).toBeGreaterThan(listPaths.length);
  const { text } = await browser.get(`${adminPath}/responses.csv`).expect(200);
  expect(text).toContain(`"${attack.replaceAll('"', '""')}`.slice(0, 10));
});

test('pages of a list neither overlap nor leave out rows while rows are added', async () => {
  const host = await startStaffWorld();
  const { referrals, dataSource, schema, clock } = host;
  const browser = await signIn(host, 'staff-1');
  for (const [path, first, more] of [
    ['/signups', () => add('signups', 120), () => add('signups', 5)],
    ['/responses', () => add('responses', 120), () => add('responses', 5)],
  ] as const) {
    await first();
    const seen: string[] = [];
    let next: string | undefined = `${adminPath}${path}`;
    for (let pages = 0; next !== undefined; pages++) {
      expect(pages).toBeLessThan(5);
      const { text }: { text: string } = await browser.get(next).expect(200);
      seen.push(...Array.from(text.matchAll(/added-[\d-]+/g), ([name]) => name));
      next = /href="([^"]+after=[^"]+)"/.exec(text)?.[1]?.replaceAll('&amp;', '&');
      if (pages === 0) await more();
    }
    const distinct = [...new Set(seen)];
    expect(distinct.filter((name) => name.startsWith('added-1-'))).toHaveLength(120);
    expect(distinct.some((name) => name.startsWith('added-2-'))).toBe(false);
    round = 0;
  }
  expect(await referrals.signups.count()).toBe(127);

  async function add(table: 'signups' | 'responses', count: number): Promise<void> {
    round++;
    const rows = `FROM generate_series(1, ${count}) n`;
    // Several in the same moment.
    const at = `$1::timestamptz + (n / 7) * interval '1 second'`;
    const name = `'added-${round}-' || n`;
    await dataSource.query(
      table === 'signups'
        ? `INSERT INTO ${schema}.referral_signups (user_id, referral_id, referrer_id, source, weighed, created_at)
           SELECT ${name}, 1, 'anna', 'code', '{"candidates":[]}', ${at} ${rows}`
        : `INSERT INTO ${schema}.referral_responses (referral_id, action, user_agent, created_at, touched_at)
           SELECT 1, 'RESPONDED', ${name}, ${at}, ${at} ${rows}`,
      [new Date(clock.time.getTime() + round * 1_000_000)],
    );
  }
});
let round = 0;
