import { userPath } from '../paths';
import type { Action, Input, Outcome } from './action';
import { aboutId, aboutRecords, aboutUser, referenceOf, toUser, userIn } from './shared-fields';

const ids = { ...aboutId, kind: 'ids' } as const;
const about = aboutRecords(
  ({ managers }, some) => managers.commissions.list(some),
  ['userId', 'refereeId', 'purchase', 'amount', 'status', 'availableAt'],
);
const idsIn = ({ id }: Input): number[] => id as number[];

/** To the story of the owner of the first commission. */
async function toOwnerOf({ rewards, input }: Outcome): Promise<string> {
  const [commission] = await rewards.managers.commissions.list(idsIn(input), { optional: true });
  return commission ? userPath(commission.userId) : '/commissions';
}

export const commissionActions: readonly Action[] = [
  {
    name: 'commissions.hold',
    fields: [ids],
    subject: about,
    make: ({ managers }, input, options) => managers.commissions.hold(idsIn(input), options),
    after: toOwnerOf,
  },
  {
    name: 'commissions.release',
    fields: [ids],
    subject: about,
    make: ({ managers }, input, options) => managers.commissions.release(idsIn(input), options),
    after: toOwnerOf,
  },
  {
    name: 'commissions.reject',
    fields: [ids],
    isGrave: true,
    subject: about,
    make: ({ managers }, input, options) => managers.commissions.reject(idsIn(input), options),
    after: toOwnerOf,
  },
  {
    name: 'commissions.adjust',
    fields: [
      aboutUser,
      { name: 'amount', kind: 'amount', isRequired: true },
      { name: 'mode', kind: 'choice', choices: 'modeOrAccount' },
    ],
    make: ({ managers }, input, options) =>
      managers.commissions.adjust(userIn(input), {
        ...options,
        reference: referenceOf(options),
        amount: input['amount'] as string,
        mode: input['mode'] as 'credits' | undefined,
      }),
    after: toUser,
  },
  {
    name: 'undoRefund',
    fields: [aboutUser, { name: 'reference', kind: 'text', isRequired: true, maxLength: 255 }],
    make: ({ undoneRefunds }, input, options) =>
      undoneRefunds.undo(userIn(input), { ...options, reference: input['reference'] as string }),
    after: toUser,
  },
  {
    name: 'coupons.giveBack',
    fields: [aboutUser, { name: 'code', kind: 'text', maxLength: 100 }],
    make: ({ coupons }, input, options) =>
      coupons.giveBack(userIn(input), { ...options, code: input['code'] as string | undefined }),
    after: toUser,
  },
];
