import type { Referrals, ReferralProgram } from '../lib';
import { closeAll, startHost } from './support/host';

afterAll(closeAll);

const count = 130;
const numbers = Array.from({ length: count }, (_, index) => index + 1);

describe('a search returns at most 100 records, unless it says how many', () => {
  let referrals: Referrals;
  let program: ReferralProgram;

  beforeAll(async () => {
    ({ referrals } = await startHost());
    program = await referrals.programs.create({ name: 'the first' });
    await referrals.programs.createMany(numbers.slice(1).map((n) => ({ name: `program ${n}` })));
    await referrals.referralCodes.createMany(numbers.map((n) => ({ user: 'anna', label: `${n}`, program })));
    const promo = { promoType: 'value_off', promoValue: 1 } as const;
    await referrals.channels.createMany(numbers.map((n) => ({ user: 'boris', code: `COUPON-${n}`, ...promo })));
  });

  test.each(['programs', 'referralCodes', 'channels'] as const)('%s', async (name) => {
    const manager = referrals[name] as unknown as Referrals['programs'];
    const all = await manager.search({ take: 1000 });
    const first = all.slice(0, 100).map(({ id }) => id);
    expect(all).toHaveLength(await manager.count());
    for (const search of [undefined, {}, { where: {} }, { take: undefined }, { fields: ['id'] as const }, { skip: 0 }])
      expect((await manager.search(search)).map(({ id }) => id)).toEqual(first);
    expect(await manager.search({ skip: 100 })).toEqual(all.slice(100, 200));
    expect(await manager.search({ take: 101 })).toEqual(all.slice(0, 101));
    expect(await manager.search({ take: 0 })).toEqual([]);
    const newest = await manager.search({ order: { id: 'DESC' } });
    expect(newest).toEqual(all.reverse().slice(0, 100));
  });

  test('what a record or a user has is returned as a whole', async () => {
    expect(await program.referralCodes()).toHaveLength(count);
    expect(await referrals.channels.ofUser('boris')).toHaveLength(count);
    const ids = (await referrals.referralCodes.search({ take: count })).map(({ id }) => id);
    expect(await referrals.referralCodes.list(ids)).toHaveLength(count);
  });
});
