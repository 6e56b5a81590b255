import { Referral, type ReferralPurchase, ReferralResponse, type ReferralsOptions } from '../lib';
import { couponOf, type EarningsHost, fresh, refer, refusalOf, startEarnings } from './support/earnings';
import { closeAll, cookieOf, visitorOf } from './support/host';

// Own links, and links of nobody, beside those of somebody else.

afterAll(closeAll);

const models = ['last-touch', 'first-touch'] as const;
const rules = ['block', 'flag', 'allow'] as const;

/** The same person under two ids. */
const twinOf = (user: string): string => `${user}+2`;
const isSamePerson = (one: string, other: string): boolean => one.split('+')[0] === other.split('+')[0];

let host: EarningsHost;

async function open(options: Partial<ReferralsOptions>): Promise<void> {
  host = await startEarnings({ isSamePerson, ...options }, (app) => {
    // Signs in and signs up in one request, in which the visitor's responses are not linked yet.
    app.post('/register/:id', async (req, res) => {
      req.session.userId = req.params.id;
      await Referral.recordSignup(req, req.params.id);
      res.json({ code: (await req.referralForRequest())?.code ?? null });
    });
  });
}

async function close(): Promise<void> {
  expect(host.errors).toEqual([]);
  expect((await host.referrals.verify()).problems).toEqual([]);
  await host.referrals.close();
}

const linkOf = async (user: string | null): Promise<string> =>
  (await host.referrals.referralCodes.create({ code: fresh('Link'), label: fresh(), user })).code;

interface Cast {
  /** Who must earn. */
  owner: string;
  buyer: string;
  links: Record<'theirs' | 'own' | 'twin' | 'site', string>;
}

async function cast(): Promise<Cast> {
  const [owner, buyer] = [fresh('owner'), fresh('buyer')];
  const links = {
    theirs: await linkOf(owner),
    own: await linkOf(buyer),
    twin: await linkOf(twinOf(buyer)),
    site: await linkOf(null),
  };
  return { owner, buyer, links };
}

type Browser = ReturnType<EarningsHost['browser']>;

async function follow(browser: Browser, codes: string[]): Promise<string> {
  let visitorId = '';
  for (const code of codes) {
    const answer = await browser.get(`/r/${code}`).expect(302);
    if (cookieOf(answer)) visitorId = visitorOf(answer);
    host.clock.advance(60_000);
  }
  return visitorId;
}

const buy = (user: string, given: object = {}) =>
  host.referrals.recordPurchase(user, { amount: 100, reference: fresh(), ...given });

/** Who earned on a purchase, at once or later. */
const earnerOf = async (purchase: ReferralPurchase): Promise<string | null> =>
  (await (await purchase.refresh()).commission())?.userId ?? null;

/** The ways in which touches arrive, each with who earned. */
const ways: Record<string, (cast: Cast, codes: string[]) => Promise<[earner: string | null, code: string | null]>> = {
  'signed in from the start': async ({ buyer }, codes) => {
    const browser = host.browser();
    await browser.post(`/login/${buyer}`);
    await follow(browser, codes);
    const { code } = (await browser.get('/whose')).body as { code: string };
    return [await earnerOf((await buy(buyer)).purchase), code];
  },
  'anonymous, and then signed in': async ({ buyer }, codes) => {
    const browser = host.browser();
    await follow(browser, codes);
    await browser.post(`/login/${buyer}`);
    const { code } = (await browser.get('/whose')).body as { code: string };
    return [await earnerOf((await buy(buyer)).purchase), code];
  },
  'anonymous, and signed up in the request that signs in': async ({ buyer }, codes) => {
    const browser = host.browser();
    await follow(browser, codes);
    const { code } = (await browser.post(`/register/${buyer}`)).body as { code: string };
    const { purchase } = await buy(buyer);
    expect(purchase.source).toBe('sign-up');
    return [await earnerOf(purchase), code];
  },
  'anonymous, with the visitor named by a webhook': async ({ buyer }, codes) => {
    const visitorId = await follow(host.browser(), codes);
    return [await earnerOf((await buy(buyer, { visitorId })).purchase), null];
  },
  'in two browsers': async ({ buyer }, codes) => {
    const browsers = codes.map(() => host.browser());
    for (const [index, browser] of browsers.entries()) await follow(browser, [codes[index]!]);
    // The other way round than the clicks.
    for (const browser of browsers.reverse()) {
      await browser.post(`/login/${buyer}`);
      await browser.get('/whose').expect(200);
    }
    return [await earnerOf((await buy(buyer)).purchase), null];
  },
  'after the purchase': async ({ buyer }, codes) => {
    const { purchase } = await buy(buyer);
    const browser = host.browser();
    await follow(browser, codes);
    await browser.post(`/login/${buyer}`);
    await browser.get('/whose').expect(200);
    return [await earnerOf(purchase), null];
  },
  'with the last of them lost by the database, and restored at sign-in': async ({ buyer }, codes) => {
    const browser = host.browser();
    await follow(browser, codes);
    const { id } = (await Referral.findByCode(codes.at(-1)!))!;
    await host.dataSource.getRepository(ReferralResponse).delete({ referralId: id });
    await browser.post(`/login/${buyer}`);
    await browser.get('/whose').expect(200);
    return [await earnerOf((await buy(buyer)).purchase), null];
  },
  'through the code that the host names': async ({ buyer, links }, codes) => {
    const browser = host.browser();
    await browser.post(`/login/${buyer}`);
    await follow(browser, [links.theirs]);
    return [await earnerOf((await buy(buyer, { code: codes.find((code) => code !== links.theirs)! })).purchase), null];
  },
};

