import type { ReferralAccount } from '../../../entities/referral-account';
import { referralError } from '../../../errors';
import { someUserIdOf } from '../../../input';
import type { Rewards } from '../../../rewards/rewards';
import { userPath } from '../paths';
import type { Action, FieldName, Input, Subject } from './action';
import { aboutUser, commissionFields, factsOf, toUser, userIn, valuesOf, without } from './shared-fields';

const facts: readonly FieldName[] = ['mode', 'payoutEmail', 'suspendedAt', 'bannedAt'];
const fields = [
  { name: 'mode', kind: 'choice', choices: 'mode', empty: 'nothing' },
  { name: 'payoutEmail', kind: 'email', maxLength: 254 },
  { name: 'minimum', kind: 'amount' },
  ...commissionFields,
] as const;

async function accountOf({ managers }: Rewards, input: Input): Promise<ReferralAccount | null> {
  const userId = someUserIdOf('user', userIn(input));
  const [account] = await managers.accounts.search({ where: { userId }, take: 1 });
  return account ?? null;
}

async function someAccountOf(rewards: Rewards, input: Input): Promise<ReferralAccount> {
  const account = await accountOf(rewards, input);
  if (!account) throw referralError('NOT_FOUND', 'account', 'user', [userIn(input)]);
  return account;
}

/** A user has an account once something is earned, or asked for. Suspending makes one. */
async function about(rewards: Rewards, input: Input): Promise<Subject> {
  const account = await accountOf(rewards, input);
  return { records: account ? [factsOf(account, facts)] : [] };
}

export const accountActions: readonly Action[] = [
  {
    name: 'accounts.suspend',
    fields: [aboutUser],
    subject: about,
    make: ({ managers }, input, options) => managers.accounts.suspend(userIn(input), options),
    after: toUser,
  },
  {
    name: 'accounts.ban',
    fields: [aboutUser],
    isGrave: true,
    subject: about,
    make: ({ managers }, input, options) => managers.accounts.ban(userIn(input), options),
    after: toUser,
  },
  {
    name: 'accounts.reinstate',
    fields: [aboutUser],
    subject: about,
    make: ({ managers }, input, options) => managers.accounts.reinstate(userIn(input), options),
    after: toUser,
  },
  {
    name: 'accounts.update',
    fields: [aboutUser, ...fields],
    isChange: true,
    subject: async (rewards, input) => {
      const account = await someAccountOf(rewards, input);
      return { records: [], values: valuesOf(fields, account) };
    },
    make: async (rewards, input, options) => {
      const { id } = await someAccountOf(rewards, input);
      return rewards.managers.accounts.update(id, without(input, 'user'), options);
    },
    after: toUser,
  },
  {
    name: 'users.rename',
    call: 'renameUser',
    isLong: true,
    fields: [
      { name: 'from', kind: 'text', isRequired: true, maxLength: 128 },
      { name: 'to', kind: 'text', isRequired: true, maxLength: 128 },
    ],
    make: ({ userChanges }, { from, to }, options) => userChanges.rename(from as string, to as string, options),
    after: ({ input }) => userPath(input['to'] as string),
  },
  {
    name: 'users.merge',
    call: 'mergeUsers',
    isLong: true,
    isGrave: true,
    fields: [
      { name: 'from', kind: 'text', isRequired: true, maxLength: 128 },
      { name: 'into', kind: 'text', isRequired: true, maxLength: 128 },
    ],
    make: ({ userChanges }, { from, into }, options) => userChanges.merge(from as string, into as string, options),
    after: ({ input }) => userPath(input['into'] as string),
  },
];
