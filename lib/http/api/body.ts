import express, { type NextFunction, type Request, type Response } from 'express';
import { badField, Problem } from './problem';

const maxBytes = 10 * 1024;
const types = ['json', '+json'];
const parse = express.json({ limit: maxBytes, type: (req) => Boolean((req as Request).is(types)) });

/**
 * The fields of a JSON body, parsed unless the host has. JSON only: a form of another site can send a signed-in visitor's request
 * along as anything else.
 */
export async function bodyOf(req: Request, res: Response, known: readonly string[]): Promise<Record<string, unknown>> {
  if (!req.is(types)) throw new Problem(400, { detail: 'Send a JSON body, with Content-Type: application/json.' });
  const error = await new Promise<unknown>((resolve) => {
    void parse(req, res, ((problem?: unknown) => resolve(problem)) as NextFunction);
  });
  if (error) {
    const { status = 400 } = error as { status?: number };
    if (status === 413) throw tooLarge();
    throw new Problem(400, { detail: 'The body is not valid JSON.' });
  }
  const body: unknown = req.body;
  if (Number(req.headers['content-length'] ?? 0) > maxBytes) throw tooLarge();
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new Problem(400, { detail: 'The body must be a JSON object.' });
  if (Buffer.byteLength(JSON.stringify(body)) > maxBytes) throw tooLarge();
  const unknown = Object.keys(body).find((field) => !known.includes(field));
  if (unknown !== undefined) throw badField(unknown, `Unknown field. It can be ${known.join(' or ')}.`, 'unknown');
  return body as Record<string, unknown>;
}

function tooLarge(): Problem {
  return new Problem(413, { detail: 'The body is over 10 kB.' });
}
