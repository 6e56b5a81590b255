import type { Request, Response } from 'express';
import type { Tracking } from '../tracking/tracking';
import { formOrJsonBody } from './body';
import { asPostedFieldError, createInput } from './create-input';
import { errorPage, linkPage } from './create-pages';
import { escapeHtml } from './html';
import { HttpError } from './http-error';
import { isSameOrigin } from './same-origin';

/** The JSON response for a new referral. */
interface CreatedLink {
  url: string;
  code: string;
  /** The link as escaped HTML. */
  html: string;
}

/**
 * `POST /` creates a referral for the signed-in user from the fields `redirect_to`, `label`, `target_type` and
 * `target_id` of a form or of JSON. Responds with `{ url, code, html }`; with 401 if nobody is signed in, with 403 to a
 * request from a page of another origin, and with 400 for wrong fields. A browser that submits the form without the
 * script gets a page instead of JSON.
 */
export function createRoute(tracking: Tracking): (req: Request, res: Response) => Promise<void> {
  const { settings } = tracking;

  async function createdLink(req: Request, res: Response): Promise<CreatedLink> {
    const user = await tracking.visitors.visitor(req, res).userId();
    if (user === null) throw new HttpError(401, { detail: 'Sign in to create a referral.' });
    if (!isSameOrigin(req, settings.baseUrl.origin))
      throw new HttpError(403, { detail: 'Referrals are created from pages of this site only.' });
    const fields = await formOrJsonBody(req, res);
    try {
      const { url, code } = await tracking.calls.createReferral(await createInput(tracking, fields, user), {});
      return { url, code, html: `<a class="referral-link" href="${escapeHtml(url)}">${escapeHtml(url)}</a>` };
    } catch (error) {
      throw asPostedFieldError(error);
    }
  }

  return async function create(req, res) {
    const result = await createdLink(req, res).catch((error: unknown) => {
      if (error instanceof HttpError) return error;
      throw error;
    });
    const isError = result instanceof HttpError;
    res.status(isError ? result.status : 200).set('Cache-Control', 'no-store');
    if (!prefersHtml(req)) return void res.json(isError ? result.body : result);
    const back = pageBefore(req, settings.baseUrl);
    res.type('html').send(isError ? errorPage(result.body, back) : linkPage(result.url, back));
  };
}

/** Whether the client prefers HTML, as a browser that navigates does. A client without a preference gets JSON. */
function prefersHtml(req: Request): boolean {
  return req.accepts(['json', 'html']) === 'html';
}

/** Returns the page of this site that the request comes from, if the browser sends it as `Referer`; else `baseUrl`. */
function pageBefore({ headers }: Request, baseUrl: URL): string {
  const { referer = '' } = headers;
  const isOwn = URL.canParse(referer) && new URL(referer).origin === baseUrl.origin;
  return isOwn ? new URL(referer).href : baseUrl.href;
}
