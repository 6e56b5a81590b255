import type { ReferralCredit } from '../../entities/referral-credit';
import type { ReferralReview } from '../../entities/referral-review';
import { quoted } from '../../shown';
import type { CommissionSource, NoCommission } from '../../types/commissions';
import type { BlockedEarnings } from '../../types/earn-outs';
import type { ReviewRule } from '../../types/reviews';
import type { NoReward, SignupCandidate } from '../../types/signups';
import { refusalSentences } from '../signups/signup-explanation';
import type { ExplainedPurchase, ExplainedTouch, RefereeFacts, ReferrerFacts, UsageFacts } from './explanation';

/*
 * What `explain` says to people. Each sentence names the users, codes, amounts and days that it is about, and no value that
 * only code knows.
 */

/** The sentences about who was credited for a user. */
export function sentencesAboutReferee(user: string, facts: RefereeFacts): string[] {
  const { signup, usage, touches, credits, purchases, purchaseCount } = facts;
  return [
    ...touchSentences(user, touches),
    ...signupSentences(user, facts),
    ...(facts.weighed?.candidates.map((candidate) => candidateSentence(user, candidate)) ?? []),
    ...(usage ? [usageSentence(user, signup!.referrerId, usage)] : []),
    ...credits.map((credit) => creditSentence(user, credit)),
    ...signupEarningSentences(user, facts),
    ...facts.reviews.map(reviewSentence),
    ...(purchaseCount === 0 ? [`${name(user)} has bought nothing that was recorded.`] : []),
    ...(purchaseCount > purchases.length
      ? [`Of ${purchaseCount} purchases, the newest ${purchases.length} follow.`]
      : []),
    ...purchases.map(purchaseSentence),
  ];
}

/** The sentences about what a user was credited with for others. */
export function sentencesAboutReferrer(user: string, facts: ReferrerFacts): string[] {
  const { account, totals, suspension, addressHeldUntil, signupCount, purchases, reviews } = facts;
  const came = `${users(signupCount)} signed up with links and codes of ${name(user)}.`;
  if (!account || !totals) return [came, `${name(user)} has no account, because nobody was credited to them so far.`];
  return [
    came,
    `${users(totals.usersReferred)} in all came through ${name(user)}, and ${totals.usersUpgraded} of them paid for something.`,
    ...(suspension ? [suspensionSentence(user, suspension)] : []),
    `${name(user)} has earned ${totals.totalCreditsEarned} as credit and ${totals.totalPayoutsEarned} for payout, of which ` +
      `${totals.creditsEarned} and ${totals.payoutsEarned} are available and not paid.`,
    ...(totals.blocked ? [blockedSentences[totals.blocked.reason](totals.blocked.amount)] : []),
    ...(account.minimum === null ? [] : [`Less than ${account.minimum} is not paid to ${name(user)}.`]),
    ...(addressHeldUntil
      ? [
          `Payouts wait until ${day(addressHeldUntil)}, because the payout address was changed on ${day(account.payoutEmailChangedAt!)}.`,
        ]
      : []),
    ...reviews.map(reviewSentence),
    ...purchases.map(purchaseSentence),
  ];
}

const name = quoted;
const day = (at: Date): string => at.toISOString().slice(0, 10);
const users = (count: number): string => (count === 1 ? '1 user' : `${count} users`);

function touchSentences(user: string, touches: readonly ExplainedTouch[]): string[] {
  const [newest] = touches;
  if (!newest) return [`No click of ${name(user)} is recorded.`];
  const link = newest.code === null ? 'a link that is deleted' : `the link ${quoted(newest.code)}`;
  const owner = newest.owner === null ? 'nobody' : name(newest.owner);
  const count = touches.length === 1 ? 'One response' : `${touches.length} responses`;
  return [
    `${count} of ${name(user)} ${touches.length === 1 ? 'is' : 'are'} recorded, the newest on ${day(newest.touchedAt)} through ${link} of ${owner}.`,
  ];
}

