import { type Leader, type LeaderOrder, leaderOrders } from '../../../rewards/stories/leaders';
import type { Stories } from '../../../rewards/stories/stories';
import { Empty, Money, Section, Table, Tabs } from '../../views/components';
import { formatNumber } from '../../views/formats';
import type { Answer, PageCall } from '../../views/page-router';
import { useView } from '../../views/view';
import { userPath } from '../paths';
import type { StaffFrame } from '../staff-frame';

const periods = [null, 90, 30, 7] as const;
const shown = 50;

/** Answers with the leader board. */
export async function leadersPage(stories: Stories, call: PageCall, frame: StaffFrame): Promise<Answer> {
  const { query, texts } = call.view;
  const days = periods.find((one) => String(one) === query.get('days')) ?? null;
  const order = leaderOrders.find((one) => one === query.get('order')) ?? 'earned';
  const leaders = await stories.leaders(days, order, shown);
  return {
    page: frame(
      { title: texts.admin.leaders.title, children: <Board leaders={leaders} days={days} order={order} /> },
      call,
    ),
  };
}

function Board({ leaders, days, order }: { leaders: readonly Leader[]; days: number | null; order: LeaderOrder }) {
  const view = useView();
  const { leaders: words, columns, start } = view.texts.admin;
  return (
    <>
      <Tabs
        label={words.title}
        tabs={periods.map((one) => ({
          title: one === null ? words.allTime : start.days(one),
          href: view.url('/leaders', { days: one, order }),
          isHere: one === days,
        }))}
      />
      <Tabs
        label={view.texts.kit.orderBy(columns[order])}
        tabs={leaderOrders.map((one) => ({
          title: words[one],
          href: view.url('/leaders', { days, order: one }),
          isHere: one === order,
        }))}
      />
      <Section>
        <Table
          caption={words.title}
          rows={leaders.map((leader, index) => ({ ...leader, rank: index + 1 }))}
          empty={<Empty title={words.none} />}
          columns={[
            {
              key: 'user',
              title: columns.user,
              cell: ({ userId, rank }) => (
                <>
                  {rank}. <a href={view.url(userPath(userId))}>{userId}</a>
                </>
              ),
            },
            { key: 'earned', title: start.earned, align: 'end', cell: ({ earned }) => <Money amount={earned} /> },
            {
              key: 'signups',
              title: columns.signups,
              align: 'end',
              cell: ({ signups }) => formatNumber(view, signups),
            },
            {
              key: 'customers',
              title: columns.customers,
              align: 'end',
              cell: ({ customers }) => formatNumber(view, customers),
            },
          ]}
        />
      </Section>
    </>
  );
}
