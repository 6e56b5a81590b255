import type { ReferralsOptions } from '../../lib';
import { Clock } from '../../lib/database/clock';
import { Database } from '../../lib/database/database';
import { settingsOf } from '../../lib/options';
import { closableUntil, DayClosing } from '../../lib/rewards/figures/day-closing';
import { Figures } from '../../lib/rewards/figures/figures';
import type { EarningsHost } from './earnings';
import { baseUrl, secret, waitFor } from './host';

/** The data of the pages, as `referrals.pages` reads it. */
export function figuresOf(
  { dataSource, referrals, clock }: Pick<EarningsHost, 'dataSource' | 'referrals' | 'clock'>,
  options: Partial<ReferralsOptions> = {},
): Figures {
  const settings = settingsOf({ dataSource, secret, baseUrl, user: () => null, clock: clock.read, ...options });
  return new Figures(new Database(settings, 60_000), new Clock(clock.read), settings, referrals);
}

/** Closes what can be closed of a user's days, however little there is to read. */
export async function close({ dataSource, clock }: EarningsHost, user: string): Promise<void> {
  const settings = settingsOf({ dataSource, secret, baseUrl, user: () => null, clock: clock.read });
  await new DayClosing(new Database(settings, 60_000), settings).close(user, clock.read());
}

/** Closes a user's days once no transaction on the server, also of another test, is in the way. */
export const closeAtLast = (host: EarningsHost, user: string): Promise<void> =>
  waitFor(async () => {
    await close(host, user);
    return (await closedUntil(host, user)) === closableUntil(host.clock.read());
  });

export const closedUntil = async ({ dataSource, schema }: EarningsHost, user: string): Promise<string | null> => {
  const query = `SELECT until::text FROM ${schema}.referral_closed_days WHERE user_id = $1`;
  const [row] = await dataSource.query<{ until: string | null }[]>(query, [user]);
  return row?.until ?? null;
};
