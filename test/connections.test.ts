import { randomUUID } from 'node:crypto';
import type { Request, Response } from 'express';
import request from 'supertest';
import type { DataSource, EntityManager } from 'typeorm';
import * as lib from '../lib';
import type { ReferralEvents, Referrals, ReferralsOptions } from '../lib';
import { type Document, mount } from './support/api';
import { firefox } from './support/browser';
import { type CallWorld, makeWorld, terms } from './support/call-world';
import { entries, type Turn } from './support/calls';
import { closeAll, type Host, listen, openDataSource, startHost } from './support/host';
import { heldOf } from './support/pool';
import { PublicTypes } from './support/public-types';

afterAll(closeAll);

const events: (keyof ReferralEvents)[] = [
  ...(['response', 'userLinkedToResponse', 'signup', 'creditGranted', 'creditSpent'] as const),
  ...(['purchase', 'commissionEarned', 'commissionReverted', 'commissionRejected', 'refundUndone', 'earnOut'] as const),
];

/** Is told of each callback of the host's, before it answers. */
type Watch = (callback: string, manager?: EntityManager) => unknown;

/** Every option that is a function, beside `clock` and `onError`. */
const callbacks = (watch: Watch): Partial<ReferralsOptions> => ({
  user: async (req) => {
    await watch('user');
    return req.get('authorization') ?? null;
  },
  isSamePerson: async (_referrer, _referee, { manager }) => {
    await watch('isSamePerson', manager);
    return false;
  },
  generateCode: async () => {
    await watch('generateCode');
    return randomUUID();
  },
  consent: async () => {
    await watch('consent');
    return true;
  },
  bots: () => {
    void watch('bots');
    return false;
  },
  clientIp: (req) => {
    void watch('clientIp');
    return req.ip;
  },
  responsesFilter: (query) => {
    void watch('responsesFilter');
    return query;
  },
  csrf: () => {
    void watch('csrf');
    return null;
  },
  earnOuts: {
    payout: async () => void (await watch('payout')),
    concurrency: 1, // otherwise the next payout is claimed while the function runs
  },
});

interface Small extends Host {
  /** Makes a call. */
  make(name: string, options?: Turn['options']): Promise<unknown>;
}

/** A host on the schema of the world, with a pool of so many connections. */
/** The functions that calls take. */
const toldOf = (watch: Watch): Pick<Turn, 'onProgress' | 'payouts'> => ({
  onProgress: () => watch('onProgress'),
  payouts: async () => {
    await watch('payouts');
    return 'unknown' as const;
  },
});

async function startSmall(world: CallWorld, max: number, watchOf: (dataSource: DataSource) => Watch): Promise<Small> {
  const pages = new Map<string, (req: Request, res: Response) => void>();
  // A call that waits for a connection that it holds itself fails after this time, so that its test ends.
  const extra = { max, connectionTimeoutMillis: 60_000 };
  const dataSource = await openDataSource({ schema: world.schema, migrate: false, extra });
  const watch = watchOf(dataSource);
  const limits = { queryTimeoutMs: 60_000, linkCache: { ttlMs: 1 } };
  const options = { dataSource, clock: world.clock.read, ...terms, ...limits, ...callbacks(watch) };
  const host: Host = await startHost(options, (app) => {
    app.use(mount, (req, res, next) => void host.referrals.api(req, res, next));
    app.get('/page/:key', (req, res, next) => {
      const page = pages.get(req.params.key);
      if (page) page(req, res);
      else next();
    });
  });
  for (const event of events) host.referrals.on(event, () => watch(event));

  async function inPage<T>(cookie: string, work: (req: Request, res: Response) => T | Promise<T>): Promise<T> {
    const key = `${pages.size}`;
    const result = new Promise<T>((resolve, reject) => {
      pages.set(key, (req, res) => {
        const worked = (async () => work(req, res))();
        worked.then(resolve, reject);
        void worked.catch(() => undefined).then(() => res.end());
      });
    });
    await request(host.app).get(`/page/${key}`).set({ 'Cookie': cookie, 'User-Agent': firefox }).expect(200);
    return result;
  }
  const make: Small['make'] = async (name, given = {}) => {
    const entry = entries[name]!;
    const call = typeof entry === 'function' ? entry : entry.alone;
    await call({ host, world, options: given, inPage, ...toldOf(watch) });
  };
  return { ...host, make };
}

