import { type ErrorRequestHandler, type Request, type RequestHandler, type Response, Router } from 'express';
import type { VNode } from 'preact';
import { isAway } from '../../database/unavailable';
import { ReferralError } from '../../errors';
import { formOrJsonBody } from '../body';
import { HttpError, notFound } from '../http-error';
import { isSameOrigin } from '../same-origin';
import type { Assets } from './assets';
import { csrfField } from './csrf';
import { type CsvFile, sendCsv } from './csv';
import { type Framing, setPageHeaders } from './headers';
import { renderPage } from './render';
import type { View } from './view';
import { viewOf, type ViewParts } from './view-maker';

/** Who looks at the pages. */
export interface Reader {
  readonly id: string;
  readonly name?: string | undefined;
}

/** A request for a page. */
export interface PageCall<R extends Reader = Reader> {
  readonly req: Request;
  readonly res: Response;
  readonly reader: R;
  readonly view: View;
  /** The part of the path that the route names, such as `id` of `/referrals/:id`. */
  readonly params: Readonly<Record<string, string>>;
  /** What a form has sent; empty for GET. */
  readonly fields: Fields;
}

export type Fields = Readonly<Record<string, unknown>>;

/** Returns a field of a form as text; empty for one that is missing, or is not text. */
export function fieldText(fields: Fields, name: string): string {
  const value = Object.hasOwn(fields, name) ? fields[name] : undefined;
  return typeof value === 'string' ? value : '';
}

/** What a route answers. */
export type Answer =
  /** A page; default: with status 200. */
  | { readonly page: VNode; readonly status?: number }
  /** The same, rendered already: by a template of the host's. */
  | { readonly html: string; readonly status?: number }
  /** Where to go after a form: an address of `view.url`. */
  | { readonly goTo: string }
  /** A list as a file. */
  | { readonly csv: CsvFile<unknown> }
  /** A short file, under this name. */
  | { readonly file: string; readonly name: string; readonly type: string };

export type Handler<R extends Reader = Reader> = (call: PageCall<R>) => Answer | Promise<Answer>;

/** A path below the mount path and what it does. Forms are checked before `post` is called. */
export interface Route<R extends Reader = Reader> {
  readonly path: string;
  readonly get?: Handler<R>;
  readonly post?: Handler<R>;
}

/** What went wrong, as its page says it. */
export interface Failure {
  readonly status: number;
  readonly title: string;
  readonly text: string;
}

export interface PageRouterParts<R extends Reader> extends Omit<ViewParts, 'assets'> {
  readonly assets: Assets;
  /** Who may show the pages in a frame. Default: nobody. */
  readonly framing?: Framing;
  now(): Date;
  /** Returns who looks at the pages; null for nobody who may. */
  reader(req: Request): Promise<R | null>;
  /** The answer for nobody. */
  refuse(view: View, req: Request): Answer | Promise<Answer>;
  /** The page of an error. */
  failurePage(view: View, failure: Failure, reader: R): Answer | Promise<Answer>;
  readonly routes: readonly Route<R>[];
}

/**
 * A router of pages: finds out who looks, checks each form against forgery, sets the headers, and turns errors into pages.
 * Every page of users and staff goes through it.
 */
