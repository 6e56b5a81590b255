import { randomBytes } from 'node:crypto';
import request from 'supertest';
import { Bank } from '../examples/shop/bank';
import { Order, User } from '../examples/shop/entities';
import { friendsProgram } from '../examples/shop/friends';
import { browserOf } from './support/browser';
import { TestClock } from './support/host';
import { closeShops, createDatabase, type OpenedShop, openShop } from './support/shop';

const [partnerPassword, staffPassword] = ['as the test says', 'as the test says too'];
let shop: OpenedShop;
const clock = new TestClock();
const bank = new Bank();

beforeAll(async () => {
  shop = await openShop(await createDatabase(), { clock: clock.read, bank, partnerPassword, staffPassword });
});

afterAll(closeShops);

type Browser = ReturnType<typeof request.agent>;
const open = (): Browser => browserOf(shop.app);

/** Fills in the form of a page and sends it, its fields against forgery too. */
async function submit(browser: Browser, page: string, action: string, fields: object): Promise<request.Response> {
  const { text } = await browser.get(page);
  const hidden = [...text.matchAll(/<input type="hidden" name="(_[^"]*)" value="([^"]*)"/g)];
  const tokens = Object.fromEntries(hidden.map(([, name, value]) => [name!, value!]));
  expect(tokens).toHaveProperty('_csrf');
  return browser
    .post(action)
    .type('form')
    .set('Sec-Fetch-Site', 'same-origin')
    .send({ ...tokens, ...fields });
}

function register(browser: Browser, who: string, fields: object = {}): Promise<request.Response> {
  const account = { name: who, email: `${who}@example.com`, password: 'long enough' };
  return submit(browser, '/register', '/register', { ...account, ...fields });
}

/** Buys a product, and reads on the order's page what it came to: the total, the credit used and what is to pay. */
async function buy(browser: Browser, product: number, fields: object = {}): Promise<string[]> {
  const page = `/products/${product}`;
  const bought = await submit(browser, page, `${page}/buy`, fields);
  expect(bought.status).toBe(303);
  const { text } = await browser.get(bought.headers['location']!);
  return [...text.matchAll(/<dd>(.*?)<\/dd>/g)].map(([, sum]) => sum!);
}

/** The words of each row of the tables of one of the package's pages, without times. */
function rowsIn(text: string): string[][] {
  const rows = [...text.matchAll(/<tr role="row">(<th scope="row"[\s\S]*?)<\/tr>/g)].map(([, row]) => row!);
  const words = (cell: string): string =>
    cell
      .replace(/<time[\s\S]*?<\/time>|<[^>]*>/g, ' ')
      .replace(/\s+/g, ' ')
      .trim();
  return rows.map((row) =>
    row
      .split(/<\/t[hd]>/)
      .slice(0, -1)
      .map(words),
  );
}

/** The rows of one of the user's own pages. */
async function rowsOf(browser: Browser, page: string): Promise<string[][]> {
  const { status, text } = await browser.get(`/referrals/${page}`);
  expect(status).toBe(200);
  return rowsIn(text);
}

/** What the page of credit says: the balance, then each credit, newest first. */
async function creditsOf(browser: Browser): Promise<string[]> {
  const { text } = await browser.get('/referrals/credits');
  const balance = /You can spend<\/dt><dd>.*?(€[\d.]+)</.exec(text)![1]!;
  return [balance, ...rowsIn(text).map(([kind, state, , initial, left]) => `${kind}: ${left} of ${initial}, ${state}`)];
}

/** What the page of earnings says, newest first. */
const commissionsOf = async (browser: Browser): Promise<string[]> =>
  (await rowsOf(browser, 'commissions')).map(
    ([what, , code, status, earned, amount]) => `${what}, ${code}: ${amount} of ${earned}, ${status}`,
  );

/** What the page of payouts says, newest first. */
const payoutsOf = async (browser: Browser): Promise<string[]> =>
  (await rowsOf(browser, 'payouts')).map(([, to, status, , amount]) => `${amount} to ${to}: ${status}`);

/** Says how a user wants to be paid. */
const wantPaid = (browser: Browser, mode: string, address: string): Promise<request.Response> =>
  submit(browser, '/referrals/settings', '/referrals/settings', { mode, address });

const applyCoupon = (browser: Browser, code: string): Promise<request.Response> =>
  submit(browser, '/products/1', '/products/1/coupon', { code });

/** The price of a product as its page shows it, a struck-out one first. */
async function pricesOf(browser: Browser, product: number): Promise<string[]> {
  const { text } = await browser.get(`/products/${product}`);
  return [.../<p class="price">([\s\S]*?)<\/p>/.exec(text)![1]!.matchAll(/€[\d.]+/g)].map(([price]) => price);
}

