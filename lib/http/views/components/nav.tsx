import { useView } from '../view';

/** A place to go to. */
export interface NavItem {
  /** Below the mount path, such as `'/links'`. */
  path: string;
  title: string;
  /** How many things wait there; 0 is not shown. */
  count?: number;
}

interface NavProps {
  items: readonly NavItem[];
  path: string;
  label: string;
}

/** The places to go to: in a row or at the side, and behind a button on a phone, without a script. */
export function Nav({ items, path, label }: NavProps) {
  const { texts } = useView();
  const here = items.find((item) => isHere(item, path));
  if (items.length === 0) return null;
  return (
    <>
      <nav class="rf-nav" aria-label={label}>
        <NavLinks items={items} path={path} />
      </nav>
      <details class="rf-menu">
        <summary>
          <span class="rf-menu-label">{texts.kit.menu}</span>
          <span class="rf-menu-here">{here?.title ?? ''}</span>
        </summary>
        <nav aria-label={texts.kit.menu}>
          <NavLinks items={items} path={path} />
        </nav>
      </details>
    </>
  );
}

function NavLinks({ items, path }: Pick<NavProps, 'items' | 'path'>) {
  const view = useView();
  return (
    <ul>
      {items.map((item) => (
        <li key={item.path}>
          <a href={view.url(item.path)} aria-current={isHere(item, path) ? 'page' : undefined}>
            {item.title}
            {item.count ? <span class="rf-count">{item.count}</span> : null}
          </a>
        </li>
      ))}
    </ul>
  );
}

/** Whether a page is the item's, or one below it. */
function isHere({ path }: NavItem, current: string): boolean {
  return path === current || (path !== '/' && current.startsWith(`${path}/`));
}
