import type { CreditInput } from '../../../types/credits';
import type { Action, Field } from './action';
import {
  aboutId,
  aboutRecords,
  aboutUser,
  creditTypes,
  idIn,
  referenceOf,
  toOwner,
  toUser,
  userIn,
  valuesOf,
  without,
} from './shared-fields';

const changeable: readonly Field[] = [
  { name: 'name', kind: 'text', empty: '', maxLength: 300 },
  { name: 'expiryDate', kind: 'time' },
  { name: 'voucherCode', kind: 'text', maxLength: 100 },
];

export const creditActions: readonly Action[] = [
  {
    name: 'credits.create',
    fields: [
      aboutUser,
      { name: 'creditType', kind: 'id', isRequired: true, records: creditTypes },
      { name: 'initialBalance', kind: 'amount', isRequired: true },
      { name: 'durationDays', kind: 'whole' },
      { name: 'expiryDate', kind: 'time' },
      { name: 'startDate', kind: 'time' },
      { name: 'name', kind: 'text', maxLength: 300 },
      { name: 'voucherCode', kind: 'text', maxLength: 100 },
    ],
    make: ({ managers }, input, options) => {
      const credit = { ...input, reference: referenceOf(options) } as unknown as CreditInput;
      return managers.credits.create(credit, options);
    },
    after: toUser,
  },
  {
    name: 'credits.adjust',
    fields: [aboutUser, { name: 'credit', kind: 'id' }, { name: 'amount', kind: 'amount', isRequired: true }],
    make: async ({ managers }, input, options) => {
      const { manager } = options;
      const { credit } = input;
      const whose = credit === undefined ? userIn(input) : await managers.credits.get(credit as number, { manager });
      const adjustment = { amount: input['amount'] as string, reference: referenceOf(options) };
      return managers.credits.adjust(whose, { ...options, ...adjustment });
    },
    after: toUser,
  },
  {
    name: 'credits.update',
    fields: [aboutId, ...changeable],
    isChange: true,
    subject: aboutRecords(
      ({ managers }, some) => managers.credits.list(some),
      ['userId', 'initialBalance', 'currentBalance', 'expiryDate'],
      (credit) => valuesOf(changeable, credit),
    ),
    make: ({ managers }, input, options) => managers.credits.update(idIn(input), without(input, 'id'), options),
    after: toOwner('/credits'),
  },
  {
    name: 'credits.refund',
    fields: [
      aboutUser,
      { name: 'reference', kind: 'text', isRequired: true, maxLength: 255 },
      { name: 'amount', kind: 'amount' },
      { name: 'extendDays', kind: 'whole' },
    ],
    make: ({ managers }, input, options) =>
      managers.credits.refund({
        ...(input as { user: string; reference: string; amount?: string; extendDays?: number }),
        ...options,
        refundReference: referenceOf(options),
      }),
    after: toUser,
  },
];
