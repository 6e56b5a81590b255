import { Between } from 'typeorm';
import type { ReferralChannel } from '../../../entities/referral-channel';
import type { Rewards } from '../../../rewards/rewards';
import { notFound } from '../../http-error';
import { Button, DownloadCsv, Section } from '../../views/components';
import type { CsvColumn } from '../../views/csv';
import { formatNumber } from '../../views/formats';
import type { PageCall, Route } from '../../views/page-router';
import type { ActionParts } from './action-parts';

const fields = ['id', 'code', 'userId', 'promoType', 'promoValue', 'maxRedemptions', 'startDate', 'endDate'] as const;
const columns: readonly CsvColumn<ReferralChannel>[] = fields.map((title) => ({ title, value: (row) => row[title] }));

/** How many channels are read at once. */
const readAtOnce = 1000;

/** Reads the channels of a user in a range of ids, however many there are. */
async function* channelsOf({ managers }: Rewards, first: number, last: number, userId: string) {
  for (let next = first; next <= last;) {
    const where = { id: Between(next, last), userId };
    const found = await managers.channels.search({ where, take: readAtOnce, fields });
    yield* found;
    if (found.length < readAtOnce) return;
    next = found.at(-1)!.id + 1;
  }
}

/** The channels that one call of `channels.createMany` has made have ids in a row, and one owner. */
export function batchRoutes({ rewards, frame }: ActionParts): readonly Route[] {
  const { channels } = rewards.managers;

  /** @throws HttpError 404 for what is no range of channels. */
  async function madeBy({ view }: PageCall) {
    const [first, last] = ['first', 'last'].map((name) => Number(view.query.get(name) ?? NaN)) as [number, number];
    if (!Number.isSafeInteger(first) || !Number.isSafeInteger(last)) throw notFound();
    const [channel] = await channels.search({ where: { id: first }, take: 1, fields: ['userId'] });
    if (!channel) throw notFound();
    return { first, last, userId: channel.userId };
  }

  return [
    {
      path: '/actions/channels.createMany/made',
      async get(call) {
        const { view } = call;
        const { first, last, userId } = await madeBy(call);
        const { flow, names } = view.texts.admin.actions;
        const count = await channels.count({ where: { id: Between(first, last), userId } });
        return {
          page: frame(
            {
              title: names['channels.createMany'].title,
              children: (
                <Section lead={flow.made(formatNumber(view, count))}>
                  <DownloadCsv href={view.url('/actions/channels.createMany/codes.csv', { first, last })} />
                  <Button href={view.url('/channels')}>{flow.toChannels}</Button>
                </Section>
              ),
            },
            call,
          ),
        };
      },
    },
    {
      path: '/actions/channels.createMany/codes.csv',
      async get(call) {
        const { first, last, userId } = await madeBy(call);
        return { csv: { name: 'codes', columns, rows: channelsOf(rewards, first, last, userId) } };
      },
    },
  ];
}
