import type { Page } from 'playwright-core';
import { User } from '../../examples/shop/entities';
import { fillShop } from './busy-shop';
import { logInAsStaff, register, type RunningShop, startShop } from './running-shop';
import { findings, picture, sideways } from './looks';
import { describeInBrowser, Visitors } from './visitors';

// Each page of the package, once in each combination: what axe finds, whether it scrolls sideways, and a picture.

const widths = [360, 768, 1280];
const schemes = ['light', 'dark'] as const;
const combinations = [320, ...widths, 1024, 1600].flatMap((width) =>
  (widths.includes(width) ? schemes : schemes.slice(0, 1)).map((scheme) => [width, scheme] as const),
);
const withAxe = new Set(['360 dark', '768 dark', '1280 light']);
const userPages = [
  '',
  '/links',
  '/coupons',
  '/friends',
  '/credits',
  '/commissions',
  '/payouts',
  '/settings',
  '/nowhere',
  '/embed',
];

describeInBrowser('each page', () => {
  let shop: RunningShop;
  let visitors: Visitors;
  let annaId: string;
  let signedIn: Record<'anna' | 'newcomer' | 'staff', Awaited<ReturnType<Visitors['context']>>>;

  beforeAll(async () => {
    shop = await startShop();
    visitors = await Visitors.of(shop.url);
    signedIn = { anna: await visitors.context(), newcomer: await visitors.context(), staff: await visitors.context() };
    await register(await signedIn.anna.newPage(), 'Anna');
    await register(await signedIn.newcomer.newPage(), 'Newcomer');
    await logInAsStaff(await signedIn.staff.newPage());
    annaId = (await shop.dataSource.manager.findOneByOrFail(User, { name: 'Anna' })).id;
    await fillShop(shop, annaId);
  });
  afterAll(async () => {
    await visitors?.close();
    await shop?.close();
  });
  afterEach(() => expect(visitors.problems.splice(0).filter((text) => !text.endsWith('/nowhere'))).toEqual([]));

  /**
   * Looks at a page at each width, light and dark. axe asks where layout and colours differ the most: what it finds depends on
   * either, never on both.
   */
  async function look(page: Page, address: string, name: string): Promise<string[]> {
    const problems: string[] = [];
    await page.goto(address);
    for (const [width, colorScheme] of combinations) {
      await page.setViewportSize({ width, height: 800 });
      await page.emulateMedia({ colorScheme });
      const over = await sideways(page);
      if (over > 0) problems.push(`${name} ${width}: scrolls ${over} px sideways`);
      if (withAxe.has(`${width} ${colorScheme}`))
        problems.push(...(await findings(page, `${name} ${width} ${colorScheme}`)));
      if (widths.includes(width)) await picture(page, `${name}-${width}-${colorScheme}`);
    }
    return problems;
  }

  const nameOf = (who: string, address: string): string =>
    `${who}${address.replace(/[^a-zA-Z0-9]+/g, '-').replace(/-$/, '') || '-start'}`;

  async function lookAt(who: keyof typeof signedIn, mount: string, addresses: readonly string[], hasScript: boolean) {
    const context = await visitors.context();
    // axe is a script too, so the pages' own is left out in place of all.
    if (!hasScript)
      await context.route('**/*.js', (route) => route.fulfill({ contentType: 'text/javascript', body: '' }));
    await context.addCookies(await signedIn[who].cookies());
    const page = await context.newPage();
    const problems: string[] = [];
    for (const address of addresses)
      problems.push(...(await look(page, mount + address, nameOf(hasScript ? who : `${who}-no-script`, address))));
    await context.close();
    return problems;
  }

  const creditPages = async (): Promise<string[]> =>
    (await shop.referrals.credits.search({ where: { userId: annaId }, take: 1 })).map(({ id }) => `/credits/${id}`);

  describe.each([true, false])('with a script: %s', (hasScript) => {
    test('of a user with friends', async () => {
      expect(await lookAt('anna', '/referrals', [...userPages, ...(await creditPages())], hasScript)).toEqual([]);
    });

    test('of a user without any', async () => {
      expect(await lookAt('newcomer', '/referrals', userPages.slice(0, 8), hasScript)).toEqual([]);
    });

    test('of the staff', async () => {
      const page = await signedIn.staff.newPage();
      await page.goto('/admin/referrals');
      const hrefs = await page
        .locator('nav.rf-nav a')
        .evaluateAll((all) => all.map((one) => one.getAttribute('href')!));
      await page.close();
      const [link] = await shop.referrals.referralCodes.search({ where: { userId: annaId }, take: 1 });
      const stories = [`/users/${annaId}`, `/referrals/${link!.id}`, '/search?q=NEWSLETTER'];
      const lists = hrefs.map((href) => href.slice('/admin/referrals'.length));
      expect(lists.length).toBeGreaterThan(15);
      expect(await lookAt('staff', '/admin/referrals', [...lists, ...stories], hasScript)).toEqual([]);
    });
  });

  test('can be used with the keyboard alone', async () => {
    const page = await signedIn.anna.newPage();
    for (const address of userPages.slice(0, 8)) {
      await page.goto(`/referrals${address}`);
      const reached = new Set<string>();
      for (let presses = 0; presses < 200; presses++) {
        await page.keyboard.press('Tab');
        const at = await page.evaluate<{
          place: string;
          html: string;
          isMarked: boolean;
          size: number;
        } | null>(`(() => {
          const one = document.activeElement;
          if (!one || one === document.body) return null;
          const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(one);
          const { width, height } = one.getBoundingClientRect();
          const all = [...document.querySelectorAll('*')];
          return { place: String(all.indexOf(one)), html: one.outerHTML.slice(0, 120), size: width * height,
            isMarked: (outlineStyle !== 'none' && outlineWidth !== '0px') || boxShadow !== 'none' };
        })()`);
        if (!at || reached.has(at.place)) break;
        reached.add(at.place);
        expect([address, at.html, at.isMarked, at.size > 0]).toEqual([address, at.html, true, true]);
      }
      const focusable =
        await page.evaluate<number>(`[...document.querySelectorAll('a[href], button, input, select, textarea, summary')]
        .filter((one) => one.checkVisibility() && one.type !== 'hidden' && (one.type !== 'radio' || one.checked)).length`);
      expect([address, reached.size]).toEqual([address, focusable]);
    }
    await page.goto('/referrals/links');
    await page.getByLabel('Leads to').focus();
    await page.keyboard.type('/products/2');
    await page.keyboard.press('Tab');
    await page.keyboard.type('by keyboard');
    await Promise.all([page.waitForURL(/done=/), page.keyboard.press('Enter')]);
    await page.getByText('Your new link is ready to share.').waitFor();
  });
});
