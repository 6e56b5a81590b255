import type { OwnPayout, Rows } from '../../types/figures';
import { Badge, Count, DownloadCsv, Empty, Money, Pager, Section, Table, type Tone, When } from '../views/components';
import { useView } from '../views/view';
import { screen } from './screen';

const tones: Readonly<Record<OwnPayout['status'], Tone>> = {
  processing: 'wait',
  completed: 'good',
  failed: 'bad',
  returned: 'bad',
};

/** What was paid to the user, and why a payment was refused. */
export const payouts = screen<Rows<OwnPayout>>({
  name: 'payouts',
  path: '/payouts',
  title: ({ payouts: { title } }) => title,
  load: ({ reader, view }) => reader.data.payouts({ after: view.query.get('after') }),
  Body: ({ data: { rows, next } }) => {
    const view = useView();
    const { payouts: words } = view.texts;
    return (
      <Section lead={words.lead} aside={rows.length > 0 && <DownloadCsv href={view.url('/payouts.csv')} />}>
        <Table
          caption={words.title}
          rows={rows}
          rowKey={({ id }) => id}
          columns={[
            { key: 'when', title: words.when, cell: ({ createdAt }) => <When time={createdAt} /> },
            {
              key: 'to',
              title: words.to,
              cell: ({ mode, address }) => (mode === 'credits' ? words.asCredit : (address ?? words.asMoney)),
            },
            { key: 'status', title: words.status, cell: (row) => <Status row={row} /> },
            {
              key: 'commissions',
              title: words.items,
              align: 'end',
              cell: ({ commissions }) => <Count value={commissions} />,
            },
            { key: 'amount', title: words.amount, align: 'end', cell: ({ amount }) => <Money amount={amount} /> },
          ]}
          empty={
            <Empty title={words.none}>
              <p>{words.noneText}</p>
              <p>
                <a href={view.url('/settings')}>{words.noneNext}</a>
              </p>
            </Empty>
          }
        />
        <Pager
          first={view.query.has('after') ? view.url('/payouts') : null}
          next={next && view.url('/payouts', { after: next })}
        />
      </Section>
    );
  },
});

function Status({ row: { status, isWaiting, reason, settledAt, nextAttemptAt } }: { row: OwnPayout }) {
  const { texts, now } = useView();
  const { payouts: words } = texts;
  return (
    <span class="rf-stack">
      <span>
        <Badge tone={tones[status]}>{isWaiting ? words.waiting : words.statuses[status]}</Badge>
      </span>
      {reason !== null && <span>{reason}</span>}
      {settledAt && (
        <small>
          <When time={settledAt} />
        </small>
      )}
      {nextAttemptAt && (
        <small>
          {/* Due since then: the next run asks again. */}
          {words.nextAttempt} {nextAttemptAt > now && <When time={nextAttemptAt} isRelative />}
        </small>
      )}
    </span>
  );
}
