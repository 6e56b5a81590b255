import type { ReferralChannel, ReferralProgram, Referrals } from 'express-referrals';
import type { DataSource } from 'typeorm';

/** What the routes work with. */
export interface Shop {
  dataSource: DataSource;
  referrals: Referrals;
  /** The terms of every link of the shop's. */
  program: ReferralProgram;
  /** The coupon that the front page names. */
  coupon: ReferralChannel;
}
