import type { Request, Response } from 'express';
import type { Tracking } from '../tracking/tracking';
import { formOrJsonBody } from './body';
import { asPostedFieldError, createInput } from './create-input';
import { escapeHtml } from './html';
import { HttpError } from './http-error';

/** What a script gets for a new referral. */
interface CreatedLink {
  url: string;
  code: string;
  /** The link as escaped HTML. */
  html: string;
}

/**
 * `POST /` creates a referral for the signed-in user from the fields `redirect_to`, `label`, `target_type` and
 * `target_id` of a form or of JSON. Responds with `{ url, code, html }`; with 401 if nobody is signed in, with 403 to
 * a page of another origin, and with 400 for wrong fields.
 */
export function createRoute(tracking: Tracking): (req: Request, res: Response) => Promise<void> {
  const { settings } = tracking;

  async function createdLink(req: Request, res: Response): Promise<CreatedLink> {
    const user = await settings.user(req);
    if (user === null || user === undefined) throw new HttpError(401, { detail: 'Sign in to create a referral.' });
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
    res.json(isError ? result.body : result);
  };
}

/**
 * Whether a page of this site sent the request. Browsers say so in `Sec-Fetch-Site`, older ones in `Origin`, and a
 * page of another site can set neither header. It needs no token, and does not replace the host's own CSRF
 * protection.
 */
function isSameOrigin({ headers }: Request, origin: string): boolean {
  const site = headers['sec-fetch-site'];
  return site === undefined ? headers.origin === origin : site === 'same-origin';
}
