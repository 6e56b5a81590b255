import type { entityOf } from './index';

type Table = keyof typeof entityOf;

/** The columns that hold the id of a user of the host's, by table. A test compares the list with the entities. */
export const userColumns = {
  referrals: ['user_id'],
  responses: ['user_id'],
  visitors: ['user_id'],
  signups: ['user_id', 'referrer_id'],
  refusals: ['user_id'],
  usages: ['user_id'],
  credits: ['user_id', 'referee_id'],
  spends: ['user_id'],
  creditRefunds: ['user_id'],
  rewardCounts: ['user_id'],
  transactions: ['user_id'],
  userCounts: ['user_id'],
  accounts: ['user_id'],
  totals: ['user_id'],
  referees: ['user_id', 'referee_id'],
  buyers: ['user_id'],
  redemptions: ['user_id'],
  purchases: ['user_id', 'referrer_id'],
  lateAttributions: ['user_id', 'referrer_id'],
  refunds: ['user_id'],
  earnOuts: ['user_id'],
  earnOutEntries: ['user_id'],
  commissions: ['user_id', 'referee_id'],
  commissionEntries: ['user_id'],
  adjustments: ['user_id'],
  referrerPeriods: ['user_id'],
  reviews: ['user_id', 'referee_id'],
  userDays: ['user_id'],
  userLinks: ['user_id'],
  closedDays: ['user_id'],
} as const satisfies Partial<Record<Table, readonly string[]>>;

/** Columns with the ids that users, staff or records had when something was changed. They stay when an id changes. */
export const historicColumns = {
  audit: ['subject_id', 'user_id', 'by'],
  reviews: ['decided_by'],
} as const satisfies Partial<Record<Table, readonly string[]>>;

/** Columns of the same type that hold something else. */
export const otherIdColumns = {
  referrals: ['target_type', 'target_id'],
  responses: ['target_type', 'target_id', 'action'],
  earnOuts: ['claimed_by'],
} as const satisfies Partial<Record<Table, readonly string[]>>;

/**
 * The tables of the click path among them, which hold no books: they may be distributed, and no other table depends on
 * whose their rows are.
 */
export const clickTables = ['responses', 'visitors'] as const satisfies readonly (keyof typeof userColumns)[];

/**
 * The tables with sums of what other tables hold. A row that is left over there makes nobody a user: the days of one whose
 * only link was deleted, for example.
 */
export const dayTables = [
  'userDays',
  'userLinks',
  'closedDays',
] as const satisfies readonly (keyof typeof userColumns)[];
