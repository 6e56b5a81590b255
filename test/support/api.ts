import addFormats from 'ajv-formats';
import Ajv2020 from 'ajv/dist/2020';
import express, { type Express } from 'express';
import request, { type Response } from 'supertest';
import type { ChannelInput, Referrals, ReferralsOptions } from '../../lib';
import { type Host, startHost, TestClock } from './host';

export const mount = '/api/v2/referral';
export const dayMs = 86_400_000;

export type Method = 'GET' | 'HEAD' | 'OPTIONS' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export interface Ask {
  /** Who asks; nobody by default. */
  as?: string | undefined;
  /** A body: JSON, or a text as it is. */
  send?: object | string | undefined;
  headers?: Record<string, string>;
}

export interface ApiHost extends Host {
  clock: TestClock;
  /** Asks for a path below the API. The answer is checked against the OpenAPI document of the API. */
  ask: (method: Method, path: string, ask?: Ask) => Promise<Response>;
  /** The body that a user gets, with the status 200. */
  get: (path: string, as: string) => Promise<Response['body']>;
}

interface Mounting {
  /** Where the host mounts the API. */
  at?: string;
  /** Where the host itself is mounted in a larger app. */
  below?: string;
  /** What comes before the API. */
  before?: (app: Express) => void;
}

/** A host whose users say who they are in the header Authorization, with a clock to set. */
export async function startApi(
  options: Partial<ReferralsOptions> = {},
  { at = mount, below = '', before = () => undefined }: Mounting = {},
): Promise<ApiHost> {
  const clock = new TestClock();
  const user: ReferralsOptions['user'] = (req) => req.get('authorization') ?? null;
  const host: Host = await startHost({ clock: clock.read, user, ...options }, (app) => {
    before(app);
    app.use(at, (req, res, next) => void host.referrals.api(req, res, next));
  });
  const app = below ? express().use(below, host.app) : host.app;
  const { body: document } = await request(app).get(`${below}${at}/openapi.json`).expect(200);
  const check = checkAgainst(document as Document);

  async function ask(method: Method, path: string, { as, send, headers = {} }: Ask = {}): Promise<Response> {
    const asking = request(app)
      [method.toLowerCase() as 'get'](`${below}${at}${path}`)
      .set({ ...(as !== undefined && { Authorization: as }), ...headers });
    const answer = await (send === undefined ? asking : asking.send(send));
    check(method, path, answer, send);
    return answer;
  }

  async function get(path: string, as: string): Promise<Response['body']> {
    const answer = await ask('GET', path, { as });
    expect([answer.status, answer.body]).toEqual([200, expect.anything()]);
    return answer.body;
  }

  return { ...host, app, clock, ask, get };
}

/** A coupon of a user's: 20% off the first purchase, which earns 30%, and later ones 10%. */
export async function coupon({ referrals }: { referrals: Referrals }, user: string, more: Partial<ChannelInput> = {}) {
  const rates = { initialRate: '0.30', ongoingRate: '0.10', initialRatePeriodDays: 365 };
  const promo = { promoType: 'percent_off', promoValue: '0.20' } as const;
  return referrals.channels.create({ user, code: `OF-${user}`, description: '20% off', ...promo, ...rates, ...more });
}

/** Signs a user up with the code of a referrer's own account. */
export async function refer({ get, referrals }: ApiHost, referrer: string, user: string): Promise<void> {
  const { referral_code: code } = await get('/config/', referrer);
  await referrals.signups.create({ user, code });
}

/** Records a purchase, and answers the id of the commission that it has earned; 0 for none. */
export async function buy({ referrals }: ApiHost, buyer: string, amount: string, reference: string, at?: Date) {
  const { commission } = await referrals.recordPurchase(buyer, { amount, reference, ...(at && { at }) });
  return commission?.id ?? 0;
}

export const ids = ({ results }: { results: { id: number }[] }): number[] => results.map(({ id }) => id);
export const fieldError = (field: string, code: string) => ({ [field]: [{ message: expect.any(String), code }] });
export const detail = { detail: expect.any(String) };

export interface Document {
  openapi: string;
  servers: { url: string }[];
  paths: Record<string, Record<string, Operation>>;
}

interface Operation {
  operationId: string;
  parameters?: { name: string; in: string; required?: boolean; schema: { enum?: string[] } }[];
  requestBody?: unknown;
  responses: Record<string, { content?: unknown; headers?: Record<string, unknown> }>;
  security?: unknown[];
}

/** Checks answers, and the bodies that were taken, against what an OpenAPI document says of them. */
export function checkAgainst(document: Document) {
  const ajv = addFormats(new Ajv2020({ strict: false, allErrors: true }));
  ajv.addSchema(document, 'openapi');

  function expectFit(value: unknown, ...pointer: string[]): void {
    const escaped = pointer.map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1')));
    const validate = ajv.getSchema(`openapi#/${escaped.join('/')}`)!;
    void validate(value);
    expect({ value, pointer, errors: validate.errors ?? null }).toEqual({ value, pointer, errors: null });
  }

  return function check(method: Method, asked: string, answer: Response, send: unknown): void {
    const { status, headers } = answer;
    const name = pathOf(document, asked.split('?')[0]!);
    const told = `${method} ${asked}: ${status}`;
    expect([told, headers['cache-control']]).toEqual([told, 'no-store']);
    const hasBody = status !== 204 && method !== 'HEAD';
    expect([told, answer.text ?? '']).toEqual([told, hasBody ? expect.stringMatching(/^[{[]/) : '']);
    if (status !== 204) expect([told, headers['content-type']]).toEqual([told, 'application/json; charset=utf-8']);
    if (method === 'OPTIONS' && name) return;

    const verb = method === 'HEAD' ? 'get' : method.toLowerCase();
    const operation = name === undefined ? undefined : document.paths[name]![verb];
    if (!operation) {
      expect([told, status]).toEqual([told, name === undefined ? 404 : 405]);
      if (hasBody) expectFit(answer.body, 'components', 'schemas', 'Detail');
      return;
    }
    const where = ['paths', name!, verb];
    const documented = operation.responses[status];
    expect([told, documented]).toEqual([told, expect.anything()]);
    for (const header of Object.keys(documented!.headers ?? {}))
      expect(headers).toHaveProperty(header.toLowerCase(), expect.any(String));
    expect([told, documented!.content !== undefined]).toEqual([told, status !== 204]);
    if (hasBody) expectFit(answer.body, ...where, 'responses', `${status}`, 'content', 'application/json', 'schema');
    if (send !== undefined && status < 300)
      expectFit(
        typeof send === 'string' ? JSON.parse(send) : send,
        ...[...where, 'requestBody', 'content', 'application/json', 'schema'],
      );
  };
}

/** The documented path that a path is, if any; the slash at the end may be left out. */
export function pathOf({ paths }: Document, asked: string): string | undefined {
  const slashed = (path: string): string => path.replace(/\/?$/, '/');
  return Object.keys(paths).find((path) =>
    new RegExp(`^${slashed(path).replace('{id}', '[^/]+')}$`).test(slashed(asked)),
  );
}
