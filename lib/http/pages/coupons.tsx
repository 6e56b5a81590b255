import type { CouponFigures, Rows } from '../../types/figures';
import {
  Badge,
  Code,
  Count,
  DownloadCsv,
  Empty,
  Money,
  Pager,
  Section,
  Table,
  type Tone,
  When,
} from '../views/components';
import { formatShare, formatShortMoney } from '../views/formats';
import { useView } from '../views/view';
import { screen } from './screen';

const tones: Readonly<Record<CouponFigures['state'], Tone>> = {
  'open': 'good',
  'early': 'wait',
  'ended': 'neutral',
  'inactive': 'neutral',
  'used-up': 'neutral',
};

/** The user's coupons, with their uses and revenue. */
export const coupons = screen<Rows<CouponFigures>>({
  name: 'coupons',
  path: '/coupons',
  title: ({ coupons: { title } }) => title,
  load: ({ reader, view }) => reader.data.coupons({ after: view.query.get('after') }),
  Body: ({ data: { rows, next } }) => {
    const view = useView();
    const { coupons: words, figures: names } = view.texts;
    return (
      <Section lead={words.lead} aside={rows.length > 0 && <DownloadCsv href={view.url('/coupons.csv')} />}>
        <Table
          caption={words.title}
          rows={rows}
          rowKey={({ id }) => id}
          columns={[
            {
              key: 'code',
              title: words.coupon,
              cell: ({ code, description }) => (
                <span class="rf-stack">
                  <Code>{code}</Code>
                  {description !== '' && <small>{description}</small>}
                </span>
              ),
            },
            { key: 'gives', title: words.gives, cell: (coupon) => <Gives coupon={coupon} /> },
            {
              key: 'state',
              title: words.state,
              cell: ({ state, startDate, endDate }) => (
                <span class="rf-stack">
                  <span>
                    <Badge tone={tones[state]}>{words.states[state]}</Badge>
                  </span>
                  {state === 'early' && (
                    <small>
                      {words.from} <When time={startDate} />
                    </small>
                  )}
                  {state !== 'early' && endDate && (
                    <small>
                      {words.until} <When time={endDate} />
                    </small>
                  )}
                </span>
              ),
            },
            {
              key: 'uses',
              title: words.uses,
              align: 'end',
              cell: ({ uses, maxUses }) =>
                maxUses === null ? <Count value={uses} /> : <UsesOf uses={uses} maxUses={maxUses} />,
            },
            { key: 'revenue', title: words.revenue, align: 'end', cell: ({ revenue }) => <Money amount={revenue} /> },
            { key: 'earned', title: names.earned, align: 'end', cell: ({ earned }) => <Money amount={earned} /> },
          ]}
          empty={
            <Empty title={words.none}>
              <p>{words.noneText}</p>
              <p>
                <a href={view.url('/')}>{words.noneNext}</a>
              </p>
            </Empty>
          }
        />
        <Pager
          first={view.query.has('after') ? view.url('/coupons') : null}
          next={next && view.url('/coupons', { after: next })}
        />
      </Section>
    );
  },
});

function Gives({ coupon: { promoType, promoValue, isRecurring } }: { coupon: CouponFigures }) {
  const view = useView();
  const { coupons: words } = view.texts;
  const off = promoType === 'percent_off' ? formatShare(view, Number(promoValue)) : formatShortMoney(view, promoValue);
  return <>{isRecurring ? words.offEach(off) : words.offOnce(off)}</>;
}

function UsesOf({ uses, maxUses }: { uses: number; maxUses: number }) {
  const { coupons: words } = useView().texts;
  return (
    <>
      <Count value={uses} /> {words.usesOf} <Count value={maxUses} />
    </>
  );
}
