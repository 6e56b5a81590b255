import type { CreditTypeInput } from '../../../types/credits';
import type { ProgramInput } from '../../../types/signups';
import type { Action, Field } from './action';
import {
  aboutId,
  aboutRecords,
  commissionFields,
  creditTypes,
  idIn,
  nameField,
  valuesOf,
  without,
} from './shared-fields';

const programFields: readonly Field[] = [
  nameField,
  { name: 'referralCredit.amount', kind: 'amount' },
  { name: 'referralCredit.durationDays', kind: 'whole' },
  { name: 'referralCredit.type', kind: 'id', records: creditTypes },
  { name: 'beforeRewardUsageThreshold', kind: 'amount', empty: 'nothing' },
  { name: 'rewardCredit.amount', kind: 'amount' },
  { name: 'rewardCredit.durationDays', kind: 'whole' },
  { name: 'rewardCredit.type', kind: 'id', records: creditTypes },
  { name: 'rewardLimit.count', kind: 'whole' },
  { name: 'rewardLimit.period', kind: 'choice', choices: 'period' },
  ...commissionFields,
];
const typeFields: readonly Field[] = [
  nameField,
  { name: 'product', kind: 'text', maxLength: 100 },
  { name: 'refundable', kind: 'flag' },
  { name: 'onlyForProducts', kind: 'lines' },
  { name: 'onlyForProductCategories', kind: 'lines' },
];

const toPrograms = (): string => '/programs';
const toTypes = (): string => '/credit-types';

export const programActions: readonly Action[] = [
  {
    name: 'programs.create',
    fields: programFields,
    make: ({ managers }, input, options) => managers.programs.create(input as unknown as ProgramInput, options),
    after: toPrograms,
  },
  {
    name: 'programs.update',
    fields: [aboutId, ...programFields],
    isChange: true,
    subject: aboutRecords(
      ({ managers }, some) => managers.programs.list(some),
      ['name'],
      (program) => valuesOf(programFields, program),
    ),
    make: ({ managers }, input, options) => managers.programs.update(idIn(input), without(input, 'id'), options),
    after: toPrograms,
  },
  {
    name: 'programs.delete',
    fields: [aboutId],
    isGrave: true,
    subject: aboutRecords(({ managers }, some) => managers.programs.list(some), ['name']),
    make: ({ managers }, input, options) => managers.programs.delete(idIn(input), options),
    after: toPrograms,
  },
  {
    name: 'creditTypes.create',
    fields: typeFields,
    make: ({ managers }, input, options) => managers.creditTypes.create(input as unknown as CreditTypeInput, options),
    after: toTypes,
  },
  {
    name: 'creditTypes.update',
    fields: [aboutId, ...typeFields],
    isChange: true,
    subject: aboutRecords(
      ({ managers }, some) => managers.creditTypes.list(some),
      ['name'],
      (type) => valuesOf(typeFields, type),
    ),
    make: ({ managers }, input, options) => managers.creditTypes.update(idIn(input), without(input, 'id'), options),
    after: toTypes,
  },
  {
    name: 'creditTypes.delete',
    fields: [aboutId],
    isGrave: true,
    subject: aboutRecords(({ managers }, some) => managers.creditTypes.list(some), ['name']),
    make: ({ managers }, input, options) => managers.creditTypes.delete(idIn(input), options),
    after: toTypes,
  },
];
