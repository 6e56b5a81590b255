import type { ComponentChildren } from 'preact';
import { useView, type View } from '../view';
import { Nav, type NavItem } from './nav';
import { Notice, type NoticeTone } from './notice';

export interface PageProps {
  /** The heading of the page, and the first part of its title. */
  title: string;
  /**
   * What is around the content: that of users or of staff; `'none'` for a page that another one shows in a frame, and `'part'`
   * for a part of another page.
   */
  frame: 'user' | 'staff' | 'none' | 'part';
  /** The name of the whole, beside the places to go to. */
  name: string;
  nav: readonly NavItem[];
  /** Said at the top, such as the outcome of a form. */
  notice?: { tone: NoticeTone; text: string } | null;
  /** What is at the end of the line with the heading, such as a button. */
  aside?: ComponentChildren;
  children?: ComponentChildren;
}

/** A whole document. */
export function Page(props: PageProps) {
  const view = useView();
  return (
    <html lang={view.locale}>
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>{`${props.title} · ${props.name}`}</title>
        <Links view={view} />
      </head>
      <body class={`rf rf-body rf-frame-${props.frame}`}>
        <Frame {...props} />
      </body>
    </html>
  );
}

/** What is inside of the body: for a whole document, and for a page of the host's. */
export function Frame({ title, frame, name, nav, notice, aside, children }: PageProps) {
  const { texts, path } = useView();
  const hasFrame = frame === 'user' || frame === 'staff';
  const isPart = frame === 'part';
  const Main = isPart ? 'div' : 'main'; // a page has one
  const content = (
    <Main class="rf-main" id="rf-main" tabIndex={isPart ? undefined : -1}>
      {!isPart && (
        <header class="rf-heading">
          <h1>{title}</h1>
          {aside && <div class="rf-heading-aside">{aside}</div>}
        </header>
      )}
      {notice && <Notice tone={notice.tone}>{notice.text}</Notice>}
      {children}
      <Zone />
    </Main>
  );
  return (
    <>
      {hasFrame && (
        <a class="rf-skip" href="#rf-main">
          {texts.kit.skip}
        </a>
      )}
      <div class="rf-shell">
        <header class="rf-top">
          {hasFrame && name !== title && <p class="rf-name">{name}</p>}
          <Nav items={nav} path={path} label={name} />
        </header>
        {content}
      </div>
    </>
  );
}

/** The style and the script of the frame. */
export function Links({ view }: { view: View }) {
  return (
    <>
      <link rel="stylesheet" href={view.assets.css} />
      <script src={view.assets.js} defer />
    </>
  );
}

/** Says in which time zone the times of the page are. */
function Zone() {
  const { texts, timeZone, isZoneKnown } = useView();
  const zone = <span data-rf-zone-name={isZoneKnown ? undefined : ''}>{timeZone.replaceAll('_', ' ')}</span>;
  return (
    <footer class="rf-foot" data-rf-zone={isZoneKnown ? undefined : 'auto'}>
      {texts.kit.zone} {zone}
    </footer>
  );
}
