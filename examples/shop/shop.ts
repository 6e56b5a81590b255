import type { ReferralChannel, ReferralProgram, Referrals } from 'express-referrals';
import type { DataSource } from 'typeorm';

/** The parts that the routes use. */
export interface Shop {
  dataSource: DataSource;
  referrals: Referrals;
  /** The terms of every link of the shop. */
  program: ReferralProgram;
  /** The coupon that the front page shows. */
  coupon: ReferralChannel;
}