async function logIn(email: string, password: string): Promise<Browser> {
  const browser = open();
  expect((await submit(browser, '/login', '/login', { email, password })).status).toBe(303);
  return browser;
}

const partner = (): Promise<Browser> => logIn('partner@shop.example', partnerPassword);
let staffs: Promise<Browser> | undefined;
const staff = (): Promise<Browser> => (staffs ??= logIn('staff@shop.example', staffPassword));

/** The page of the newest order of a user. */
async function orderOf(name: string): Promise<string> {
  const { manager } = shop.dataSource;
  const { id: userId } = await manager.findOneByOrFail(User, { name });
  const [order] = await manager.find(Order, { where: { userId }, order: { id: 'DESC' }, take: 1 });
  return `/orders/${order!.id}`;
}

/** The code of the link that a user's account came with. */
async function welcomeCodeOf(browser: Browser): Promise<string> {
  const [link] = (await rowsOf(browser, 'links')).find(([link]) => link!.startsWith('welcome'))!;
  return /\/r\/([A-Za-z0-9]+)/.exec(link!)![1]!;
}

/** The row of the credit that came with a friend's code, and of that for inviting a friend. */
const welcome = (left: string): string =>
  `Welcome credit: ${left} of €10.00, ${left === '€0.00' ? 'Used up' : 'Can be spent'}`;
const reward = (friend: string, left: string): string =>
  `For inviting a friend for ${friend}: ${left} of €15.00, Can be spent`;

test('one creates a link, another opens it, looks around, registers and buys, and the first sees it', async () => {
  const [anna, bob] = [open(), open()];

  expect((await register(anna, 'Anna')).status).toBe(303);
  const fields = { redirect_to: '/products/1', label: 'by mail', target_type: 'Product', target_id: '1' };
  const created = await submit(anna, '/products/1', '/r/', fields);
  expect(created.body).toEqual({
    url: expect.stringContaining('http://localhost/r/'),
    code: expect.any(String),
    html: expect.any(String),
  });

  const click = await bob.get(new URL(created.body.url).pathname);
  expect([click.status, click.headers['location']]).toEqual([302, '/products/1']);
  expect((await bob.get('/')).text).toContain('Anna');
  expect((await bob.get('/products/2')).status).toBe(200);
  expect((await register(bob, 'Bob')).status).toBe(303);
  const product = await bob.get('/products/2');
  const action = /action="([^"]*(?:buy|orders)[^"]*)"/.exec(product.text)?.[1];
  expect((await submit(bob, '/products/2', action!, { productId: '2' })).status).toBe(303);

  expect(await rowsOf(anna, 'links')).toContainEqual([
    ...[`by mail ${created.body.url}`, '/products/1', '1', '1', '1', ''],
    expect.stringContaining('QR code'),
  ]);
  expect((await rowsOf(anna, 'friends')).map(([name, , state]) => [name, state])).toEqual([['Bob', 'Customer']]);
  // A link that the form on the page created gives credit too, although the route sets no program.
  expect(await creditsOf(bob)).toEqual(['€10.00', welcome('€10.00')]);
  expect(await creditsOf(anna)).toEqual(['€15.00', reward('Bob', '€15.00')]);
});

test('a taken e-mail, a wrong password, a missing token and a foreign page are refused', async () => {
  const visitor = open();
  const fields = { name: 'Eve', email: 'ANNA@example.com', password: 'long enough' };
  const taken = await submit(visitor, '/register', '/register', fields);
  expect([taken.status >= 400, taken.text.includes('Eve')]).toEqual([true, true]);
  const wrong = await submit(visitor, '/login', '/login', { email: 'anna@example.com', password: 'wrong' });
  expect(wrong.status).toBeGreaterThanOrEqual(400);
  expect((await visitor.post('/login').type('form').send(fields)).status).toBe(403);
});

