import type { Request } from 'express';
import { Referral, type ReferralResponse } from '../lib';
import { closeAll, type Host, Order, startHost, TestClock } from './support/host';

afterAll(closeAll);

const clock = new TestClock();
let host: Host;
let referral: Referral;
let emitted: string[];
/** What the next request to `/do` does. */
let act: (req: Request) => Promise<unknown>;

beforeAll(async () => {
  host = await startHost({ clock: clock.read }, (app) => {
    app.all('/do', (req, res, next) => {
      act(req).then((answer) => res.json(answer ?? null), next);
    });
  });
  referral = await Referral.create({ redirectTo: '/', user: 'owner' });
  host.referrals.on('response', (response) => void emitted.push(response.action));
});

beforeEach(() => {
  emitted = [];
});

async function visitor(signedIn?: string): Promise<ReturnType<Host['browser']>> {
  const browser = host.browser();
  await browser.get(`/r/${referral.code}`);
  if (signedIn) {
    await browser.post(`/login/${signedIn}`);
    await browser.get('/whose');
  }
  emitted = [];
  return browser;
}

describe('recordResponse', () => {
  test('records what an anonymous visitor did, with what is known', async () => {
    const browser = await visitor();
    act = (req) => Referral.recordResponse(req, 'READ', { target: { type: 'post', id: 9 } });
    const { body } = await browser.get('/do').set({ 'User-Agent': 'Browser', 'Referer': 'https://a.example/' });
    expect(body).toMatchObject({
      ...{ referralId: referral.id, userId: null, action: 'READ', targetType: 'post', targetId: '9' },
      ...{ userAgent: 'Browser', httpReferrer: 'https://a.example/', ipAddress: '127.0.0.0' },
    });
    expect(emitted).toEqual(['READ']);
  });

  test("joins the host's transaction, and its event waits for the commit", async () => {
    const browser = await visitor('tx');
    const count = async (): Promise<number> => (await referral.filteredResponses()).length;
    const before = await count();
    act = (req) =>
      host.dataSource.transaction(async (manager) => {
        await Referral.recordResponse(req, 'BOUGHT', { target: await manager.save(new Order()), manager });
        expect(emitted).toEqual([]);
        if (req.query['fail']) throw new Error('payment failed');
      });
    expect((await browser.post('/do?fail=1')).status).toBe(500);
    expect([emitted, await count()]).toEqual([[], before]);
    expect((await browser.post('/do')).status).toBe(200);
    expect([emitted, await count()]).toEqual([['BOUGHT'], before + 1]);
  });

  test('of savepoints, emits what is left when the outermost transaction commits', async () => {
    const browser = await visitor('savepoints');
    act = (req) =>
      host.dataSource.transaction(async (outer) => {
        await outer.transaction((manager) => Referral.recordResponse(req, 'KEPT', { manager }));
        await outer
          .transaction(async (manager) => {
            await Referral.recordResponse(req, 'UNDONE', { manager });
            throw new Error('undo');
          })
          .catch(() => undefined);
        await Referral.recordResponse(req, 'LAST', { manager: outer });
        expect(emitted).toEqual([]);
      });
    expect((await browser.post('/do')).status).toBe(200);
    expect(emitted).toEqual(['KEPT', 'LAST']);
  });

  test.each(['', 'x'.repeat(129), '\u0000', 7])('refuses the action %j', async (action) => {
    const browser = await visitor();
    act = (req) => Referral.recordResponse(req, action as string);
    expect((await browser.get('/do')).body).toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringMatching(/^action takes/),
    });
  });
});

describe('respond', () => {
  test('names the user before the request has one', async () => {
    const browser = await visitor();
    act = (req) => referral.respond(req, 'REGISTERED', { user: { id: 'new' }, target: { type: 'plan', id: 'pro' } });
    expect((await browser.post('/do')).body).toMatchObject({
      ...{ userId: 'new', action: 'REGISTERED', targetId: 'pro', visitorId: expect.any(String) },
    });
  });

  test('is a touch: from then on the user has come through this referral, in the same request too', async () => {
    const other = await Referral.create({ redirectTo: '/', user: 'owner', label: 'typed' });
    const browser = await visitor('toucher');
    clock.advanceDays(1);
    act = async (req) => {
      const before = await req.referralForRequest();
      await other.respond(req, 'TYPED_CODE');
      return [before?.id, (await req.referralForRequest())?.id];
    };
    expect((await browser.post('/do')).body).toEqual([referral.id, other.id]);
    expect((await browser.get('/whose')).body).toEqual({ code: other.code });
  });

  test('of somebody who is not signed in is carried by the cookie, and linked at sign-in', async () => {
    const typed = await Referral.create({ redirectTo: '/', user: 'owner', label: 'typed, anonymous' });
    for (const browser of [host.browser(), await visitor()]) {
      clock.advanceDays(0.1);
      act = async (req) => [await typed.respond(req, 'TYPED_CODE'), (await req.referralForRequest())?.id];
      const { body } = await browser.post('/do');
      expect(body).toEqual([expect.objectContaining({ userId: null, visitorId: expect.any(String) }), typed.id]);
      expect((await browser.get('/whose')).body).toEqual({ code: typed.code });
      await browser.post('/login/typist');
      await browser.get('/whose');
    }
    const responses = await typed.filteredResponses();
    expect(responses.map(({ action, userId }) => [action, userId])).toEqual([
      ['TYPED_CODE', 'typist'],
      ['TYPED_CODE', 'typist'],
    ]);
  });

  test('after a login in the same request, attribution is decided again', async () => {
    const browser = await visitor();
    act = async (req) => {
      const before = await req.referralForRequest();
      req.session.userId = 'late login';
      return [before?.id, (await Referral.recordResponse(req, 'LATE'))?.referralId];
    };
    expect((await browser.post('/do')).body).toEqual([referral.id, referral.id]);
  });

  test('of RESPONDED is a click like any other', async () => {
    const counted = await Referral.create({ redirectTo: '/', label: 'counted' });
    const browser = await visitor('clicker');
    act = (req) => counted.respond(req, 'RESPONDED');
    await browser.post('/do');
    act = (req) => counted.respond(req, 'OTHER');
    await browser.post('/do');
    expect(await counted.responseCount()).toBe(1);
  });

  test('to an expired referral records nothing', async () => {
    const expired = await Referral.create({ redirectTo: '/', label: 'expired', expiredAt: clock.time });
    const browser = await visitor('late');
    act = (req) => expired.respond(req, 'LATE');
    expect((await browser.post('/do')).body).toBeNull();
    expect(await expired.filteredResponses()).toEqual([]);
  });
});