describe.each(models)('%s', (model) => {
  describe.each(rules)('selfReferral %s', (selfReferral) => {
    beforeAll(() => open({ attribution: { model }, selfReferral }));
    afterAll(close);

    test.each(Object.keys(ways))('who referred the buyer earns: %s', async (way) => {
      const orders = [
        ['theirs', 'own'],
        ['own', 'theirs'],
        ['theirs', 'twin'],
        ['twin', 'theirs'],
        ['theirs', 'site'],
        ['site', 'theirs'],
        ['site', 'own', 'theirs', 'twin', 'site'],
      ] as const;
      for (const order of orders) {
        const one = await cast();
        // A click that is lost is known from the cookie alone, which carries one touch.
        const carried = order.find((name) => name !== 'site');
        if (way.startsWith('with the last') && model === 'first-touch' && order.at(-1) !== carried) continue;
        const [earner, code] = await ways[way]!(
          one,
          order.map((name) => one.links[name]),
        );
        expect([order.join(), earner]).toEqual([order.join(), one.owner]);
        if (code !== null) expect([order.join(), code]).toEqual([order.join(), one.links.theirs]);
      }
    });

    test('a visitor who is not signed in carries the link of somebody, not that of nobody', async () => {
      for (const order of [
        ['theirs', 'site'],
        ['site', 'theirs'],
        ['site', 'theirs', 'site'],
      ] as const) {
        const { links } = await cast();
        const browser = host.browser();
        await follow(
          browser,
          order.map((name) => links[name]),
        );
        expect((await browser.get('/whose')).body).toEqual({ code: links.theirs });
      }
    });

    test('between two others, the option decides', async () => {
      const [one, two] = [await cast(), await cast()];
      const browser = host.browser();
      const codes = [one.links.site, one.links.theirs, one.links.own, two.links.theirs, one.links.site];
      await follow(browser, codes);
      await browser.post(`/login/${one.buyer}`);
      await browser.get('/whose').expect(200, { code: model === 'last-touch' ? codes[3] : codes[1] });
    });

    test('a link that is deleted gives way', async () => {
      const { links } = await cast();
      const browser = host.browser();
      await follow(browser, [links.theirs]);
      await host.referrals.referralCodes.delete((await Referral.findByCode(links.theirs))!.id);
      await follow(browser, [links.own]);
      await browser.get('/whose').expect(200, { code: links.own });
    });
  });
});