test('a code is typed, its credit is spent, and once enough was paid its owner has a reward to spend', async () => {
  const [carla, dora] = [open(), open()];
  await register(carla, 'Carla');
  const code = await welcomeCodeOf(carla);

  const mistyped = await register(dora, 'Dora', { code: `${code}<x` });
  expect([mistyped.status, mistyped.text]).toEqual([
    400,
    expect.stringContaining('We don’t know this code. Please check the spelling'),
  ]);
  for (const entered of ['Dora', 'Dora@example.com', `${code}&lt;x`]) expect(mistyped.text).toContain(`="${entered}"`);
  expect(await shop.dataSource.manager.countBy(User, { name: 'Dora' })).toBe(0);
  expect((await dora.get('/referrals/credits')).headers['location']).toBe('/login?next=/referrals');

  expect((await register(dora, 'Dora', { code: ` ${code.toLowerCase()} ` })).status).toBe(303);
  expect(await creditsOf(dora)).toEqual(['€10.00', welcome('€10.00')]);
  expect((await rowsOf(carla, 'links'))[0]!.slice(2, 5)).toEqual(['0', '0', '1']);

  expect((await dora.get('/products/1')).text).toContain('Use my credit of €10.00');
  expect(await buy(dora, 1, { useCredit: 'yes' })).toEqual(['€18.00', '€10.00', '€8.00']);
  expect((await dora.get('/products/1')).text).not.toContain('Use my credit');
  expect(await creditsOf(dora)).toEqual(['€0.00', welcome('€0.00')]);
  expect(await buy(dora, 4, { useCredit: 'yes' })).toEqual(['€9.50', '€0.00', '€9.50']);
  // 17.50 of the 20.00 have been paid: what credit covered is not counted.
  expect(await creditsOf(carla)).toEqual(['€0.00']);
  expect(await buy(dora, 4)).toEqual(['€9.50', '€0.00', '€9.50']);
  expect(await creditsOf(carla)).toEqual(['€15.00', reward('Dora', '€15.00')]);

  expect(await buy(carla, 4, { useCredit: 'yes' })).toEqual(['€9.50', '€9.50', '€0.00']);
  expect(await buy(carla, 4)).toEqual(['€9.50', '€0.00', '€9.50']);
  expect(await creditsOf(carla)).toEqual(['€5.50', reward('Dora', '€5.50')]);
  expect(await shop.referrals.verify()).toMatchObject({ ok: true, problems: [] });
});

test('a link from before the shop had a program gives its credit all the same', async () => {
  const [frida, gina] = [open(), open()];
  await register(frida, 'Frida');
  const code = await welcomeCodeOf(frida);
  await shop.dataSource.query('UPDATE referrals SET program_id = NULL WHERE code = $1', [code]);
  await register(gina, 'Gina', { code });
  expect(await creditsOf(gina)).toEqual(['€10.00', welcome('€10.00')]);
  expect(await shop.referrals.verify()).toMatchObject({ ok: true, problems: [] });
});

test('credit that has expired is shown as such, and can not be spent', async () => {
  const hanna = open();
  await register(hanna, 'Hanna');
  await shop.referrals.credits.create({
    user: await shop.dataSource.manager.findOneByOrFail(User, { name: 'Hanna' }),
    creditType: await shop.referrals.creditTypes.getByName('shop credit'),
    initialBalance: '7.50',
    startDate: new Date('2020-01-01T00:00:00Z'),
    expiryDate: new Date('2020-02-01T00:00:00Z'),
    name: 'an apology',
  });
  expect(await creditsOf(hanna)).toEqual(['€0.00', 'A gift from us: €7.50 of €7.50, Expired']);
  expect(await buy(hanna, 4, { useCredit: 'yes' })).toEqual(['€9.50', '€0.00', '€9.50']);
  expect(await shop.referrals.verify()).toMatchObject({ ok: true, problems: [] });
});

