import { readFile } from 'node:fs/promises';
import type { Page } from 'playwright-core';
import { User } from '../../examples/shop/entities';
import { logInAsPartner, logInAsStaff, register, type RunningShop, startShop } from './running-shop';
import { describeInBrowser, Visitors } from './visitors';

// Two people and the staff, from the first copied link to the payout.

describeInBrowser('the story of a referral', () => {
  let shop: RunningShop;
  let visitors: Visitors;
  let [anna, bert, staff]: Page[] = [];

  beforeAll(async () => {
    shop = await startShop();
    visitors = await Visitors.of(shop.url);
    [anna, bert, staff] = [await visitors.page(), await visitors.page(), await visitors.page()];
  });
  afterAll(async () => {
    await visitors?.close();
    await shop?.close();
  });
  afterEach(() => expect(visitors.problems.splice(0)).toEqual([]));

  const idOf = async (name: string): Promise<string> =>
    (await shop.dataSource.manager.findOneByOrFail(User, { name })).id;

  /** The value of a figure on a page, as its list of figures says it. */
  const figure = (page: Page, name: string): Promise<string> =>
    page
      .locator('.rf-figure', { has: page.locator('dt', { hasText: new RegExp(`^${name}$`) }) })
      .locator('.rf-figure-value')
      .innerText();

  /** The rows of the table behind a chart, oldest first: the day, and the values as they are written. */
  async function chartOf(page: Page, title: string): Promise<string[][]> {
    const chart = page.locator('.rf-chart', {
      has: page.locator('.rf-chart-title', { hasText: new RegExp(`^${title}$`) }),
    });
    await chart.locator('summary').click();
    const rows = chart.locator('tbody tr');
    const cells = await rows.evaluateAll((all) =>
      all.map((row) =>
        [...row.querySelectorAll('th, td')].map((cell) => (cell as unknown as { innerText: string }).innerText.trim()),
      ),
    );
    return cells.reverse();
  }

  const rows = (page: Page): Promise<string[]> =>
    page
      .locator('.rf-table tbody tr')
      .evaluateAll((all) =>
        all.map((row) => (row as unknown as { innerText: string }).innerText.replace(/\s+/g, ' ').trim()),
      );

  let link = '';

  test('Anna copies her link', async () => {
    await register(anna!, 'Anna');
    await anna!.goto('/referrals');
    await anna!.getByRole('button', { name: 'Copy link' }).click();
    await anna!.getByRole('button', { name: 'Copied' }).waitFor();
    link = await anna!.evaluate('navigator.clipboard.readText()');
    expect(link).toMatch(new RegExp(`^${shop.url}/r/\\w+$`));
    expect(await anna!.getByRole('textbox', { name: 'Your link' }).inputValue()).toBe(link);
    expect(await anna!.getByRole('heading', { level: 2 }).first().innerText()).toBe(
      'Your friend gets €10 in credit; you get €15 in credit once they have spent €20 and 25% of what they pay.',
    );
  });

  test('Bert opens it, sees who invited him, registers, and buys', async () => {
    await bert!.goto(link);
    expect(new URL(bert!.url()).pathname).toBe('/');
    await bert!.getByText('Anna has invited you').waitFor();
    await bert!.getByText('You get €10 in credit when you sign up.').waitFor();
    await register(bert!, 'Bert');
    expect(await bert!.getByText('Anna has invited you').count()).toBe(0);
    for (const product of [3, 1]) {
      await bert!.goto(`/products/${product}`);
      await bert!.getByRole('button', { name: 'Buy' }).click();
      await bert!.getByText('Thank you!').waitFor();
    }
  });

  test('a customer buys with the coupon of the partner, who sees it', async () => {
    const [carla, partner] = [await visitors.page(), await visitors.page()];
    await register(carla, 'Carla');
    await carla.goto('/products/1');
    await carla.getByLabel('Coupon').fill('SUMMER20');
    await carla.getByRole('button', { name: 'Apply' }).click();
    await carla.getByText('€3.60 off').waitFor();
    await carla.getByRole('button', { name: 'Buy' }).click();
    await carla.getByText('Thank you!').waitFor();
    await logInAsPartner(partner);
    await partner.goto('/referrals/coupons');
    expect(await rows(partner)).toEqual([expect.stringMatching(/SUMMER20 .* 20% off once Valid 1 €14\.40 €4\.32$/)]);
    await partner.goto('/referrals/commissions');
    expect(await rows(partner)).toEqual([expect.stringMatching(/^Purchase of Carla .* Available €4\.32 €4\.32$/)]);
  });

  test('Anna sees it in her figures and charts, which say what the database has', async () => {
    await anna!.goto('/referrals');
    const id = await idOf('Anna');
    const [inDatabase] = await shop.dataSource.query(
      `SELECT (SELECT sum(c.clicks) FROM referral_daily_counts c JOIN referrals r ON r.id = c.referral_id
               WHERE r.user_id = $1)::int AS clicks,
              (SELECT count(*) FROM referral_signups s JOIN referrals r ON r.id = s.referral_id WHERE r.user_id = $1)::int AS signups,
              (SELECT sum(amount) FROM referral_commissions WHERE user_id = $1)
              + (SELECT sum(initial_balance) FROM referral_credits WHERE user_id = $1 AND kind = 'reward') AS earned`,
      [id],
    );
    const shown = {
      clicks: Number(await figure(anna!, 'Clicks')),
      signups: Number(await figure(anna!, 'Sign-ups')),
      earned: (await figure(anna!, 'Earned')).replace('€', ''),
    };
    expect(shown).toEqual({ ...inDatabase, earned: Number(inDatabase.earned).toFixed(2) });
    expect(shown).toEqual({ clicks: 1, signups: 1, earned: '36.75' });
    const [clicks, friends, earned] = [
      await chartOf(anna!, 'Clicks and visitors'),
      await chartOf(anna!, 'Sign-ups and customers'),
      await chartOf(anna!, 'Earned'),
    ];
    for (const chart of [clicks, friends, earned]) expect(chart).toHaveLength(30);
    expect(clicks.at(-1)!.slice(1)).toEqual(['1', '1']);
    expect(friends.at(-1)!.slice(1)).toEqual(['1', '1']);
    expect(earned.at(-1)!.slice(1)).toEqual(['€36.75']);
    for (const chart of [clicks, friends, earned])
      for (const [, ...values] of chart.slice(0, -1))
        expect(values.every((value) => /^(0|€0\.00)$/.test(value))).toBe(true);
    await anna!.goto('/referrals/friends');
    expect(await rows(anna!)).toEqual([expect.stringMatching(/^Bert .* Customer €15\.00/)]);
  });

  test('Bert sends one back, and it is taken off', async () => {
    const [order] = await shop.dataSource.query(
      `SELECT id FROM shop_orders WHERE user_id = $1 ORDER BY id DESC LIMIT 1`,
      [await idOf('Bert')],
    );
    await bert!.goto(`/orders/${order.id}`);
    await bert!.getByRole('button', { name: 'Send it back' }).click();
    await bert!.getByText('Refunded').waitFor();
    await anna!.goto('/referrals/commissions');
    expect(await rows(anna!)).toEqual([
      expect.stringMatching(/^Purchase of Bert .* Refunded €4\.50 €0\.00$/),
      expect.stringMatching(/^Purchase of Bert .* Available €17\.25 €17\.25$/),
    ]);
    await anna!.goto('/referrals');
    expect(await figure(anna!, 'Earned')).toBe('€32.25');
  });

  /** Does something as the staff: the form with a reason, what it will do, and doing it. */
  async function act(action: string, query: Record<string, string>, reason: string): Promise<void> {
    await staff!.goto(`/admin/referrals/actions/${action}?${new URLSearchParams(query).toString()}`);
    await staff!.getByLabel('Reason').fill(reason);
    await staff!.getByRole('button', { name: 'See what it will do' }).click();
    await staff!.getByRole('button', { name: 'Do it' }).click();
    await staff!.locator('.rf-notice').first().waitFor();
  }

  test('the staff hold the commission, and release it', async () => {
    await logInAsStaff(staff!);
    const [commission] = await shop.referrals.commissions.search({
      where: { userId: await idOf('Anna') },
      order: { id: 'ASC' },
    });
    const id = String(commission!.id);
    const statusOf = async (): Promise<string> => {
      await anna!.goto('/referrals/commissions');
      return (await rows(anna!)).at(-1)!;
    };
    await act('commissions.hold', { id }, 'too fast');
    expect(await statusOf()).toMatch(/On hold We are checking it\. €17\.25 €17\.25$/);
    await staff!.goto('/admin/referrals/commissions?status=held');
    expect(await rows(staff!)).toHaveLength(1);
    await act('commissions.release', { id }, 'he is real');
    expect(await statusOf()).toMatch(/Available €17\.25 €17\.25$/);
    await staff!.goto('/admin/referrals/audit');
    expect((await rows(staff!)).slice(0, 2)).toEqual([
      expect.stringContaining('he is real'),
      expect.stringContaining('too fast'),
    ]);
  });

  async function wantPaid(address: string): Promise<void> {
    await anna!.goto('/referrals/settings');
    await anna!.getByLabel('Money', { exact: true }).check();
    await anna!.getByLabel('E-mail address for money').fill(address);
    await anna!.getByRole('button', { name: 'Save' }).click();
    await anna!.getByText('Your settings are saved.').waitFor();
  }

  test('the bank refuses the payout; with another address the staff have it retried, and it is paid', async () => {
    await wantPaid('refused@bank.example');
    // What is earned from now on is paid as money.
    await bert!.goto('/products/3');
    await bert!.getByRole('button', { name: 'Buy' }).click();
    await bert!.getByText('Thank you!').waitFor();
    shop.clock.advanceDays(4);
    await shop.referrals.runEarnOuts();
    await anna!.goto('/referrals/payouts');
    expect(await rows(anna!)).toContainEqual(
      expect.stringMatching(/refused@bank\.example Refused The bank knows no such account\..*€17\.25$/),
    );
    await wantPaid('anna@bank.example');
    shop.clock.advanceDays(4); // a changed address is held
    const [failed] = await shop.referrals.earnOuts.search({ where: { status: 'failed' } });
    await act('earnOuts.retry', { id: String(failed!.id) }, 'the address is right now');
    await act('earnOuts.run', {}, 'it is Friday');
    for (let isPaid = false; !isPaid;) {
      await anna!.goto('/referrals/payouts');
      isPaid = (await rows(anna!)).some((row) => /anna@bank\.example Paid.*€17\.25$/.test(row));
    }
  });

  test('Anna opens her statements as CSV', async () => {
    await anna!.goto('/referrals/commissions');
    const [download] = await Promise.all([
      anna!.waitForEvent('download'),
      anna!.getByRole('link', { name: 'Download as CSV' }).first().click(),
    ]);
    expect(download.suggestedFilename()).toBe('referrals-commissions.csv');
    const lines = (await readFile(await download.path(), 'utf8')).trim().split('\r\n');
    const kept = await shop.referrals.commissions.count({ where: { userId: await idOf('Anna') } });
    expect(lines).toHaveLength(kept + 1);
    expect(lines.filter((line) => line.includes('17.25'))).toHaveLength(2);
    expect(await shop.referrals.verify()).toMatchObject({ ok: true, problems: [] });
  });
});
