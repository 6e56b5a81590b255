import type { Activity, WaitingForStaff } from '../../../rewards/stories/overview';
import type { Stories } from '../../../rewards/stories/stories';
import { Button, Empty, Figure, Figures, Money, Section, Table, Tabs } from '../../views/components';
import { formatNumber } from '../../views/formats';
import type { Answer, PageCall } from '../../views/page-router';
import { type Query, useView } from '../../views/view';
import { actionUrl } from '../actions/action-url';
import type { StaffFrame } from '../staff-frame';
import { SearchForm } from './search-page';

const periods = [7, 30, 90] as const;

/** Where each kind of waiting things is listed. */
const places: Readonly<Record<keyof WaitingForStaff, readonly [path: string, query: Query]>> = {
  openReviews: ['/reviews', { status: 'open' }],
  approvals: ['/payouts', { status: 'approval' }],
  failedPayouts: ['/payouts', { waits: 'retry' }],
  retriedPayouts: ['/payouts', { waits: 'again' }],
  unsettledPayouts: ['/payouts', { waits: 'report' }],
  heldCommissions: ['/commissions', { status: 'held' }],
  suspendedAccounts: ['/accounts', { state: 'suspended' }],
};

/** Answers with the first page: what waits, and figures of the last days. */
export async function startPage(stories: Stories, call: PageCall, frame: StaffFrame): Promise<Answer> {
  const asked = Number(call.view.query.get('days'));
  const days = periods.find((one) => one === asked) ?? 30;
  const waiting = await stories.waiting();
  const activity = await stories.activity(days);
  const { admin } = call.view.texts;
  return {
    page: frame(
      {
        title: admin.start.title,
        aside: <Button href={actionUrl(call.view, 'earnOuts.run')}>{admin.do['earnOuts.run']}</Button>,
        children: <Start waiting={waiting} activity={activity} days={days} />,
      },
      call,
    ),
  };
}

function Start({ waiting, activity, days }: { waiting: WaitingForStaff; activity: Activity; days: number }) {
  const view = useView();
  const { start } = view.texts.admin;
  const rows = (Object.keys(places) as (keyof WaitingForStaff)[]).filter((name) => waiting[name] > 0);
  return (
    <>
      <SearchForm />
      <Section title={start.waits}>
        <Table
          caption={start.waits}
          rows={rows}
          empty={
            <Empty title={start.nothingWaits}>
              <p>{start.nothingWaitsHint}</p>
            </Empty>
          }
          columns={[
            {
              key: 'what',
              title: view.texts.admin.search.what,
              cell: (name) => <a href={view.url(...places[name])}>{start[name]}</a>,
            },
            {
              key: 'count',
              title: view.texts.kit.count,
              align: 'end',
              cell: (name) => formatNumber(view, waiting[name]),
            },
          ]}
        />
      </Section>
      <Section
        title={start.figures}
        aside={
          <Tabs
            label={start.figures}
            tabs={periods.map((one) => ({
              title: start.days(one),
              href: view.url('/', { days: one }),
              isHere: one === days,
            }))}
          />
        }
      >
        <Figures>
          <Figure name={start.clicks} value={formatNumber(view, activity.clicks)} />
          <Figure name={start.visitors} value={formatNumber(view, activity.visitors)} />
          <Figure name={start.signups} value={formatNumber(view, activity.signups)} />
          <Figure name={start.purchases} value={formatNumber(view, activity.purchases)} />
          <Figure name={start.revenue} value={<Money amount={activity.revenue} />} />
          <Figure name={start.earned} value={<Money amount={activity.earned} />} />
        </Figures>
      </Section>
    </>
  );
}