function signupSentences(user: string, { signup, reassigned, refusal, code, program }: RefereeFacts): string[] {
  if (refusal)
    return [`${name(user)} was credited to nobody on ${day(refusal.at)}: ${refusalSentences[refusal.reason]}`];
  if (!signup)
    return [`${name(user)} has not signed up: recordSignup was not called for the user, or was rolled back.`];
  const signedUp = `${name(user)} signed up on ${day(signup.createdAt)}`;
  const terms = program === null ? 'without a program' : `with the terms of the program ${quoted(program)}`;
  if (reassigned) {
    const { at, by, reason, past } = reassigned;
    const who = signup.referrerId === null ? 'nobody' : name(signup.referrerId);
    const to = code === null ? who : `${who}, with the code ${quoted(code)}, ${terms}`;
    const author = by === null ? '' : ` (${quoted(by)})`;
    const why = reason === null ? '' : ` The reason: ${quoted(reason)}.`;
    const moved = past
      ? [`Of what was earned before, ${past.moved} was moved, and ${past.stays} stays as it was.`]
      : [];
    return [`${signedUp}.`, `Staff${author} changed on ${day(at)} who is credited: ${to}.${why}`, ...moved];
  }
  const how = signup.source === 'code' ? 'typed' : `came through on ${day(signup.touchedAt!)}`;
  const credited =
    signup.referrerId === null
      ? 'The code is the site’s own, so nobody is credited'
      : `It is credited to ${name(signup.referrerId)}`;
  return [`${signedUp} with the code ${quoted(code ?? '')}, which the user ${how}. ${credited}, ${terms}.`];
}

const outcomes: Record<SignupCandidate['outcome'], string> = {
  'chosen': 'was chosen',
  'passed-over': 'was passed over, because a code that is typed always counts more',
  'unknown-code': 'was not chosen, because no referral has it',
  'expired': 'was not chosen, because it had expired',
  'used-up': 'was not chosen, because it had as many sign-ups as it allows',
  'own-code': 'was not chosen, because it is the user’s own',
  'suspended': 'was not chosen, because the account of its owner was suspended',
  'outside-window': 'was not chosen, because the click was too long ago',
};

function candidateSentence(user: string, { source, code, touchedAt, outcome }: SignupCandidate): string {
  const what = source === 'code' ? 'The code' : 'The link';
  const which = code === null ? `${what} that ${name(user)} came through` : `${what} ${quoted(code)}`;
  const when = touchedAt === null ? '' : `, clicked on ${touchedAt.slice(0, 10)},`;
  return `${which}${when} ${outcomes[outcome]}.`;
}

const noRewards: Record<NoReward, string> = {
  'suspended': 'the account of the referrer was suspended at that moment',
  'limit-reached': 'the referrer had as many rewards as the program allows in that period',
};

function usageSentence(user: string, referrer: string | null, usage: UsageFacts): string {
  const { recorded, threshold, reward, reachedAt, noReward } = usage;
  const so = `${name(user)} has used ${recorded} of ${threshold}`;
  if (referrer === null) return `${so}; the reward of ${reward} is for nobody.`;
  if (reachedAt === null) return `${so}, so the reward of ${reward} for ${name(referrer)} is not due yet.`;
  if (noReward !== null)
    return `${so}, reached on ${day(reachedAt)}, but ${name(referrer)} gets no reward: ${noRewards[noReward]}.`;
  return `${so}, reached on ${day(reachedAt)}, so the reward of ${reward} for ${name(referrer)} is due.`;
}

function creditSentence(user: string, credit: ReferralCredit): string {
  const { userId, kind, initialBalance, currentBalance, startDate, expiryDate } = credit;
  const why = kind === 'reward' ? `as the reward for ${name(user)}` : 'for the sign-up';
  return `${name(userId)} got a credit of ${initialBalance} on ${day(startDate)} ${why}; ${currentBalance} of it is left, until ${day(expiryDate)}.`;
}

const sources: Record<CommissionSource, string> = {
  'coupon': 'the applied coupon',
  'sign-up': 'the sign-up with',
  'attribution': 'the link',
  'earlier-coupon': 'the last redeemed coupon',
};

function signupEarningSentences(user: string, { signup, reassigned, signupCommission }: RefereeFacts): string[] {
  if (signupCommission) {
    const { userId, earned } = signupCommission;
    return [`The sign-up of ${name(user)} earned ${name(userId)} ${earned}${stateOf(signupCommission)}.`];
  }
  if (!signup?.noCommission || signup.noCommission === 'no-rate') return [];
  // It may have been decided before the reassignment, which keeps it.
  const who = reassigned ? 'the referrer of that day' : name(signup.referrerId ?? '');
  const why = reasons[signup.noCommission](who);
  return [`The sign-up of ${name(user)} earned nothing by itself, because ${why}.`];
}