test('a coupon is typed, taken off and redeemed, its owner earns, and a refund takes that back', async () => {
  const [visitor, ivan, jana, owner] = [open(), open(), open(), await partner()];
  expect((await visitor.get('/')).text).toContain('<strong>SUMMER20</strong>: 20% off your first order with it.');
  expect((await visitor.get('/products/1')).text).not.toContain('name="code"');
  await register(ivan, 'Ivan');
  await register(jana, 'Jana');

  const mistyped = await applyCoupon(ivan, 'WINTER<20');
  expect(mistyped.status).toBe(400);
  expect(mistyped.text).toContain('There is no such coupon. Please check the spelling.');
  expect(mistyped.text).toContain('value="WINTER&lt;20"');
  expect(await pricesOf(ivan, 1)).toEqual(['€18.00']);
  expect((await applyCoupon(owner, 'SUMMER20')).text).toContain('This is your own coupon.');

  expect((await applyCoupon(ivan, ' summer20 ')).headers['location']).toBe('/products/1');
  expect(await pricesOf(ivan, 1)).toEqual(['€18.00', '€14.40']);
  expect(await pricesOf(ivan, 4)).toEqual(['€9.50', '€7.60']);
  expect((await submit(ivan, '/products/1', '/products/1/coupon/remove', {})).status).toBe(303);
  expect(await pricesOf(ivan, 1)).toEqual(['€18.00']);
  await applyCoupon(ivan, 'SUMMER20');
  expect(await buy(ivan, 1)).toEqual(['€18.00', '-€3.60', '€0.00', '€14.40']);
  const order = await orderOf('Ivan');
  expect((await applyCoupon(ivan, 'SUMMER20')).text).toContain('You have used this coupon already.');
  expect(await buy(ivan, 4)).toEqual(['€9.50', '€0.00', '€9.50']);

  // 30% of both purchases: the buyer came by the coupon, so its owner also earns on the later purchase.
  const coupon = (paid: string, earned: string): string[][] => [
    ['SUMMER20 20% off your first order with it', '20% off once', 'Valid', '1', paid, earned],
  ];
  expect(await rowsOf(owner, 'coupons')).toEqual(coupon('€23.90', '€7.17'));
  expect(await commissionsOf(owner)).toEqual([
    'Purchase of Ivan, SUMMER20: €2.85 of €2.85, Available',
    'Purchase of Ivan, SUMMER20: €4.32 of €4.32, Available',
  ]);

  expect((await submit(jana, '/products/1', `${order}/refund`, {})).status).toBe(404);
  expect((await jana.get(order)).status).toBe(404);
  expect((await ivan.post(`${order}/refund`)).status).toBe(403);
  expect((await ivan.get(order)).text).not.toContain('Refunded');
  for (const _ of ['once', 'twice'])
    expect((await submit(ivan, order, `${order}/refund`, {})).headers['location']).toBe(order);
  expect((await ivan.get(order)).text).toContain('Refunded');
  expect((await ivan.get(await orderOf('Ivan'))).text).not.toContain('Refunded');
  expect(await rowsOf(owner, 'coupons')).toEqual(coupon('€9.50', '€2.85'));
  expect(await commissionsOf(owner)).toEqual([
    'Purchase of Ivan, SUMMER20: €2.85 of €2.85, Available',
    'Purchase of Ivan, SUMMER20: €0.00 of €4.32, Refunded',
  ]);
  expect(await shop.referrals.verify()).toMatchObject({ ok: true, problems: [] });
});

test('the discount comes first, then credit; commission is on the rest; a refund gives all of it back', async () => {
  const [karl, lena, owner] = [open(), open(), await partner()];
  await register(karl, 'Karl');
  await register(lena, 'Lena', { code: await welcomeCodeOf(karl) });
  await applyCoupon(lena, 'SUMMER20');
  expect(await buy(lena, 1, { useCredit: 'yes' })).toEqual(['€18.00', '-€3.60', '€10.00', '€4.40']);
  expect(await commissionsOf(owner)).toContain('Purchase of Lena, SUMMER20: €1.32 of €1.32, Available');
  const order = await orderOf('Lena');
  await submit(lena, order, `${order}/refund`, {});
  expect(await creditsOf(lena)).toEqual(['€10.00', welcome('€10.00')]);
  expect(await commissionsOf(owner)).toContain('Purchase of Lena, SUMMER20: €0.00 of €1.32, Refunded');

  // 18.00 were paid and refunded, and 9.50 paid: less than the 20.00 that the reward requires.
  expect(await buy(lena, 1)).toEqual(['€18.00', '€0.00', '€18.00']);
  const second = await orderOf('Lena');
  await submit(lena, second, `${second}/refund`, {});
  expect(await buy(lena, 4, { useCredit: 'yes' })).toEqual(['€9.50', '€9.50', '€0.00']);
  const paid = await orderOf('Lena');
  expect((await submit(lena, paid, `${paid}/refund`, {})).status).toBe(303);
  expect(await creditsOf(lena)).toEqual(['€10.00', welcome('€10.00')]);
  expect(await buy(lena, 4)).toEqual(['€9.50', '€0.00', '€9.50']);
  expect(await creditsOf(karl)).toEqual(['€0.00']);
  const code = await welcomeCodeOf(karl);
  expect(await commissionsOf(karl)).toEqual([
    `Purchase of Lena, ${code}: €2.38 of €2.38, Available`,
    `Purchase of Lena, ${code}: €0.00 of €4.50, Refunded`,
  ]);
  expect(await shop.referrals.verify()).toMatchObject({ ok: true, problems: [] });
});

