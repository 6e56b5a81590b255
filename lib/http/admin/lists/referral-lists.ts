import type { ReferralChannel } from '../../../entities/referral-channel';
import type { ReferralCode } from '../../../entities/referral-code';
import type { ReferralCreditType } from '../../../entities/referral-credit-type';
import type { ReferralProgram } from '../../../entities/referral-program';
import type { ReferralResponse } from '../../../entities/referral-response';
import type { List } from './list';
import { columnsOf, inCsvOnly } from './value';

const code = columnsOf<ReferralCode>();
const channel = columnsOf<ReferralChannel>();
const program = columnsOf<ReferralProgram>();
const type = columnsOf<ReferralCreditType>();
const response = columnsOf<ReferralResponse>();

export const referralCodes: List<'referralCodes'> = {
  name: 'referralCodes',
  path: '/referrals',
  columns: [
    code.named('referral', 'referral', ({ id }) => id),
    code.text('label', ({ label }) => label),
    code.user('owner', ({ userId }) => userId),
    code.named('program', 'program', ({ programId }) => programId),
    code.address('redirectTo', ({ redirectTo }) => redirectTo),
    code.count('uses', ({ uses }) => uses),
    code.count('allowedUses', ({ allowedUses }) => (allowedUses === -1 ? null : allowedUses)),
    code.time('expiredAt', ({ expiredAt }) => expiredAt),
    code.time('createdAt', ({ createdAt }) => createdAt),
    inCsvOnly(code.id('id', ({ id }) => id)),
  ],
  filters: [
    { key: 'code', kind: 'beginning', field: 'code' },
    { key: 'label', kind: 'beginning', field: 'label' },
    { key: 'user', kind: 'text', field: 'userId' },
    { key: 'program', kind: 'id', field: 'programId' },
    { key: 'targetType', kind: 'text', field: 'targetType' },
    { key: 'targetId', kind: 'text', field: 'targetId' },
    { key: 'from', kind: 'first-day', field: 'createdAt' },
    { key: 'until', kind: 'last-day', field: 'createdAt' },
  ],
  actions: ({ id }) => [{ name: 'codes.update', params: { id } }],
  create: 'codes.create',
};

export const channels: List<'channels'> = {
  name: 'channels',
  path: '/channels',
  columns: [
    channel.named('referral', 'referral', ({ id }) => id),
    channel.user('owner', ({ userId }) => userId),
    channel.word('state', 'active', ({ isActive }) => (isActive ? 'active' : 'inactive'), { active: 'good' }),
    channel.any('discount', ({ promoType, promoValue }) =>
      promoType === 'percent_off' ? { is: 'share', share: promoValue } : { is: 'money', amount: promoValue },
    ),
    channel.count('redemptions', ({ totalUses }) => totalUses),
    channel.count(
      'limit',
      ({ maxRedemptions, allowedUses }) => maxRedemptions ?? (allowedUses === -1 ? null : allowedUses),
    ),
    channel.money('revenue', ({ totalRevenue }) => totalRevenue),
    channel.money('commission', ({ totalCommission }) => totalCommission),
    channel.share('rate', ({ initialRate }) => initialRate),
    channel.share('laterRate', ({ ongoingRate }) => ongoingRate),
    channel.text('description', ({ description }) => description),
    channel.time('startDate', ({ startDate }) => startDate),
    channel.time('endDate', ({ endDate }) => endDate),
    inCsvOnly(channel.id('id', ({ id }) => id)),
  ],
  filters: [
    { key: 'code', kind: 'beginning', field: 'code' },
    { key: 'user', kind: 'text', field: 'userId' },
    {
      key: 'state',
      kind: 'choice',
      group: 'active',
      choices: {
        active: () => [{ field: 'isActive', is: 'equal', value: true }],
        inactive: () => [{ field: 'isActive', is: 'equal', value: false }],
      },
    },
  ],
  actions: ({ id }) => [{ name: 'channels.update', params: { id } }],
  create: 'channels.create',
};

