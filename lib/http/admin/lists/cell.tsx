import type { Names } from '../../../rewards/stories/lists';
import { Address, Badge, Code, Count, Money, None, When } from '../../views/components';
import { formatShare } from '../../views/formats';
import { useView } from '../../views/view';
import { userPath } from '../paths';
import type { Value } from './value';

/** A cell of a list. Every text in it is only text. */
export function Cell({ value, names }: { value: Value; names: Names }) {
  const view = useView();
  const { admin } = view.texts;
  switch (value.is) {
    case 'text':
      return value.text === null || value.text === '' ? <None /> : <span class="rf-text">{value.text}</span>;
    case 'code':
      return value.text === null ? <None /> : <Code>{value.text}</Code>;
    case 'address':
      return <Address url={value.text} />;
    case 'user':
      return value.id === null ? <None /> : <a href={view.url(userPath(value.id))}>{value.id}</a>;
    case 'referral':
      if (value.id === null) return <None />;
      return <a href={view.url(`/referrals/${value.id}`)}>{names.referrals.get(value.id)?.code ?? `#${value.id}`}</a>;
    case 'program':
      if (value.id === null) return <None />;
      return <>{names.programs.get(value.id) ?? `#${value.id}`}</>;
    case 'creditType':
      if (value.id === null) return <None />;
      return <>{names.creditTypes.get(value.id) ?? `#${value.id}`}</>;
    case 'id':
      return value.id === null ? <None /> : <>#{value.id}</>;
    case 'money':
      if (value.amount === null) return <None />;
      return <Money amount={value.amount} currency={value.currency ?? undefined} />;
    case 'share':
      return value.share === null ? <None /> : <>{formatShare(view, Number(value.share))}</>;
    case 'count':
      return value.count === null ? <None /> : <Count value={value.count} />;
    case 'time':
      return <When time={value.time} isExact />;
    case 'word': {
      if (value.word === null) return <None />;
      const words: Readonly<Record<string, string>> = admin.words[value.group];
      const word = words[value.word] ?? value.word;
      return value.tone ? <Badge tone={value.tone}>{word}</Badge> : <>{word}</>;
    }
    case 'flag':
      return value.flag ? <>{admin.yes}</> : <>{admin.no}</>;
    case 'texts':
      return value.texts.length === 0 ? <None /> : <>{value.texts.join(', ')}</>;
    case 'facts':
      return <Changes before={null} after={value.facts} />;
    case 'change':
      return <Changes before={value.before} after={value.after} />;
  }
}

/** So many values are shown at once; more of them behind a line. */
const mostFacts = 6;

/** Values by their names: before and after, or only what there is. */
function Changes({ before, after }: { before: Facts | null; after: Facts | null }) {
  const { list } = useView().texts.admin;
  const all = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])];
  const names = all.filter((name) => factText(before?.[name]) !== factText(after?.[name]));
  if (names.length === 0) return <None />;
  const shown = (
    <ul class="rf-changes">
      {names.map((name) => (
        <li key={name}>
          <span class="rf-changes-name">{name}</span>{' '}
          {before && (
            <>
              <del>{factText(before[name])}</del>
              {after && ' → '}
            </>
          )}
          {after && <ins>{factText(after[name])}</ins>}
        </li>
      ))}
    </ul>
  );
  if (names.length <= mostFacts) return shown;
  return (
    <details class="rf-more">
      <summary>{list.fields(names.length)}</summary>
      {shown}
    </details>
  );
}

type Facts = Readonly<Record<string, unknown>>;

/** A value of a JSON column, as text. */
function factText(value: unknown): string {
  if (value === null || value === undefined || value === '') return '–';
  if (Array.isArray(value) && value.length === 0) return '–';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Whether there is nothing to show. */
export function isEmpty(value: Value): boolean {
  switch (value.is) {
    case 'text':
    case 'code':
    case 'address':
      return value.text === null || value.text === '';
    case 'texts':
      return value.texts.length === 0;
    case 'flag':
      return !value.flag;
    case 'facts':
      return value.facts === null;
    case 'change':
      return value.before === null && value.after === null;
    case 'money':
      return value.amount === null;
    case 'share':
      return value.share === null;
    case 'count':
      return value.count === null;
    case 'time':
      return value.time === null;
    case 'word':
      return value.word === null;
    case 'user':
    case 'referral':
    case 'program':
    case 'creditType':
    case 'id':
      return value.id === null;
  }
}

/** Whether a column's values stand at the end: numbers and money. */
export function isNumeric({ is }: Value): boolean {
  return is === 'money' || is === 'count' || is === 'share';
}
