import type { EarnOutReport, PayoutApproval } from '../../../types/earn-outs';
import type { Action } from './action';
import { aboutId, aboutRecords, idIn, toOwner } from './shared-fields';

const about = aboutRecords(
  ({ managers }, some) => managers.earnOuts.list(some),
  ['userId', 'amount', 'mode', 'status', 'reference', 'refusals', 'createdAt'],
);
const after = toOwner('/payouts');

export const payoutActions: readonly Action[] = [
  {
    name: 'earnOuts.approve',
    fields: [aboutId],
    subject: about,
    make: ({ managers }, input, options) => managers.earnOuts.approve(idIn(input), options),
    after,
  },
  {
    name: 'earnOuts.reject',
    fields: [aboutId],
    isGrave: true,
    subject: about,
    make: ({ managers }, input, options) => managers.earnOuts.reject(idIn(input), options),
    after,
  },
  {
    name: 'earnOuts.retry',
    fields: [aboutId],
    subject: about,
    make: ({ managers }, input, options) => managers.earnOuts.retry(idIn(input), options),
    after,
  },
  {
    name: 'earnOuts.settle',
    fields: [
      aboutId,
      { name: 'status', kind: 'choice', choices: 'payoutStatus', isRequired: true },
      { name: 'reference', kind: 'text', maxLength: 255 },
    ],
    subject: about,
    make: async ({ managers }, input, options) => {
      const { idempotencyKey } = await managers.earnOuts.get(idIn(input), { manager: options.manager });
      const { status, reference } = input as { status: EarnOutReport['status']; reference?: string };
      return managers.earnOuts.settle({ ...options, key: idempotencyKey, status, reference });
    },
    after,
  },
  {
    name: 'earnOuts.run',
    call: 'runEarnOuts',
    fields: [{ name: 'approve', kind: 'choice', choices: 'approval' }],
    begin: ({ earnOuts }, { approve }) => earnOuts.run({ approve: approve as PayoutApproval | undefined }),
    after: () => '/payouts',
  },
];