describe('with nobody else’s', () => {
  /** What a purchase through one’s own link earns. */
  const expected = { block: ['own-referral', undefined], flag: [null, true], allow: [null, false] } as const;

  describe.each(rules)('selfReferral %s', (selfReferral) => {
    beforeAll(() => open({ selfReferral }));
    afterAll(close);
    const result = async (user: string, given: object = {}) => {
      const { purchase, commission } = await buy(user, given);
      return [purchase.noCommission, commission?.isSelfReferral];
    };

    test.each(['own', 'twin'] as const)('%s, clicked before sign-in', async (name) => {
      const { buyer, links } = await cast();
      const browser = host.browser();
      await follow(browser, [links[name]]);
      expect(await (await Referral.findByCode(links[name]))!.responseCount()).toBe(1);
      await browser.post(`/login/${buyer}`);
      await browser.get('/whose').expect(200, { code: links[name] });
      expect(await result(buyer)).toEqual(expected[selfReferral]);
      expect(await result(buyer, { code: links[name] })).toEqual(expected[selfReferral]);
    });

    test.each(['own', 'twin'] as const)('%s, clicked by the owner who is signed in', async (name) => {
      const { buyer, links } = await cast();
      const browser = host.browser();
      await browser.post(`/login/${buyer}`);
      const isCounted = selfReferral !== 'block';
      for (const url of [`/r/${links[name]}`, `/whose?referral_code=${links[name]}`]) {
        const before = await (await Referral.findByCode(links[name]))!.responseCount();
        const answer = await browser.get(url);
        expect(answer.status).toBe(url.startsWith('/r/') ? 302 : 200);
        if (!isCounted) expect(cookieOf(answer)).toBeNull();
        const link = (await Referral.findByCode(links[name]))!;
        expect((await link.responseCount()) - before).toBe(isCounted ? 1 : 0);
        expect(await link.filteredResponses()).toHaveLength(isCounted ? before + 1 : 0);
      }
      await browser.get('/whose').expect({ code: isCounted ? links[name] : null });
      expect(await result(buyer)).toEqual(isCounted ? expected[selfReferral] : ['no-referrer', undefined]);
    });

    test('the click of somebody else, who is signed in, counts', async () => {
      const { owner, links } = await cast();
      const browser = host.browser();
      await browser.post(`/login/${owner}`);
      await follow(browser, [links.own]);
      expect(await (await Referral.findByCode(links.own))!.responseCount()).toBe(1);
      expect((await result(owner))[1]).toBe(false);
    });

    test('beside one of nobody', async () => {
      for (const order of [
        ['own', 'site'],
        ['site', 'own'],
      ] as const) {
        const { buyer, links } = await cast();
        const browser = host.browser();
        await follow(
          browser,
          order.map((name) => links[name]),
        );
        await browser.post(`/login/${buyer}`);
        const code = selfReferral === 'block' ? links.site : links.own;
        await browser.get('/whose').expect({ code });
      }
    });

    test('a sign-up, also by a purchase before it', async () => {
      const { buyer } = await cast();
      const { purchase } = await buy(buyer);
      const { code } = await host.referrals.referralCodes.create({
        code: fresh('own'),
        label: fresh(),
        user: twinOf(buyer),
      });
      const refusal = await refusalOf(host.referrals.signups.create({ user: buyer, code }));
      expect(refusal).toBe(selfReferral === 'block' ? 'SIGNUP_REFUSED' : 'nothing');
      if (selfReferral === 'block') return;
      const isSelfReferral = selfReferral === 'flag';
      expect(await host.referrals.signups.search({ where: { userId: buyer } })).toMatchObject([{ isSelfReferral }]);
      expect(await (await purchase.refresh()).commission()).toMatchObject({ userId: twinOf(buyer), isSelfReferral });
      expect(await result(buyer)).toEqual([null, isSelfReferral]);
    });

    test.each([(user: string) => user, twinOf])('a coupon (%#)', async (ownerOf) => {
      const { coupons } = host.referrals;
      const { buyer, owner } = await cast();
      const own = await couponOf(host, ownerOf(buyer), { isRecurring: true });
      expect(await refusalOf(coupons.apply(buyer, own.code))).toBe(selfReferral === 'block' ? 'COUPON_OWN' : 'nothing');
      const isSelfReferral = selfReferral === 'flag';
      if (selfReferral !== 'block') {
        expect(await host.referrals.quote(buyer, 100)).toMatchObject({ discount: '20.00' });
        expect(await result(buyer)).toEqual([null, isSelfReferral]); // redeemed
        expect(await result(buyer)).toEqual([null, isSelfReferral]); // it stays on
        expect(await host.referrals.commissions.count({ where: { refereeId: buyer, isSelfReferral } })).toBe(2);
      }
      // Somebody else's is none, also after one's own.
      const theirs = await couponOf(host, owner);
      await coupons.apply(buyer, theirs.code);
      expect(await result(buyer)).toEqual([null, false]);
      expect(await result(buyer)).toEqual([null, false]); // by the earlier coupon
      // One's own after that.
      if (selfReferral === 'block') return;
      const once = await couponOf(host, ownerOf(buyer));
      await coupons.apply(buyer, once.code);
      expect(await result(buyer)).toEqual([null, isSelfReferral]);
      const { purchase, commission } = await buy(buyer);
      expect([purchase.source, commission!.isSelfReferral]).toEqual(['earlier-coupon', isSelfReferral]);
    });
  });
});

