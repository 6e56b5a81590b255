import express, { type NextFunction, type Request, type RequestHandler, type Response } from 'express';
import type { FieldsOf } from '../input';
import { escaped } from '../shown';
import { badField, HttpError } from './http-error';

const maxBytes = 10 * 1024;
const jsonTypes = ['json', '+json'];

const anyJson = express.json({ limit: maxBytes, type: (req) => Boolean((req as Request).is(jsonTypes)) });
const plainJson = express.json({ limit: maxBytes });
const form = express.urlencoded({ extended: false, limit: maxBytes });

/**
 * Returns the fields of a JSON object. Parses the body unless the host has parsed it. Only JSON content types are
 * accepted: for every other type, a browser lets a page of another site send the request with the user's cookies.
 *
 * @throws HttpError 400 for anything else and for a field that is not in `fields`; 413 for more than 10 kB.
 */
export async function jsonBody<T>(
  req: Request,
  res: Response,
  fields: FieldsOf<T>,
): Promise<Partial<Record<keyof T, unknown>>> {
  if (!req.is(jsonTypes))
    throw new HttpError(400, { detail: 'Send a JSON body, with Content-Type: application/json.' });
  const status = await parse(anyJson, req, res);
  if (status === 413) throw tooLarge();
  if (status !== null) throw new HttpError(400, { detail: 'The body is not valid JSON.' });
  const body: unknown = req.body;
  // The host's own parser may have a higher limit.
  if (Number(req.headers['content-length'] ?? 0) > maxBytes) throw tooLarge();
  if (!isObject(body) || Array.isArray(body)) throw new HttpError(400, { detail: 'The body must be a JSON object.' });
  if (isDeep(body)) throw tooDeep();
  if (Buffer.byteLength(JSON.stringify(body)) > maxBytes) throw tooLarge();
  const known = Object.keys(fields);
  const unknown = Object.keys(body).find((field) => !known.includes(field));
  if (unknown !== undefined)
    throw badField(escaped(unknown), `Unknown field. The fields are ${known.join(', ')}.`, 'unknown');
  return body as Partial<Record<keyof T, unknown>>;
}

/**
 * Returns the fields of a form or of a JSON object. Parses the body unless the host has parsed it. A body of another
 * type has no fields.
 *
 * @throws HttpError 413 for more than 10 kB; the parser's status, such as 400 or 415, for a body that it can't read.
 */
export async function formOrJsonBody(req: Request, res: Response): Promise<Readonly<Record<string, unknown>>> {
  const parsed: unknown = req.body;
  if (isObject(parsed) && Object.keys(parsed).length > 0) return flat(parsed);
  for (const parser of [plainJson, form]) {
    const status = await parse(parser, req, res);
    if (status === 413) throw tooLarge();
    if (status !== null) throw new HttpError(status, { detail: 'The body is malformed.' });
  }
  const body: unknown = req.body;
  return isObject(body) ? flat(body) : {};
}

/** How deep a body may be nested. No field needs any depth; recursive functions overflow the stack at thousands. */
const maxDepth = 20;

/** Whether a parsed body is nested too deep, or contains itself. It does not recurse. */
function isDeep(body: object): boolean {
  let level: object[] = [body];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth === maxDepth) return true;
    level = level.flatMap((one) => Object.values(one as Record<string, unknown>).filter(isObject));
  }
  return false;
}

function flat<T extends object>(body: T): T {
  if (isDeep(body)) throw tooDeep();
  return body;
}

function tooDeep(): HttpError {
  return new HttpError(400, { detail: 'The body is nested too deep.' });
}

/**
 * Runs one of Express' parsers. It skips a body that was parsed before, and one of another content type. Returns the
 * status of its error, or null.
 */
async function parse(parser: RequestHandler, req: Request, res: Response): Promise<number | null> {
  const error = await new Promise<unknown>((resolve) => {
    void parser(req, res, ((problem?: unknown) => resolve(problem)) as NextFunction);
  });
  return error ? ((error as { status?: number }).status ?? 400) : null;
}

function tooLarge(): HttpError {
  return new HttpError(413, { detail: 'The body is over 10 kB.' });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
