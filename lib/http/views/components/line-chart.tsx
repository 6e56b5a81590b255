import { scaleLinear, scalePoint } from 'victory-vendor/d3-scale';
import { area, line } from 'victory-vendor/d3-shape';
import { formatDay, formatNumber } from '../formats';
import { useView } from '../view';
import { Table } from './table';

export interface Series {
  name: string;
  /** One for each day. */
  values: readonly number[];
}

interface LineChartProps {
  title: string;
  /** Calendar days without a gap, `'2026-03-01'`, oldest first; of months, their first days. */
  days: readonly string[];
  /** What a day stands for. Default `'day'`. */
  unit?: 'day' | 'month';
  /** Up to three. */
  series: readonly Series[];
  /** Writes a value: that of a day by its place, or one of the scale. Default: as a number. */
  format?: (value: number, index?: number) => string;
}

const width = 1000;
const height = 240;
/** Above this, a day is narrower than a pointer, and a page would be large. */
const maxPointed = 400;

/**
 * One or more lines over days, with a table of the same values. The drawing is stretched to the width there is, and its words
 * are HTML around it, so that they have their own size on a phone too.
 */
export function LineChart({ title, days, unit = 'day', series, format }: LineChartProps) {
  const view = useView();
  const { texts } = view;
  const shown = format ?? ((value: number) => formatNumber(view, value));
  const dayName = (day: string): string => formatDay(view, day, unit === 'day' ? 'day' : 'month');
  const values = series.flatMap((one) => one.values);
  const isWhole = values.every(Number.isInteger);
  const least = Math.min(0, ...values);
  const most = Math.max(least + 1, ...values);
  const steps = isWhole ? Math.min(4, most - least) : 4;
  const y = scaleLinear().domain([least, most]).nice(steps).range([height, 0]);
  const ticks = y.ticks(steps);
  const x = scalePoint<number>().domain(days.keys()).range([0, width]);
  const drawn = line<number>(
    (_value, index) => x(index)!,
    (value) => y(value),
  );
  const filled = area<number>(
    (_value, index) => x(index)!,
    y(0),
    (value) => y(value),
  );
  const labels = [days[0], days[Math.floor((days.length - 1) / 2)], days.at(-1)].filter((day) => day !== undefined);
  const step = width / Math.max(1, days.length - 1);
  return (
    <figure class="rf-chart" data-rf-chart="">
      <figcaption class="rf-legend">
        <span class="rf-chart-title">{title}</span>
        {series.length > 1 &&
          series.map(({ name }, index) => (
            <span key={name} class={`rf-key rf-series-${index + 1}`}>
              {name}
            </span>
          ))}
      </figcaption>
      <div class="rf-plot" aria-hidden="true">
        <div class="rf-axis-y">
          {[...ticks].reverse().map((tick) => (
            <span key={tick}>{shown(tick)}</span>
          ))}
        </div>
        <svg class="rf-lines" viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" focusable="false">
          {ticks.map((tick) => (
            <path key={tick} class="rf-grid" d={`M0 ${y(tick)}H${width}`} />
          ))}
          {series.map(({ name, values }, index) => (
            <g key={name} class={`rf-series-${index + 1}`}>
              {index === 0 && <path class="rf-area" d={filled(values as number[]) ?? ''} />}
              <path class="rf-line" d={drawn(values as number[]) ?? ''} />
              {values.length > 0 && <path class="rf-dot" d={`M${x(values.length - 1)} ${y(values.at(-1)!)}h0`} />}
            </g>
          ))}
          {days.length <= maxPointed &&
            days.map((day, index) => (
              <rect
                key={day}
                class="rf-point"
                x={x(index)! - step / 2}
                y={0}
                width={step}
                height={height}
                data-index={index}
              >
                <title>
                  {[
                    formatDay(view, day),
                    ...series.map(({ name, values }) => `${name}: ${shown(values[index]!, index)}`),
                  ].join('\n')}
                </title>
              </rect>
            ))}
        </svg>
        <div class="rf-axis-x">
          {labels.map((day) => (
            <span key={day}>{formatDay(view, day, unit === 'day' ? 'short-day' : 'month')}</span>
          ))}
        </div>
      </div>
      <details class="rf-details">
        <summary>{texts.kit.asTable}</summary>
        <Table
          caption={title}
          rows={[...days.keys()].reverse()}
          columns={[
            {
              key: 'day',
              title: unit === 'day' ? texts.kit.day : texts.kit.month,
              cell: (index) => dayName(days[index]!),
            },
            ...series.map(({ name, values }, place) => ({
              key: String(place),
              title: name,
              align: 'end' as const,
              cell: (index: number) => shown(values[index]!, index),
            })),
          ]}
        />
      </details>
    </figure>
  );
}