describe('a purchase through one’s own link waits for somebody else’s', () => {
  beforeAll(() => open({ attribution: { windowDays: 30 } }));
  afterAll(close);

  async function bought(): Promise<Cast & { purchase: ReferralPurchase }> {
    const one = await cast();
    const browser = host.browser();
    await follow(browser, [one.links.own]);
    await browser.post(`/login/${one.buyer}`);
    await browser.get('/whose');
    const { purchase } = await buy(one.buyer);
    expect(purchase).toMatchObject({ source: 'attribution', noCommission: 'own-referral' });
    return { ...one, purchase };
  }

  test('which arrives by another browser', async () => {
    const { buyer, owner, links, purchase } = await bought();
    const browser = host.browser();
    await follow(browser, [links.theirs]);
    await browser.post(`/login/${buyer}`);
    await browser.get('/whose');
    expect(await purchase.lateAttribution()).toMatchObject({ source: 'attribution', referrerId: owner });
    expect(await earnerOf(purchase)).toBe(owner);
    expect((await buy(buyer, { reference: purchase.reference })).commission).toMatchObject({ userId: owner });
    expect(await host.referrals.accounts.totals(owner)).toMatchObject({
      usersReferred: 1,
      totalCreditsEarned: '25.00',
    });
  });

  test('which arrives by a sign-up, after a refund', async () => {
    const { buyer, owner, purchase } = await bought();
    await host.referrals.recordRefund(buyer, { purchase: purchase.reference, reference: 'back', amount: 40 });
    await refer(host, owner, buyer);
    expect(await (await purchase.refresh()).commission()).toMatchObject({
      userId: owner,
      earned: '25.00',
      amount: '15.00',
    });
  });

  test('within the window', async () => {
    const { buyer, owner, purchase } = await bought();
    host.clock.advanceDays(30);
    await refer(host, owner, buyer);
    expect(await purchase.lateAttribution()).toBeNull();
  });
});

describe('isSamePerson', () => {
  test('is asked once in a request, with nothing held; and if it fails, visitors go on', async () => {
    const asked: [string, string, unknown][] = [];
    let failure: Error | undefined;
    await open({
      isSamePerson: (owner, user, context) => {
        asked.push([owner, user, context.user]);
        if (failure) throw failure;
        return Promise.resolve(false);
      },
      user: (req) => (req.session.userId ? { id: req.session.userId, email: 'a@b' } : null),
    });
    const { buyer, links, owner } = await cast();
    const browser = host.browser();
    await follow(browser, [links.theirs]);
    expect(asked).toEqual([]);
    await browser.post(`/login/${buyer}`);
    await browser.get(`/whose?referral_code=${links.theirs}`).expect(200, { code: links.theirs });
    expect(asked.splice(0)).toEqual([[owner, buyer, { id: buyer, email: 'a@b' }]]);
    failure = new Error('directory away');
    await browser.get(`/whose?referral_code=${links.theirs}`).expect(200, { code: links.theirs });
    await browser.get(`/r/${links.theirs}`).expect(302);
    expect(host.errors.splice(0)).toEqual([failure, failure]);
    expect(await (await Referral.findByCode(links.theirs))!.responseCount()).toBe(4);
    await expect(buy(buyer)).rejects.toBe(failure);
    failure = undefined;
    await close();
  });
});