export const programs: List<'programs'> = {
  name: 'programs',
  path: '/programs',
  columns: [
    program.text('name', ({ name }) => name),
    program.money('friendGets', ({ referralCreditAmount }) => referralCreditAmount),
    program.named('friendGetsType', 'creditType', ({ referralCreditTypeId }) => referralCreditTypeId),
    program.money('referrerGets', ({ rewardCreditAmount }) => rewardCreditAmount),
    program.named('referrerGetsType', 'creditType', ({ rewardCreditTypeId }) => rewardCreditTypeId),
    program.money('threshold', ({ beforeRewardUsageThreshold }) => beforeRewardUsageThreshold),
    program.any('commission', ({ commissionRatio, commissionAmount }) =>
      commissionAmount === null ? { is: 'share', share: commissionRatio } : { is: 'money', amount: commissionAmount },
    ),
    program.money('perSignup', ({ commissionSignup }) => commissionSignup),
    program.count('rewardLimit', ({ rewardLimitCount }) => rewardLimitCount),
    program.time('createdAt', ({ createdAt }) => createdAt),
    inCsvOnly(program.id('id', ({ id }) => id)),
  ],
  filters: [{ key: 'name', kind: 'beginning', field: 'name' }],
  actions: ({ id }) => [
    { name: 'programs.update', params: { id } },
    { name: 'programs.delete', params: { id } },
  ],
  create: 'programs.create',
};

export const creditTypes: List<'creditTypes'> = {
  name: 'creditTypes',
  path: '/credit-types',
  columns: [
    type.text('name', ({ name }) => name),
    type.text('product', ({ product }) => product),
    type.flag('refundable', ({ refundable }) => refundable),
    type.texts('onlyForProducts', ({ onlyForProducts }) => onlyForProducts),
    type.texts('onlyForCategories', ({ onlyForProductCategories }) => onlyForProductCategories),
    type.time('createdAt', ({ createdAt }) => createdAt),
    inCsvOnly(type.id('id', ({ id }) => id)),
  ],
  filters: [{ key: 'name', kind: 'beginning', field: 'name' }],
  actions: ({ id }) => [
    { name: 'creditTypes.update', params: { id } },
    { name: 'creditTypes.delete', params: { id } },
  ],
  create: 'creditTypes.create',
};

export const responses: List<'responses'> = {
  name: 'responses',
  path: '/responses',
  columns: [
    response.time('time', ({ createdAt }) => createdAt),
    response.named('referral', 'referral', ({ referralId }) => referralId),
    response.any('action', ({ action }) =>
      action === 'RESPONDED' ? { is: 'word', group: 'action', word: action } : { is: 'text', text: action },
    ),
    response.user('user', ({ userId }) => userId),
    response.text('target', ({ targetType, targetId }) => (targetType === null ? null : `${targetType} ${targetId}`)),
    response.code('ipAddress', ({ ipAddress }) => ipAddress),
    response.address('httpReferrer', ({ httpReferrer }) => httpReferrer),
    response.text('userAgent', ({ userAgent }) => userAgent),
    response.code('visitor', ({ visitorId }) => visitorId),
    inCsvOnly(response.id('id', ({ id }) => id)),
  ],
  filters: [
    { key: 'referral', kind: 'id', field: 'referralId' },
    { key: 'user', kind: 'text', field: 'userId' },
    { key: 'action', kind: 'text', field: 'action' },
    { key: 'ipAddress', kind: 'text', field: 'ipAddress' },
    { key: 'visitor', kind: 'visitor', field: 'visitorId' },
    { key: 'targetType', kind: 'text', field: 'targetType' },
    { key: 'targetId', kind: 'text', field: 'targetId' },
    { key: 'from', kind: 'first-day', field: 'createdAt' },
    { key: 'until', kind: 'last-day', field: 'createdAt' },
  ],
};
