import type { FunctionComponent, VNode } from 'preact';
import type { PageTemplates, TemplateName, TemplatePage } from '../../types/pages';
import { Button, Frame, Hidden, Links, type NavItem, Page, type PageProps } from '../views/components';
import type { Answer, Failure } from '../views/page-router';
import { renderPart } from '../views/render';
import type { Texts } from '../views/texts/texts';
import type { View } from '../views/view';

type FrameKind = PageProps['frame'];

/** What the parameter `done` says after a form. Other values say nothing. */
const notices: Readonly<Record<string, keyof Texts['notices']>> = {
  'link-created': 'linkCreated',
  'settings-saved': 'settingsSaved',
};

/** What is in a document. */
interface Content {
  title: string;
  content: VNode;
  nav?: readonly NavItem[];
  notice?: PageProps['notice'] | undefined;
}

/** Makes the documents of the users' pages, where a host's templates stand in for ours. */
export class Documents {
  readonly #templates: PageTemplates;
  readonly #frame: FrameKind;

  constructor(templates: PageTemplates, frame: FrameKind) {
    this.#templates = templates;
    this.#frame = frame;
  }

  /** The document of a page, with its data. */
  async page<Data>(
    view: View,
    { name, title, Body }: { name: TemplateName; title: string; Body: FunctionComponent<{ data: Data }> },
    data: Data,
    status = 200,
  ): Promise<Answer> {
    const content = await this.part(view, { name, title, Body }, data);
    // The field with the error may be far below what a browser shows at first.
    const notice = status === 400 ? { tone: 'bad' as const, text: view.texts.notices.refused } : noticeOf(view);
    return this.#document(view, { title, content, notice }, data, status);
  }

  /** The content of a page alone. */
  async part<Data>(
    view: View,
    { name, title, Body }: { name: TemplateName; title: string; Body: FunctionComponent<{ data: Data }> },
    data: Data,
  ): Promise<VNode> {
    const shipped = <Body data={data} />;
    const template = this.#templates[name];
    return template ? <Html html={await template(data, templatePage(view, title, shipped))} /> : shipped;
  }

  /** The page for nobody: it asks to sign in. */
  signIn(view: View): Promise<Answer> {
    const { title, text } = view.texts.signIn;
    return this.#document(view, { title, content: <p class="rf-lead">{text}</p>, nav: [] }, null, 401);
  }

  /** The page of an error. */
  failure(view: View, { status, title, text }: Failure): Promise<Answer> {
    const content = (
      <>
        <p class="rf-lead">{text}</p>
        <p>
          <Button href={view.url('/')}>{view.texts.kit.start}</Button>
        </p>
      </>
    );
    return this.#document(view, { title, content }, null, status);
  }

  async #document(
    view: View,
    { title, content, nav = navOf(view.texts), notice = null }: Content,
    data: unknown,
    status: number,
  ): Promise<Answer> {
    const props = { title, name: view.texts.name, frame: this.#frame, nav, notice };
    const { frame } = this.#templates;
    if (!frame || this.#frame !== 'user') return { page: <Page {...props}>{content}</Page>, status };
    const body = (
      <div class="rf rf-frame-user" lang={view.locale}>
        <Frame {...props}>{content}</Frame>
      </div>
    );
    return { html: await frame(data, templatePage(view, title, body)), status };
  }
}

/** HTML of the host's. */
function Html({ html }: { html: string }) {
  return <div class="rf-section" dangerouslySetInnerHTML={{ __html: html }} />;
}

function templatePage(view: View, title: string, shipped: VNode): TemplatePage {
  const fields = view.hidden.map(({ name, value }) => <Hidden key={name} name={name} value={value} />);
  return {
    title,
    html: renderPart(view, shipped),
    head: renderPart(view, <Links view={view} />),
    hidden: renderPart(view, <>{fields}</>),
    locale: view.locale,
  };
}

function navOf({ nav }: Texts): NavItem[] {
  return Object.entries(nav).map(([name, title]) => ({ path: name === 'overview' ? '/' : `/${name}`, title }));
}

function noticeOf({ texts, query }: View): PageProps['notice'] {
  const done = query.get('done');
  const notice = done !== null && Object.hasOwn(notices, done) ? notices[done] : undefined;
  return notice === undefined ? null : { tone: 'good', text: texts.notices[notice] };
}