test('only the staff see the pages of staff, and no form makes anybody staff', async () => {
  const [customer, sister] = [open(), open()];
  await register(customer, 'Lukas');
  await register(sister, 'Lukas’ sister', { email: 'sister@example.com', isStaff: 'true', is_staff: 'true' });
  for (const browser of [open(), customer, sister, await partner()]) {
    expect((await browser.get('/')).text).not.toContain('/admin/referrals');
    for (const page of ['', '/commissions', '/commissions.csv', '/nowhere'])
      expect([page, (await browser.get(`/admin/referrals${page}`)).status]).toEqual([page, 403]);
  }
  expect((await (await staff()).get('/')).text).toContain('/admin/referrals');
  const { status, text } = await (await staff()).get('/admin/referrals/commissions');
  expect([status, text]).toEqual([200, expect.stringContaining('SUMMER20')]);
});

test('an address for payouts that two users share holds what they earn, until the staff allow it', async () => {
  const [tom, uta] = [open(), open()];
  await register(tom, 'Tom');
  await register(uta, 'Uta', { code: await welcomeCodeOf(tom) });
  await buy(uta, 3);
  for (const browser of [tom, uta]) await wantPaid(browser, 'payout', 'family@example.com');
  const code = await welcomeCodeOf(tom);
  expect(await commissionsOf(tom)).toEqual([`Purchase of Uta, ${code}: €17.25 of €17.25, On hold We are checking it.`]);
  const { reviews } = shop.referrals;
  const { text } = await (await staff()).get('/admin/referrals/reviews?status=open');
  const found = rowsIn(text).map(([rule, status]) => [rule, status]);
  expect(found).toEqual([
    ['Shared payout address', 'open'],
    ['Shared payout address', 'open'],
  ]);
  for (const review of await reviews.search({ where: { status: 'open' } }))
    await reviews.allow(review, { by: 'staff', reason: 'a family' });
  expect(await commissionsOf(tom)).toEqual([`Purchase of Uta, ${code}: €17.25 of €17.25, Available`]);
  expect(await shop.referrals.verify()).toMatchObject({ ok: true, problems: [] });
});

test('the account has the link and the figures inside of a page of the shop, and a friend sees who invited', async () => {
  const [wanda, visitor] = [open(), open()];
  expect((await wanda.get('/account')).headers['location']).toBe('/login?next=/account');
  await register(wanda, 'Wanda');
  const code = await welcomeCodeOf(wanda);
  const { text } = await wanda.get('/account');
  expect(text).toContain(`value="http://localhost/r/${code}"`);
  expect(text).toContain('Your friend gets €10 in credit; you get €15 in credit once they have spent €20');
  await visitor.get(`/r/${code}`);
  const landing = (await visitor.get('/')).text;
  for (const words of ['Wanda has invited you', 'You get €10 in credit when you sign up.'])
    expect(landing).toContain(words);
  await register(visitor, 'Xaver');
  expect((await visitor.get('/')).text).not.toContain('has invited you');
});

test('nobody knows the passwords of the shop’s own accounts, unless the start was given them', async () => {
  const url = await createDatabase();
  const own = [{ email: 'partner@shop.example' }, { email: 'staff@shop.example' }];
  const tries = async ({ app }: OpenedShop, password: string): Promise<number[]> => {
    const answers = await Promise.all(
      own.map(({ email }) => submit(request.agent(app), '/login', '/login', { email, password })),
    );
    return answers.map(({ status }) => status);
  };
  const earlier = await openShop(url, { partnerPassword: 'partner password', staffPassword: 'another password' });
  expect(await tries(earlier, 'partner password')).toEqual([303, 400]);
  await earlier.close();
  const opened = await openShop(url); // the next start takes a published password away
  for (const password of ['partner password', 'another password', '', 'undefined'])
    expect(await tries(opened, password)).toEqual([400, 400]);
  await opened.close();
});

test('a customer who had the address of the staff does not become staff', async () => {
  const url = await createDatabase();
  const opened = await openShop(url);
  await opened.dataSource.manager.update(User, { email: 'staff@shop.example' }, { isStaff: false });
  await opened.close();
  await expect(openShop(url)).rejects.toThrow('A customer has the address staff@shop.example.');
});

test('a form with a NUL, or a repeated field, is a 400', async () => {
  const browser = open();
  const nul = 'a\u0000b';
  for (const [page, fields] of [
    ['/login', { email: `${nul}@example.com`, password: 'x' }],
    ['/login', { email: 'anna@example.com', password: nul }],
    ['/register', { name: nul }],
    ['/register', { email: `${nul}@example.com` }],
    ['/register', { password: `long enough ${nul}` }],
    ['/register', { code: nul }],
    ['/register', { next: nul }],
    ['/register', { code: ['one', 'two'] }],
  ] as [string, object][]) {
    const account = { name: 'Nul', email: 'nul@example.com', password: 'long enough' };
    const { status, text } = await submit(browser, page, page, { ...account, ...fields });
    expect([page, fields, status, text.includes('</html>')]).toEqual([page, fields, 400, true]);
  }
  expect(await shop.dataSource.manager.countBy(User, { name: 'Nul' })).toBe(0);
});

