import type { ComponentChildren } from 'preact';
import { queryText, useView } from '../view';
import { Button, Form, Hidden } from './form';

/** The links to the first and the next page of a list. */
export function Pager({ first, next }: { first?: string | null; next: string | null }) {
  const { texts } = useView();
  if (!next && !first) return null;
  return (
    <nav class="rf-pager" aria-label={texts.kit.pages}>
      {first && <Button href={first}>{texts.kit.firstPage}</Button>}
      {next && <Button href={next}>{texts.kit.nextPage}</Button>}
    </nav>
  );
}

interface Tab {
  title: string;
  href: string;
  isHere: boolean;
}

/** Several views of one thing, as links. */
export function Tabs({ tabs, label }: { tabs: readonly Tab[]; label: string }) {
  return (
    <nav class="rf-tabs" aria-label={label} data-rf-part="">
      <ul>
        {tabs.map(({ title, href, isHere }) => (
          <li key={href}>
            <a href={href} aria-current={isHere ? 'true' : undefined}>
              {title}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

interface FiltersProps {
  action: string;
  /** Parameters that stay as they are, such as the order. */
  kept?: Readonly<Record<string, string | null | undefined>>;
  children?: ComponentChildren;
}

/** The filters of a list: a form whose fields are parameters of the address. */
export function Filters({ action, kept = {}, children }: FiltersProps) {
  const { texts } = useView();
  return (
    <div class="rf-filters" data-rf-part="">
      <Form method="get" action={action} isInline>
        {Object.entries(kept).map(([name, value]) => (value ? <Hidden key={name} name={name} value={value} /> : null))}
        {children}
        <Button>{texts.kit.filter}</Button>
        <a class="rf-clear" href={`${action}${queryText({ order: kept['order'] })}`}>
          {texts.kit.clearFilters}
        </a>
      </Form>
    </div>
  );
}

/** The link to a list as CSV. */
export function DownloadCsv({ href, children }: { href: string; children?: ComponentChildren }) {
  const { texts } = useView();
  return (
    <a class="rf-download" href={href} download>
      {children ?? texts.kit.downloadCsv}
    </a>
  );
}
