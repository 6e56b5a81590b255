import { createReferrals, type Referrals } from 'express-referrals';
import type { DataSource } from 'typeorm';
import type { Bank } from './bank';
import { Product, User } from './entities';
import { payouts } from './payouts';
import { secretOf } from './secrets';

export interface ShopReferralsOptions {
  /** Initialised and migrated, as `openDatabase` returns it. */
  dataSource: DataSource;
  /** The public origin, for example `https://shop.example`. */
  baseUrl: string;
  /** Sends money to referrers. */
  bank: Bank;
  /** Signs the visitor's cookie. Default: the variable `REFERRALS_SECRET`. */
  referralsSecret?: string;
  /** For tests. Default: the database's time. */
  clock?: () => Date;
}

/** Creates the instance of the shop, for its server and its jobs. There is one for each DataSource at a time. */
export function shopReferrals({ dataSource, baseUrl, bank, referralsSecret, clock }: ShopReferralsOptions): Referrals {
  return createReferrals({
    dataSource,
    baseUrl,
    clock,
    secret: referralsSecret ?? secretOf('REFERRALS_SECRET'),
    user: (req) => req.session.userId,
    currency: 'EUR',
    targetTypes: [Product],
    actionDisplay: {
      RESPONDED: 'Opened the link',
      VIEWED: 'Looked at',
      REGISTERED: 'Signed up',
      BOUGHT: 'Bought',
    },
    // The staff decide about what looks wrong, on the pages that the package brings for them.
    staff: (req) => staffMember(dataSource, req.session.userId),
    fraud: { sharedPayoutAddress: 'hold' },
    pages: {
      signInPath: '/login?next=/referrals',
      userName: async (id) => (await dataSource.manager.findOneBy(User, { id }))?.name,
    },
    // For the demo, commissions are available immediately, and accounts are due a minute after they were created. A
    // real shop waits until goods can't be returned any more, for example 30 days, and pays once a week.
    commission: { ratio: '0.25', maxPerReferee: '100', pendingDays: 0 },
    earnOuts: {
      every: { days: 1 / (24 * 60) },
      minimum: '1.00',
      payout: payouts(bank),
      creditType: 'shop credit', // the type that the program uses, so that the credit can be spent on the same products
      creditDurationDays: 365,
    },
  });
}

/** Returns who of the staff has this id; null for a customer. */
async function staffMember(
  dataSource: DataSource,
  id: string | undefined,
): Promise<{ id: string; name: string } | null> {
  const user = id === undefined ? null : await dataSource.manager.findOneBy(User, { id, isStaff: true });
  return user && { id: user.id, name: user.name };
}