describe('in production', () => {
  const variables = ['REFERRALS_SECRET', 'SESSION_SECRET'] as const;
  const before = { ...process.env };
  beforeAll(() => {
    process.env['NODE_ENV'] = 'production';
  });
  afterEach(() => {
    for (const variable of variables) restore(variable);
  });
  afterAll(() => restore('NODE_ENV'));

  function restore(variable: string): void {
    if (before[variable] === undefined) delete process.env[variable];
    else process.env[variable] = before[variable];
  }

  test.each(variables)('the shop is not created without a %s of its own', async (variable) => {
    const url = await createDatabase();
    for (const secret of ['', 'short', `development only: set ${variable} in production`]) {
      for (const one of variables) process.env[one] = one === variable ? secret : randomBytes(32).toString('hex');
      await expect(openShop(url)).rejects.toThrow(`In production, set ${variable} to a random text`);
    }
  });
});

test('an order from before the shop recorded purchases can be refunded, and takes no commission back', async () => {
  const moritz = open();
  await register(moritz, 'Moritz');
  const { manager } = shop.dataSource;
  const { id: userId } = await manager.findOneByOrFail(User, { name: 'Moritz' });
  await manager.save(manager.create(Order, { userId, productId: 4, productName: 'Field notebook', priceCents: 950 }));
  const order = await orderOf('Moritz');
  expect((await submit(moritz, order, `${order}/refund`, {})).status).toBe(303);
  expect((await moritz.get(order)).text).toContain('Refunded');
});

test('of orders placed at once, one gets the discount of the coupon', async () => {
  const nora = open();
  await register(nora, 'Nora');
  await applyCoupon(nora, 'SUMMER20');
  const answers = await Promise.all([1, 2, 3, 4].map((id) => submit(nora, '/products/1', `/products/${id}/buy`, {})));
  for (const { status } of answers) expect(status).toBe(303);
  const { manager } = shop.dataSource;
  const { id: userId } = await manager.findOneByOrFail(User, { name: 'Nora' });
  const orders = await manager.findBy(Order, { userId });
  expect(orders).toHaveLength(answers.filter(({ status }) => status === 303).length);
  expect(orders.filter(({ couponCode }) => couponCode !== null)).toHaveLength(1);
  expect(orders.filter(({ discountCents }) => discountCents > 0)).toHaveLength(1);
});

test('an earn-out makes credit or sends money, once, and nets what is refunded after it', async () => {
  const [otto, petra] = [open(), open()];
  await register(otto, 'Otto');
  await register(petra, 'Petra', { code: await welcomeCodeOf(otto) });
  expect(await buy(petra, 3)).toEqual(['€69.00', '€0.00', '€69.00']);
  const code = await welcomeCodeOf(otto);
  const runEarnOuts = () => shop.referrals.runEarnOuts();
  expect(await runEarnOuts()).toMatchObject({ completed: 0, failed: 0 }); // of an account made this minute
  clock.advanceDays(1);
  await shop.referrals.runEarnOuts();
  for (const _ of ['once', 'twice']) {
    expect((await creditsOf(otto))[0]).toBe('€32.25'); // and the program's reward, 15.00
    expect(await commissionsOf(otto)).toEqual([`Purchase of Petra, ${code}: €17.25 of €17.25, Paid as credit on`]);
    expect(await payoutsOf(otto)).toEqual(['€17.25 to Credit here: Paid']);
    clock.advanceDays(1);
    expect(await runEarnOuts()).toMatchObject({ completed: 0, failed: 0 });
  }

  const refused = await wantPaid(otto, 'payout', ' ');
  expect([refused.status, refused.text]).toEqual([
    400,
    expect.stringContaining('Enter the address that money goes to.'),
  ]);
  expect((await wantPaid(otto, 'payout', 'otto@bank.example')).headers['location']).toMatch('/referrals/settings');
  expect((await otto.get('/referrals/settings')).text).toContain('value="otto@bank.example"');
  await buy(petra, 2);
  expect(await runEarnOuts()).toMatchObject({ completed: 1, failed: 0 });
  const sent = ['€6.00 to otto@bank.example: Paid', '€17.25 to Credit here: Paid'];
  expect(await payoutsOf(otto)).toEqual(sent);
  clock.advanceDays(1);
  expect(await runEarnOuts()).toMatchObject({ completed: 0, failed: 0 });
  expect(await payoutsOf(otto)).toEqual(sent);

  const order = await orderOf('Petra');
  await submit(petra, order, `${order}/refund`, {});
  expect((await otto.get('/referrals')).text).toContain('-€6.00');
  await buy(petra, 3);
  clock.advanceDays(1);
  await shop.referrals.runEarnOuts();
  expect(await payoutsOf(otto)).toEqual(['€11.25 to otto@bank.example: Paid', ...sent]);
  expect(await shop.referrals.verify()).toMatchObject({ ok: true, problems: [] });
});

