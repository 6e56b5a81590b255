import type { List } from './list';
import * as money from './money-lists';
import * as people from './people-lists';
import * as referrals from './referral-lists';

/** All lists of staff, by their names. */
export const lists = {
  referralCodes: referrals.referralCodes,
  channels: referrals.channels,
  programs: referrals.programs,
  creditTypes: referrals.creditTypes,
  responses: referrals.responses,
  signups: people.signups,
  purchases: money.purchases,
  commissions: money.commissions,
  earnOuts: money.earnOuts,
  adjustments: money.adjustments,
  credits: money.credits,
  creditTransactions: money.creditTransactions,
  accounts: people.accounts,
  reviews: people.reviews,
  audit: people.auditRows,
} as const satisfies { readonly [L in List['name']]: List<L> };
