import path from 'node:path';
import { type Browser, chromium } from 'playwright-core';
import { chromiumPath } from './support/chromium';

const executablePath = chromiumPath();
if (executablePath === null) console.log('skipped: there is no Chromium (apt-get install chromium)');

const script = path.join(__dirname, '../lib/http/views/assets/views.js');

(executablePath === null ? describe.skip : describe)('the script of the pages', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: executablePath! });
  }, 120_000);
  afterAll(() => browser.close());

  test('filters are applied without a reload, also those called like a property of a form', async () => {
    const page = await browser.newPage();
    const problems: string[] = [];
    page.on('pageerror', ({ message }) => problems.push(message));
    await page.route('https://shop.example/**', (route) => {
      const { pathname, searchParams } = new URL(route.request().url());
      if (pathname !== '/list') return route.fulfill({ status: 404 });
      const filters = ['action', 'method'].map((name) => `<input name="${name}" value="">`).join('');
      const body = `<main id="rf-main"><p>${searchParams.get('action') ?? 'all'}</p>
        <div data-rf-part=""><form method="get" action="/list">${filters}<button>Filter</button></form></div></main>`;
      return route.fulfill({ contentType: 'text/html', body });
    });
    await page.goto('https://shop.example/list');
    await page.addScriptTag({ path: script });
    await page.evaluate('globalThis.isSamePage = true');
    await page.fill('[name=action]', 'subscribed');
    await page.click('button');
    await page.waitForFunction(`document.querySelector('p').textContent === 'subscribed'`);
    expect(page.url()).toBe('https://shop.example/list?action=subscribed');
    expect(await page.evaluate('globalThis.isSamePage')).toBe(true);
    expect(problems).toEqual([]);
  }, 120_000);
});
