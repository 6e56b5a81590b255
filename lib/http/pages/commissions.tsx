import type { CommissionsAsked, OwnAdjustment, OwnCommission, PaidStatus, Rows } from '../../types/figures';
import type { Named } from '../../types/pages';
import {
  Badge,
  Code,
  DownloadCsv,
  Empty,
  Money,
  Pager,
  Section,
  Table,
  Tabs,
  type Tone,
  When,
} from '../views/components';
import { useView } from '../views/view';
import { screen } from './screen';

type CommissionRow = Named<OwnCommission>;

interface CommissionsData extends Rows<CommissionRow> {
  status: CommissionsAsked | null;
  adjustments: readonly OwnAdjustment[];
}

const statuses: readonly CommissionsAsked[] = ['pending', 'held', 'available', 'paid', 'taken-back'];

const tones: Readonly<Record<PaidStatus, Tone>> = {
  pending: 'wait',
  held: 'wait',
  available: 'good',
  paying: 'good',
  paid: 'good',
  reverted: 'bad',
  rejected: 'bad',
};

/** What purchases and sign-ups have earned, by status, and what staff have added. */
export const commissions = screen<CommissionsData>({
  name: 'commissions',
  path: '/commissions',
  title: ({ commissions: { title } }) => title,
  async load({ reader, view }) {
    const given = view.query.get('status');
    const status = statuses.find((one) => one === given) ?? null;
    const after = view.query.get('after');
    const rows = await reader.data.commissions({ status, after });
    const isFirst = status === null && after === null;
    return { ...rows, status, adjustments: isFirst ? (await reader.data.adjustments()).rows : [] };
  },
  Body: ({ data }) => (
    <>
      <Earned data={data} />
      {data.adjustments.length > 0 && <Adjustments rows={data.adjustments} />}
    </>
  ),
});

function Earned({ data: { rows, next, status } }: { data: CommissionsData }) {
  const view = useView();
  const { commissions: words, friends } = view.texts;
  const tabs = [null, ...statuses].map((one) => ({
    title: one === null ? words.all : words.asked[one],
    href: view.url('/commissions', { status: one }),
    isHere: one === status,
  }));
  return (
    <Section lead={words.lead} aside={rows.length > 0 && <DownloadCsv href={view.url('/commissions.csv')} />}>
      <Tabs tabs={tabs} label={words.byStatus} />
      <Table
        caption={words.title}
        rows={rows}
        rowKey={({ id }) => id}
        columns={[
          {
            key: 'what',
            title: words.what,
            cell: ({ kind, friend }) => words.kinds[kind](friend ?? friends.someone),
          },
          { key: 'when', title: words.when, cell: ({ createdAt }) => <When time={createdAt} /> },
          { key: 'code', title: words.code, cell: ({ code }) => <Code>{code}</Code> },
          { key: 'status', title: words.status, cell: (row) => <Status row={row} /> },
          { key: 'earned', title: words.earned, align: 'end', cell: ({ earned }) => <Money amount={earned} /> },
          { key: 'amount', title: words.left, align: 'end', cell: ({ amount }) => <Money amount={amount} /> },
        ]}
        empty={
          <Empty title={status === null ? words.none : words.noneOfStatus}>
            <p>{status === null ? words.noneText : words.noneOfStatusText}</p>
            {status === null && (
              <p>
                <a href={view.url('/')}>{words.noneNext}</a>
              </p>
            )}
          </Empty>
        }
      />
      <Pager
        first={view.query.has('after') ? view.url('/commissions', { status }) : null}
        next={next && view.url('/commissions', { status, after: next })}
      />
    </Section>
  );
}

function Status({ row: { status, availableAt, paidAt, mode, heldBy } }: { row: CommissionRow }) {
  const { commissions: words } = useView().texts;
  return (
    <span class="rf-stack">
      <span>
        <Badge tone={tones[status]}>{words.statuses[status]}</Badge>
      </span>
      {status === 'pending' && availableAt && (
        <small>
          {words.availableAt} <When time={availableAt} isRelative />
        </small>
      )}
      {status === 'held' && heldBy && <small>{words.heldBy}</small>}
      {status === 'paid' && (
        <small>
          {words.paidAs[mode]} <When time={paidAt} />
        </small>
      )}
    </span>
  );
}

function Adjustments({ rows }: { rows: readonly OwnAdjustment[] }) {
  const view = useView();
  const { commissions: words } = view.texts;
  return (
    <Section title={words.adjustments} aside={<DownloadCsv href={view.url('/adjustments.csv')} />}>
      <Table
        caption={words.adjustments}
        rows={rows}
        rowKey={({ id }) => id}
        columns={[
          { key: 'reason', title: words.reason, cell: ({ reason }) => reason },
          { key: 'when', title: words.when, cell: ({ createdAt }) => <When time={createdAt} /> },
          { key: 'amount', title: words.amount, align: 'end', cell: ({ amount }) => <Money amount={amount} /> },
        ]}
      />
    </Section>
  );
}
