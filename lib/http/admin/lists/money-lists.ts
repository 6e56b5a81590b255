import type { ReferralAdjustment } from '../../../entities/referral-adjustment';
import type { ReferralCommission } from '../../../entities/referral-commission';
import type { ReferralCredit } from '../../../entities/referral-credit';
import type { ReferralCreditTransaction } from '../../../entities/referral-credit-transaction';
import type { ReferralEarnOut } from '../../../entities/referral-earn-out';
import type { ReferralPurchase } from '../../../entities/referral-purchase';
import type { Condition } from '../../../rewards/stories/conditions';
import type { Filter } from './filter';
import type { List, RowAction } from './list';
import { columnsOf, inCsvOnly } from './value';

const purchase = columnsOf<ReferralPurchase>();
const commission = columnsOf<ReferralCommission>();
const earnOut = columnsOf<ReferralEarnOut>();
const adjustment = columnsOf<ReferralAdjustment>();
const credit = columnsOf<ReferralCredit>();
const entry = columnsOf<ReferralCreditTransaction>();

const missing = (field: string): Condition => ({ field, is: 'missing' });
const present = (field: string): Condition => ({ field, is: 'present' });
const equal = (field: string, value: string | boolean): Condition => ({ field, is: 'equal', value });

/** A choice for each word of a field. */
const words = (field: string, ...choices: string[]): Record<string, () => Condition[]> =>
  Object.fromEntries(choices.map((word) => [word, () => [equal(field, word)]]));

const days: readonly Filter[] = [
  { key: 'from', kind: 'first-day', field: 'createdAt' },
  { key: 'until', kind: 'last-day', field: 'createdAt' },
];
const modes: Filter = { key: 'mode', kind: 'choice', group: 'mode', choices: words('mode', 'credits', 'payout') };

export const purchases: List<'purchases'> = {
  name: 'purchases',
  path: '/purchases',
  columns: [
    purchase.code('reference', ({ reference }) => reference),
    purchase.user('buyer', ({ userId }) => userId),
    purchase.money('amount', ({ amount }) => amount),
    purchase.money('refunded', ({ refunded }) => refunded),
    purchase.money(
      'paidIn',
      ({ originalAmount }) => originalAmount,
      ({ currency }) => currency,
    ),
    purchase.user('referrer', ({ referrerId }) => referrerId),
    purchase.named('referral', 'referral', ({ referralId }) => referralId),
    purchase.word('source', 'source', ({ source }) => source),
    purchase.word('noCommission', 'noCommission', ({ noCommission }) => noCommission),
    purchase.time('purchasedAt', ({ purchasedAt }) => purchasedAt),
    inCsvOnly(purchase.id('id', ({ id }) => id)),
  ],
  filters: [
    { key: 'reference', kind: 'text', field: 'reference' },
    { key: 'buyer', kind: 'text', field: 'userId' },
    { key: 'referrer', kind: 'text', field: 'referrerId' },
    ...days,
  ],
};

/** The statuses of commissions, as conditions at a time. A held one has neither become available nor been taken back. */
const commissionStatuses: Record<string, (now: Date) => readonly Condition[]> = {
  pending: (now) => [missing('revertedAt'), { field: 'availableAt', is: 'above', value: now }],
  available: (now) => [missing('revertedAt'), { field: 'availableAt', is: 'to', value: now }],
  held: () => [missing('availableAt')],
  reverted: () => [present('revertedAt'), missing('rejectedAt')],
  rejected: () => [present('rejectedAt')],
};

