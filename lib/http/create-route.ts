import express, { type NextFunction, type Request, type RequestHandler, type Response } from 'express';
import { ReferralError } from '../errors';
import type { Tracking } from '../tracking/tracking';
import type { UserRef } from '../types/common';
import type { TargetRef } from '../types/referrals';
import { escapeHtml } from './html';

const parsers: RequestHandler[] = [
  express.json({ limit: '10kb' }),
  express.urlencoded({ extended: false, limit: '10kb' }),
];

/** The fields of the form, and the names that `Referral.create` and its errors know them by. */
const fieldNames: Record<string, string> = {
  'redirectTo': 'redirect_to',
  'label': 'label',
  'target.type': 'target_type',
  'target.id': 'target_id',
};

interface FieldError {
  message: string;
  code: string;
}

/** Whether `POST` may name targets of this type. */
export function isListedTarget({ settings }: Tracking, type: string): boolean {
  return settings.targetTypes.some(
    (listed) => (typeof listed === 'string' ? listed : settings.dataSource.getMetadata(listed).name) === type,
  );
}

/**
 * `POST /` makes a referral for the signed-in user, from a form or JSON: `redirect_to`, `label`, `target_type`,
 * `target_id`. Answers `{ url, code, html }`; 401 for nobody, 403 from another origin, 400 with a list of errors per field.
 */
export function createRoute(tracking: Tracking): (req: Request, res: Response) => Promise<void> {
  const { settings } = tracking;

  async function create(req: Request, res: Response): Promise<void> {
    const user = await settings.user(req);
    if (user === null || user === undefined) return answer(res, 401, { detail: 'Sign in to create a referral.' });
    if (!isSameOrigin(req, settings.baseUrl.origin))
      return answer(res, 403, { detail: 'Referrals are created from pages of this site only.' });
    const malformed = await parsedBody(req, res);
    if (malformed) return answer(res, malformed.status, { detail: malformed.message });
    try {
      const { url, code } = await tracking.createReferral(await inputOf(req.body, user), {});
      const html = `<a class="referral-link" href="${escapeHtml(url)}">${escapeHtml(url)}</a>`;
      return answer(res, 200, { url, code, html });
    } catch (error) {
      if (!(error instanceof FieldErrors)) {
        const field = error instanceof ReferralError && error.status === 400 && fieldNames[error.field ?? ''];
        if (!field) throw error;
        error = new FieldErrors({ [field]: (error as ReferralError).message });
      }
      return answer(res, 400, (error as FieldErrors).fields);
    }
  }

  async function inputOf(body: unknown, user: UserRef) {
    const given = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>;
    const { redirect_to: redirectTo, label, target_type: type, target_id: id } = given;
    const problems: Record<string, string> = {};
    if (typeof redirectTo !== 'string' || redirectTo === '')
      problems['redirect_to'] = 'This field is required, as text.';
    if (label !== undefined && typeof label !== 'string') problems['label'] = 'This field must be text.';
    const hasTarget = type !== undefined && type !== '';
    if (hasTarget && !(typeof type === 'string' && isListedTarget(tracking, type)))
      problems['target_type'] = 'No such type of target.';
    if (hasTarget && (id === undefined || id === ''))
      problems['target_id'] = 'This field is required with target_type.';
    if (!hasTarget && id !== undefined && id !== '') problems['target_type'] = 'This field is required with target_id.';
    const target = hasTarget && Object.keys(problems).length === 0 ? await targetOf(type as string, id) : null;
    if (hasTarget && !target && !problems['target_type'] && !problems['target_id'])
      problems['target_id'] = 'There is no such target.';
    if (Object.keys(problems).length > 0) throw new FieldErrors(problems);
    return { user, redirectTo: redirectTo as string, label: label as string | undefined, target };
  }

  /** An entity's row, so that each has one id however it was spelled; what a word of the host's means, only the host knows. */
  async function targetOf(type: string, id: unknown): Promise<TargetRef | null> {
    if (typeof id !== 'string' && typeof id !== 'number') return null;
    const isEntity = settings.dataSource.entityMetadatas.some(({ name }) => name === type);
    return isEntity ? tracking.loadTarget({ targetType: type, targetId: String(id) }, {}) : { type, id };
  }

  return create;
}

/** Refused fields and why. */
class FieldErrors extends Error {
  readonly fields: Record<string, FieldError[]>;
  constructor(problems: Record<string, string>) {
    super('invalid fields');
    this.fields = Object.fromEntries(
      Object.entries(problems).map(([field, message]) => [field, [{ message, code: 'invalid' }]]),
    );
  }
}

function answer(res: Response, status: number, body: object): void {
  res.status(status).set('Cache-Control', 'no-store').json(body);
}

/**
 * Browsers say where a request comes from in `Sec-Fetch-Site`, older ones in `Origin`; a page of another site can forge
 * neither. This needs no token, and goes together with any CSRF protection of the host's.
 */
function isSameOrigin({ headers }: Request, origin: string): boolean {
  const site = headers['sec-fetch-site'];
  return site === undefined ? headers.origin === origin : site === 'same-origin';
}

/** Parses the body unless the host has; answers what was wrong with it, or null. */
async function parsedBody(req: Request, res: Response): Promise<{ status: number; message: string } | null> {
  const parsed: unknown = req.body;
  if (typeof parsed === 'object' && parsed !== null && Object.keys(parsed).length > 0) return null;
  for (const parse of parsers) {
    const error = await new Promise<unknown>((resolve) => {
      void parse(req, res, ((problem?: unknown) => resolve(problem)) as NextFunction);
    });
    if (error) {
      const { status = 400 } = error as { status?: number };
      return { status, message: status === 413 ? 'The body is over 10 kB.' : 'The body is malformed.' };
    }
  }
  return null;
}
