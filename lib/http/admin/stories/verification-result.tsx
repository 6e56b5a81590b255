import type { VerificationRun } from '../../../rewards/stories/verification-runs';
import { Badge, Code, type Fact, Facts, None, Table, When } from '../../views/components';
import { formatNumber } from '../../views/formats';
import { useView } from '../../views/view';

const maxShown = 100;

/** What a check has found. */
export function VerificationResult({ run }: { run: VerificationRun }) {
  const view = useView();
  const { health: words } = view.texts.admin;
  const { result, startedAt, endedAt, by } = run;
  const problems = result?.problems ?? [];
  const outcome: Fact = {
    name: words.verify,
    value:
      result === null ? (
        <Badge tone="bad">{words.failed}</Badge>
      ) : result.ok ? (
        <Badge tone="good">{words.allRight}</Badge>
      ) : (
        <Badge tone="bad">{words.problems(problems.length)}</Badge>
      ),
  };
  return (
    <>
      <Facts
        facts={[
          outcome,
          result && { name: words.checked, value: formatNumber(view, result.checked) },
          { name: words.startedBy, value: by },
          { name: words.startedAt, value: <When time={startedAt} isExact /> },
          { name: words.endedAt, value: <When time={endedAt} isExact /> },
        ]}
      />
      {problems.length > maxShown && <p>{words.mostProblems}</p>}
      {problems.length > 0 && (
        <div class="rf-records">
          <Table
            caption={words.problems(problems.length)}
            rows={problems.slice(0, maxShown)}
            columns={[
              { key: 'invariant', title: words.invariant, cell: ({ invariant }) => invariant },
              { key: 'table', title: words.table, cell: ({ table }) => <Code>{table}</Code> },
              { key: 'row', title: words.row, cell: ({ id }) => id },
              { key: 'expected', title: words.expected, cell: ({ expected }) => expected ?? <None /> },
              { key: 'found', title: words.found, cell: ({ found }) => found ?? <None /> },
            ]}
          />
        </div>
      )}
    </>
  );
}