export const commissions: List<'commissions'> = {
  name: 'commissions',
  path: '/commissions',
  columns: [
    commission.id('id', ({ id }) => id),
    commission.user('referrer', ({ userId }) => userId),
    commission.money('amount', ({ amount }) => amount),
    commission.word('status', 'commissionStatus', ({ status }) => status, {
      ...{ pending: 'wait', available: 'good', held: 'wait', rejected: 'bad' },
    }),
    commission.money('earned', ({ earned }) => earned),
    commission.user('friend', ({ refereeId }) => refereeId),
    commission.word('kind', 'commissionKind', ({ kind }) => kind),
    commission.code('purchase', ({ purchase: reference }) => reference || null),
    commission.named('referral', 'referral', ({ referralId }) => referralId),
    commission.word('mode', 'mode', ({ mode }) => mode),
    commission.any('rate', ({ rate, flatAmount }) =>
      flatAmount === null ? { is: 'share', share: rate } : { is: 'money', amount: flatAmount },
    ),
    commission.time('availableAt', ({ availableAt }) => availableAt),
    commission.texts('heldFor', ({ heldFor }) => heldFor),
    commission.id('earnOut', ({ earnOutId }) => earnOutId),
    commission.time('paidAt', ({ paidAt }) => paidAt),
    commission.time('movedAt', ({ movedAt }) => movedAt),
    commission.id('movedFrom', ({ movedFrom }) => movedFrom),
    commission.time('createdAt', ({ createdAt }) => createdAt),
  ],
  filters: [
    { key: 'id', kind: 'id', field: 'id' },
    { key: 'status', kind: 'choice', group: 'commissionStatus', choices: commissionStatuses },
    { key: 'referrer', kind: 'text', field: 'userId' },
    { key: 'friend', kind: 'text', field: 'refereeId' },
    { key: 'referral', kind: 'id', field: 'referralId' },
    { key: 'earnOut', kind: 'id', field: 'earnOutId' },
    modes,
    ...days,
  ],
  actions: ({ id, status, heldFor, earnOutId }) => {
    if (status === 'rejected') return [];
    const hold = earnOutId === null && !heldFor.includes('staff');
    return [
      ...(hold ? [{ name: 'commissions.hold', params: { id } }] : []),
      ...(heldFor.includes('staff') ? [{ name: 'commissions.release', params: { id } }] : []),
      { name: 'commissions.reject', params: { id } },
    ];
  },
};

const isPayout = equal('mode', 'payout');

export const earnOuts: List<'earnOuts'> = {
  name: 'earnOuts',
  path: '/payouts',
  columns: [
    earnOut.id('id', ({ id }) => id),
    earnOut.user('user', ({ userId }) => userId),
    earnOut.money('amount', ({ amount }) => amount),
    earnOut.word('status', 'payoutStatus', payoutStatusOf, {
      ...{ processing: 'wait', approval: 'wait', completed: 'good', failed: 'bad', returned: 'bad' },
    }),
    earnOut.word('mode', 'mode', ({ mode }) => mode),
    earnOut.text('payoutEmail', ({ payoutEmail }) => payoutEmail),
    earnOut.text('errorReason', ({ errorReason }) => errorReason),
    earnOut.count('commissions', ({ commissionCount }) => commissionCount),
    earnOut.count('attempts', ({ attempts }) => attempts),
    earnOut.time('nextAttemptAt', ({ nextAttemptAt }) => nextAttemptAt),
    earnOut.code('reference', ({ reference }) => reference),
    earnOut.time('createdAt', ({ createdAt }) => createdAt),
    earnOut.time('settledAt', ({ settledAt }) => settledAt),
    inCsvOnly(earnOut.code('idempotencyKey', ({ idempotencyKey }) => idempotencyKey)),
  ],
  filters: [
    { key: 'id', kind: 'id', field: 'id' },
    { key: 'user', kind: 'text', field: 'userId' },
    {
      key: 'status',
      kind: 'choice',
      group: 'payoutStatus',
      choices: {
        ...words('status', 'processing', 'completed', 'failed', 'returned'),
        approval: () => [equal('awaitsApproval', true)],
      },
    },
    {
      key: 'waits',
      kind: 'choice',
      group: 'payoutWaits',
      choices: {
        retry: () => [
          { field: 'status', is: 'among', value: ['failed', 'returned'] },
          missing('nextAttemptAt'),
          isPayout,
        ],
        again: (now) => [
          { field: 'status', is: 'among', value: ['failed', 'returned'] },
          { field: 'nextAttemptAt', is: 'above', value: now },
          isPayout,
        ],
        report: () => [
          ...[equal('status', 'processing'), isPayout, missing('nextAttemptAt'), missing('claimedUntil')],
          equal('awaitsApproval', false),
        ],
        provider: () => [equal('status', 'processing'), isPayout, present('nextAttemptAt')],
      },
    },
    modes,
    { key: 'reference', kind: 'text', field: 'reference' },
    ...days,
  ],
  actions: payoutActions,
};

