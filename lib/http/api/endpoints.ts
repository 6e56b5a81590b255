import type { Rewards } from '../../rewards/rewards';
import type { Tracking } from '../../tracking/tracking';
import type { Limits } from '../rate-limits';
import { accountEndpoints } from './account-endpoints';
import { couponEndpoints } from './coupon-endpoints';
import { earningEndpoints } from './earning-endpoints';
import type { Endpoint } from './endpoint';
import { openApi } from './openapi';

/** Every path of the API. The handlers read and write only what belongs to the signed-in user. */
export function endpoints({ settings }: Tracking, rewards: Rewards, limits: Limits): Endpoint[] {
  return [
    ...earningEndpoints(settings, rewards),
    ...accountEndpoints(settings, rewards),
    ...couponEndpoints(settings, rewards, limits),
    {
      path: '/openapi.json',
      methods: { GET: ({ req }) => Promise.resolve(openApi(req, settings)) },
      isOpen: true,
    },
  ];
}
