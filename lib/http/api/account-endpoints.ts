import { ReferralError } from '../../errors';
import { isEmail } from '../../input';
import type { Settings } from '../../options';
import { theUser } from '../../rewards/records/audit';
import type { Rewards } from '../../rewards/rewards';
import { jsonBody } from '../body';
import { badField } from '../http-error';
import type { Endpoint, Handler } from './endpoint';
import { channelOf, configOf } from './wire';
import type { Wire } from './wire-types';

/** A user's own account: `/config/`, and the channels that the user owns: `/channel/`. */
export function accountEndpoints(settings: Settings, { managers, codeOffers }: Rewards): Endpoint[] {
  const { accounts, channels } = managers;

  const configOfUser = async (userId: string): Promise<Wire['Config']> => {
    const account = await accounts.of(userId);
    const [totals, offer] = await Promise.all([
      accounts.totalsOf(account, undefined),
      codeOffers.offerOfReferral(account.referralId!),
    ]);
    return configOf(account, totals, offer!, settings);
  };

  const changeConfig: Handler = async ({ req, res, userId }) => {
    const body = await jsonBody<Wire['ConfigChanges']>(req, res, { mode: true, paypal_payout_email: true });
    const { mode, paypal_payout_email: payoutEmail } = body;
    if (mode !== undefined && mode !== 'credits' && mode !== 'payout')
      throw badField('mode', 'One of credits, payout.', 'invalid_choice');
    if (payoutEmail !== undefined && payoutEmail !== null && !isEmail(payoutEmail))
      throw badField('paypal_payout_email', 'An e-mail address, or null.');
    try {
      const { id } = await accounts.of(userId);
      await accounts.updateBy(theUser(userId), id, { mode, payoutEmail });
    } catch (error) {
      throw asConfigFieldError(error);
    }
    return configOfUser(userId);
  };

  return [
    { path: '/config/', methods: { GET: ({ userId }) => configOfUser(userId), PATCH: changeConfig } },
    { path: '/channel/', methods: { GET: async ({ userId }) => (await channels.ofUser(userId)).map(channelOf) } },
  ];
}

/** Turns an `INVALID_INPUT` of `accounts.update` into a 400 for the field. Returns every other error unchanged. */
function asConfigFieldError(error: unknown): unknown {
  const field = error instanceof ReferralError && error.code === 'INVALID_INPUT' ? error.field : undefined;
  if (field === 'payoutEmail')
    return badField('paypal_payout_email', 'This field is required in the mode payout.', 'required');
  if (field === 'mode') return badField('mode', 'This site does not pay out money.', 'invalid_choice');
  return error;
}
