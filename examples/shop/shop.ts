import type { ReferralChannel, ReferralProgram, Referrals } from 'express-referrals';
import type { DataSource } from 'typeorm';
import type { Bank } from './bank';

/** The parts that the routes use. */
export interface Shop {
  dataSource: DataSource;
  referrals: Referrals;
  /** Sends money to referrers. */
  bank: Bank;
  /** The terms of every link of the shop. */
  program: ReferralProgram;
  /** The coupon that the front page shows. */
  coupon: ReferralChannel;
}