function payoutStatusOf({ status, awaitsApproval }: ReferralEarnOut): string {
  return awaitsApproval ? 'approval' : status;
}

function payoutActions({ id, mode, status, awaitsApproval, nextAttemptAt }: ReferralEarnOut): RowAction[] {
  const settle = { name: 'earnOuts.settle', params: { id } };
  if (mode !== 'payout') return status === 'failed' ? [{ name: 'earnOuts.retry', params: { id } }] : [];
  if (awaitsApproval) return [{ name: 'earnOuts.approve', params: { id } }, settle];
  if (status === 'completed') return [settle];
  const isFailed = status !== 'processing';
  return [...(isFailed || nextAttemptAt === null ? [{ name: 'earnOuts.retry', params: { id } }] : []), settle];
}

export const adjustments: List<'adjustments'> = {
  name: 'adjustments',
  path: '/adjustments',
  columns: [
    adjustment.id('id', ({ id }) => id),
    adjustment.user('user', ({ userId }) => userId),
    adjustment.money('amount', ({ amount }) => amount),
    adjustment.word('mode', 'mode', ({ mode }) => mode),
    adjustment.text('reason', ({ reason }) => reason),
    adjustment.code('reference', ({ reference }) => reference),
    adjustment.id('earnOut', ({ earnOutId }) => earnOutId),
    adjustment.time('createdAt', ({ createdAt }) => createdAt),
  ],
  filters: [
    { key: 'user', kind: 'text', field: 'userId' },
    { key: 'reference', kind: 'text', field: 'reference' },
    modes,
    ...days,
  ],
  create: 'commissions.adjust',
};

export const credits: List<'credits'> = {
  name: 'credits',
  path: '/credits',
  columns: [
    credit.id('id', ({ id }) => id),
    credit.user('user', ({ userId }) => userId),
    credit.money('left', ({ currentBalance }) => currentBalance),
    credit.money('given', ({ initialBalance }) => initialBalance),
    credit.time('expiryDate', ({ expiryDate }) => expiryDate),
    credit.word('kind', 'creditKind', ({ kind }) => kind),
    credit.text('name', ({ name }) => name),
    credit.named('creditType', 'creditType', ({ creditTypeId }) => creditTypeId),
    credit.user('friend', ({ refereeId }) => refereeId),
    credit.code('reference', ({ reference }) => reference),
    credit.code('voucherCode', ({ voucherCode }) => voucherCode),
    credit.time('startDate', ({ startDate }) => startDate),
    credit.time('createdAt', ({ createdAt }) => createdAt),
  ],
  filters: [
    { key: 'user', kind: 'text', field: 'userId' },
    { key: 'friend', kind: 'text', field: 'refereeId' },
    {
      key: 'kind',
      kind: 'choice',
      group: 'creditKind',
      choices: words('kind', 'referral', 'reward', 'earn-out', 'grant'),
    },
    { key: 'reference', kind: 'text', field: 'reference' },
    { key: 'creditType', kind: 'id', field: 'creditTypeId' },
    ...days,
  ],
  actions: ({ id, userId }): RowAction[] => [
    { name: 'credits.update', params: { id } },
    { name: 'credits.adjust', params: { user: userId, credit: id } },
  ],
  create: 'credits.create',
};

export const creditTransactions: List<'creditTransactions'> = {
  name: 'creditTransactions',
  path: '/credit-entries',
  columns: [
    entry.id('id', ({ id }) => id),
    entry.user('user', ({ userId }) => userId),
    entry.money('amount', ({ value }) => value),
    entry.word('kind', 'entryKind', ({ kind }) => kind),
    entry.id('credit', ({ creditId }) => creditId),
    entry.code('reference', ({ reference }) => reference),
    entry.text('description', ({ description }) => description),
    entry.time('createdAt', ({ createdAt }) => createdAt),
  ],
  filters: [
    { key: 'user', kind: 'text', field: 'userId' },
    { key: 'credit', kind: 'id', field: 'creditId' },
    { key: 'reference', kind: 'text', field: 'reference' },
    ...days,
  ],
};