let world: CallWorld;
beforeAll(async () => {
  world = await makeWorld();
});

/** The methods of an object, own and inherited. */
function methodsOf(object: object): string[] {
  const methods = new Set<string>();
  for (let at: object | null = object; at && at !== Object.prototype; at = Object.getPrototypeOf(at) as object | null)
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(at)))
      if (typeof value === 'function' && name !== 'constructor') methods.add(name);
  return [...methods];
}

/** The routes of `referrals.router`; `?referral_code=` is that of the middleware. */
const routes = ['GET ?referral_code=', 'GET /r/:code', 'POST /r/', 'GET /r/create-link.js'];

/** Every call that the package exports or adds to a request, and every request that it answers. */
async function exportedCalls(): Promise<string[]> {
  const types = new PublicTypes();
  let helpers: string[] = [];
  const host: Host = await startHost({}, (app) => {
    app.use(mount, (req, res, next) => void host.referrals.api(req, res, next));
    app.get('/', (req, res) => {
      helpers = [
        ...methodsOf(res.locals['referrals']).map((name) => `res.locals.referrals.${name}`),
        ...(Object.hasOwn(req, 'referralForRequest') ? ['req.referralForRequest'] : []),
      ];
      res.end();
    });
  });
  await request(host.app).get('/');
  const { body } = await request(host.app).get(`${mount}/openapi.json`);
  await host.referrals.close();
  const ofApi = Object.entries((body as Document).paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  const hidden = new Set(types.hidden('Referrals'));
  const ofInstance = Object.entries(host.referrals as unknown as Record<keyof Referrals, object>)
    .filter(([name]) => name !== 'router' && name !== 'api') // their requests are listed one by one
    .flatMap(([name, part]) =>
      typeof part === 'function' ? [name] : methodsOf(part).map((method) => `${name}.${method}`),
    )
    .filter((name) => !hidden.has(name))
    .map((name) => `referrals.${name}`);
  const ofExports = Object.entries(lib).flatMap(([name, value]) => {
    if (typeof value !== 'function') return [];
    if (!Function.prototype.toString.call(value).startsWith('class')) return [name];
    if (value.prototype instanceof Error) return [];
    const statics = Object.keys(Object.getOwnPropertyDescriptors(value)).filter(
      (key) => typeof (value as unknown as Record<string, unknown>)[key] === 'function',
    );
    return [
      ...statics.filter((key) => key !== 'prototype').map((method) => `${name}.${method}`),
      ...methodsOf(value.prototype as object).map((method) => `${name}#${method}`),
    ];
  });
  return [...ofExports, ...ofInstance, ...helpers, ...routes, ...ofApi];
}

test('every call and every request has an entry in the table, and no entry is without one', async () => {
  const exported = await exportedCalls();
  expect(Object.keys(entries).sort()).toEqual(exported.sort());
});

/** All calls. Those that end the instance come last. */
const names = Object.keys(entries).sort((a, b) => Number(a === 'referrals.close') - Number(b === 'referrals.close'));
const inTransaction = names.filter((name) => typeof entries[name] === 'function');

/** Callbacks that ask the database through the pool of the host, as the host's code does. */
function asking(dataSource: DataSource): Watch {
  return async () => {
    const asked = dataSource.query('SELECT 1');
    asked.catch(() => undefined); // a callback that can't wait for it has no use for it either
    await asked;
  };
}

describe('one at a time, with one connection', () => {
  let host: Small;
  beforeAll(async () => {
    host = await startSmall(world, 1, asking);
  });

  test.each(names)('%s', async (name) => {
    await host.make(name);
    expect(host.errors).toEqual([]);
  });
});

describe('three at once, with three connections', () => {
  let host: Small;
  beforeAll(async () => {
    host = await startSmall(world, 3, asking);
  });

  test.each(names)('%s', async (name) => {
    await Promise.all([host.make(name), host.make(name), host.make(name)]);
    expect(host.errors).toEqual([]);
  });
});

describe('in the only connection, which is that of the host’s transaction', () => {
  let host: Small;
  beforeAll(async () => {
    // A callback that is given the transaction uses it.
    host = await startSmall(world, 1, () => (_callback, manager) => manager?.query('SELECT 1'));
  });
  afterAll(() => host.referrals.close());

  test.each(inTransaction)('%s', async (name) => {
    await host.dataSource.transaction((manager) => host.make(name, { manager }));
    expect(host.errors).toEqual([]);
  });
});

/** The calls and requests during which each callback runs. */
const calledBy: Record<string, string[]> = {
  user: [
    ...['referrals.middleware', 'GET /r/:code', 'GET ?referral_code=', 'POST /r/'],
    ...['req.referralForRequest', 'res.locals.referrals.actionDisplay', 'res.locals.referrals.createForm'],
    ...['Referral.recordResponse', 'Referral.recordSignup', 'Referral.referralForRequest'],
    ...['Referral.responsesForRequest', 'Referral#respond', 'referrals.visitorId'],
    ...['referrals.limitCouponTries', 'referrals.pages', 'referrals.embed', 'referrals.referralBanner'],
    ...['GET /credit/', 'GET /credit/{id}/', 'GET /earnout/', 'GET /earnout/{id}/', 'GET /config/', 'PATCH /config/'],
    ...['GET /channel/', 'GET /coupon-code/', 'POST /coupon-code/', 'DELETE /coupon-code/'],
  ],
  isSamePerson: [
    ...['Referral.recordSignup', 'referrals.signups.create', 'referrals.signups.createMany'],
    'referrals.signups.reassign',
    ...['referrals.recordPurchase', 'referrals.purchases.create', 'referrals.purchases.createMany'],
    ...['referrals.coupons.apply', 'POST /coupon-code/'],
  ],
  generateCode: [
    ...['Referral.create', 'referrals.referralCodes.create', 'referrals.referralCodes.createMany', 'POST /r/'],
    ...['referrals.accounts.create', 'referrals.accounts.createMany', 'referrals.accounts.of'],
    ...['referrals.accounts.totals', 'GET /config/', 'PATCH /config/', 'referrals.pages'],
  ],
  bots: ['GET /r/:code', 'referrals.listener', 'GET ?referral_code='],
  consent: ['GET /r/:code', 'referrals.listener', 'GET ?referral_code=', 'Referral#respond'],
  clientIp: [
    ...['GET /r/:code', 'GET ?referral_code=', 'Referral#respond', 'Referral.recordResponse'],
    ...['GET /code/info/', 'referrals.limitCouponTries', 'referrals.listener'],
  ],
  responsesFilter: ['Referral#filteredResponses'],
  csrf: ['res.locals.referrals.createForm', 'referrals.pages'],
  onProgress: ['referrals.runEarnOuts'],
  payout: ['referrals.runEarnOuts'],
  payouts: ['referrals.verify'],
  response: [
    ...['GET /r/:code', 'GET ?referral_code=', 'Referral#respond', 'Referral.recordResponse'],
    'referrals.listener',
  ],
  userLinkedToResponse: ['referrals.middleware', 'Referral#linkResponsesToUser'],
  // The one that is reassigned is made before.
  signup: [
    ...['Referral.recordSignup', 'referrals.signups.create', 'referrals.signups.createMany'],
    'referrals.signups.reassign',
  ],
  creditGranted: [
    ...['Referral.recordSignup', 'referrals.signups.create', 'referrals.signups.createMany'],
    'referrals.signups.reassign',
    ...['referrals.credits.create', 'referrals.credits.createMany', 'referrals.recordUsage', 'referrals.runEarnOuts'],
  ],
  creditSpent: ['referrals.credits.spend', 'referrals.credits.capture'],
  purchase: ['referrals.recordPurchase', 'referrals.purchases.create', 'referrals.purchases.createMany'],
  commissionEarned: ['referrals.recordPurchase', 'referrals.purchases.create', 'referrals.purchases.createMany'],
  commissionReverted: ['referrals.recordRefund'],
  commissionRejected: ['referrals.commissions.reject'],
  refundUndone: ['referrals.undoRefund'],
  earnOut: [
    ...['referrals.runEarnOuts', 'referrals.earnOuts.reconcile'],
    ...['referrals.earnOuts.settle', 'referrals.earnOuts.retry', 'referrals.earnOuts.reject'],
  ],
};

describe('no callback runs while a connection is held', () => {
  let making: string;
  let held: string[];
  let called: Record<string, Set<string>>;
  let host: Small;
  beforeAll(async () => {
    host = await startSmall(world, 3, (dataSource) => (callback) => {
      (called[callback] ??= new Set()).add(making);
      if (heldOf(dataSource) > 0) held.push(`${callback} in ${making}`);
    });
  });
  beforeEach(() => {
    [held, called] = [[], {}];
  });
  afterAll(() => host.referrals.close());
  const expectCalled = (isMade: (name: string, callback: string) => boolean) => {
    const seen = Object.entries(called).map(([callback, of]) => [callback, [...of].sort()] as const);
    const expected = Object.entries(calledBy).map(
      ([callback, of]) => [callback, of.filter((name) => isMade(name, callback)).sort()] as const,
    );
    expect(Object.fromEntries(seen)).toEqual(Object.fromEntries(expected.filter(([, of]) => of.length > 0)));
  };

  test('in a call without the host’s transaction', async () => {
    for (making of names.filter((name) => name !== 'referrals.close')) await host.make(making);
    expect(held).toEqual([]);
    expectCalled(() => true);
  });

  test('in a call with a manager that has no transaction', async () => {
    for (making of inTransaction) await host.make(making, { manager: host.dataSource.manager });
    expect(held).toEqual([]);
    // With a manager, respond writes no cookie, so it does not ask for consent.
    expectCalled((name, callback) => inTransaction.includes(name) && callback !== 'consent');
  });
});

describe('while thirty requests for channels of one user run on ten connections', () => {
  let host: Small;
  beforeAll(async () => {
    host = await startSmall(world, 10, asking);
    host.app.get('/orders', (_req, res) => {
      void host.dataSource.query('SELECT 7 AS id').then((rows) => res.json(rows));
    });
  });
  afterAll(() => host.referrals.close());

  test('they and the pages of the host are answered', async () => {
    const { url } = await listen(host.app);
    const get = async (path: string): Promise<number> =>
      (await fetch(url + path, { headers: { Authorization: 'carla' } })).status;
    const asked = Array.from({ length: 30 }, () => get(`${mount}/channel/`));
    const pages = Array.from({ length: 30 }, () => get('/orders'));
    expect(new Set(await Promise.all([...asked, ...pages]))).toEqual(new Set([200]));
    expect(host.errors).toEqual([]);
  });
});

test('a related record loads in the host’s transaction, although another load of it waits for a connection', async () => {
  const single = await openDataSource({ schema: world.schema, migrate: false, extra: { max: 1 } });
  const { referrals } = await startHost({ dataSource: single, clock: world.clock.read });
  const code = await referrals.referralCodes.getByCode('ANNA');
  let waiting: Promise<unknown> | undefined;
  await single.transaction(async (manager) => {
    waiting = code.program();
    expect(await code.program({ manager })).toMatchObject({ name: 'launch' });
  });
  expect(await waiting).toMatchObject({ name: 'launch' });
});