test('the page that makes links loads the script of the package for it', async () => {
  const { text } = await open().get('/products/1');
  const [, script] = /<script src="(.*?)" defer><\/script>/.exec(text)!;
  expect(script).toBe('/r/create-link.js');
  const { status, headers } = await open().get(script!);
  expect([status, headers['content-type']]).toEqual([200, 'text/javascript; charset=utf-8']);
});

describe('money', () => {
  /** A user who has earned 17.25 as money, and the part of the page that says what became of it. */
  async function earner(name: string, payoutEmail: string) {
    const [browser, friend] = [open(), open()];
    await register(browser, name);
    await wantPaid(browser, 'payout', payoutEmail);
    await register(friend, `${name}'s friend`, {
      email: `friend-of-${payoutEmail}`,
      code: await welcomeCodeOf(browser),
    });
    await buy(friend, 3);
    clock.advanceDays(1);
    const user = await shop.dataSource.manager.findOneByOrFail(User, { name });
    return {
      browser,
      user,
      earnOuts: () => shop.referrals.earnOuts.search({ where: { userId: user.id } }),
      states: () => payoutsOf(browser),
    };
  }
  /** Delivers the reports of the bank to the webhook. */
  const deliver = () =>
    bank.report(async ({ body, signature }) => {
      const posted = request(shop.app).post('/bank/reports').type('json').set('Bank-Signature', signature);
      expect((await posted.send(body)).status).toBe(204);
    });

  test('whose sending was not answered is asked for again under the same key, and sent once', async () => {
    const said = jest.spyOn(console, 'error').mockImplementation(() => undefined);
    const asked = jest.spyOn(bank, 'pay');
    const { states, earnOuts } = await earner('Rosa', 'lost@bank.example');
    await shop.referrals.runEarnOuts();
    expect(await states()).toEqual([expect.stringMatching(/^€17.25 to lost@bank.example: Under way/)]);
    expect(said.mock.calls).toEqual([['express-referrals:', expect.objectContaining({ code: 'PAYOUT_UNCLEAR' })]]);
    clock.advance(60_000);
    await shop.referrals.runEarnOuts();
    expect(await states()).toEqual(['€17.25 to lost@bank.example: Paid']);
    const [earnOut] = await earnOuts();
    const { idempotencyKey: key, reference } = earnOut!;
    expect(asked.mock.calls.map(([payment]) => payment)).toEqual(
      Array(2).fill({ key, to: 'lost@bank.example', cents: 1725 }),
    );
    expect(reference).toBe((await bank.pay({ key, to: 'lost@bank.example', cents: 1725 })).id);
    jest.restoreAllMocks();
  });

  test('that the bank decides on later is on its way until the webhook says so', async () => {
    const { states } = await earner('Sven', 'later@bank.example');
    await shop.referrals.runEarnOuts();
    const [sent] = await states();
    expect(sent).toMatch(/^€17.25 to later@bank.example: Under way/);
    const body = JSON.stringify({ id: 'x', key: 'x', status: 'paid' });
    for (const signature of ['', 'forged', 'f'.repeat(64)]) {
      const posted = request(shop.app).post('/bank/reports').type('json').set('Bank-Signature', signature);
      expect((await posted.send(body)).status).toBe(403);
    }
    expect((await request(shop.app).post('/bank/reports')).status).toBe(403);
    expect(await states()).toEqual([sent]);
    await deliver();
    expect(await states()).toEqual(['€17.25 to later@bank.example: Paid']);
    await deliver();
    expect(await shop.referrals.verify()).toMatchObject({ ok: true, problems: [] });
  });

  test('that the bank refuses is sent to another address as soon as there is one', async () => {
    const { browser, states } = await earner('Tina', 'refused@bank.example');
    await shop.referrals.runEarnOuts();
    clock.advance(1_800_000);
    await shop.referrals.runEarnOuts();
    const refused = expect.stringMatching(/^€17.25 to refused@bank.example: Refused The bank knows no such account./);
    expect(await states()).toEqual([refused]);
    await wantPaid(browser, 'payout', 'tina@bank.example');
    clock.advanceDays(3); // a changed address is held
    await shop.referrals.runEarnOuts();
    expect(await states()).toEqual(['€17.25 to tina@bank.example: Paid', refused]);
  });

  test('that came back is shown as returned', async () => {
    const { states, earnOuts } = await earner('Urs', 'urs@bank.example');
    await shop.referrals.runEarnOuts();
    const [earnOut] = await earnOuts();
    const report = { key: earnOut!.idempotencyKey, status: 'returned', reason: 'The account is closed.' } as const;
    await shop.referrals.earnOuts.settle(report);
    expect(await states()).toEqual([
      expect.stringMatching(/^€17.25 to urs@bank.example: Came back The account is closed./),
    ]);
  });

  test('that nobody can confirm is said to be looked into', async () => {
    jest.spyOn(console, 'error').mockImplementation(() => undefined);
    jest.spyOn(bank, 'pay').mockRejectedValue(new Error('no answer'));
    const { states } = await earner('Vera', 'vera@bank.example');
    for (let day = 0; day < 7; day++) {
      await shop.referrals.runEarnOuts();
      clock.advanceDays(1);
    }
    expect(await states()).toEqual([expect.stringMatching(/^€17.25 to vera@bank.example: Under way/)]);
    jest.restoreAllMocks();
  });

  test('without an address is said to be blocked, with what to do', async () => {
    const { browser } = await earner('Wim', 'wim@bank.example');
    await wantPaid(browser, 'credits', '');
    const { text } = await browser.get('/referrals');
    expect(text).toMatch(/€17\.25 can’t be paid yet.*<a href="\/referrals\/settings">Enter an address<\/a>/);
    await wantPaid(browser, 'credits', 'wim@bank.example');
    expect((await browser.get('/referrals')).text).not.toContain('can’t be paid');
  });
});

