import type { FigureDays } from '../../types/figures';
import type { OverviewData } from '../../types/pages';
import {
  Count,
  DownloadCsv,
  Empty,
  Figure,
  Figures,
  Funnel,
  LineChart,
  Money,
  Notice,
  Section,
  Tabs,
  When,
} from '../views/components';
import { formatMoney, formatShortMoney } from '../views/formats';
import { useView } from '../views/view';
import { screen } from './screen';
import { Share, ShareQr } from './share';
import { termsDetails, termsSentence } from './terms-sentence';

/** The periods of figures, by the parameter `days`. */
const periods: Readonly<Record<string, FigureDays>> = { '7': 7, '30': 30, '90': 90, 'all': null };

/** The user's link, what both get, and the figures. */
export const overview = screen<OverviewData>({
  name: 'overview',
  path: '/',
  title: ({ overview: { title } }) => title,
  load: ({ reader, view }) => reader.data.overview(periodOf(view.query.get('days'))),
  Body: ({ data }) => (
    <>
      {data.isSuspended && <Suspended />}
      <Invite data={data} />
      <Earnings earnings={data.earnings} />
      <Period data={data} />
    </>
  ),
});

function periodOf(given: string | null): FigureDays {
  const period = given !== null && Object.hasOwn(periods, given) ? periods[given] : undefined;
  return period === undefined ? 30 : period;
}

function Suspended() {
  return <Notice tone="bad">{useView().texts.overview.suspended}</Notice>;
}

function Invite({ data: { terms, link } }: { data: OverviewData }) {
  const view = useView();
  const { overview: words } = view.texts;
  const details = termsDetails(view, terms);
  return (
    <section class="rf-section rf-box rf-invite">
      <div class="rf-section">
        <h2 class="rf-terms">{termsSentence(view, terms) ?? words.noTerms}</h2>
        {details.length > 0 && <p class="rf-lead">{details.join(' ')}</p>}
        <Share url={link.url} />
      </div>
      <ShareQr url={link.url} code={link.code} />
    </section>
  );
}

function Earnings({ earnings }: { earnings: OverviewData['earnings'] }) {
  const view = useView();
  const { overview: words } = view.texts;
  const { credits, payout, nextEarnOutAt, blocked } = earnings;
  return (
    <Section title={words.ready}>
      <Figures>
        {(Number(payout) !== 0 || Number(credits) === 0) && (
          <Figure name={words.asMoney} value={<Money amount={payout} />} />
        )}
        {Number(credits) !== 0 && <Figure name={words.asCredit} value={<Money amount={credits} />} />}
        <Figure name={words.nextPayment} value={<When time={nextEarnOutAt} />} />
      </Figures>
      {blocked && (
        <Notice tone="wait">
          {words.blocked[blocked.reason](formatMoney(view, blocked.amount))}{' '}
          {blocked.reason === 'no-payout-address' && <a href={view.url('/settings')}>{words.enterAddress}</a>}
        </Notice>
      )}
    </Section>
  );
}

function Period({ data }: { data: OverviewData }) {
  const view = useView();
  const { overview: words, figures: names } = view.texts;
  const { figures, series, days } = data;
  const tabs = Object.entries(periods).map(([name, period]) => ({
    title: period === null ? words.allTime : words.lastDays(period),
    href: view.url('/', { days: name }),
    isHere: period === days,
  }));
  const isEmpty = figures.clicks + figures.signups + figures.customers === 0 && Number(figures.earned) === 0;
  const of = (name: 'clicks' | 'visitors' | 'signups' | 'customers') => ({
    name: names[name],
    values: series.rows.map((row) => row[name]),
  });
  const chartDays = series.rows.map(({ day }) => day);
  return (
    <Section title={words.figures} aside={<Tabs tabs={tabs} label={words.period} />}>
      <Figures>
        <Figure name={names.clicks} value={<Count value={figures.clicks} />} />
        <Figure name={names.visitors} value={<Count value={figures.visitors} />} />
        <Figure name={names.signups} value={<Count value={figures.signups} />} />
        <Figure name={names.customers} value={<Count value={figures.customers} />} />
        <Figure name={names.earned} value={<Money amount={figures.earned} />} />
      </Figures>
      {isEmpty ? (
        <Empty title={words.nothingYet}>
          <p>{days === null ? words.shareFirst : words.chooseLonger}</p>
        </Empty>
      ) : (
        <>
          <LineChart
            title={words.clicksChart}
            days={chartDays}
            unit={series.unit}
            series={[of('clicks'), of('visitors')]}
          />
          <div class="rf-columns">
            <LineChart
              title={words.friendsChart}
              days={chartDays}
              unit={series.unit}
              series={[of('signups'), of('customers')]}
            />
            <Funnel
              title={words.funnel}
              steps={[
                { name: names.clicks, count: figures.clicks },
                { name: names.signups, count: figures.signups },
                { name: names.customers, count: figures.customers },
              ]}
            />
          </div>
          <LineChart
            title={words.earnedChart}
            days={chartDays}
            unit={series.unit}
            series={[{ name: names.earned, values: series.rows.map(({ earned }) => Number(earned)) }]}
            format={(value, index) =>
              index === undefined ? formatShortMoney(view, value) : formatMoney(view, series.rows[index]!.earned)
            }
          />
        </>
      )}
      <p>
        <DownloadCsv href={view.url('/days.csv')} />
      </p>
    </Section>
  );
}
