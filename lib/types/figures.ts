import type { CommissionKind, CommissionStatus, ReferrerLimit } from './commissions';
import type { BlockedEarnings, EarningMode, EarnOutStatus } from './earn-outs';
import type { NoReward, RewardLimit } from './signups';

// What the pages of a signed-in user show. Amounts are decimal strings of the program's currency, times are Dates, and days
// are those of UTC, as `YYYY-MM-DD`.

/** The days that figures are about: the last so many UTC days, today included; null for all time. */
export type FigureDays = 7 | 30 | 90 | null;

/** How the friends of a user came, and what they have earned the user. */
export interface Counted {
  /** Clicks on the user's links. */
  clicks: number;
  /** How many of these clicks were the first of their visitor on the link. */
  visitors: number;
  /** How many friends have signed up. */
  signups: number;
  /** How many friends have paid for something for the first time. A refund does not lower it. */
  customers: number;
  /**
   * What was earned: commissions, less what refunds and rejections took back of any commission in that time; bonuses and deductions of
   * staff; and rewards for sign-ups, as credit. Below 0 if more was taken back than earned.
   */
  earned: string;
}

/** The figures of a stretch of a chart. */
export interface CountedDay extends Counted {
  /** Its UTC day; of a month, the first. */
  day: string;
}

/** A link of the user's. */
export interface OwnLink {
  id: number;
  code: string;
  label: string;
  /** Where a click leads. */
  redirectTo: string;
  createdAt: Date;
  /** From then on clicks do not count; null for never. */
  expiredAt: Date | null;
  isExpired: boolean;
}

/** A link with its figures of all time. */
export interface LinkFigures extends OwnLink, Pick<Counted, 'clicks' | 'visitors' | 'signups'> {}

/** Credit that somebody gets. */
export interface CreditOffer {
  amount: string;
  /** How long it lasts, in days of 24 hours. */
  durationDays: number;
}

/** The terms of a link, as they apply to somebody who signs up now: for the sentence about what both get. */
export interface OfferedTerms {
  /** What the friend gets at the sign-up; null for nothing. */
  friend: CreditOffer | null;
  /** What the user gets as credit for a friend; null for nothing. */
  reward:
    | (CreditOffer & {
        /** Once the friend has used so much; `0.00` at the sign-up. */
        afterUsage: string;
        limit: RewardLimit | null;
      })
    | null;
  /** What a friend's sign-up earns the user; null for nothing. */
  signup: { amount: string; /** Whether only once the host says that the friend qualifies. */ isLater: boolean } | null;
  /** What each purchase of a friend earns the user; null for nothing. */
  purchase: {
    /** A share of the price, from 0 to 1; null for `amount`. */
    ratio: string | null;
    /** Whatever it costs; null for `ratio`. */
    amount: string | null;
    /** For how many months from the friend's first purchase; null for good. */
    months: number | null;
    /** For how many purchases; null for all. */
    purchases: number | null;
    /** The most that one friend can earn the user; null for no limit. */
    maxPerReferee: string | null;
  } | null;
  /** The most that the user can earn by purchases and sign-ups in a period; null for no limit. */
  limit: { amount: string; period: ReferrerLimit['period'] } | null;
}

/** What the user has earned, and when it is paid. Of the account as a whole, as `accounts.totals` returns it. */
export interface OwnEarnings {
  /** What is available as credit, and not paid yet. */
  credits: string;
  /** What is available as money, and not paid yet. */
  payout: string;
  nextEarnOutAt: Date;
  blocked: BlockedEarnings | null;
}

/** What `overview` returns: the top of the page, the figures and the chart. */
export interface Overview {
  /** The time that it is about, of the option `clock`. */
  now: Date;
  /** The link of the user's account. */
  link: OwnLink;
  terms: OfferedTerms;
  /** Whether links of the user lead on without being counted, because the account is suspended or banned. */
  isSuspended: boolean;
  earnings: OwnEarnings;
  days: FigureDays;
  /** The sums of `days`. */
  figures: Counted;
  /** A row for each day, oldest first; for all time, a row for each month from the first with anything. None is left out. */
  series: { unit: 'day' | 'month'; rows: CountedDay[] };
}

/** Which rows of a list are wanted: newest first, 25 unless it says otherwise. */
export interface RowsAsked {
  /** The `next` of the page before; null for the first page. */
  after?: string | null | undefined;
  /** How many, 1–100. */
  take?: number | undefined;
}

/** A page of a list. */
export interface Rows<Row> {
  rows: Row[];
  /** What the next page is asked with; null if this is the last. */
  next: string | null;
}

/** A coupon of the user's. */
export interface CouponFigures {
  id: number;
  code: string;
  description: string;
  promoType: 'percent_off' | 'value_off';
  /** A share from 0 to 1 for `percent_off`, an amount for `value_off`. */
  promoValue: string;
  isRecurring: boolean;
  /** Whether it can be redeemed now, and why not. `early`: it begins later. */
  state: 'open' | 'early' | 'ended' | 'inactive' | 'used-up';
  startDate: Date;
  endDate: Date | null;
  /** How many customers have redeemed it. */
  uses: number;
  /** How many can; null for no limit. */
  maxUses: number | null;
  /** What customers have paid with it, less refunds. */
  revenue: string;
  /** What it has earned the user, less what was taken back. */
  earned: string;
}

