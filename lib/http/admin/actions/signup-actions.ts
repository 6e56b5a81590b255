import type { ReferralSignup } from '../../../entities/referral-signup';
import { referralError } from '../../../errors';
import { someUserIdOf } from '../../../input';
import type { Rewards } from '../../../rewards/rewards';
import type { ReassignInput } from '../../../types/signups';
import type { Action, Input, Subject } from './action';
import { aboutUser, factsOf, toUser, userIn } from './shared-fields';

async function signupOf({ managers }: Rewards, input: Input): Promise<ReferralSignup> {
  const userId = someUserIdOf('user', userIn(input));
  const [signup] = await managers.signups.search({ where: { userId }, take: 1 });
  if (!signup) throw referralError('NOT_FOUND', 'sign-up', 'user', [userId]);
  return signup;
}

async function about(rewards: Rewards, input: Input): Promise<Subject> {
  return { records: [factsOf(await signupOf(rewards, input), ['referrerId', 'referralId', 'createdAt'])] };
}

export const signupActions: readonly Action[] = [
  {
    name: 'signups.reassign',
    fields: [aboutUser, { name: 'code', kind: 'text', maxLength: 100 }, { name: 'nobody', kind: 'flag' }],
    subject: about,
    make: ({ managers }, input, options) => {
      const code = input['nobody'] === true ? null : (input['code'] ?? '');
      const past = input['past'] as ReassignInput['past'];
      return managers.signups.reassign(userIn(input), { ...options, code: code as string, past });
    },
    after: toUser,
  },
  {
    name: 'signups.delete',
    fields: [aboutUser],
    isGrave: true,
    subject: about,
    make: async (rewards, input, options) => rewards.managers.signups.delete(await signupOf(rewards, input), options),
    after: toUser,
  },
];