test('pages that several people open at once share the two connections', async () => {
  const browsers = await Promise.all(
    ['Xenia', 'Yves', 'Zoe'].map(async (name) => {
      const browser = open();
      await register(browser, name);
      return browser;
    }),
  );
  for (const page of ['/', '/products/1', '/account', '/referrals', '/referrals/friends', '/referrals/credits']) {
    const pages = await Promise.all([...browsers, ...browsers].map((browser) => browser.get(page)));
    expect(pages.map(({ status }) => status)).toEqual(pages.map(() => 200));
  }
});

test('the JSON API answers who is signed in, and a form can not post to it', async () => {
  const quentin = open();
  const path = '/api/v2/referral';
  expect((await quentin.get(`${path}/config/`)).status).toBe(401);
  await register(quentin, 'Quentin');
  expect((await quentin.get(`${path}/config/`)).body).toMatchObject({ mode: 'credits', referral_credit_ratio: 0.25 });
  /** As a browser does on a page of the shop. */
  const apply = () => quentin.post(`${path}/coupon-code/`).set('Sec-Fetch-Site', 'same-origin');
  expect((await apply().type('form').send({ code: 'SUMMER20' })).status).toBe(400);
  expect((await quentin.post(`${path}/coupon-code/`).send({ code: 'SUMMER20' })).status).toBe(403);
  expect(await pricesOf(quentin, 1)).toEqual(['€18.00']);
  expect((await apply().send({ code: 'SUMMER20' })).status).toBe(200);
  expect(await pricesOf(quentin, 1)).toEqual(['€18.00', '€14.40']);
});

test('of several processes that start at once, one makes the credit type, the program and the coupon', async () => {
  const url = await createDatabase();
  const started = await Promise.all(Array.from({ length: 4 }, () => openShop(url)));
  const { programs, creditTypes, channels } = started[0]!.referrals;
  expect(await channels.search({ fields: ['code'], plain: true })).toEqual([{ code: 'SUMMER20' }]);
  // Starting, they took turns with the migrations; now all of them find nothing.
  for (const program of await programs.search()) await program.delete();
  for (const type of await creditTypes.search()) await type.delete();
  const found = await Promise.all(started.map(({ referrals }) => friendsProgram(referrals)));
  expect(await programs.search()).toHaveLength(1);
  expect(await creditTypes.search()).toHaveLength(1);
  for (const { id, name } of found) expect({ id, name }).toEqual({ id: found[0]!.id, name: 'friends' });
  for (const { close } of started) await close();
});