/** How far a friend has come: the last that applies of `signed-up`, `usage` (has used some of what the reward needs), `customer`. */
export type FriendState = 'signed-up' | 'usage' | 'customer';

/** Somebody who has signed up or bought through the user. */
export interface Friend {
  /** The friend's id in the host: for the host's own name of the friend, and never for the page. */
  id: string;
  /** When they came. */
  since: Date;
  state: FriendState;
  /** When the friend first paid for something; null before. */
  customerSince: Date | null;
  /** The usage that the reward needs; null without a reward that needs any. */
  usage: { recorded: string; threshold: string } | null;
  /** The reward in credit for the friend; null if there is none. */
  reward: {
    amount: string;
    /** When the user has got it; null before. */
    at: Date | null;
    /** Why there will be none; null otherwise. */
    refused: NoReward | null;
  } | null;
  /** What the friend's purchases and sign-up have earned, less what was taken back. */
  earned: string;
  /** Whether what the friend earns the user waits for a decision of staff. */
  isHeld: boolean;
}

/** A credit of the user's. */
export interface OwnCredit {
  id: number;
  /** Why it was given: `referral` for the own sign-up, `reward` for a friend, `earn-out` for commissions, `grant` by staff. */
  kind: 'referral' | 'reward' | 'earn-out' | 'grant';
  /** The friend that it was given for; null if it was for something else. */
  friendId: string | null;
  initial: string;
  /** What is left. */
  left: string;
  from: Date;
  /** From then on it can't be spent. */
  until: Date;
  /** `early`: it begins later. */
  state: 'open' | 'early' | 'expired' | 'used-up';
  createdAt: Date;
}

/** A page of credits, and the sum of what can be spent now. */
export interface OwnCredits extends Rows<OwnCredit> {
  available: string;
  /** What is held for open checkouts, and is in no credit's `left`. */
  held: string;
}

/** An entry of the ledger. */
export interface CreditEntry {
  id: number;
  creditId: number;
  kind: 'grant' | 'spend' | 'hold' | 'release' | 'refund' | 'adjustment' | 'take-back';
  /** What the host has said about it; `''` for nothing. */
  description: string;
  /** Below 0 for what is spent or held. */
  value: string;
  createdAt: Date;
}

/** What became of a commission: its status, where `available` is divided into what is not paid, being paid, and paid. */
export type PaidStatus = CommissionStatus | 'paying' | 'paid';

/** Which commissions `commissions` lists. `taken-back`: refunded as a whole, or rejected. */
export type CommissionsAsked = 'pending' | 'held' | 'available' | 'paid' | 'taken-back';

/** A commission of the user's. */
export interface OwnCommission {
  id: number;
  kind: CommissionKind;
  /** The friend who has paid or signed up. */
  friendId: string;
  /** The code that it was earned with. */
  code: string;
  mode: EarningMode;
  /** What it was at first. */
  earned: string;
  /** What is left of it. */
  amount: string;
  status: PaidStatus;
  /** From then on it can be paid; null while it is held. */
  availableAt: Date | null;
  /** What holds it: a review of staff, or their decision; null if nothing does. */
  heldBy: 'review' | 'staff' | null;
  paidAt: Date | null;
  createdAt: Date;
}

/** A bonus or a deduction by staff. */
export interface OwnAdjustment {
  id: number;
  mode: EarningMode;
  /** Below 0 for a deduction. */
  amount: string;
  reason: string;
  createdAt: Date;
}

/** A payment to the user. */
export interface OwnPayout {
  id: number;
  mode: EarningMode;
  /** The e-mail address that it goes to; null for credit. */
  address: string | null;
  amount: string;
  commissions: number;
  status: EarnOutStatus;
  /** Whether it waits for staff to approve it. */
  isWaiting: boolean;
  /** Why it failed or was returned; null otherwise. */
  reason: string | null;
  createdAt: Date;
  /** When it was paid, failed or returned; null before. */
  settledAt: Date | null;
  /** When it is tried again; null if that is not known, and once it is paid. */
  nextAttemptAt: Date | null;
}

/** The user's settings. */
export interface OwnSettings {
  /** The id of the account, for `accounts.update`. */
  accountId: number;
  mode: EarningMode;
  /** The modes that can be chosen. */
  modes: EarningMode[];
  payoutEmail: string | null;
  /** Until when payouts wait, because the address was changed; null if they do not. */
  addressHeldUntil: Date | null;
  /** For how many days another address holds payouts. */
  addressHoldDays: number;
  /** The least amount that is paid. */
  minimum: string;
}

/** The lists that can be had as a whole, oldest first. */
export interface Statements {
  days: CountedDay;
  links: LinkFigures;
  coupons: CouponFigures;
  friends: Friend;
  credits: OwnCredit;
  entries: CreditEntry;
  commissions: OwnCommission;
  adjustments: OwnAdjustment;
  payouts: OwnPayout;
}

export type StatementKind = keyof Statements;
