import type { Lists } from '../../../rewards/stories/lists';
import { Button, DownloadCsv, Empty, Field, Filters, Pager, Section } from '../../views/components';
import type { Answer, PageCall } from '../../views/page-router';
import { queryText, useView, type View } from '../../views/view';
import { actionUrl } from '../actions/action-url';
import type { StaffFrame } from '../staff-frame';
import { type Filter, readFilters, type ReadFilters } from './filter';
import type { List } from './list';
import { ListTable, shownRows, type ShownRows } from './list-table';

const rowsOfPage = 50;

/** Answers with a page of a list, by its filters and the place in the address. */
export async function listPage(lists: Lists, list: List, call: PageCall, frame: StaffFrame): Promise<Answer> {
  const { view } = call;
  const filters = readFilters(list.filters, view);
  const isWrong = filters.wrong.size > 0;
  const after = view.query.get('after');
  const page = isWrong
    ? { records: [], next: null }
    : await lists.page(list.name, filters.conditions, { take: rowsOfPage, after });
  const shown = await shownRows(lists, list, page.records);
  const { title } = view.texts.admin.lists[list.name];
  return {
    status: isWrong ? 400 : 200,
    page: frame(
      {
        title,
        aside: <Aside list={list} query={queryText(queryOf(filters))} />,
        children: <ListView shown={shown} filters={filters} next={page.next} after={after} />,
      },
      call,
    ),
  };
}

/** The parameters of the filters. */
function queryOf({ typed }: ReadFilters): Record<string, string> {
  return Object.fromEntries(typed);
}

function Aside({ list, query }: { list: List; query: string }) {
  const view = useView();
  const words: Readonly<Record<string, string>> = view.texts.admin.do;
  return (
    <>
      {list.create && (
        <Button tone="main" href={actionUrl(view, list.create)}>
          {words[list.create]}
        </Button>
      )}
      <DownloadCsv href={view.url(`${list.path}.csv`) + query} />
    </>
  );
}

interface ListViewProps {
  shown: ShownRows;
  filters: ReadFilters;
  next: string | null;
  after: string | null;
}

function ListView({ shown, filters, next, after }: ListViewProps) {
  const view = useView();
  const { list } = shown;
  const { admin } = view.texts;
  const { title, none } = admin.lists[list.name];
  const url = view.url(list.path);
  const isFiltered = filters.typed.size > 0 || after !== null;
  const empty = isFiltered ? (
    <Empty title={admin.list.none}>
      <p>{admin.list.noneHint}</p>
      <Button href={url}>{admin.list.showAll}</Button>
    </Empty>
  ) : (
    <Empty title={none} />
  );
  return (
    <>
      <details class="rf-more" open={filters.typed.size > 0}>
        <summary>{view.texts.kit.filter}</summary>
        <Filters action={url}>
          {list.filters.map((filter) => (
            <FilterField key={filter.key} filter={filter} filters={filters} />
          ))}
        </Filters>
      </details>
      <Section>
        <ListTable shown={shown} caption={title} empty={empty} />
        <Pager
          first={after === null ? null : view.url(list.path, queryOf(filters))}
          next={next === null ? null : view.url(list.path, { ...queryOf(filters), after: next })}
        />
      </Section>
    </>
  );
}

function FilterField({ filter, filters }: { filter: Filter; filters: ReadFilters }) {
  const { admin } = useView().texts;
  const { key } = filter;
  const wrong = filters.wrong.get(key);
  const shared = {
    name: key,
    label: admin.filters[key],
    value: filters.typed.get(key) ?? '',
    error: wrong === undefined ? null : admin.wrong[wrong],
  };
  if (filter.kind === 'choice') return <Field {...shared} type="select" choices={choicesOf(filter, admin)} />;
  if (filter.kind === 'first-day' || filter.kind === 'last-day') return <Field {...shared} type="date" />;
  return <Field {...shared} {...(filter.kind === 'id' && { inputMode: 'numeric' as const })} />;
}

function choicesOf({ group, choices }: Extract<Filter, { kind: 'choice' }>, admin: View['texts']['admin']) {
  const words: Readonly<Record<string, string>> = admin.words[group];
  const all = { value: '', label: admin.list.all };
  return [all, ...Object.keys(choices).map((value) => ({ value, label: words[value] ?? value }))];
}
