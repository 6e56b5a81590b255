import { createHmac, createSecretKey, randomBytes, randomUUID } from 'node:crypto';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { Client } from 'pg';

/**
 * What no package can be cheaper than: `node:http` alone, and the least that a committed click takes on it. Beside our
 * own figures, they tell which part of the time is ours.
 */

const location = '/welcome?from=friend';

function redirect(res: ServerResponse): void {
  res.statusCode = 302;
  res.setHeader('Location', location);
  res.setHeader('Cache-Control', 'no-store');
}

export function nodeRedirect(): RequestListener {
  return (_req, res) => {
    redirect(res);
    res.end();
  };
}

/**
 * A click that is committed before its redirect, with a signed cookie: clicks that arrive during a commit form the next
 * one. It looks nothing up, checks and counts nothing, and would lose all clicks of a batch with one mistake.
 */
export async function nodeClick(databaseUrl: string, schema: string): Promise<RequestListener> {
  const client = new Client(databaseUrl);
  await client.connect();
  const key = createSecretKey(randomBytes(32));
  const insert = {
    name: 'insert',
    text: `INSERT INTO "${schema}".referral_responses (referral_id, visitor_id, ip_address, user_agent, action, created_at, touched_at)
      SELECT g.*, 'RESPONDED', now(), now() FROM unnest($1::bigint[], $2::uuid[], $3::text[], $4::text[]) g`,
  };
  let waiting: { req: IncomingMessage; res: ServerResponse; visitor: string }[] = [];
  let isWriting = false;

  async function write(): Promise<void> {
    isWriting = true;
    await new Promise(setImmediate);
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      const array = (value: (click: (typeof batch)[number]) => string): string => `{"${batch.map(value).join('","')}"}`;
      const values = [
        array(({ req }) => String(1 + Number(req.url!.slice('/r/LINK'.length)))),
        array(({ visitor }) => visitor),
        array(({ req }) => req.socket.remoteAddress!),
        array(({ req }) => req.headers['user-agent']!),
      ];
      await client.query({ ...insert, values });
      for (const { res, visitor } of batch) {
        redirect(res);
        const signature = createHmac('sha256', key).update(visitor).digest('base64url');
        res.setHeader('Set-Cookie', `visitor=${visitor}.${signature}; Max-Age=7776000; Path=/; HttpOnly; Secure`);
        res.end();
      }
    }
    isWriting = false;
  }

  return (req, res) => {
    waiting.push({ req, res, visitor: randomUUID() });
    if (!isWriting) void write();
  };
}
