import type { BrowserContext, Page } from 'playwright-core';
import { User } from '../../examples/shop/entities';
import { actions } from '../../lib/http/admin/actions/actions';
import { fillShop } from './busy-shop';
import { findings, picture, sideways } from './looks';
import { logInAsStaff, register, type RunningShop, startShop } from './running-shop';
import { describeInBrowser, Visitors } from './visitors';

// The forms: without JavaScript at all, and how those of the staff look in German, on a phone, at night.

/** The tables of what actions are about, by the first word of their names. */
const subjects = {
  codes: 'referrals',
  commissions: 'referral_commissions',
  programs: 'referral_programs',
  creditTypes: 'referral_credit_types',
  channels: 'referral_channels',
  credits: 'referral_credits',
  earnOuts: 'referral_earn_outs',
};

describeInBrowser('the forms', () => {
  let shop: RunningShop;
  let visitors: Visitors;
  let annaId: string;
  let friendId: string;
  let signedIn: Record<'anna' | 'staff', BrowserContext>;

  beforeAll(async () => {
    shop = await startShop();
    visitors = await Visitors.of(shop.url);
    signedIn = { anna: await visitors.context(), staff: await visitors.context() };
    await register(await signedIn.anna.newPage(), 'Anna');
    await logInAsStaff(await signedIn.staff.newPage());
    annaId = (await shop.dataSource.manager.findOneByOrFail(User, { name: 'Anna' })).id;
    await fillShop(shop, annaId);
    friendId = (await shop.dataSource.manager.findOneByOrFail(User, { name: 'Clara' })).id;
  });
  afterAll(async () => {
    await visitors?.close();
    await shop?.close();
  });
  // The browser says to the console that a form was answered with 400, which two are on purpose.
  afterEach(() => expect(visitors.problems.splice(0).filter((text) => !text.includes('status of 400'))).toEqual([]));

  /** Somebody who is signed in, in another browser. */
  async function elsewhere(who: keyof typeof signedIn, options: Parameters<Visitors['context']>[0]): Promise<Page> {
    const context = await visitors.context(options);
    await context.addCookies(await signedIn[who].cookies());
    return context.newPage();
  }

  /** Presses a button that sends a form, and waits for the answer. */
  async function send(page: Page, button: string): Promise<void> {
    const answered = page.waitForEvent('domcontentloaded');
    await page.getByRole('button', { name: button, exact: true }).click();
    await answered;
  }

  test('those of a user work without JavaScript', async () => {
    const page = await elsewhere('anna', { javaScriptEnabled: false });
    await page.goto('/referrals');
    expect(await page.getByRole('button', { name: 'Copy link' }).count()).toBe(0);
    await page.getByRole('link', { name: '7 days' }).click();
    await page.waitForURL(/days=7$/);
    await page.getByText('Show as a table').first().click();
    expect(await page.locator('.rf-chart tbody tr:visible').count()).toBe(7);

    await page.goto('/referrals/links');
    await page.getByLabel('Leads to').fill('https://elsewhere.example/');
    await page.getByLabel('Label').fill('by hand');
    await send(page, 'Create link');
    expect(await page.getByLabel('Leads to').inputValue()).toBe('https://elsewhere.example/');
    expect(await page.getByLabel('Label').inputValue()).toBe('by hand');
    expect(await page.locator('[aria-invalid=true]').getAttribute('name')).toBe('destination');
    await page.getByLabel('Leads to').fill('/products/2');
    await send(page, 'Create link');
    await page.getByText('Your new link is ready to share.').waitFor();
    await page.getByText('by hand').waitFor();

    await page.goto('/referrals/settings');
    await page.getByLabel('Credit, to spend here').check();
    await send(page, 'Save');
    await page.getByText('Your settings are saved.').waitFor();
    const [account] = await shop.referrals.accounts.search({ where: { userId: annaId } });
    expect(account!.mode).toBe('credits');
    await page.context().close();
  });

  test('those of the staff work without JavaScript', async () => {
    const page = await elsewhere('staff', { javaScriptEnabled: false });
    await page.goto('/admin/referrals/search');
    await page.locator('main input[name=q]').fill('NEWSLETTER');
    await Promise.all([page.waitForURL(/q=NEWSLETTER/), page.keyboard.press('Enter')]);
    expect(await page.locator('main a[href^="/admin/referrals/referrals/"]').count()).toBeGreaterThan(0);
    const written = (): Promise<number> => shop.referrals.audit.count({ where: { reason: 'without a script' } });
    await page.goto(`/admin/referrals/actions/commissions.adjust?user=${annaId}`);
    await page.getByLabel('Amount').fill('2.50');
    await page.getByLabel('Reason').fill('without a script');
    await send(page, 'See what it will do');
    expect(await written()).toBe(0);
    await send(page, 'Do it');
    await page.locator('.rf-notice').first().waitFor();
    expect(await written()).toBe(1);
    await page.context().close();
  });

  /** The address of the form of an action, about Anna or a friend, and something of hers. */
  async function formOf(name: string): Promise<string> {
    const [subject] = name.split('.');
    const query = new URLSearchParams({ user: subject === 'signups' ? friendId : annaId });
    const table = subjects[subject as keyof typeof subjects];
    if (table !== undefined && !name.endsWith('.create')) {
      const [row] = await shop.dataSource.query<{ id: string }[]>(`SELECT min(id) AS id FROM ${table}`);
      query.set('id', row!.id);
    }
    return `/admin/referrals/actions/${name}?${query.toString()}`;
  }

  test('those of the staff can be read on a phone, at night, in German', async () => {
    const onPhone = { viewport: { width: 360, height: 800 }, colorScheme: 'dark', locale: 'de-DE' } as const;
    const page = await elsewhere('staff', onPhone);
    const problems: string[] = [];
    async function look(name: string): Promise<void> {
      problems.push(...(await findings(page, name)));
      if ((await sideways(page)) > 0) problems.push(`${name}: scrolls sideways`);
      await picture(page, `${name}-360-dark-de`);
    }
    for (const name of actions.keys()) {
      await page.goto(await formOf(name));
      await look(`action-${name}`);
    }
    for (const name of ['commissions.hold', 'commissions.reject', 'accounts.ban', 'earnOuts.run']) {
      await page.goto(await formOf(name));
      await page.locator('[name=reason]').fill('<b>Kundenbeziehungsüberprüfungsverfahren</b>');
      await Promise.all([page.waitForURL(/preview/), page.locator('form[action$="/preview"] button').click()]);
      await look(`preview-${name}`);
    }
    expect(problems).toEqual([]);
    await page.context().close();
  });
});