export function pageRouter<R extends Reader>(parts: PageRouterParts<R>): RequestHandler {
  const { settings, assets } = parts;

  const viewFor = (req: Request, res: Response, id: string): View =>
    viewOf(parts, req, res, { mount: req.baseUrl, path: pathOf(req), id, now: parts.now() });

  async function respond(route: Route<R>, req: Request, res: Response): Promise<void> {
    const reader = await parts.reader(req);
    const view = viewFor(req, res, reader?.id ?? '');
    if (!reader) return send(view, await parts.refuse(view, req), res);
    try {
      if (route === elsewhere) throw notFound();
      const handler =
        req.method === 'POST' ? route.post : req.method === 'GET' || req.method === 'HEAD' ? route.get : undefined;
      if (!handler) throw notAllowed(route, res);
      const fields = req.method === 'POST' ? await checkedForm(view, reader, req, res) : {};
      const params = req.params as Record<string, string>;
      await send(view, await handler({ req, res, reader, view, params, fields }), res);
    } catch (error) {
      await fail(error, view, reader, res);
    }
  }

  /** Returns the fields of a form that a page of ours, made for this reader, has sent. */
  async function checkedForm(view: View, { id }: R, req: Request, res: Response): Promise<Fields> {
    const { kit } = view.texts;
    if (!isSameOrigin(req, settings.baseUrl.origin)) throw new HttpError(403, { detail: kit.otherSite });
    const fields = await formOrJsonBody(req, res);
    if (!parts.tokens.isValid(fieldText(fields, csrfField), id, view.now))
      throw new HttpError(403, { detail: kit.expired });
    return fields;
  }

  async function send(view: View, answer: Answer, res: Response): Promise<void> {
    if (res.headersSent) return; // the host has responded, for example after a time limit
    setPageHeaders(res, parts.framing);
    if ('goTo' in answer) return void res.redirect(303, answer.goTo);
    if ('csv' in answer) return sendCsv(res, answer.csv);
    if ('file' in answer) return void res.attachment(answer.name).type(answer.type).send(answer.file);
    const html = 'html' in answer ? answer.html : renderPage(view, answer.page);
    res
      .status(answer.status ?? 200)
      .type('html')
      .send(html);
  }

  async function fail(error: unknown, view: View, reader: R, res: Response): Promise<void> {
    const failure = failureOf(error, view, res.req.method === 'POST');
    if (failure.status >= 500) settings.onError(error);
    if (failure.status === 503 && !res.headersSent) res.set('Retry-After', '5');
    await send(view, { ...(await parts.failurePage(view, failure, reader)), status: failure.status }, res);
  }

  const router = Router();
  router.get('/assets/:name', (req, res, next) => {
    if (!assets.send(String(req.params['name']), req, res)) next();
  });
  // An error before there is a reader or a view, such as one of the option `user`, goes to the host's error handler.
  for (const route of parts.routes)
    router.all(route.path, (req, res, next) => {
      respond(route, req, res).catch(next);
    });
  // Express throws a URIError for a path that it can't decode. No page has such a path.
  const failToRoute: ErrorRequestHandler = (error, req, res, next) => {
    if (error instanceof URIError) respond(elsewhere, req, res).catch(next);
    else next(error);
  };
  router.use((req, res, next) => void respond(elsewhere, req, res).catch(next));
  router.use(failToRoute);
  return router;
}

/** The path of a page, without a slash at its end. */
function pathOf({ path }: Request): string {
  return path.replace(/(?<=.)\/$/, '');
}

/** Every other path, whatever the method. */
const elsewhere = { path: '' } as const;

function notAllowed(route: Route<never>, res: Response): HttpError {
  res.set('Allow', [...(route.get ? ['GET', 'HEAD'] : []), ...(route.post ? ['POST'] : [])].join(', '));
  return new HttpError(405, { detail: '' });
}

/** @param isForm an address with something wrong in it, such as a mark of another list, is one of no page. */
function failureOf(error: unknown, { texts: { kit } }: View, isForm: boolean): Failure {
  if (error instanceof HttpError) {
    const { status, body } = error;
    if (status === 404) return { status, title: kit.notFound, text: kit.notFoundText };
    if (status === 403) return { status, title: kit.notSent, text: body['detail'] as string };
    return { status, title: kit.notSent, text: kit.unreadable };
  }
  if (error instanceof ReferralError && (error.status === 404 || (error.status === 400 && !isForm)))
    return { status: 404, title: kit.notFound, text: kit.notFoundText };
  if (error instanceof ReferralError && error.status < 500)
    return { status: error.status, title: kit.notSent, text: kit.wrongText };
  if (isAway(error)) return { status: 503, title: kit.away, text: kit.awayText };
  return { status: 500, title: kit.wrong, text: kit.wrongText };
}