const rules: Record<ReviewRule, string> = {
  sharedPayoutAddress: 'a payout address that others have too',
  sameDevice: 'referrer and referee on one device',
  signupsFromAddress: 'many sign-ups from one address',
  clicksOfVisitor: 'many clicks of one visitor',
  fastSignup: 'a sign-up right after its click',
  rule: 'what a rule of the site has found',
};

function reviewSentence({ rule, createdAt, isHolding, status, decidedAt, decidedBy }: ReferralReview): string {
  const what = `A review of ${day(createdAt)} is about ${rules[rule]}`;
  if (status === 'open') return `${what}; it is open${isHolding ? ', and holds what is earned' : ''}.`;
  const who = decidedBy === null ? '' : ` by ${quoted(decidedBy)}`;
  return `${what}; it was ${status} on ${day(decidedAt!)}${who}.`;
}

/** Why a purchase earned nothing; `who` is the referrer. */
const reasons: Record<NoCommission, (who: string) => string> = {
  'no-referrer': () => 'nobody is known to have referred the buyer',
  'own-referral': () => 'the buyer came through a link of their own',
  'self-referral': () => 'referrer and buyer are the same person',
  'suspended': (who) => `the account of ${who} was suspended at that time`,
  'no-rate': (who) => `the terms of ${who} give no share of purchases`,
  'term-ended': (who) => `the months in which the buyer earns ${who} something were over`,
  'purchases-used': (who) => `the purchases with which the buyer earns ${who} something were used up`,
  'too-small': () => 'the share of it is less than half of the smallest unit',
  'limit-reached': (who) => `the buyer had earned ${who} the most that one referee can earn already`,
  'referrer-limit': (who) => `${who} had earned the most of the period already`,
};

function purchaseSentence(purchase: ExplainedPurchase): string {
  const { buyer, reference, amount, purchasedAt, source, code, referrer, noCommission, isLate, isMoved, commission } =
    purchase;
  const bought = `${name(buyer)} paid ${amount} on ${day(purchasedAt)} (${quoted(reference)})`;
  const by =
    source === null
      ? ''
      : `, credited by ${sources[source]} ${code === null ? 'of a referral that is deleted' : quoted(code)}`;
  const moved = isMoved && commission?.movedAt === null ? ', to which staff have moved it' : '';
  const late = isLate ? ', which was found out later' : moved;
  if (isMoved && referrer === null)
    return `${bought}: what it had earned was taken back by staff, who have moved it to nobody.`;
  if (!commission)
    return `${bought}${by}${late}: it earned nothing, because ${reasons[noCommission ?? 'no-referrer'](name(referrer ?? ''))}.`;
  return `${bought}${by}${late}: it earned ${name(commission.userId)} ${commission.earned}${stateOf(commission)}.`;
}

function stateOf({
  earned,
  amount,
  rejectedAt,
  movedAt,
  revertedAt,
  heldFor,
  availableAt,
  earnOutId,
}: NonNullable<ExplainedPurchase['commission']>): string {
  if (rejectedAt) return `, which was rejected on ${day(rejectedAt)}`;
  if (movedAt) return `, which staff have moved away on ${day(movedAt)}`;
  if (revertedAt) return `, which the refund of ${day(revertedAt)} took back`;
  const left = amount === earned ? '' : `, of which refunds have left ${amount}`;
  if (heldFor.length > 0) return `${left}, which is held${heldFor.includes('staff') ? ' by staff' : ' for a review'}`;
  if (earnOutId !== null) return `${left}, which is in the earn-out ${earnOutId}`;
  return availableAt ? `${left}, available from ${day(availableAt)} on` : left;
}

function suspensionSentence(user: string, { at, isBan, reason, by }: NonNullable<ReferrerFacts['suspension']>): string {
  const who = by === null ? '' : ` by ${quoted(by)}`;
  return `The account of ${name(user)} was ${isBan ? 'banned' : 'suspended'} on ${day(at)}${who}${reason === null ? '' : `: ${quoted(reason)}`}.`;
}

const blockedSentences: Record<BlockedEarnings['reason'], (amount: string) => string> = {
  'suspended': (amount) => `${amount} waits until the account is reinstated.`,
  'no-payout-address': (amount) => `${amount} can’t be paid, because the account has no payout address.`,
  'review': (amount) => `${amount} can’t be paid, because a review holds the payout address.`,
  'no-payout-option': (amount) => `${amount} can’t be paid, because the site pays out no money.`,
};
