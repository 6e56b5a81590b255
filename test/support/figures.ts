import type { ReferralsOptions } from '../../lib';
import { Clock } from '../../lib/database/clock';
import { Database } from '../../lib/database/database';
import { settingsOf } from '../../lib/options';
import { Figures } from '../../lib/rewards/figures/figures';
import type { EarningsHost } from './earnings';
import { baseUrl, secret } from './host';

/** The data of the pages, as `referrals.pages` reads it. */
export function figuresOf(
  { dataSource, referrals, clock }: Pick<EarningsHost, 'dataSource' | 'referrals' | 'clock'>,
  options: Partial<ReferralsOptions> = {},
): Figures {
  const settings = settingsOf({ dataSource, secret, baseUrl, user: () => null, clock: clock.read, ...options });
  return new Figures(new Database(settings, 60_000), new Clock(clock.read), settings, referrals);
}
