import type { Settings } from '../../../options';
import type { ChannelBatchInput, ChannelInput } from '../../../types/commissions';
import type { Action, Field, Outcome } from './action';
import {
  aboutId,
  aboutRecords,
  aboutUser,
  channelCommissionFields,
  idIn,
  programs,
  valuesOf,
  without,
} from './shared-fields';

const code: Field = { name: 'code', kind: 'text', isRequired: true, empty: '', maxLength: 100 };
const allowedUses: Field = { name: 'allowedUses', kind: 'whole', empty: 'nothing' };

/** A code as the host makes them, which staff can replace. */
async function suggestedCode({ generateCode, baseUrl }: Settings): Promise<string> {
  return generateCode({ userId: null, label: '', redirectTo: baseUrl.href, targetType: null, targetId: null });
}

const codeFields: readonly Field[] = [
  { name: 'label', kind: 'text', empty: '', maxLength: 100 },
  { name: 'redirectTo', kind: 'text', empty: 'nothing', maxLength: 2048 },
  { name: 'expiredAt', kind: 'time' },
  { name: 'program', kind: 'id', records: programs },
  allowedUses,
];

/** What codes in bulk share. */
const termFields: readonly Field[] = [
  { name: 'promoType', kind: 'choice', choices: 'promoType', isRequired: true, empty: 'nothing' },
  { name: 'promoValue', kind: 'amount', isRequired: true, empty: '' },
  { name: 'isRecurring', kind: 'flag' },
  { name: 'minimumAmount', kind: 'amount' },
  { name: 'firstPurchaseOnly', kind: 'flag' },
  { name: 'products', kind: 'lines' },
  { name: 'restoreOnRefund', kind: 'flag' },
  { name: 'maxRedemptions', kind: 'whole' },
  allowedUses,
  { name: 'startDate', kind: 'time', empty: 'nothing' },
  { name: 'endDate', kind: 'time' },
  { name: 'description', kind: 'long-text', empty: '', maxLength: 500 },
  { name: 'initialRate', kind: 'amount', empty: 'nothing' },
  { name: 'ongoingRate', kind: 'amount', empty: 'nothing' },
  { name: 'initialRatePeriodDays', kind: 'whole', empty: 'nothing' },
  { name: 'maxEarningsPerReferred', kind: 'amount' },
  ...channelCommissionFields,
];
const isActive: Field = { name: 'isActive', kind: 'flag', suggest: () => 'yes' };
const channelFields: readonly Field[] = [code, isActive, ...termFields];

/** To the story of the referral that was made or changed. */
const toReferral = ({ kept, input }: Outcome): string => `/referrals/${kept?.subjectId ?? String(idIn(input))}`;

/** To the codes that were made, which can be downloaded. */
function toBatch({ kept }: Outcome): string {
  const { firstId, lastId } = (kept?.after ?? {}) as { firstId?: number; lastId?: number };
  return `/actions/channels.createMany/made?first=${firstId}&last=${lastId}`;
}

const ofChannel = (fields: readonly Field[]) =>
  aboutRecords(
    ({ managers }, some) => managers.channels.list(some),
    ['code', 'userId', 'totalUses', 'totalCommission'],
    (channel) => valuesOf(fields, channel),
  );

export const codeActions: readonly Action[] = [
  {
    name: 'codes.create',
    call: 'referralCodes.create',
    fields: [{ name: 'user', kind: 'text', maxLength: 128 }, { ...code, suggest: suggestedCode }, ...codeFields],
    make: ({ managers }, input, options) => managers.referralCodes.create(input, options),
    after: toReferral,
  },
  {
    name: 'codes.update',
    call: 'referralCodes.update',
    fields: [aboutId, code, ...codeFields],
    isChange: true,
    subject: aboutRecords(
      ({ managers }, some) => managers.referralCodes.list(some),
      ['code', 'userId', 'uses'],
      (record) => valuesOf([code, ...codeFields], record),
    ),
    make: ({ managers }, input, options) => managers.referralCodes.update(idIn(input), without(input, 'id'), options),
    after: toReferral,
  },
  {
    name: 'codes.delete',
    call: 'referralCodes.delete',
    fields: [aboutId],
    isGrave: true,
    subject: aboutRecords(({ managers }, some) => managers.referralCodes.list(some), ['code', 'userId', 'uses']),
    make: ({ managers }, input, options) => managers.referralCodes.delete(idIn(input), options),
    after: () => '/referrals',
  },
  {
    name: 'channels.create',
    fields: [aboutUser, { ...code, suggest: suggestedCode }, isActive, ...termFields],
    make: ({ managers }, input, options) => managers.channels.create(input as unknown as ChannelInput, options),
    after: toReferral,
  },
  {
    name: 'channels.createMany',
    fields: [
      aboutUser,
      { name: 'count', kind: 'whole', isRequired: true },
      { name: 'prefix', kind: 'text', maxLength: 80 },
      isActive,
      ...termFields,
    ],
    isLong: true,
    make: ({ managers }, input, options) =>
      managers.channels.createMany(input as unknown as ChannelBatchInput, options),
    after: toBatch,
  },
  {
    name: 'channels.update',
    fields: [aboutId, ...channelFields],
    isChange: true,
    subject: ofChannel(channelFields),
    make: ({ managers }, input, options) => managers.channels.update(idIn(input), without(input, 'id'), options),
    after: toReferral,
  },
  {
    name: 'channels.delete',
    fields: [aboutId],
    isGrave: true,
    subject: ofChannel([]),
    make: ({ managers }, input, options) => managers.channels.delete(idIn(input), options),
    after: () => '/channels',
  },
];
