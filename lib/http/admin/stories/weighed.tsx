import type { Weighed as WeighedFacts } from '../../../types/signups';
import { Code, None, Table, When } from '../../views/components';
import { useView } from '../../views/view';

/** What was weighed at a sign-up, behind a line with its user. */
export function Weighed({ userId, weighed }: { userId: string; weighed: WeighedFacts }) {
  const view = useView();
  const { story, words, columns } = view.texts.admin;
  const { candidates = [], rule } = weighed;
  const outcomes: Readonly<Record<string, string>> = words.outcome;
  return (
    <details class="rf-more">
      <summary>{userId}</summary>
      <p class="rf-lead">{story.weighedBy[rule] ?? rule}</p>
      <Table
        caption={`${story.weighed}: ${userId}`}
        rows={candidates}
        columns={[
          {
            key: 'candidate',
            title: story.candidate,
            cell: ({ code, referralId }) => {
              const name = code ?? (referralId === null ? null : `#${referralId}`);
              if (name === null) return <None />;
              return referralId === null ? (
                <Code>{name}</Code>
              ) : (
                <a href={view.url(`/referrals/${referralId}`)}>{name}</a>
              );
            },
          },
          { key: 'source', title: columns.source, cell: ({ source }) => words.signupSource[source] ?? source },
          {
            key: 'touched',
            title: columns.touchedAt,
            cell: ({ touchedAt }) => <When time={touchedAt === null ? null : new Date(touchedAt)} isExact />,
          },
          { key: 'outcome', title: story.outcome, cell: ({ outcome }) => outcomes[outcome] ?? outcome },
        ]}
      />
    </details>
  );
}
