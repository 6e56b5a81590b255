import { formatNumber, formatShare } from '../formats';
import { useView } from '../view';
import { Table } from './table';

export interface Step {
  name: string;
  count: number;
}

/** How many went on from each step to the next, with a table of the same. */
export function Funnel({ title, steps }: { title: string; steps: readonly Step[] }) {
  const view = useView();
  const { texts } = view;
  const most = Math.max(1, ...steps.map(({ count }) => count));
  const share = (index: number): string | null => {
    const before = index === 0 ? 0 : steps[index - 1]!.count;
    return before > 0 ? formatShare(view, steps[index]!.count / before) : null;
  };
  return (
    <figure class="rf-chart">
      <figcaption class="rf-legend">
        <span class="rf-chart-title">{title}</span>
      </figcaption>
      <ol class="rf-funnel" aria-hidden="true">
        {steps.map(({ name, count }, index) => (
          <li key={name}>
            <span class="rf-funnel-name">{name}</span>
            <span class="rf-funnel-count">{formatNumber(view, count)}</span>
            <svg class="rf-bar" viewBox="0 0 100 1" preserveAspectRatio="none" focusable="false">
              <rect class="rf-bar-all" width="100" height="1" />
              <rect class="rf-bar-part" width={(count / most) * 100} height="1" />
            </svg>
            {share(index) !== null && <span class="rf-funnel-share">{texts.kit.ofStepBefore(share(index)!)}</span>}
          </li>
        ))}
      </ol>
      <details class="rf-details">
        <summary>{texts.kit.asTable}</summary>
        <Table
          caption={title}
          rows={[...steps.keys()]}
          columns={[
            { key: 'step', title: texts.kit.step, cell: (index) => steps[index]!.name },
            {
              key: 'count',
              title: texts.kit.count,
              align: 'end',
              cell: (index) => formatNumber(view, steps[index]!.count),
            },
            { key: 'share', title: texts.kit.share, align: 'end', cell: (index) => share(index) ?? '–' },
          ]}
        />
      </details>
    </figure>
  );
}
