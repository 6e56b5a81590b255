import { PayoutRefused, ReferralResponse } from '../lib';
import { type ApiHost, buy, coupon, dayMs, detail, fieldError, ids, mount, refer, startApi } from './support/api';
import { baseUrl, closeAll } from './support/host';

afterAll(closeAll);

const start = new Date('2026-03-01T12:00:00.000Z');
const day = (count: number): string => new Date(start.getTime() + count * dayMs).toISOString();
const setDay = ({ clock }: ApiHost, count: number): void => void (clock.time = new Date(day(count)));
const browserLike = { 'User-Agent': 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0' };
const payoutTo = (email: string) => ({ mode: 'payout', paypal_payout_email: email });

describe('credit/', () => {
  interface Credit extends Record<string, unknown> {
    id: number;
    mode: string;
    status: string;
    referral_channel: number | null;
  }
  let host: ApiHost;
  /** What anna's are on day 35, by id. */
  let credits: Credit[];
  let [summer, winter, others] = [0, 0, 0];
  const list = (query: string) => host.get(`/credit/?page_size=100&${query}`, 'anna');

  beforeAll(async () => {
    host = await startApi({ commission: { ratio: '0.25', pendingDays: 30 }, earnOuts: { payout: () => undefined } });
    const { referrals } = host;
    summer = (await coupon(host, 'anna', { code: 'SUMMER20' })).id;
    winter = (await coupon(host, 'anna', { code: 'Winter-1' })).id;
    others = (await coupon(host, 'boris')).id;
    for (const user of ['7', '007', '9007199254740993', '1.0', '9007199254740991']) await refer(host, 'anna', user);
    await refer(host, 'boris', '8');
    await referrals.coupons.apply('u-1', 'summer20');
    await referrals.coupons.apply('-5', 'winter-1');

    const made = [await buy(host, '7', '100', 'a'), await buy(host, 'u-1', '39.20', 'b')];
    made.push(await buy(host, '007', '40', 'c'));
    await buy(host, '8', '100', 'of boris');
    setDay(host, 1);
    await host.ask('PATCH', '/config/', { as: 'anna', send: payoutTo('anna@example.com') });
    made.push(await buy(host, '9007199254740993', '100', 'd'), await buy(host, '-5', '100.02', 'e'));
    made.push(await buy(host, '1.0', '40', 'f'));
    setDay(host, 2);
    await referrals.recordRefund('7', { purchase: 'a', reference: 'r1' });
    await referrals.recordRefund('9007199254740993', { purchase: 'd', reference: 'r2', amount: '50' });
    setDay(host, 20);
    await host.ask('PATCH', '/config/', { as: 'anna', send: { mode: 'credits' } });
    made.push(await buy(host, '7', '100', 'g'), await buy(host, 'u-1', '10', 'h'));
    made.push(await buy(host, '9007199254740991', '100', 'i'));
    setDay(host, 21);
    await referrals.recordRefund('1.0', { purchase: 'f', reference: 'r3' });
    setDay(host, 35);

    const of = (code: string | null) => ({
      referral_channel: code === null ? null : code === 'SUMMER20' ? summer : winter,
      referral_channel_code: code,
    });
    const at = (created: number, updated = created, reverted: number | null = null) => ({
      ...{ created_at: day(created), updated_at: day(updated), reverted_at: reverted === null ? null : day(reverted) },
    });
    const as = (mode: string, status: string, amount: number) => ({ mode, status, amount });
    credits = [
      { user_id: 7, ...as('credits', 'reverted', 0), ...of(null), ...at(0, 2, 2) },
      { user_id: 'u-1', ...as('credits', 'available', 11.76), ...of('SUMMER20'), ...at(0) },
      { user_id: '007', ...as('credits', 'available', 10), ...of(null), ...at(0) },
      { user_id: '9007199254740993', ...as('payout', 'available', 12.5), ...of(null), ...at(1, 2) },
      { user_id: -5, ...as('payout', 'available', 30.01), ...of('Winter-1'), ...at(1) },
      { user_id: '1.0', ...as('payout', 'reverted', 0), ...of(null), ...at(1, 21, 21) },
      { user_id: 7, ...as('credits', 'pending', 25), ...of(null), ...at(20) },
      { user_id: 'u-1', ...as('credits', 'pending', 3), ...of('SUMMER20'), ...at(20) },
      { user_id: Number.MAX_SAFE_INTEGER, ...as('credits', 'pending', 25), ...of(null), ...at(20) },
    ].map((credit, index) => ({ id: made[index]!, ...credit }));
  });
  beforeEach(() => setDay(host, 35));

  test('every field: of the list, and of each one, with and without the slash', async () => {
    expect(await list('ordering=id')).toEqual({ count: 9, next: null, previous: null, results: credits });
    for (const credit of credits) {
      expect(await host.get(`/credit/${credit.id}/`, 'anna')).toEqual(credit);
      expect(await host.get(`/credit/${credit.id}`, 'anna')).toEqual(credit);
    }
    expect(await host.get('/credit?ordering=id', 'anna')).toMatchObject({ count: 9, results: credits });
    expect(await host.get('/credit/', 'nobody yet')).toEqual({ count: 0, next: null, previous: null, results: [] });
  });

  test('every filter, by itself and with others', async () => {
    const channels = [undefined, summer, winter, ''];
    for (const mode of [undefined, '', 'credits', 'payout'])
      for (const status of [undefined, '', 'pending', 'available', 'reverted'])
        for (const channel of channels) {
          const query = String(
            new URLSearchParams({
              ...(mode !== undefined && { mode }),
              ...(status !== undefined && { status }),
              ...(channel !== undefined && { referral_channel: String(channel) }),
            }),
          );
          const fitting = credits
            .filter((credit) => !mode || credit.mode === mode)
            .filter((credit) => !status || credit.status === status)
            .filter((credit) => channel === undefined || credit.referral_channel === (channel === '' ? null : channel));
          const { count, results } = await list(`ordering=id&${query}`);
          expect({ query, count, results }).toEqual({
            ...{ query, count: fitting.length, results: fitting },
          });
        }
  });

  test('a channel of another user is as one that there is not', async () => {
    const answers = [];
    for (const channel of [`${others}`, '987654321', '0', '-1', 'SUMMER20', '1e1', '9'.repeat(30)])
      answers.push(await host.ask('GET', `/credit/?referral_channel=${channel}`, { as: 'anna' }));
    for (const { status, body } of answers) {
      expect(status).toBe(400);
      expect(body).toEqual(answers[0]!.body);
      expect(body).toEqual(fieldError('referral_channel', 'invalid_choice'));
    }
  });

  test('every ordering, ties by id; nulls are the largest', async () => {
    const names = ['id', 'mode', 'amount', 'status', 'created_at', 'updated_at', 'reverted_at'];
    for (const name of names)
      for (const sign of ['', '-']) {
        const order = `${sign}${name}`;
        const sorted = sortedBy(credits, order).map(({ id }) => id);
        expect([order, ids(await list(`ordering=${order}`))]).toEqual([order, sorted]);
        const paid = sortedBy(credits, order).filter(({ mode }) => mode === 'credits');
        const page = await host.get(`/credit/?ordering=${order}&mode=credits&page_size=2&page=2`, 'anna');
        expect([order, ids(page)]).toEqual([order, paid.slice(2, 4).map(({ id }) => id)]);
      }
    expect(ids(await list(''))).toEqual(sortedBy(credits, '-created_at').map(({ id }) => id));
  });

  test('the status and its counts change with the clock, to the millisecond', async () => {
    const [last] = credits.slice(-1);
    const seen = async () => {
      const byStatus = ['pending', 'available', 'reverted'].map(async (status) => ids(await list(`status=${status}`)));
      const lengths = (await Promise.all(byStatus)).map(({ length }) => length);
      const counts = ['pending', 'available', 'reverted'].map(async (status) => (await list(`status=${status}`)).count);
      expect(await Promise.all(counts)).toEqual(lengths);
      return [...lengths, (await host.get(`/credit/${last!.id}/`, 'anna')).status];
    };
    expect(await seen()).toEqual([3, 4, 2, 'pending']);
    host.clock.time = new Date(Date.parse(day(50)) - 1);
    expect(await seen()).toEqual([3, 4, 2, 'pending']);
    setDay(host, 50);
    expect(await seen()).toEqual([0, 7, 2, 'available']);
    setDay(host, 30.5); // those of the first day only
    expect(await seen()).toEqual([5, 2, 2, 'pending']);
  });

  test("a user's own only", async () => {
    const { count, results } = await host.get('/credit/', 'boris');
    expect([count, results]).toEqual([1, [expect.objectContaining({ user_id: 8, amount: 25 })]]);
    expect((await host.ask('GET', `/credit/${results[0].id}/`, { as: 'anna' })).status).toBe(404);
  });

  describe('pages', () => {
    test('next and previous lead through all of them, and keep what was asked for', async () => {
      const query = 'mode=credits&referral_channel=&ordering=-amount&page_size=2&note=a%26b%20%C3%BC';
      const all = sortedBy(credits, '-amount').filter(
        (credit) => credit.mode === 'credits' && credit.referral_channel === null,
      );
      expect(all).toHaveLength(4);
      const first = await host.get(`/credit/?${query}`, 'anna');
      expect([first.count, first.previous, ids(first)]).toEqual([4, null, all.slice(0, 2).map(({ id }) => id)]);
      expect(partsOf(first.next)).toEqual(partsOf(`${baseUrl}${mount}/credit/?${query}&page=2`));
      const second = await host.get(first.next.slice(`${baseUrl}${mount}`.length), 'anna');
      expect([second.count, second.next, ids(second)]).toEqual([4, null, all.slice(2).map(({ id }) => id)]);
      expect(partsOf(second.previous)).toEqual(partsOf(`${baseUrl}${mount}/credit/?${query}&page=1`));
      expect(await host.get(second.previous.slice(`${baseUrl}${mount}`.length), 'anna')).toEqual(first);
    });

    test('of 1 to 100; 25 by default; a page past the end is none', async () => {
      for (let page = 1; page <= 9; page++) {
        const one = await host.get(`/credit/?ordering=id&page_size=1&page=${page}`, 'anna');
        expect([one.count, one.results]).toEqual([9, [credits[page - 1]]]);
        expect([one.previous === null, one.next === null]).toEqual([page === 1, page === 9]);
      }
      for (const query of ['page_size=1&page=10', 'page=2', 'page=999999999999999', 'mode=payout&page_size=3&page=2'])
        expect(await host.ask('GET', `/credit/?${query}`, { as: 'anna' })).toMatchObject({ status: 404, body: detail });
      expect((await host.ask('GET', '/credit/?page=2', { as: 'nobody yet' })).status).toBe(404);

      await refer(host, 'clara', 'often');
      for (let purchase = 0; purchase < 26; purchase++) await buy(host, 'often', '4', `purchase ${purchase}`);
      const page = await host.get('/credit/', 'clara');
      expect([page.count, page.results.length, page.previous]).toEqual([26, 25, null]);
      expect(partsOf(page.next)).toEqual(partsOf(`${baseUrl}${mount}/credit/?page=2`));
      expect((await host.get('/credit/?page=2', 'clara')).results).toHaveLength(1);
    });

    test('a forged host counts for nothing; the path is as it was asked for', async () => {
      const headers = { 'Host': 'evil.example', 'X-Forwarded-Host': 'evil.example', 'X-Forwarded-Proto': 'http' };
      const { body } = await host.ask('GET', '/credit?page_size=5', { as: 'anna', headers });
      expect(partsOf(body.next)).toEqual(partsOf(`${baseUrl}${mount}/credit?page_size=5&page=2`));
    });

    test.each([
      ['the site lives below a path, which a proxy takes off', 'https://x.example/shop', {}, '/shop/api/v2/referral'],
      ['a slash ends it', 'https://x.example/shop/', {}, '/shop/api/v2/referral'],
      ['the app itself is mounted there', 'https://x.example/shop', { below: '/shop' }, '/shop/api/v2/referral'],
      ['a path that only begins alike', 'https://x.example/shop', { at: '/shopping' }, '/shop/shopping'],
      ['a port, and another place', 'http://localhost:3000', { at: '/a/b' }, '/a/b'],
    ])('of a host with an address of its own: %s', async (_name, address, mounting, path) => {
      const own = await startApi({ baseUrl: address, commission: { ratio: '0.1' } }, mounting);
      await refer(own, 'anna', 'buyer');
      for (const reference of ['a', 'b', 'c']) await buy(own, 'buyer', '10', reference);
      const { next, previous } = await own.get('/credit/?page_size=1&page=2', 'anna');
      const site = new URL(address).origin + path;
      expect(partsOf(next)).toEqual(partsOf(`${site}/credit/?page_size=1&page=3`));
      expect(partsOf(previous)).toEqual(partsOf(`${site}/credit/?page_size=1&page=1`));
      const { referral_code: code, referral_url: url } = await own.get('/config/', 'anna');
      expect(url).toBe(`${address.replace(/\/$/, '')}/?referral_code=${code}`);
      expect((await own.get('/openapi.json', 'anna')).servers).toEqual([{ url: site }]);
    });
  });
});

describe('earnout/', () => {
  test('every field in every state; newest first, in pages, a user’s own only', async () => {
    const during: unknown[] = [];
    const host: ApiHost = await startApi({
      commission: { ratio: '0.5', pendingDays: 0 },
      earnOuts: {
        ...{ every: { days: 7 }, minimum: '1', addressHoldDays: 0 },
        payout: async ({ payoutEmail }) => {
          during.push(await host.get('/earnout/', 'anna'), (await host.get('/config/', 'anna')).payouts_earned);
          if (payoutEmail === 'wrong@example.com') throw new PayoutRefused('No such account.');
        },
      },
    });
    await refer(host, 'anna', 'buyer');
    await refer(host, 'boris', 'other');
    await buy(host, 'buyer', '20.5', 'a');
    await buy(host, 'other', '20', 'a');
    setDay(host, 7);
    await host.referrals.runEarnOuts();
    await host.ask('PATCH', '/config/', { as: 'anna', send: payoutTo('wrong@example.com') });
    await buy(host, 'buyer', '30', 'b');
    setDay(host, 14);
    await host.referrals.runEarnOuts();
    await host.ask('PATCH', '/config/', { as: 'anna', send: payoutTo('anna@example.com') });
    setDay(host, 15);
    await host.referrals.runEarnOuts();

    const list = await host.get('/earnout/', 'anna');
    const [third, second, first] = ids(list);
    const at = (count: number) => ({ created_at: day(count), updated_at: day(count) });
    const to = (email: string) => ({ mode: 'payout', paypal_payout_email: email, amount: 15 });
    const paid = { status: 'completed', error_reason: null };
    const failed = { status: 'failed', error_reason: 'No such account.' };
    const expected = [
      { id: third, ...to('anna@example.com'), ...paid, ...at(15) },
      { id: second, ...to('wrong@example.com'), ...failed, ...at(14) },
      { id: first, mode: 'credits', paypal_payout_email: null, amount: 10.25, ...paid, ...at(7) },
    ];
    expect(list).toEqual({ count: 3, next: null, previous: null, results: expected });
    expect([third! > second!, second! > first!]).toEqual([true, true]);
    expect(await host.get('/earnout', 'anna')).toEqual(list);
    for (const earnOut of expected)
      for (const slash of ['', '/']) expect(await host.get(`/earnout/${earnOut.id}${slash}`, 'anna')).toEqual(earnOut);

    // While the host pays, it is told to be under way, and nothing waits for the next one.
    const underWay = { status: 'processing', error_reason: null };
    expect(during).toEqual([
      expect.objectContaining({ count: 2, results: [{ ...expected[1], ...underWay }, expected[2]] }),
      0,
      expect.objectContaining({ count: 3, results: [{ ...expected[0], ...underWay }, ...expected.slice(1)] }),
      0,
    ]);

    const page = await host.get('/earnout/?page_size=1&page=2', 'anna');
    expect([page.count, page.results]).toEqual([3, [expected[1]]]);
    expect(partsOf(page.next)).toEqual(partsOf(`${baseUrl}${mount}/earnout/?page_size=1&page=3`));
    expect(partsOf(page.previous)).toEqual(partsOf(`${baseUrl}${mount}/earnout/?page_size=1&page=1`));
    expect((await host.ask('GET', '/earnout/?page_size=1&page=4', { as: 'anna' })).status).toBe(404);
    const none = { count: 0, next: null, previous: null, results: [] };
    expect(await host.get('/earnout/', 'nobody yet')).toEqual(none);
    expect((await host.get('/earnout/', 'boris')).count).toBe(1);

    // The API has no word for money that came back.
    const { idempotencyKey: key } = await host.referrals.earnOuts.get(third!);
    await host.referrals.earnOuts.settle({ key, status: 'returned', reason: 'The address is closed.' });
    const returned = { ...expected[0], status: 'failed', error_reason: 'The address is closed.' };
    expect(await host.get(`/earnout/${third}/`, 'anna')).toEqual(returned);
    expect((await host.get('/config/', 'anna')).payouts_earned).toBe(15);
    expect(host.errors).toEqual([]);
  });
});

describe('config/', () => {
  test('every field, of a user whom nobody knew; the code is made once', async () => {
    const host = await startApi({
      commission: { ratio: '0.25', maxPerReferee: '100', pendingDays: 30 },
      earnOuts: { every: { days: 7 }, minimum: '10' },
    });
    const answers = await Promise.all(Array.from({ length: 8 }, () => host.get('/config/', '42')));
    const [config] = answers;
    for (const answer of answers) expect(answer).toEqual(config);
    expect(config).toEqual({
      ...{ id: expect.any(Number), mode: 'credits', paypal_payout_email: null, id_verification_required: false },
      ...{ credits_earned: 0, payouts_earned: 0, total_credits_earned: 0, total_payouts_earned: 0 },
      ...{ number_of_users_referred: 0, number_of_users_upgraded: 0 },
      ...{ earn_out_frequency: '7 00:00:00', next_earn_out_date: day(7), minimum_earn_out_amount: 10 },
      referral_code: expect.stringMatching(/^[A-Z2-9]{10}$/),
      referral_url: `${baseUrl}/?referral_code=${config.referral_code}`,
      ...{ referral_maximum_credits: 100, referral_credit_ratio: 0.25, referral_payment_pending_days: '30 00:00:00' },
      ...{ promo_type: null, promo_value: null },
      ...{ initial_rate: 0.25, ongoing_rate: 0.25, initial_rate_period_days: 0, max_earnings_per_referred: 100 },
      ...{ created_at: day(0), updated_at: day(0) },
    });
    expect(await host.get('/config', '42')).toEqual(config);
    const referrals = await host.referrals.referralCodes.search({ where: { userId: '42' } });
    expect(referrals.map(({ code }) => code)).toEqual([config.referral_code]);

    // Any page of the site takes the parameter: the address leads to a click.
    const { pathname, search } = new URL(config.referral_url);
    await host.browser().get(`${pathname}${search}`).set(browserLike);
    expect(await clicksOf(host)).toBe(1);
  });

  test.each([
    [{ days: 7 }, 30, '7 00:00:00', '30 00:00:00'],
    [{ days: 1.5 }, 1, '1 12:00:00', '1 00:00:00'],
    [{ days: 0.5 }, 0, '12:00:00', '00:00:00'],
    [{ days: 365 + 3661 / 86_400 }, 365, '365 01:01:01', '365 00:00:00'],
  ])('durations: every %o, pending for %d days', async (every, pendingDays, frequency, pending) => {
    const host = await startApi({ commission: { pendingDays }, earnOuts: { every }, codeParameter: false });
    const config = await host.get('/config/', 'anna');
    expect([config.earn_out_frequency, config.referral_payment_pending_days]).toEqual([frequency, pending]);
    expect(Date.parse(config.next_earn_out_date) - start.getTime()).toBe(Math.round(every.days * dayMs));
    // Without options, nothing is earned and nothing is limited; without the parameter, the address is the link.
    expect([config.referral_credit_ratio, config.initial_rate, config.ongoing_rate]).toEqual([0, 0, 0]);
    expect([config.referral_maximum_credits, config.max_earnings_per_referred]).toEqual([null, null]);
    expect([config.minimum_earn_out_amount, config.referral_url]).toEqual([
      ...[0.01, `${baseUrl}/r/${config.referral_code}`],
    ]);
  });

  test('the terms are those of the program of the referral, where it has one', async () => {
    const host = await startApi({ commission: { ratio: '0.25', maxPerReferee: '100' } });
    const { programs, referralCodes } = host.referrals;
    const terms = { ratio: '0.125', maxPerReferee: null };
    const program = await programs.create({ name: 'partners', commission: terms });
    const of = async (user: string) => (await host.get('/config/', user)).referral_code as string;
    await referralCodes.update((await referralCodes.getByCode(await of('anna'))).id, { program: program.id });
    expect(await host.get('/config/', 'anna')).toMatchObject({
      ...{ referral_credit_ratio: 0.125, initial_rate: 0.125, ongoing_rate: 0.125 },
      ...{ referral_maximum_credits: null, max_earnings_per_referred: null },
    });
    expect(await host.get('/config/', 'boris')).toMatchObject({
      referral_credit_ratio: 0.25,
      referral_maximum_credits: 100,
    });
  });

  describe('totals', () => {
    const earned = async (host: ApiHost) => {
      const config = await host.get('/config/', 'anna');
      const { credits_earned, payouts_earned, total_credits_earned, total_payouts_earned } = config;
      return [credits_earned, total_credits_earned, payouts_earned, total_payouts_earned];
    };

    test.each(['credits', 'payout'])('from the purchase to a refund after the earn-out: %s', async (mode) => {
      const paid: string[] = [];
      const host = await startApi({
        commission: { ratio: '0.25', pendingDays: 30 },
        earnOuts: {
          ...{ every: { days: 7 }, minimum: '10', takeBackCredit: false },
          payout: ({ amount }) => void paid.push(amount),
        },
      });
      const { referrals } = host;
      if (mode === 'payout') await host.ask('PATCH', '/config/', { as: 'anna', send: payoutTo('a@example.com') });
      const shown = (waiting: number, total: number): number[] =>
        mode === 'credits' ? [waiting, total, 0, 0] : [0, 0, waiting, total];
      const earnOut = async () => (await referrals.runEarnOuts()).amount;

      await refer(host, 'anna', 'buyer');
      await buy(host, 'buyer', '100', 'first');
      expect(await earned(host)).toEqual(shown(0, 25));
      setDay(host, 29);
      expect(await earnOut()).toBe('0.00');
      expect(await earned(host)).toEqual(shown(0, 25));
      setDay(host, 30);
      expect(await earned(host)).toEqual(shown(25, 25));
      await referrals.recordRefund('buyer', { purchase: 'first', reference: 'r1', amount: '40' });
      expect(await earned(host)).toEqual(shown(15, 15));
      expect(await earnOut()).toBe('15.00');
      expect(await earned(host)).toEqual(shown(0, 15));
      await referrals.recordRefund('buyer', { purchase: 'first', reference: 'r2' });
      expect(await earned(host)).toEqual(shown(-15, 0));
      expect((await host.get('/credit/', 'anna')).results).toMatchObject([{ amount: 0, status: 'reverted' }]);

      await buy(host, 'buyer', '200', 'second');
      expect(await earned(host)).toEqual(shown(-15, 50));
      setDay(host, 60);
      expect(await earned(host)).toEqual(shown(35, 50));
      expect(await earnOut()).toBe('35.00'); // what was refunded is netted
      expect(await earned(host)).toEqual(shown(0, 50));
      expect(paid).toEqual(mode === 'payout' ? ['15.00', '35.00'] : []);
      expect((await host.get('/earnout/', 'anna')).results.map(({ amount }: { amount: number }) => amount)).toEqual([
        ...[35, 15],
      ]);
      expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
    });

    test('the minimum is of both modes together; each mode has totals of its own', async () => {
      const host = await startApi({
        commission: { ratio: '0.1', pendingDays: 0 },
        earnOuts: { every: { days: 7 }, minimum: '20', payout: () => undefined },
      });
      await refer(host, 'anna', 'buyer');
      await buy(host, 'buyer', '99.90', 'a');
      await host.ask('PATCH', '/config/', { as: 'anna', send: payoutTo('a@example.com') });
      await buy(host, 'buyer', '100', 'b');
      setDay(host, 7);
      await host.referrals.runEarnOuts();
      expect(await earned(host)).toEqual([9.99, 9.99, 10, 10]);
      await buy(host, 'buyer', '0.10', 'c');
      await host.referrals.runEarnOuts();
      expect(await earned(host)).toEqual([0, 9.99, 0, 10.01]);
    });

    test('users who were referred, and those of them who have paid', async () => {
      const host = await startApi({ commission: { ratio: '0.1' } });
      const counts = async () => {
        const config = await host.get('/config/', 'anna');
        return [config.number_of_users_referred, config.number_of_users_upgraded];
      };
      await coupon(host, 'anna');
      await refer(host, 'anna', 'one');
      await refer(host, 'anna', 'two');
      expect(await counts()).toEqual([2, 0]);
      await buy(host, 'one', '0', 'free');
      expect(await counts()).toEqual([2, 0]);
      await buy(host, 'one', '10', 'paid');
      await buy(host, 'one', '10', 'paid again');
      expect(await counts()).toEqual([2, 1]);
      await host.referrals.coupons.apply('three', 'of-anna');
      expect(await counts()).toEqual([2, 1]);
      await buy(host, 'three', '10', 'with the coupon');
      expect(await counts()).toEqual([3, 2]);
    });

    test('the next earn-out follows the day that the account was made', async () => {
      const host = await startApi({ earnOuts: { every: { days: 7 } } });
      const next = async () => (await host.get('/config/', 'anna')).next_earn_out_date as string;
      for (const [now, then] of [
        [0, 7],
        [6.999, 7],
        [7, 14],
        [30, 35],
      ] as const) {
        setDay(host, now);
        expect(await next()).toBe(day(then));
      }
    });

    test('an earn-out that is due has been due since a moment that has passed', async () => {
      const host = await startApi({ commission: { ratio: '0.1', pendingDays: 0 }, earnOuts: { every: { days: 7 } } });
      const next = async () => (await host.get('/config/', 'anna')).next_earn_out_date as string;
      await refer(host, 'anna', 'buyer');
      await buy(host, 'buyer', '100', 'a');
      setDay(host, 30);
      expect(await next()).toBe(day(28));
      await host.referrals.runEarnOuts();
      expect(await next()).toBe(day(35));
    });

    test('after a refusal the next earn-out is when the wait ends', async () => {
      const host = await startApi({
        commission: { ratio: '0.1', pendingDays: 0 },
        earnOuts: {
          every: { days: 7 },
          payout: () => {
            throw new PayoutRefused('No such account.');
          },
        },
      });
      const next = async () => (await host.get('/config/', 'anna')).next_earn_out_date as string;
      await refer(host, 'anna', 'buyer');
      await host.ask('PATCH', '/config/', { as: 'anna', send: payoutTo('a@example.com') });
      await buy(host, 'buyer', '100', 'a');
      setDay(host, 7);
      await host.referrals.runEarnOuts();
      const refused = day(7 + 1 / 24);
      expect(await next()).toBe(refused);
      setDay(host, 8);
      expect(await next()).toBe(refused); // it is due now
      await host.referrals.runEarnOuts();
      expect(await next()).toBe(day(8.25));
    });
  });

  describe('PATCH', () => {
    let host: ApiHost;
    beforeAll(async () => {
      host = await startApi({ earnOuts: { payout: () => undefined } });
    });
    beforeEach(() => setDay(host, 0));
    const patch = (as: string, send: object) => host.ask('PATCH', '/config/', { as, send });

    test('answers the whole account; every rule of mode and e-mail', async () => {
      const before = await host.get('/config/', 'anna');
      setDay(host, 1);
      const empty = await patch('anna', {});
      expect([empty.status, empty.body]).toEqual([200, before]);

      const alone = await patch('anna', { mode: 'payout' });
      expect([alone.status, alone.body]).toEqual([400, fieldError('paypal_payout_email', 'required')]);
      const none = await patch('anna', { mode: 'payout', paypal_payout_email: null });
      expect([none.status, none.body]).toEqual([400, fieldError('paypal_payout_email', 'required')]);
      expect(await host.get('/config/', 'anna')).toEqual(before);

      const email = await patch('anna', { paypal_payout_email: 'anna@example.com' });
      const changed = { ...before, paypal_payout_email: 'anna@example.com', updated_at: day(1) };
      expect([email.status, email.body]).toEqual([200, changed]);
      setDay(host, 2);
      const payout = await patch('anna', { mode: 'payout' });
      expect([payout.status, payout.body]).toEqual([200, { ...changed, mode: 'payout', updated_at: day(2) }]);
      expect(await host.get('/config', 'anna')).toEqual(payout.body);

      const without = await patch('anna', { paypal_payout_email: null });
      expect([without.status, without.body]).toEqual([400, fieldError('paypal_payout_email', 'required')]);
      const back = await patch('anna', { mode: 'credits', paypal_payout_email: null });
      expect([back.status, back.body]).toMatchObject([200, { mode: 'credits', paypal_payout_email: null }]);
      const both = await patch('anna', payoutTo('other@example.com'));
      expect([both.status, both.body]).toMatchObject([200, payoutTo('other@example.com')]);
      const kept = await patch('anna', { mode: 'credits' });
      expect(kept.body).toMatchObject({ mode: 'credits', paypal_payout_email: 'other@example.com' });
    });

    test('of a user whom nobody knew; nobody else’s account changes', async () => {
      const before = await host.get('/config/', 'boris');
      expect((await patch('first time', payoutTo('first@example.com'))).body).toMatchObject({ mode: 'payout' });
      expect(await host.get('/config/', 'boris')).toEqual(before);
    });

    test('two at once that together would leave payouts without an e-mail: one is refused', async () => {
      for (let round = 0; round < 10; round++) {
        const user = `racer ${round}`;
        await patch(user, { paypal_payout_email: 'a@example.com' });
        const answers = await Promise.all([
          patch(user, { mode: 'payout' }),
          patch(user, { paypal_payout_email: null }),
        ]);
        expect(answers.map(({ status }) => status).sort()).toEqual([200, 400]);
        const refused = answers.find(({ status }) => status === 400);
        expect(refused!.body).toEqual(fieldError('paypal_payout_email', 'required'));
        const { mode, paypal_payout_email: email } = await host.get('/config/', user);
        expect([
          ['credits', null],
          ['payout', 'a@example.com'],
        ]).toContainEqual([mode, email]);
      }
    });

    test('where the site pays nothing out, there is no such mode', async () => {
      const unpaid = await startApi();
      const { status, body } = await unpaid.ask('PATCH', '/config/', { as: 'anna', send: payoutTo('a@example.com') });
      expect([status, body]).toEqual([400, fieldError('mode', 'invalid_choice')]);
      expect((await unpaid.get('/config/', 'anna')).paypal_payout_email).toBeNull();
    });
  });
});

describe('channel/', () => {
  test('every field, by id; what is counted of each', async () => {
    const host = await startApi({ commission: { ratio: '0.25', pendingDays: 30, maxPerReferee: '40' } });
    const { referrals } = host;
    const until = new Date(day(60));
    const channels = [
      await coupon(host, 'anna', {
        ...{ code: 'SUMMER20', initialRatePeriodDays: 10, maxEarningsPerReferred: '100', endDate: until },
      }),
      await referrals.channels.create({ user: 'anna', code: 'five-off', promoType: 'value_off', promoValue: '5' }),
      await coupon(host, 'anna', {
        ...{ code: 'Always', isRecurring: true, isActive: false, maxEarningsPerReferred: null },
        ...{ promoValue: '0.125', startDate: new Date(day(3)), description: '' },
      }),
    ];
    await coupon(host, 'boris', { code: 'OTHERS' });
    expect(await host.get('/channel/', 'nobody yet')).toEqual([]);

    await refer(host, 'boris', 'of-boris');
    for (const user of ['one', 'two', 'of-boris']) await referrals.coupons.apply(user, 'summer20');
    await buy(host, 'one', '39.20', 'a');
    await buy(host, 'two', '100', 'a');
    await buy(host, 'of-boris', '50', 'a');
    setDay(host, 10);
    await buy(host, 'two', '10.05', 'b');
    await referrals.recordRefund('one', { purchase: 'a', reference: 'r', amount: '19.60' });

    const fresh = { total_uses: 0, total_commission: 0, total_revenue: 0 };
    const common = { start_date: day(0), end_date: null, created_at: day(0) };
    const expected = [
      {
        ...{ id: channels[0]!.id, code: 'SUMMER20', description: '20% off' },
        ...{ promo_type: 'percent_off', promo_value: '0.20', is_active: true, is_recurring: false },
        // 30% of 19.60, 100 and 50, and 10% of 10.05; what boris's user paid is no revenue of anna's channel
        ...{ ...common, end_date: day(60), total_uses: 3, total_commission: 51.89, total_revenue: 129.65 },
        ...{ initial_rate: '0.30', ongoing_rate: '0.10', initial_rate_period_days: 10 },
        max_earnings_per_referred: '100.00',
      },
      {
        ...{ id: channels[1]!.id, code: 'five-off', description: '' },
        ...{ promo_type: 'value_off', promo_value: '5.00', is_active: true, is_recurring: false },
        ...{ ...common, ...fresh, initial_rate: '0.25', ongoing_rate: '0.25', initial_rate_period_days: 365 },
        max_earnings_per_referred: '40.00',
      },
      {
        ...{ id: channels[2]!.id, code: 'Always', description: '' },
        ...{ promo_type: 'percent_off', promo_value: '0.125', is_active: false, is_recurring: true },
        ...{ ...common, ...fresh, start_date: day(3) },
        ...{ initial_rate: '0.30', ongoing_rate: '0.10', initial_rate_period_days: 365 },
        max_earnings_per_referred: null,
      },
    ];
    expect(await host.get('/channel/', 'anna')).toEqual(expected);
    expect(await host.get('/channel', 'anna')).toEqual(expected);
    expect((await host.get('/channel/', 'boris')).map(({ code }: { code: string }) => code)).toEqual(['OTHERS']);

    await referrals.recordRefund('two', { purchase: 'a', reference: 'r' });
    const [after] = await host.get('/channel/', 'anna');
    expect(after).toEqual({ ...expected[0], total_commission: 21.89, total_revenue: 29.65 });
  });
});

describe('coupon-code/', () => {
  const none = { code: null, promo_type: null, promo_value: null, description: null, is_recurring: null };
  const summer = {
    ...{ code: 'Summer20', promo_type: 'percent_off', promo_value: '0.20' },
    ...{ description: '20% off', is_recurring: false },
  };
  const always = {
    ...{ code: 'ALWAYS', promo_type: 'value_off', promo_value: '5.00', description: 'five', is_recurring: true },
  };
  let host: ApiHost;
  const apply = (as: string, code: string) => host.ask('POST', '/coupon-code/', { as, send: { code } });
  const applied = (as: string) => host.get('/coupon-code/', as);
  const remove = (as: string, path = '/coupon-code/') => host.ask('DELETE', path, { as });

  beforeAll(async () => {
    host = await startApi({ commission: { ratio: '0.25' } });
    await coupon(host, 'anna', { code: 'Summer20' });
    await coupon(host, 'anna', {
      ...{ code: 'ALWAYS', promoType: 'value_off', promoValue: 5, isRecurring: true, description: 'five' },
    });
    await coupon(host, 'anna', { code: 'CLOSED', isActive: false });
    await coupon(host, 'anna', { code: 'SOON', startDate: new Date(day(5)) });
    await coupon(host, 'anna', { code: 'OVER', startDate: new Date(day(-9)), endDate: new Date(day(-1)) });
    await coupon(host, 'anna', { code: 'UNTIL', endDate: new Date(day(2)) });
  });
  beforeEach(() => setDay(host, 0));

  test('none, applied, replaced, and taken off again', async () => {
    expect(await applied('one')).toEqual(none);
    const first = await apply('one', '  sUMMER20\t');
    expect([first.status, first.body]).toEqual([200, summer]);
    expect(await applied('one')).toEqual(summer);
    expect(await host.get('/coupon-code', 'one')).toEqual(summer);
    const second = await host.ask('POST', '/coupon-code', { as: 'one', send: { code: 'always' } });
    expect([second.status, second.body]).toEqual([200, always]);
    expect(await applied('one')).toEqual(always);
    expect(await host.referrals.quote('one', '49')).toEqual({
      ...{ amount: '49.00', discount: '5.00', total: '44.00', code: 'ALWAYS' },
    });
    expect(await applied('two')).toEqual(none);

    expect((await remove('two')).status).toBe(204);
    expect(await applied('one')).toEqual(always);
    expect((await remove('one')).status).toBe(204);
    expect(await applied('one')).toEqual(none);
    expect((await remove('one', '/coupon-code')).status).toBe(204); // once more changes nothing
    expect((await apply('one', 'ALWAYS')).status).toBe(200); // what no purchase has used can be applied again
  });

  test.each([
    ['not_found', 'NOBODYS', 'buyer a'],
    ['not_found', 'x'.repeat(100), 'buyer a'],
    ['not_found', 'a\u0000b\ud800 \u{1f600}', 'buyer a'],
    ['not_found', "'; DROP TABLE referrals; --", 'buyer a'],
    ['code_inactive', ' closed ', 'buyer b'],
    ['code_inactive', 'soon', 'buyer b'],
    ['code_expired', 'over', 'buyer b'],
    ['self_referral', 'SUMMER20', 'anna'],
  ])('refused: %s, by %j', async (code, typed, user) => {
    const { status, body } = await apply(user, typed);
    expect([status, body]).toEqual([400, { ...detail, code }]);
    expect(await applied(user)).toEqual(none);
  });

  test('refused: a plain referral is no coupon; one that was applied stays', async () => {
    const { referral_code: code } = await host.get('/config/', 'anna');
    await apply('keeper', 'summer20');
    expect((await apply('keeper', code)).body).toEqual({ ...detail, code: 'not_found' });
    expect((await apply('keeper', 'closed')).body).toEqual({ ...detail, code: 'code_inactive' });
    expect(await applied('keeper')).toEqual(summer);
  });

  test('used up by a purchase: off, and already_redeemed', async () => {
    await apply('buyer', 'SUMMER20');
    const free = await host.referrals.recordPurchase('buyer', { amount: '39.20', reference: 'a' });
    expect(free.commission).toMatchObject({ amount: '11.76' });
    expect(await applied('buyer')).toEqual(none);
    const again = await apply('buyer', 'summer20');
    expect([again.status, again.body]).toEqual([400, { ...detail, code: 'already_redeemed' }]);
    expect((await apply('buyer', 'ALWAYS')).status).toBe(200);
  });

  test('a recurring one stays once it is redeemed; DELETE does not touch it, another replaces it', async () => {
    await apply('renewing', 'always');
    await buy(host, 'renewing', '44', 'first');
    expect(await applied('renewing')).toEqual(always);
    expect((await remove('renewing')).status).toBe(204);
    expect(await applied('renewing')).toEqual(always);
    expect(await host.referrals.quote('renewing', '49')).toMatchObject({ total: '44.00', code: 'ALWAYS' });
    const again = await apply('renewing', 'always');
    expect([again.status, again.body]).toEqual([400, { ...detail, code: 'already_redeemed' }]);
    expect(await applied('renewing')).toEqual(always);
    expect((await apply('renewing', 'summer20')).body).toEqual(summer);
    expect(await applied('renewing')).toEqual(summer);
  });

  test('one that ends while it is applied is none any more', async () => {
    expect((await apply('late', 'until')).status).toBe(200);
    host.clock.time = new Date(Date.parse(day(2)) - 1);
    expect((await applied('late')).code).toBe('UNTIL');
    setDay(host, 2);
    expect(await applied('late')).toEqual(none);
    expect((await apply('late', 'until')).body).toEqual({ ...detail, code: 'code_expired' });
    setDay(host, 5);
    expect((await apply('late', 'soon')).status).toBe(200);
  });

  test('whose person the owner is, the site says', async () => {
    const own = await startApi({
      isSamePerson: (owner, user, { req }) =>
        owner === 'anna' && user === 'anna-2' && req?.get('x-device') === 'of anna',
    });
    await coupon(own, 'anna');
    const headers = { 'X-Device': 'of anna' };
    const { status, body } = await own.ask('POST', '/coupon-code/', {
      ...{ as: 'anna-2', headers, send: { code: 'OF-anna' } },
    });
    expect([status, body]).toEqual([400, { ...detail, code: 'self_referral' }]);
    expect((await own.ask('POST', '/coupon-code/', { as: 'boris', headers, send: { code: 'OF-anna' } })).status).toBe(
      200,
    );
  });
});

describe('code/info/', () => {
  let host: ApiHost;
  /** Each from an address of its own, because one address may ask 60 times a minute. */
  let asked = 0;
  const info = (code: string, as?: string) =>
    host.ask('GET', `/code/info/?referral_code=${code}`, { as, headers: { 'X-Forwarded-For': `10.0.0.${++asked}` } });
  beforeAll(async () => {
    host = await startApi();
  });

  test.each([
    ['first_time_percent_off', 20, { promoValue: '0.20' }],
    ['first_time_percent_off', 29, { promoValue: '0.29' }],
    ['always_percent_off', 100, { promoValue: 1, isRecurring: true }],
    ['always_percent_off', 12.5, { promoValue: '0.125', isRecurring: true }],
    ['first_time_value_off', 5, { promoType: 'value_off', promoValue: 5 }],
    ['always_value_off', 4.99, { promoType: 'value_off', promoValue: '4.99', isRecurring: true }],
    [null, null, { isActive: false }],
    [null, null, { startDate: new Date(day(1)) }],
    [null, null, { startDate: new Date(day(-2)), endDate: new Date(day(-1)) }],
  ] as const)('what a coupon promises, to anybody: %s %d', async (promo_type, promo_value, terms) => {
    const code = `CODE-${Math.random().toString(36).slice(2)}`;
    await coupon(host, 'anna', { code, ...terms });
    for (const as of [undefined, 'anna', 'boris'])
      for (const typed of [code, code.toLowerCase()]) {
        const { status, body } = await info(typed, as);
        expect([status, body]).toEqual([200, { referral_code: code, promo_type, promo_value }]);
      }
  });

  test('a plain code promises no discount; an unknown one is 404; none is 400', async () => {
    const { referral_code: code } = await host.get('/config/', 'anna');
    expect((await info(code)).body).toEqual({ referral_code: code, promo_type: null, promo_value: null });
    const { body } = await host.ask('GET', `/code/info?referral_code=${code}`);
    expect(body).toEqual({ referral_code: code, promo_type: null, promo_value: null });
    for (const unknown of ['NOBODYS', 'a%00b', '%F0%9F%98%80', '%FF', 'x'.repeat(2000), '%25', '%27--'])
      expect(await info(unknown)).toMatchObject({ status: 404, body: detail });
    for (const path of ['/code/info/', '/code/info/?referral_code=', '/code/info?code=x'])
      expect(await host.ask('GET', path)).toMatchObject({
        ...{ status: 400, body: fieldError('referral_code', 'required') },
      });
  });

  test('to ask is no click: nothing is recorded, and nobody attributed', async () => {
    const { referral_code: code } = await host.get('/config/', 'owner');
    const browser = host.browser();
    for (const path of ['/code/info/', '/code/info', '/Code/INFO/']) {
      const answer = await browser.get(`${mount}${path}?referral_code=${code}`).set(browserLike);
      expect([path, answer.status, answer.headers['set-cookie']]).toEqual([path, 200, undefined]);
      expect((await browser.get('/whose')).body).toEqual({ code: null });
    }
    expect(await clicksOf(host)).toBe(0);
  });

  test('a page whose parameters speak of that path is a page: to open it is a click', async () => {
    const { referral_code: code } = await host.get('/config/', 'owner');
    const before = await clicksOf(host);
    const browser = host.browser();
    await browser.get(`/page?from=/code/info/?&referral_code=${code}`).set(browserLike);
    expect(await clicksOf(host)).toBe(before + 1);
    expect((await browser.get('/whose')).body).toEqual({ code });
  });
});

/** As PostgreSQL sorts: nulls are the largest. Ties go by id, ascending. */
function sortedBy<T extends { id: number }>(rows: readonly T[], order: string): T[] {
  const name = order.replace('-', '') as keyof T;
  const sign = order.startsWith('-') ? -1 : 1;
  const compare = (a: unknown, b: unknown): number => {
    if (a === b) return 0;
    if (a === null || b === null) return a === null ? 1 : -1;
    return (a as number | string) < (b as number | string) ? -1 : 1;
  };
  return [...rows].sort((a, b) => sign * compare(a[name], b[name]) || a.id - b.id);
}

/** An address in parts, as the order of its parameters is nobody's business. */
function partsOf(address: string): unknown {
  const url = new URL(address);
  return [url.origin, url.pathname, [...url.searchParams].sort()];
}

async function clicksOf({ dataSource }: ApiHost): Promise<number> {
  return dataSource.manager.count(ReferralResponse);
}
