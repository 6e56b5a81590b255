import { createReferrals, type Referrals } from 'express-referrals';
import type { DataSource } from 'typeorm';
import { Product } from './entities';
import { payouts } from './payouts';

export interface ShopReferralsOptions {
  /** Initialised and migrated, as `openDatabase` leaves it. */
  dataSource: DataSource;
  /** The public origin, for example `https://shop.example`. */
  baseUrl: string;
  referralsSecret?: string;
  /** For tests; else the database's time. */
  clock?: () => Date;
}

// Good for development only: anybody can read it here.
const developmentSecret = 'development only: set REFERRALS_SECRET in production';

/** The shop's referral program, for its server and its jobs alike. One per DataSource at a time. */
export function shopReferrals({ dataSource, baseUrl, referralsSecret, clock }: ShopReferralsOptions): Referrals {
  return createReferrals({
    dataSource,
    baseUrl,
    clock,
    secret: referralsSecret ?? developmentSecret,
    user: (req) => req.session.userId,
    targetTypes: [Product],
    actionDisplay: {
      RESPONDED: 'Opened the link',
      VIEWED: 'Looked at',
      REGISTERED: 'Signed up',
      BOUGHT: 'Bought',
    },
    // A demo wants to see it happen: what is earned is available at once, and due a minute after the account was made.
    // A real shop waits until the goods can't be sent back any more, such as 30 days, and pays once a week.
    commission: { ratio: '0.25', maxPerReferee: '100', pendingDays: 0 },
    earnOuts: {
      every: { days: 1 / (24 * 60) },
      minimum: '1.00',
      payout: payouts(dataSource),
      creditType: 'shop credit', // of the same kind as the program's, so that it buys the same things
      creditDurationDays: 365,
    },
  });
}
