import type { ErrorRequestHandler } from 'express';
import request from 'supertest';
import { Referral, type ReferralError, type SignupContext } from '../lib';
import { closeAll, cookieOf } from './support/host';
import { startRewards, type RewardsHost } from './support/rewards';

afterAll(closeAll);

const browserLike = { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0' };

/** `POST /register/:id?code=` as a host would write it: in its transaction, rolled back where asked. */
const registering = (app: RewardsHost['app'], dataSource: RewardsHost['dataSource']): void => {
  app.post('/register/:id', async (req, res) => {
    const signup = await dataSource.transaction((manager) =>
      Referral.recordSignup(req, req.params.id, { code: req.query['code'] as string, manager }),
    );
    res.json({ code: signup && (await signup.referralCode())!.code });
  });
};

describe('whom a sign-up is credited to', () => {
  let host: RewardsHost;
  let anna: Referral;
  let boris: Referral;
  beforeAll(async () => {
    host = await startRewards({ attribution: { windowDays: 10 } }, registering);
    const { program } = host;
    anna = await Referral.create({ user: 'anna', redirectTo: '/', program, code: 'ANNA' });
    boris = await Referral.create({ user: 'boris', redirectTo: '/', program, code: 'BORIS' });
  });
  const reasonOf = async (user: string) => (await host.referrals.explainSignup(user)).reason;
  async function visitorOf({ code }: Referral) {
    const browser = host.browser();
    await browser.get(`/r/${code}`).set(browserLike).expect(302);
    return browser;
  }

  test('the one that the visitor came through', async () => {
    const browser = await visitorOf(anna);
    expect((await browser.post('/register/via-link')).body).toEqual({ code: 'ANNA' });
    const [signup] = await host.referrals.signups.search({ where: { userId: 'via-link' } });
    expect(signup).toMatchObject({ source: 'attribution', referrerId: 'anna', touchedAt: host.clock.time });
    expect(signup!.weighed).toEqual({
      rule: 'last-touch',
      choice: 'ANNA',
      candidates: [
        {
          ...{ source: 'attribution', code: 'ANNA', referralId: anna.id, outcome: 'chosen' },
          touchedAt: host.clock.time.toISOString(),
        },
      ],
    });
  });

  test('a typed code wins, in any case and with blanks around it; both are on record', async () => {
    const browser = await visitorOf(anna);
    expect((await browser.post('/register/typed?code=%20boris%20')).body).toEqual({ code: 'BORIS' });
    const { weighed, signup } = await host.referrals.explainSignup('typed');
    expect(signup).toMatchObject({ source: 'code', referrerId: 'boris', touchedAt: null });
    expect(weighed).toMatchObject({
      rule: 'typed-code',
      choice: 'BORIS',
      candidates: [
        { source: 'code', code: 'boris', referralId: boris.id, outcome: 'chosen' },
        { source: 'attribution', code: 'ANNA', referralId: anna.id, outcome: 'passed-over' },
      ],
    });
  });

  test('a mistyped code credits nobody, also not the link: it can be typed again', async () => {
    const browser = await visitorOf(anna);
    expect((await browser.post('/register/mistyped?code=BORRIS')).body).toEqual({ code: null });
    expect(await reasonOf('mistyped')).toBe('unknown-code');
    expect((await browser.post('/register/mistyped?code=BORIS')).body).toEqual({ code: 'BORIS' });
    expect(await reasonOf('mistyped')).toBe('already-signed-up');
  });

  test('the user who signs up, when the request does not have them yet; of their own touches too, without a request', async () => {
    const browser = await visitorOf(boris);
    await browser.post('/login/oauth').expect(204);
    await browser.get('/whose').expect({ code: 'BORIS' }); // the visitor's click is the user's now
    const signup = await Referral.recordSignup(null, { id: 'oauth' });
    expect(signup).toMatchObject({ source: 'attribution', referralId: boris.id });
  });

  test.each<[string, string | null | undefined, string]>([
    ['nothing typed', undefined, 'no-code'],
    ['nothing typed, as a form sends it', '', 'no-code'],
    ['blanks', '   ', 'no-code'],
    ['null', null, 'no-code'],
    ['a code that nobody has', 'NOBODY', 'unknown-code'],
    ['what can be no code', "'; DROP TABLE referrals; --", 'unknown-code'],
    ['what no column holds', 'a\u0000b\ud800', 'unknown-code'],
    ['what is too long', 'A'.repeat(5000), 'unknown-code'],
  ])('nobody: %s', async (name, code, reason) => {
    expect(await Referral.recordSignup(null, name, { code })).toBeNull();
    const explained = await host.referrals.explainSignup(name);
    expect(explained).toMatchObject({ reason, signup: null, decidedAt: host.clock.time });
    expect(explained.sentence).toMatch(/\w+\.$/);
    expect(explained.weighed!.choice).toBeNull();
  });

  test('nobody: an expired code, typed; who came before it expired is credited all the same', async () => {
    const { clock } = host;
    const expiring = await Referral.create({
      ...{ user: 'anna', redirectTo: '/', label: 'expiring', expiredAt: new Date(clock.time.getTime() + 1000) },
    });
    const browser = await visitorOf(expiring);
    clock.advanceDays(1);
    expect(await Referral.recordSignup(null, 'late', { code: expiring.code })).toBeNull();
    expect(await reasonOf('late')).toBe('expired');
    expect((await browser.post('/register/early')).body).toEqual({ code: expiring.code });
  });

  test('nobody: outside of the window, by the cookie and by the user', async () => {
    const { clock } = host;
    const [byCookie, byUser] = [await visitorOf(anna), await visitorOf(anna)];
    await byUser.post('/login/returning').expect(204);
    await byUser.get('/whose');
    clock.advanceDays(11);
    expect((await byCookie.post('/register/too-late')).body).toEqual({ code: null });
    expect((await byUser.post('/register/returning')).body).toEqual({ code: null });
    for (const user of ['too-late', 'returning']) {
      const { reason, weighed } = await host.referrals.explainSignup(user);
      expect([reason, weighed!.candidates[0]!.outcome]).toEqual(['outside-window', 'outside-window']);
    }
  });

  test('a deleted or renamed code that this process remembers', async () => {
    const gone = await Referral.create({ user: 'anna', redirectTo: '/', label: 'gone', code: 'GONE' });
    await request(host.app).get('/r/GONE').expect(302);
    await host.dataSource.query(`DELETE FROM "${schemaOf(host)}".referrals WHERE id = ${gone.id}`);
    expect(await Referral.recordSignup(null, 'after', { code: 'GONE' })).toBeNull();
    expect(await reasonOf('after')).toBe('unknown-code');
  });

  test('a code that begins like another is another', async () => {
    const long = await Referral.create({ user: 'anna', redirectTo: '/long', code: 'L'.repeat(100) });
    expect(await Referral.recordSignup(null, 'longer', { code: `${long.code}X` })).toBeNull();
    expect(await reasonOf('longer')).toBe('unknown-code');
  });

  test('a referral of the site itself has nobody to reward; one without a program gives nothing', async () => {
    const { program, referrals } = host;
    const own = await Referral.create({ redirectTo: '/site', program });
    const bare = await Referral.create({ user: 'anna', redirectTo: '/bare' });
    const [first, second] = [
      await Referral.recordSignup(null, 'of-site', { code: own.code }),
      await Referral.recordSignup(null, 'of-bare', { code: bare.code }),
    ];
    await referrals.recordUsage('of-site', { amount: 60, reference: 'much' });
    expect((await first!.refresh()).thresholdReachedAt).not.toBeNull();
    expect((await first!.credits()).map(({ kind }) => kind)).toEqual(['referral']);
    expect(second).toMatchObject({ programId: null, referralCreditAmount: null });
    expect(await second!.credits()).toEqual([]);
  });

  test.each([
    ['user', null, { code: 'ANNA' }],
    ['user', '', {}],
    ['user.id', {}, {}],
    ['code', 'somebody', { code: ['ANNA'] }],
    ['code', 'somebody', { code: { toString: (): string => 'ANNA' } }],
    ['coed', 'somebody', { coed: 'ANNA' }],
  ])('a wrong %s is refused, and nothing written', async (field, user, options) => {
    const call = Referral.recordSignup(null, user as string, options as never);
    await expect(call).rejects.toMatchObject({ code: 'INVALID_INPUT', status: 400, field });
    expect(await host.referrals.signups.search({ where: { userId: 'somebody' } })).toEqual([]);
  });

  test('a request that the middleware has not seen is the host’s mistake', async () => {
    const call = Referral.recordSignup({ headers: {} } as never, 'somebody', { code: 'ANNA' });
    await expect(call).rejects.toMatchObject({ code: 'MIDDLEWARE_MISSING' });
  });

  test('who was never asked about', async () => {
    expect(await host.referrals.explainSignup('stranger')).toMatchObject({ reason: 'no-code', weighed: null });
  });

  test('and all of it adds up', async () => {
    expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
  });
});

const schemaOf = ({ dataSource }: RewardsHost): string => (dataSource.options as { schema: string }).schema;

describe('one’s own code', () => {
  test.each([
    ['block', null, false],
    ['flag', true, true],
    ['allow', false, true],
  ] as const)('selfReferral: %s', async (selfReferral, isSelfReferral, isMade) => {
    const host = await startRewards({ selfReferral });
    const { referrals, dataSource, program } = host;
    const { manager } = dataSource;
    const own = await Referral.create({ user: 7, redirectTo: '/', program }, { manager });
    const signup = await Referral.recordSignup(null, { id: '7' }, { code: own.code, manager });
    expect(signup && signup.isSelfReferral).toBe(isSelfReferral);
    expect((await referrals.explainSignup(7)).reason).toBe(isMade ? 'already-signed-up' : 'own-code');
    await referrals.recordUsage(7, { amount: 50, reference: 'all' });
    expect(await referrals.credits.balance(7)).toBe(isMade ? '65.00' : '0.00');
    expect(await referrals.verify()).toMatchObject({ ok: true });
  });

  test('the host knows of people with several accounts', async () => {
    const asked: [string, string, SignupContext][] = [];
    const isSamePerson = async (referrer: string, referee: string, context: SignupContext) => {
      asked.push([referrer, referee, context]);
      return Promise.resolve(`${referrer}@x` === `${referee.split('+')[0]}@x`);
    };
    const { dataSource, program, referrals } = await startRewards({ isSamePerson });
    const { manager } = dataSource;
    const { code } = await Referral.create({ user: 'anna', redirectTo: '/', program }, { manager });
    const twin = { id: 'anna+2', email: 'a@b' };
    expect(await Referral.recordSignup(null, twin, { code, manager })).toBeNull();
    expect((await referrals.explainSignup(twin)).reason).toBe('own-code');
    expect(await Referral.recordSignup(null, 'boris', { code, manager })).not.toBeNull();
    expect(asked.map(([referrer, referee]) => [referrer, referee])).toEqual([
      ['anna', 'anna+2'],
      ['anna', 'boris'],
    ]);
    expect(asked[0]![2]).toEqual({ req: null, user: twin, manager });
  });

  test('what it throws fails the sign-up, before anything is written', async () => {
    const isSamePerson = () => {
      throw new Error('directory away');
    };
    const { dataSource, program, referrals } = await startRewards({ isSamePerson });
    const { manager } = dataSource;
    const { code } = await Referral.create({ user: 'anna', redirectTo: '/', program }, { manager });
    await expect(Referral.recordSignup(null, 'boris', { code, manager })).rejects.toThrow('directory away');
    expect(await referrals.referralCodes.getByCode(code)).toMatchObject({ uses: 0 });
    expect(await referrals.signups.search()).toEqual([]);
  });
});

describe('allowed uses', () => {
  test('exactly that many; the next are told that it is used up; a rolled-back one gives its use back', async () => {
    const { referrals, dataSource, program } = await startRewards();
    const { manager } = dataSource;
    const { code, id } = await Referral.create({ user: 'anna', redirectTo: '/', program, allowedUses: 2 }, { manager });
    const signUp = (user: string) => Referral.recordSignup(null, user, { code, manager });
    await signUp('one');
    const rolledBack = dataSource.transaction(async (within) => {
      expect(await Referral.recordSignup(null, 'two', { code, manager: within })).not.toBeNull();
      throw new Error('changed my mind');
    });
    await expect(rolledBack).rejects.toThrow('changed my mind');
    expect(await referrals.referralCodes.get(id)).toMatchObject({ uses: 1, referralIds: ['one'] });
    expect(await referrals.credits.balance('two')).toBe('0.00');
    const three = await Promise.all(['three', 'four', 'five', 'six'].map(signUp));
    expect(three.filter((signup) => signup !== null)).toHaveLength(1);
    expect(await signUp('seven')).toBeNull();
    expect(await referrals.explainSignup('seven')).toMatchObject({
      reason: 'used-up',
      weighed: { choice: null, candidates: [{ code, outcome: 'used-up' }] },
    });
    expect(await referrals.referralCodes.get(id)).toMatchObject({ uses: 2, allowedUses: 2 });
    expect(await referrals.verify()).toMatchObject({ ok: true });
  });

  test('none at all, and unlimited', async () => {
    const { dataSource } = await startRewards();
    const { manager } = dataSource;
    const none = await Referral.create({ user: 'a', redirectTo: '/none', allowedUses: 0 }, { manager });
    const all = await Referral.create({ user: 'a', redirectTo: '/all' }, { manager });
    expect(all.allowedUses).toBe(-1);
    expect(await Referral.recordSignup(null, 'x', { code: none.code, manager })).toBeNull();
    expect(await Referral.recordSignup(null, 'x', { code: all.code, manager })).not.toBeNull();
  });
});

describe('once and for good', () => {
  test('a second call answers the first sign-up, whatever it says; nothing is given twice', async () => {
    const { referrals, dataSource, program, told } = await startRewards();
    const { manager } = dataSource;
    const create = (user: string) => Referral.create({ user, redirectTo: '/', program }, { manager });
    const [anna, boris] = [await create('anna'), await create('boris')];
    const first = await Referral.recordSignup(null, 'carl', { code: anna.code, manager });
    for (const code of [anna.code, boris.code, 'NOBODY', undefined])
      expect((await Referral.recordSignup(null, 'carl', { code, manager }))!.id).toBe(first!.id);
    expect(await referrals.referralCodes.getByCode(boris.code)).toMatchObject({ uses: 0 });
    expect(told).toEqual(['signup carl', 'granted carl 25.00']);
  });

  test('of twenty calls at once for a user, with two codes, one is made; all answer it', async () => {
    const { referrals, dataSource, program, told } = await startRewards();
    const { manager } = dataSource;
    const codes = await Promise.all(
      ['anna', 'boris'].map(
        async (user) => (await Referral.create({ user, redirectTo: '/', program }, { manager })).code,
      ),
    );
    const calls = Array.from({ length: 20 }, (_, n) =>
      Referral.recordSignup(null, 'carl', { code: codes[n % 2]!, manager }),
    );
    const ids = (await Promise.all(calls)).map((signup) => signup!.id);
    expect(new Set(ids).size).toBe(1);
    const uses = await Promise.all(codes.map(async (code) => (await referrals.referralCodes.getByCode(code)).uses));
    expect(uses.reduce((sum, one) => sum + one)).toBe(1);
    expect(told).toEqual(['signup carl', 'granted carl 25.00']);
    expect(await referrals.verify()).toMatchObject({ ok: true });
  });

  test('in the host’s transactions too: who comes second waits, and its transaction goes on', async () => {
    const { dataSource, program } = await startRewards();
    const { code } = await Referral.create({ user: 'anna', redirectTo: '/', program }, { manager: dataSource.manager });
    const calls = Array.from({ length: 5 }, () =>
      dataSource.transaction(async (manager) => {
        const signup = await Referral.recordSignup(null, 'carl', { code, manager });
        return [signup!.id, (await manager.query<{ one: number }[]>('SELECT 1 AS one'))[0]!.one];
      }),
    );
    expect(new Set((await Promise.all(calls)).map(String)).size).toBe(1);
  });

  test('events wait for the host’s commit', async () => {
    const { dataSource, program, told } = await startRewards();
    const { code } = await Referral.create({ user: 'anna', redirectTo: '/', program }, { manager: dataSource.manager });
    await dataSource.transaction(async (manager) => {
      await Referral.recordSignup(null, 'carl', { code, manager });
      expect(told).toEqual([]);
    });
    expect(told).toEqual(['signup carl', 'granted carl 25.00']);
  });
});

test('an error of ours reaches Express with its status', async () => {
  const { app } = await startRewards({}, (host) => {
    host.post('/signup', async (req) => {
      await Referral.recordSignup(req, 'x', { code: 5 as never });
    });
    host.use(
      ((error: ReferralError, _req, res, _next) =>
        void res.status(error.status).json({ field: error.field })) as ErrorRequestHandler,
    );
  });
  await request(app).post('/signup').expect(400, { field: 'code' });
  expect(cookieOf(await request(app).post('/signup'))).toBeNull();
});

describe('the program of a referral', () => {
  test('is taken by one that exists without; one of another program is an error', async () => {
    const { program, dataSource, referrals } = await startRewards();
    const { manager } = dataSource;
    const create = (of?: number) => Referral.create({ user: 'anna', redirectTo: '/', program: of }, { manager });
    const { id } = await create();
    const calls = await Promise.all(Array.from({ length: 5 }, () => create(program.id)));
    expect(calls.map((referral) => [referral.id, referral.programId])).toEqual(calls.map(() => [id, program.id]));
    expect(await create()).toMatchObject({ id, programId: program.id });
    const { id: other } = await referrals.programs.create({ name: 'other' });
    await expect(create(other)).rejects.toMatchObject({ code: 'REFERRAL_EXISTS', status: 409 });
    await expect(create(4711)).rejects.toMatchObject({ code: 'INVALID_INPUT', field: 'program' });
    await referrals.referralCodes.update(id, { program: other });
    expect(await create(other)).toMatchObject({ id, programId: other });
  });

  test.each([
    ['program', { program: '1' }],
    ['program', { program: 0 }],
    ['program', { program: 4711 }],
    ['allowedUses', { allowedUses: -2 }],
    ['allowedUses', { allowedUses: 1.5 }],
    ['allowedUses', { allowedUses: 2 ** 31 }],
  ])('a wrong %s is refused, and nothing written: %p', async (field, given) => {
    const { manager } = (shared ??= await startRewards()).dataSource;
    const call = Referral.create({ redirectTo: '/', label: 'wrong', ...given } as never, { manager });
    await expect(call).rejects.toMatchObject({ code: 'INVALID_INPUT', field });
    expect(await manager.countBy(Referral, { label: 'wrong' })).toBe(0);
  });
  let shared: RewardsHost | undefined;
});
