import fc from 'fast-check';
import { newVisitorId } from '../lib/tracking/visitor-id';
import { VisitorTokens } from '../lib/tracking/visitor-token';
import { Referral } from '../lib';
import { closeAll, cookieOf, secret, startHost, TestClock } from './support/host';

afterAll(closeAll);

const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);
console.log(`cookie properties: SEED=${seed}`);
const audiences = ['shop.example'];
const properties = { seed, numRuns: 500 };

const visits = fc.record({
  referral: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  visitorId: fc.constant(null).map(newVisitorId),
  clickedAt: fc.date({ min: new Date('2000-01-01'), max: new Date('2100-01-01'), noInvalidDate: true }),
});

describe('the visitor token', () => {
  const tokens = new VisitorTokens([secret], audiences);

  test('reads what it signed, and is safe in a cookie as it is', () => {
    fc.assert(
      fc.property(visits, (visit) => {
        const token = tokens.sign(visit);
        expect(token).toMatch(/^[\w.-]+$/);
        expect(tokens.read(token)).toEqual(visit);
      }),
      properties,
    );
  });

  test('is worth nothing once a character is changed, added or taken away', () => {
    fc.assert(
      fc.property(
        visits,
        fc.nat(),
        fc.constantFrom('change', 'add', 'drop'),
        fc.constantFrom(...'Az09-_.=~'),
        (visit, at, how, by) => {
          const token = tokens.sign(visit);
          const index = at % token.length;
          const tail = token.slice(how === 'add' ? index : index + 1);
          const damaged = token.slice(0, index) + (how === 'drop' ? '' : by) + tail;
          fc.pre(damaged !== token);
          expect(tokens.read(damaged)).toBeNull();
        },
      ),
      properties,
    );
  });

  test('is worth nothing under another secret, and survives rotation', () => {
    fc.assert(
      fc.property(visits, (visit) => {
        const next = 'the next secret, of thirty-two characters';
        const rotated = new VisitorTokens([next, secret], audiences);
        expect(rotated.read(tokens.sign(visit))).toEqual(visit);
        expect(new VisitorTokens([next], audiences).read(tokens.sign(visit))).toBeNull();
        expect(tokens.read(rotated.sign(visit))).toBeNull(); // the newest one signs
      }),
      properties,
    );
  });

  test('any other text is no token', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => expect(tokens.read(text)).toBeNull()),
      properties,
    );
    expect(tokens.read(`v1.${'A'.repeat(100_000)}`)).toBeNull();
    expect(tokens.read('')).toBeNull();
  });

  test('facts can not be moved from one field to another', () => {
    const visit = { referral: 12, visitorId: newVisitorId(), clickedAt: new Date(0) };
    const [version, id, ...rest] = tokens.sign(visit).split('.');
    expect(tokens.read([version, id!.slice(0, 1), id!.slice(1), ...rest].join('.'))).toBeNull();
  });

  test('visitor ids are UUIDs of version 7, with the time and 74 random bits', () => {
    const before = Date.now();
    const ids = Array.from({ length: 2000 }, newVisitorId);
    expect(new Set(ids).size).toBe(2000);
    for (const id of ids) {
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      const time = parseInt(id.replace('-', '').slice(0, 12), 16);
      expect(time).toBeGreaterThanOrEqual(before);
      expect(time).toBeLessThanOrEqual(Date.now());
    }
    // Every bit after the time, but for those of the version and the variant, is set about half of the time.
    const fixed = [62, 63, 76, 77, 78, 79];
    for (let bit = 0; bit < 80; bit++) {
      if (fixed.includes(bit)) continue;
      const share = ids.filter((id) => (BigInt(`0x${id.replaceAll('-', '')}`) >> BigInt(bit)) & 1n).length / 2000;
      expect(share).toBeGreaterThan(0.4);
      expect(share).toBeLessThan(0.6);
    }
  });
});

describe('the cookie', () => {
  test('counts for its time and not a moment longer', async () => {
    const clock = new TestClock();
    const host = await startHost({ clock: clock.read, cookie: { maxAgeDays: 2, name: 'ref', domain: 'shop.example' } });
    const { code } = await Referral.create({ redirectTo: '/' });
    const click = await host.browser().get(`/r/${code}`);
    expect(String(click.headers['set-cookie'])).toMatch(/^ref=.*; Max-Age=172800; Domain=shop\.example; Path=\//);
    const cookie = cookieOf(click, 'ref')!;
    const whose = async (): Promise<unknown> => (await host.browser().get('/whose').set('Cookie', cookie)).body.code;
    clock.advanceDays(1.999);
    expect(await whose()).toBe(code);
    clock.advanceDays(0.001);
    expect(await whose()).toBeNull();
    await host.referrals.close();
  });

  test('is set beside what others set, and once only', async () => {
    const host = await startHost({}, (app) => {
      app.get('/both', (_req, res) => void res.send('ok'));
    });
    const { code } = await Referral.create({ redirectTo: '/' });
    const visit = cookieOf(await host.browser().get(`/r/${code}`))!;
    const login = cookieOf(await host.browser().post('/login/eve'), 'connect.sid')!;
    // Sign-in clears the cookie, and the same request is a click. The response has one Set-Cookie line, the later one.
    const answer = await host.browser().get(`/r/${code}`).set('Cookie', `other=1; ${visit}; ${login}`);
    const lines = answer.headers['set-cookie'] as unknown as string[];
    expect(lines.filter((line) => line.startsWith('__Host-referral='))).toHaveLength(1);
    await host.referrals.close();
  });
});
