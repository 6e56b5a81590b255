import type { Settings } from '../../options';
import { commissionOrders } from '../../rewards/commissions/commission-pages';
import type { Rewards } from '../../rewards/rewards';
import { badField, notFound } from '../http-error';
import type { Endpoint, Handler } from './endpoint';
import { pageOfQuery, parseDigits, pathIdOf, queryOf, wirePage, wordOf } from './query';
import { creditOf, earnOutOf } from './wire';

/** A user's commissions, which the API calls credits: `/credit/`; and the user's earn-outs: `/earnout/`. */
export function earningEndpoints(settings: Settings, { pages, managers }: Rewards): Endpoint[] {
  const listCredits: Handler = async ({ req, userId }) => {
    const query = queryOf(req);
    const page = pageOfQuery(query);
    const order = wordOf(query, 'ordering', commissionOrders) ?? '-created_at';
    const filter = {
      mode: wordOf(query, 'mode', ['credits', 'payout']),
      status: wordOf(query, 'status', ['pending', 'available', 'reverted']),
      channelId: await channelIdOf(userId, query.get('referral_channel')),
    };
    return wirePage(req, settings, page, {
      count: await pages.count(userId, filter),
      load: async (take, skip) => (await pages.page(userId, filter, order, take, skip)).map(creditOf),
    });
  };

  /** Returns the channel that a list is filtered by: null for commissions without one, undefined for no filter. */
  const channelIdOf = async (userId: string, parameter: string | undefined): Promise<number | null | undefined> => {
    if (parameter === undefined) return undefined;
    if (parameter === '') return null;
    const id = parseDigits(parameter);
    if (id !== null && (await managers.channels.count({ where: { id, userId } })) > 0) return id;
    throw badField('referral_channel', 'The id of one of your channels, or empty.', 'invalid_choice');
  };

  const getCredit: Handler = async ({ req, userId }) => {
    const commission = await pages.one(userId, pathIdOf(req));
    if (!commission) throw notFound();
    return creditOf(commission);
  };

  const listEarnOuts: Handler = async ({ req, userId }) => {
    const page = pageOfQuery(queryOf(req));
    const { earnOuts } = managers;
    const where = { userId };
    return wirePage(req, settings, page, {
      count: await earnOuts.count({ where }),
      load: async (take, skip) => (await earnOuts.search({ where, order: { id: 'DESC' }, take, skip })).map(earnOutOf),
    });
  };

  const getEarnOut: Handler = async ({ req, userId }) => {
    const [earnOut] = await managers.earnOuts.search({ where: { id: pathIdOf(req), userId } });
    if (!earnOut) throw notFound();
    return earnOutOf(earnOut);
  };

  return [
    { path: '/credit/', methods: { GET: listCredits } },
    { path: '/credit/:id/', methods: { GET: getCredit } },
    { path: '/earnout/', methods: { GET: listEarnOuts } },
    { path: '/earnout/:id/', methods: { GET: getEarnOut } },
  ];
}
