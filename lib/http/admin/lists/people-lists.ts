import type { ReferralAccount } from '../../../entities/referral-account';
import type { ReferralAudit } from '../../../entities/referral-audit';
import type { ReferralReview } from '../../../entities/referral-review';
import type { ReferralSignup } from '../../../entities/referral-signup';
import type { Filter } from './filter';
import type { List } from './list';
import { columnsOf, inCsvOnly } from './value';

const signup = columnsOf<ReferralSignup>();
const review = columnsOf<ReferralReview>();
const account = columnsOf<ReferralAccount>();
const audit = columnsOf<ReferralAudit>();

const days: readonly Filter[] = [
  { key: 'from', kind: 'first-day', field: 'createdAt' },
  { key: 'until', kind: 'last-day', field: 'createdAt' },
];

export const signups: List<'signups'> = {
  name: 'signups',
  path: '/signups',
  columns: [
    signup.user('user', ({ userId }) => userId),
    signup.user('referrer', ({ referrerId }) => referrerId),
    signup.named('referral', 'referral', ({ referralId }) => referralId),
    signup.word('source', 'signupSource', ({ source }) => source),
    signup.named('program', 'program', ({ programId }) => programId),
    signup.money('used', ({ recordedUsage }) => recordedUsage),
    signup.money('threshold', ({ beforeRewardUsageThreshold }) => beforeRewardUsageThreshold),
    signup.time('thresholdReachedAt', ({ thresholdReachedAt }) => thresholdReachedAt),
    signup.word('noReward', 'noReward', ({ noReward }) => noReward),
    signup.word('noCommission', 'noCommission', ({ noCommission }) => noCommission),
    signup.flag('selfReferral', ({ isSelfReferral }) => isSelfReferral),
    signup.time('touchedAt', ({ touchedAt }) => touchedAt),
    signup.time('createdAt', ({ createdAt }) => createdAt),
    inCsvOnly(signup.id('id', ({ id }) => id)),
  ],
  filters: [
    { key: 'user', kind: 'text', field: 'userId' },
    { key: 'referrer', kind: 'text', field: 'referrerId' },
    { key: 'referral', kind: 'id', field: 'referralId' },
    {
      key: 'source',
      kind: 'choice',
      group: 'signupSource',
      choices: {
        code: () => [{ field: 'source', is: 'equal', value: 'code' }],
        attribution: () => [{ field: 'source', is: 'equal', value: 'attribution' }],
      },
    },
    ...days,
  ],
  actions: ({ userId }) => [{ name: 'signups.reassign', params: { user: userId } }],
};

export const reviews: List<'reviews'> = {
  name: 'reviews',
  path: '/reviews',
  columns: [
    review.word('rule', 'rule', ({ rule }) => rule),
    review.word('status', 'reviewStatus', ({ status }) => status, {
      ...{ open: 'wait', allowed: 'good', refused: 'bad' },
    }),
    review.user('referrer', ({ userId }) => userId),
    review.user('friend', ({ refereeId }) => refereeId),
    review.named('referral', 'referral', ({ referralId }) => referralId),
    review.any('evidence', ({ evidence }) => ({ is: 'facts', facts: evidence })),
    review.flag('isHolding', ({ isHolding }) => isHolding),
    review.time('createdAt', ({ createdAt }) => createdAt),
    review.text('decidedBy', ({ decidedBy }) => decidedBy),
    review.text('decidedReason', ({ decidedReason }) => decidedReason),
    inCsvOnly(review.time('decidedAt', ({ decidedAt }) => decidedAt)),
    inCsvOnly(review.id('id', ({ id }) => id)),
  ],
  filters: [
    {
      key: 'status',
      kind: 'choice',
      group: 'reviewStatus',
      choices: {
        open: () => [{ field: 'status', is: 'equal', value: 'open' }],
        allowed: () => [{ field: 'status', is: 'equal', value: 'allowed' }],
        refused: () => [{ field: 'status', is: 'equal', value: 'refused' }],
      },
    },
    { key: 'id', kind: 'id', field: 'id' },
    { key: 'referrer', kind: 'text', field: 'userId' },
    { key: 'friend', kind: 'text', field: 'refereeId' },
    { key: 'referral', kind: 'id', field: 'referralId' },
    ...days,
  ],
  actions: ({ id, status }) =>
    status === 'open'
      ? [
          { name: 'reviews.allow', params: { id } },
          { name: 'reviews.refuse', params: { id } },
        ]
      : [],
};

export const accounts: List<'accounts'> = {
  name: 'accounts',
  path: '/accounts',
  columns: [
    account.user('user', ({ userId }) => userId),
    account.word('state', 'accountState', accountStateOf, { suspended: 'wait', banned: 'bad' }),
    account.word('mode', 'mode', ({ mode }) => mode),
    account.text('payoutEmail', ({ payoutEmail }) => payoutEmail),
    account.money('minimum', ({ minimum }) => minimum),
    account.count('usersReferred', ({ usersReferred }) => usersReferred),
    account.count('customers', ({ usersUpgraded }) => usersUpgraded),
    account.money('creditsPaid', ({ creditsPaid }) => creditsPaid),
    account.money('payoutsPaid', ({ payoutsPaid }) => payoutsPaid),
    account.time('createdAt', ({ createdAt }) => createdAt),
    inCsvOnly(account.id('id', ({ id }) => id)),
  ],
  filters: [
    { key: 'user', kind: 'text', field: 'userId' },
    { key: 'payoutEmail', kind: 'beginning', field: 'payoutEmail' },
    {
      key: 'state',
      kind: 'choice',
      group: 'accountState',
      choices: {
        suspended: () => [{ field: 'suspendedAt', is: 'present' }],
        banned: () => [
          { field: 'suspendedAt', is: 'present' },
          { field: 'bannedAt', is: 'present' },
        ],
      },
    },
    {
      key: 'mode',
      kind: 'choice',
      group: 'mode',
      choices: {
        credits: () => [{ field: 'mode', is: 'equal', value: 'credits' }],
        payout: () => [{ field: 'mode', is: 'equal', value: 'payout' }],
      },
    },
  ],
  actions: ({ userId: user, suspendedAt }) => [
    { name: 'accounts.update', params: { user } },
    { name: suspendedAt === null ? 'accounts.suspend' : 'accounts.reinstate', params: { user } },
  ],
};

function accountStateOf({ suspendedAt, bannedAt }: ReferralAccount): string | null {
  if (bannedAt !== null) return 'banned';
  return suspendedAt === null ? null : 'suspended';
}

export const auditRows: List<'audit'> = {
  name: 'audit',
  path: '/audit',
  columns: [
    audit.time('time', ({ createdAt }) => createdAt),
    audit.code('call', ({ call }) => call),
    audit.text('subject', ({ subject, subjectId }) => `${subject} ${subjectId}`),
    audit.user('user', ({ userId }) => userId),
    audit.any('change', ({ before, after }) => ({ is: 'change', before, after })),
    audit.word('actor', 'actor', ({ actor }) => actor),
    audit.text('by', ({ by }) => by),
    audit.text('reason', ({ reason }) => reason),
    audit.code('requestId', ({ requestId }) => requestId),
    inCsvOnly(audit.id('id', ({ id }) => id)),
  ],
  filters: [
    { key: 'call', kind: 'text', field: 'call' },
    { key: 'user', kind: 'text', field: 'userId' },
    { key: 'by', kind: 'text', field: 'by' },
    { key: 'subject', kind: 'text', field: 'subject' },
    { key: 'subjectId', kind: 'text', field: 'subjectId' },
    ...days,
  ],
};
