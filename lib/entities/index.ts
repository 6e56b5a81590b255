import { Referral } from './referral';
import { ReferralDailyCount } from './referral-daily-count';
import { ReferralResponse } from './referral-response';

/** For the host's DataSource: `entities: [...entities, User]`. */
export const entities = [Referral, ReferralResponse, ReferralDailyCount];
