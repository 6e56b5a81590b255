import express from 'express';
import { type Browser, chromium, type Page } from 'playwright-core';
import { Referral, type ReferralsOptions } from '../lib';
import { chromiumPath } from './support/chromium';
import { closeAll, type Host, listen, startHost, waitFor } from './support/host';

// A browser that prefetches or prerenders a link uses that answer for the visit, if it is no error.

const executablePath = chromiumPath();
if (executablePath === null) console.log('skipped: there is no Chromium (apt-get install chromium)');

/** What speculation rules let Chromium do before the click, and what it sends then as `Sec-Purpose`. */
const ahead = [
  ['prefetch', 'prefetch'],
  ['prerender', 'prefetch;prerender'],
] as const;

(executablePath === null ? describe.skip : describe)('Chromium', () => {
  let browser: Browser;
  let host: Host;
  /** The requests that arrived, each with its `Sec-Purpose`. */
  const requests: [url: string, purpose: string | undefined][] = [];

  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: executablePath! });
  });
  afterAll(async () => {
    await browser.close();
    await closeAll();
  });
  afterEach(() => host.referrals.close());

  /** Opens a site, whose pages let the browser fetch or render a link in advance. */
  async function open(options: Partial<ReferralsOptions> = {}): Promise<{ page: Page; url: string; link: Referral }> {
    const site = express();
    const { url } = await listen(site);
    const notBots = { bots: () => false }; // a headless browser counts as a bot
    host = await startHost({ baseUrl: url, ...notBots, ...options }, (app) => {
      app.get('/from', (req, res) => {
        const { how, to } = req.query as Record<string, string>;
        const rules = JSON.stringify({ [how!]: [{ source: 'list', urls: [to], eagerness: 'immediate' }] });
        res.send(`<script type="speculationrules">${rules}</script><a href="${to}">link</a>`);
      });
      app.get('/to', (_req, res) => void res.send('<p>welcome</p>'));
    });
    requests.length = 0;
    site.use((req, _res, next) => {
      requests.push([req.originalUrl, req.get('sec-purpose')]);
      next();
    }, host.app);
    const page = await (await browser.newContext()).newPage();
    const link = await Referral.create({ user: 'anna', redirectTo: '/to', label: url });
    return { page, url, link };
  }

  /** Lets the browser ask in advance, and clicks. Returns how it asked. */
  async function clickAfter(page: Page, url: string, how: string, to: string): Promise<(string | undefined)[]> {
    await page.goto(`${url}/from?${new URLSearchParams({ how, to }).toString()}`);
    const asked = (): (string | undefined)[] => requests.filter(([one]) => one === to).map(([, purpose]) => purpose);
    await waitFor(() => Promise.resolve(asked().length > 0));
    await page.click('a');
    await page.waitForURL((now) => now.pathname !== '/from');
    return asked();
  }
  const whose = async (page: Page, url: string): Promise<unknown> =>
    JSON.parse((await (await page.goto(`${url}/whose`))!.text()) || 'null');

  describe.each(ahead)('%s', (how, purpose) => {
    test('of a link: the click counts, and is attributed', async () => {
      const { page, url, link } = await open();
      expect(await clickAfter(page, url, how, `/r/${link.code}`)).toEqual([purpose, undefined]);
      expect(await page.textContent('p')).toBe('welcome');
      expect(await link.responseCount()).toBe(1);
      expect(await whose(page, url)).toEqual({ code: link.code });
    });

    test('of a page with the code: the same', async () => {
      const { page, url, link } = await open();
      expect(await clickAfter(page, url, how, `/to?referral_code=${link.code}`)).toEqual([purpose, undefined]);
      expect(await page.textContent('p')).toBe('welcome');
      expect(await link.responseCount()).toBe(1);
      expect(await whose(page, url)).toEqual({ code: link.code });
    });

    test('of a link that nobody clicks counts nothing', async () => {
      const { page, url, link } = await open();
      const to = `/r/${link.code}`;
      await page.goto(`${url}/from?${new URLSearchParams({ how, to }).toString()}`);
      await waitFor(() => Promise.resolve(requests.some(([one]) => one === to)));
      expect(await whose(page, url)).toEqual({ code: null });
      expect(await link.responseCount()).toBe(0);
    });
  });

  test('without the option bots, it is a bot: what it prefetches works, and nothing is counted', async () => {
    const { page, url, link } = await open({ bots: undefined as never });
    await clickAfter(page, url, 'prefetch', `/r/${link.code}`);
    expect(await page.textContent('p')).toBe('welcome');
    expect(await link.responseCount()).toBe(0);
  });
});