describe('lists', () => {
  test('responsesForReferrer has all referrals of a user, newest first, in pages', async () => {
    const [a, b] = [
      await Referral.create({ redirectTo: '/', user: 'lister', label: 'a' }),
      await Referral.create({ redirectTo: '/', user: 'lister', label: 'b' }),
    ];
    for (const one of [a, b, a]) {
      clock.advanceDays(0.01);
      await host.browser().get(`/r/${one.code}`);
    }
    const ids = async (options?: object): Promise<number[]> =>
      (await Referral.responsesForReferrer({ id: 'lister' }, options)).map(({ referralId }) => referralId);
    expect(await ids()).toEqual([a.id, b.id, a.id]);
    expect(await ids({ take: 1, skip: 1 })).toEqual([b.id]);
    await expect(ids({ take: -1 })).rejects.toMatchObject({ field: 'take' });
    await expect(ids({ skip: 0.5 })).rejects.toMatchObject({ field: 'skip' });
    await expect(Referral.responsesForReferrer(null as never)).rejects.toMatchObject({ field: 'user' });
  });

  test('filteredResponses goes through the filter of the host', async () => {
    const own = await startHost(
      {
        responsesFilter: (query, { userId }) =>
          query.andWhere('response.action <> :action', { action: 'RESPONDED' }).andWhere(`'${userId}' = 'me'`),
      },
      (app) => {
        app.post('/do', (req, res, next) => {
          Referral.recordResponse(req, 'ACTED').then((answer) => res.json(answer), next);
        });
      },
    );
    const { manager } = own.dataSource;
    const mine = await Referral.create({ redirectTo: '/', user: 'me' }, { manager });
    const browser = own.browser();
    await browser.get(`/r/${mine.code}`);
    await browser.post('/do');
    expect((await mine.filteredResponses()).map(({ action }) => action)).toEqual(['ACTED']);
    await own.referrals.close();
  });
});

describe('events', () => {
  test('a listener that throws or rejects breaks nothing, and the others are called', async () => {
    const calls: string[] = [];
    const throwing = (): void => {
      throw new Error('listener');
    };
    const rejecting = (): Promise<void> => Promise.reject(new Error('async listener'));
    const counting = ({ action }: ReferralResponse): void => void calls.push(action);
    for (const listener of [throwing, rejecting, counting]) host.referrals.on('response', listener);
    const click = await host.browser().get(`/r/${referral.code}`);
    expect(click.status).toBe(302);
    expect(calls).toEqual(['RESPONDED']);
    expect(host.errors.splice(0)).toMatchObject([{ message: 'listener' }, { message: 'async listener' }]);
    for (const listener of [throwing, rejecting, counting]) host.referrals.off('response', listener);
    await host.browser().get(`/r/${referral.code}`);
    expect(calls).toEqual(['RESPONDED']);
  });

  test('a click tells all of its facts', async () => {
    const heard: ReferralResponse[] = [];
    const listener = (response: ReferralResponse): void => void heard.push(response);
    host.referrals.on('response', listener);
    await Promise.all(Array.from({ length: 20 }, () => host.browser().get(`/r/${referral.code}`)));
    host.referrals.off('response', listener);
    const stored = await referral.filteredResponses({ take: 20 });
    expect(heard.sort((a, b) => b.id - a.id)).toEqual(stored);
  });
});

test('the time is the database’s where no clock is set', async () => {
  const own = await startHost();
  const { manager } = own.dataSource;
  const [{ now: before }] = await manager.query('SELECT now()');
  const mine = await Referral.create({ redirectTo: '/' }, { manager });
  await own.browser().get(`/r/${mine.code}`);
  const [response] = await mine.filteredResponses();
  const [{ now: after }] = await manager.query('SELECT now()');
  for (const time of [mine.createdAt, response!.createdAt, response!.touchedAt]) {
    expect(time.getTime()).toBeGreaterThanOrEqual(before.getTime());
    expect(time.getTime()).toBeLessThanOrEqual(after.getTime());
  }
  await own.referrals.close();
});
