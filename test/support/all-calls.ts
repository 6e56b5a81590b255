import type { Request, Response } from 'express';
import request from 'supertest';
import { mount } from './api';
import { firefox } from './browser';
import { makeWorld, terms } from './call-world';
import { entries } from './calls';
import { type Host, openDataSource, startHost } from './host';

/** A target is a row of the host's, which is read with the host's parsers. */
const names = Object.keys(entries).filter((name) => name !== 'referrals.close' && !name.endsWith('loadTarget'));

/**
 * Makes every call and every request once, in a world of their own. Returns what each returned.
 *
 * @param options of the DataSource.
 * @param around runs the calls, once their world is made.
 */
export async function resultsOfAll(
  options: Parameters<typeof openDataSource>[0] = {},
  around: <T>(work: () => Promise<T>) => Promise<T> = (work) => work(),
): Promise<Record<string, string>> {
  const world = await makeWorld(options);
  return around(async () => {
    const dataSource = await openDataSource({ ...options, schema: world.schema, migrate: false });
    const pages = new Map<string, (req: Request, res: Response) => void>();
    const settings = {
      dataSource,
      clock: world.clock.read,
      ...terms,
      user: (req: Request) => req.get('authorization'),
    };
    const payout = { earnOuts: { payout: () => undefined } };
    const host: Host = await startHost({ ...settings, ...payout }, (app) => {
      app.use(mount, (req, res, next) => void host.referrals.api(req, res, next));
      app.get('/page/:key', (req, res, next) => {
        const page = pages.get(req.params.key);
        if (page) page(req, res);
        else next();
      });
    });
    const inPage = async <T>(cookie: string, work: (req: Request, res: Response) => T | Promise<T>): Promise<T> => {
      let result: T;
      pages.set('own', (req, res) => {
        void (async () => (result = await work(req, res)))().then(
          () => res.end(),
          (error: Error) => res.status(500).send(error.stack),
        );
      });
      const { status, text } = await request(host.app)
        .get('/page/own')
        .set({ 'Cookie': cookie, 'User-Agent': firefox });
      if (status !== 200) throw new Error(text);
      return result!;
    };
    const results: Record<string, string> = {};
    for (const name of names) {
      const entry = entries[name]!;
      const call = typeof entry === 'function' ? entry : entry.alone;
      const payouts = () => Promise.resolve('unknown' as const);
      results[name] = shown(await call({ host, world, options: {}, inPage, onProgress: undefined, payouts }));
    }
    expect(host.errors).toEqual([]);
    return results;
  });
}

/** A result as text with the types of its values, without what differs from run to run. */
function shown(result: unknown): string {
  const isResponse = typeof result === 'object' && result !== null && 'headers' in result && 'body' in result;
  const value = isResponse ? (result as request.Response).body : result;
  const replace = function (this: Record<string, unknown>, key: string, text: unknown): unknown {
    const raw = this[key];
    const isNow = (time: number): boolean => Math.abs(time - Date.now()) < 3_600_000;
    if (raw instanceof Date) return isNow(raw.getTime()) ? 'Date now' : `Date ${raw.toISOString()}`;
    // The audit keeps times as text.
    if (typeof raw === 'string' && /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(raw) && isNow(Date.parse(raw)))
      return 'text of now';
    if (typeof raw === 'bigint') return `bigint ${raw}`;
    if (raw instanceof Map || raw instanceof Set) return [...raw];
    return text;
  };
  return (JSON.stringify(value, replace, 1) ?? 'undefined')
    .replace(/\b[0-9a-f]{8}-[0-9a-f-]{27}\b/g, 'UUID')
    .replace(/\bname-\d+\b/gi, 'NAME')
    .replace(/\b[A-HJ-NP-Z2-9]{10}\b/g, 'CODE');
}
