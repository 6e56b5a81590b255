import type { Request, Response } from 'express';
import request from 'supertest';
import {
  createReferrals,
  entities,
  formatAmount,
  Referral,
  ReferralResponse,
  runMigrations,
  type WithManager,
} from '../lib';
import { firefox } from './support/browser';
import { type CallWorld, makeWorld, terms } from './support/call-world';
import { entries } from './support/calls';
import { baseUrl, closeAll, type Host, openDataSource, secret, startHost } from './support/host';

afterAll(closeAll);

// Whatever a call is given, it throws a ReferralError that names what is wrong and says what to do, and writes nothing.

let world: CallWorld;
let host: Host;
let manager: NonNullable<WithManager['manager']>;
const pages = new Map<string, (req: Request, res: Response) => Promise<void>>();

beforeAll(async () => {
  world = await makeWorld();
  const dataSource = await openDataSource({ schema: world.schema, migrate: false });
  manager = dataSource.manager;
  host = await startHost({ dataSource, clock: world.clock.read, ...terms }, (app) => {
    app.get('/page/:key', (req, res, next) => void pages.get(req.params.key)!(req, res).catch(next));
  });
});

/** The result of a call, also of one that throws at once. */
const settled = (call: () => unknown): Promise<unknown> => Promise.resolve().then(call);

/** Runs a call in a page of a visitor who came through a link. */
async function inPage(work: (req: Request, res: Response) => unknown): Promise<unknown> {
  const key = `${pages.size}`;
  const result = new Promise((resolve, reject) => {
    pages.set(key, async (req, res) => {
      await settled(() => work(req, res)).then(resolve, reject);
      res.end();
    });
  });
  await request(host.app).get(`/page/${key}`).set({ 'Cookie': world.cookie, 'User-Agent': firefox });
  return result;
}

const isBroken = (): never => {
  throw new Error('secret of the trap');
};
const brokenProxy = new Proxy(
  {},
  Object.fromEntries(Object.getOwnPropertyNames(Reflect).map((trap) => [trap, isBroken])),
);
const brokenGetter = {
  get manager() {
    return isBroken();
  },
  get user() {
    return isBroken();
  },
  get id() {
    return isBroken();
  },
  get reference() {
    return isBroken();
  },
};
const cyclic: Record<string, unknown> = Object.create(null);
cyclic['self'] = cyclic;
const forged = JSON.parse('{"constructor": {"name": "x\\n\\u202e\\u0085"}, "__proto__": 1}') as object;

/** No call takes any of these, wherever it is given. */
const never: Record<string, unknown> = {
  ...{
    'a proxy that throws': brokenProxy,
    'a function': () => 1,
    'a symbol': Symbol('s\n'),
    'an invalid Date': new Date(NaN),
  },
  ...{ 'a promise': Promise.resolve(1), 'a Map': new Map([['id', 1]]), 'NaN': NaN, 'a list': [[1]] },
  'a bigint of 200 digits': 10n ** 199n,
};
const noId = { ...never, 'null': null, 'an empty text': '', 'NUL': 'a\0', 'half a pair': 'a\ud800', 'true': true };

/** What no argument of a kind can be. */
const junkOf = {
  // The host's transaction, and how to read.
  options: (): Record<string, unknown> => ({
    ...{ ...never, 'null': null, '0': 0, 'a text': 'junk', 'a getter that throws': brokenGetter, cyclic, forged },
    ...{
      'an EntityManager': manager,
      'a DataSource': host.dataSource,
      'a query runner': host.dataSource.createQueryRunner(),
    },
    ...{ 'an unknown field': { manger: manager }, 'a symbol as key': { [Symbol('manager')]: manager } },
    ...Object.fromEntries(
      [null, 0, {}, brokenProxy, Symbol('s')].map((value, n) => [`a manager ${n}`, { manager: value }]),
    ),
    'a DataSource as manager': { manager: host.dataSource },
  }),
  user: () => ({ ...noId, 'no id': {}, 'a broken id': brokenGetter, 'an id that is none': { id: {} }, '-0.5': -0.5 }),
  owner: () => ({ ...never, 'NUL': 'a\0', 'half a pair': 'a\ud800', 'no id': {}, 'a broken id': brokenGetter }),
  id: () => ({
    ...noId,
    '0': 0,
    '-1': -1,
    'a text': '1',
    'undefined': undefined,
    'no id': {},
    'a broken id': brokenGetter,
  }),
  amount: () => ({ ...noId, 'Infinity': Infinity, 'a text': '1e3', 'an object': {}, 'undefined': undefined }),
  text: () => ({ ...never, 'null': null, '0': 0, 'NUL': 'a\0', 'half a pair': '\udc00', 'undefined': undefined }),
  string: () => ({ ...never, 'null': null, '0': 0, 'undefined': undefined }),
  uuid: () => ({ ...noId, 'a text': 'junk' }),
  list: () => ({ ...never, 'null': null, '0': 0, 'an object': {}, 'a hole': [, 1], 'nulls': [null], cyclic }),
  request: () => ({ ...never, '0': 0, 'a text': 'GET /', 'an object': {}, cyclic }),
  callback: () => ({ ...noId, 'a function': undefined, 'an object': {} }),
  manager: () => ({ ...noId, 'an object': {}, 'a DataSource': host.dataSource }),
  event: () => ({ ...noId, 'a text': 'junk', 'of every object': 'toString', '__proto__': '__proto__' }),
  fields: (): Record<string, unknown> => ({
    ...{ ...never, 'null': null, '0': 0, 'a text': 'junk', 'a getter that throws': brokenGetter, forged },
    ...{ 'an EntityManager': manager, 'an unknown field': { unknown: 1 }, 'a symbol as key': { [Symbol('user')]: 1 } },
  }),
};
type Kind = keyof typeof junkOf;
const of = (name: string) =>
  host.referrals[name as 'programs'] as unknown as Record<string, (...given: never[]) => unknown>;

const managers = [
  ...['creditTypes', 'programs', 'referralCodes', 'signups', 'credits', 'creditTransactions'],
  ...['channels', 'accounts', 'purchases', 'commissions', 'earnOuts'],
] as const;

const records: Record<string, (typeof managers)[number]> = {
  ...{ ReferralCreditType: 'creditTypes', ReferralProgram: 'programs', ReferralCode: 'referralCodes' },
  ...{ ReferralSignup: 'signups', ReferralCredit: 'credits', ReferralCreditTransaction: 'creditTransactions' },
  ...{ ReferralChannel: 'channels', ReferralAccount: 'accounts', ReferralPurchase: 'purchases' },
  ...{ ReferralCommission: 'commissions', ReferralEarnOut: 'earnOuts' },
};

const options = 'options';
const searches = (): Record<string, unknown> => ({
  ...junkOf.fields(),
  ...Object.fromEntries(
    [
      [],
      [[]],
      [{}, []],
      null,
      0,
      'id',
      new Map(),
      new Date(),
      brokenProxy,
      { [Symbol('id')]: 1 },
      { constructor: 1 },
      Promise.resolve({}),
    ].map((where, n) => [`where ${n}`, { where }]),
  ),
  ...Object.fromEntries(
    [
      [],
      null,
      0,
      new Map(),
      brokenProxy,
      { [Symbol('id')]: 1 },
      { id: brokenProxy },
      { id: { direction: 'ASC', [Symbol('nulls')]: 1 } },
    ].map((order, n) => [`order ${n}`, { order }]),
  ),
  ...Object.fromEntries(
    [0, '', false, null, {}, brokenProxy, ['toString'], [Symbol('id')], [null]].map((fields, n) => [
      `fields ${n}`,
      { fields },
    ]),
  ),
  ...Object.fromEntries([0, 'false', null].map((plain, n) => [`plain ${n}`, { plain }])),
  ...Object.fromEntries(
    [-1, 0.5, '1', NaN, null, 10n ** 199n].flatMap((count, n) => [
      [`take ${n}`, { take: count }],
      [`skip ${n}`, { skip: count }],
    ]),
  ),
});
const reads = (): Record<string, unknown> => ({
  ...junkOf.options(),
  ...Object.fromEntries(
    [0, '', false, null, {}, brokenProxy, ['toString']].map((fields, n) => [`fields ${n}`, { fields }]),
  ),
  ...Object.fromEntries(
    [0, 'false', null].flatMap((flag, n) => [
      [`plain ${n}`, { plain: flag }],
      [`optional ${n}`, { optional: flag }],
    ]),
  ),
});

/** The junk of an argument by its kind, beside that which the name of an input stands for. */
const inputs: Record<string, () => Record<string, unknown>> = { search: searches, reads };

interface Call {
  call: (...given: unknown[]) => unknown;
  /** The kind of each argument, or of a field of an input: `1.amount`. */
  takes: Record<string, keyof typeof junkOf | 'search' | 'reads'>;
  good: unknown[];
}

const record = (name: string) => async (): Promise<Record<string, (...given: unknown[]) => unknown>> =>
  (await of(records[name]!)['get']!(...([world.id[records[name] as keyof CallWorld['id']]] as never[]))) as never;

function callOf(name: string): Call | null {
  const [what, method] = name.split(/[.#](?=[^.#]+$)/) as [string, string];
  const manager = what.replace('referrals.', '');
  const any = (takes: Call['takes'], good: unknown[], call: Call['call']): Call => ({ takes, good, call });
  const own = special[name];
  if (own) return own();
  if (what.startsWith('referrals.') && (managers as readonly string[]).includes(manager)) {
    const call = (...given: unknown[]) => of(manager)[method]!(...(given as never[]));
    const id = world.id[manager as keyof CallWorld['id']];
    if (method === 'get') return any({ 0: 'id', 1: 'reads' }, [id, {}], call);
    if (method === 'list') return any({ 0: 'list', 1: 'reads' }, [[id], {}], call);
    if (method === 'search') return any({ 0: 'search' }, [{}], call);
    if (method === 'count') return any({ 0: 'fields', '0.where': 'fields' }, [{}], call);
    if (method === 'create') return any({ 0: 'fields', 1: options }, [{}, {}], call);
    if (method === 'createMany') return any({ 0: 'list', 1: options }, [[{}], {}], call);
    if (method === 'update') return any({ 0: 'id', 1: 'fields', 2: options }, [id, {}, {}], call);
    if (method === 'delete') return any({ 0: 'id', 1: options }, [id, {}], call);
    if (/^getBy/.test(method)) return any({ 0: 'text', 1: 'reads' }, ['junk', {}], call);
  }
  if (what in records) {
    const call = async (...given: unknown[]) => (await record(what)())[method]!(...given);
    if (method === 'update') return any({ 0: 'fields', 1: options }, [{}, {}], call);
    if (method === 'toJSON') return null; // it takes nothing
    return any({ 0: options }, [{}], call);
  }
  return null;
}

const referral = () => Referral.findByCode('ANNA', { manager }).then((found) => found!) as Promise<never>;
const ofReferral =
  (method: string) =>
  async (...given: unknown[]) =>
    ((await referral()) as unknown as Record<string, (...given: unknown[]) => unknown>)[method]!(...given);
/** A call whose first argument is the request. `undefined` stands for the page's own. */
const withRequest =
  (call: (...given: never[]) => unknown) =>
  (req: unknown, ...given: unknown[]) =>
    inPage((own) => call(...([req === undefined ? own : req, ...given] as never[])));
const call = (takes: Call['takes'], good: unknown[], make: Call['call']) => () => ({ takes, good, call: make });
const referrals = () => host.referrals as unknown as Record<string, Record<string, (...given: unknown[]) => unknown>>;
const on =
  (path: string) =>
  (...given: unknown[]) => {
    const [part, method] = path.split('.') as [string, string | undefined];
    const calls = referrals() as unknown as Record<string, (...given: unknown[]) => unknown>;
    return method ? referrals()[part]![method]!(...given) : calls[part]!(...given);
  };
const purpose = { '1.product': 'text', '1.productCategory': 'text' } as const;
const spend = {
  0: 'user',
  1: 'fields',
  '1.amount': 'amount',
  '1.reference': 'text',
  ...purpose,
  '1.manager': 'manager',
} as const;
const spent = { amount: 1, reference: 'junk', product: undefined, productCategory: undefined, manager: undefined };
const settlement = { 0: 'fields', '0.reference': 'text', '0.user': 'user', '0.manager': 'manager' } as const;
const response = async (...given: unknown[]) => {
  const found = await manager.findOneByOrFail(ReferralResponse, { userId: 'clicked' });
  return found.loadTarget(...(given as []));
};
const helper =
  (name: string) =>
  (...given: unknown[]) =>
    inPage((_req, res) => res.locals['referrals'][name](...given));
const takesNothing = () => null as never;

const special: Record<string, () => Call> = {
  'createReferrals': () => ({
    takes: { 0: 'fields' },
    good: [{ dataSource: host.dataSource, baseUrl, secret, user: () => null }],
    call: (given) => createReferrals(given as never),
  }),
  'formatAmount': call({ 0: 'amount', 1: 'text', 2: 'text' }, [1, 'de', 'EUR'], (...given) =>
    formatAmount(...(given as [never, never, never])),
  ),
  'runMigrations': call({ 0: 'list' }, [undefined], (given) => runMigrations(given as never)),
  'referrals.on': call({ 0: 'event', 1: 'callback' }, ['signup', () => undefined], on('on')),
  'referrals.off': call({ 0: 'event', 1: 'callback' }, ['signup', () => undefined], on('off')),
  'referrals.close': takesNothing,
  'referrals.middleware': takesNothing,
  'referrals.limitCouponTries': takesNothing,
  'referrals.visitorId': call(
    { 0: 'request' },
    [undefined],
    withRequest((req) => host.referrals.visitorId(req)),
  ),
  'referrals.formatAmount': call({ 0: 'amount', 1: 'text' }, [1, 'de'], on('formatAmount')),
  'referrals.explainSignup': call({ 0: 'user', 1: options }, ['boris', {}], on('explainSignup')),
  'referrals.recordUsage': call(
    { 0: 'user', 1: 'fields', '1.amount': 'amount', '1.reference': 'text', '1.manager': 'manager' },
    ['boris', spent],
    on('recordUsage'),
  ),
  'referrals.quote': call({ 0: 'user', 1: 'amount', 2: options }, ['dora', 100, {}], on('quote')),
  'referrals.recordPurchase': call(
    {
      0: 'user',
      1: 'fields',
      '1.amount': 'amount',
      '1.reference': 'text',
      '1.at': 'text',
      '1.referral': 'user',
      '1.manager': 'manager',
    },
    ['clicked', { amount: 1, reference: 'junk' }],
    on('recordPurchase'),
  ),
  'referrals.recordRefund': call(
    { 0: 'user', 1: 'fields', '1.purchase': 'text', '1.reference': 'text', '1.manager': 'manager' },
    ['boris', { purchase: 'first', reference: 'junk' }],
    on('recordRefund'),
  ),
  'referrals.runEarnOuts': call({ 0: 'fields', '0.onProgress': 'callback' }, [{}], on('runEarnOuts')),
  'referrals.verify': call({ 0: options, '0.payouts': 'callback' }, [{}], on('verify')),
  'referrals.earnOuts.reconcile': call({ 0: 'list', 1: options }, [[], {}], on('earnOuts.reconcile')),
  'referrals.earnOuts.settle': call(
    { 0: 'fields', '0.key': 'text', '0.status': 'text', '0.reason': 'text', '0.manager': 'manager' },
    [{ key: 'junk', status: 'failed' }],
    on('earnOuts.settle'),
  ),
  'referrals.earnOuts.retry': call({ 0: 'id', 1: options }, [1, {}], on('earnOuts.retry')),
  'referrals.coupons.of': call({ 0: 'user', 1: options }, ['dora', {}], on('coupons.of')),
  'referrals.coupons.apply': call({ 0: 'user', 1: 'text', 2: options }, ['dora', 'CARLA', {}], on('coupons.apply')),
  'referrals.coupons.quote': call({ 0: 'user', 1: 'amount', 2: options }, ['dora', 1, {}], on('coupons.quote')),
  'referrals.coupons.remove': call({ 0: 'user', 1: options }, ['dora', {}], on('coupons.remove')),
  'referrals.channels.getByCode': call({ 0: 'string', 1: 'reads' }, ['carla', {}], on('channels.getByCode')),
  'referrals.channels.ofUser': call({ 0: 'user', 1: options }, ['carla', {}], on('channels.ofUser')),
  'referrals.accounts.of': call({ 0: 'user', 1: options }, ['carla', {}], on('accounts.of')),
  'referrals.accounts.totals': call({ 0: 'user', 1: options }, ['carla', {}], on('accounts.totals')),
  'referrals.credits.balance': call({ 0: 'user', 1: options, ...purpose }, ['rich', {}], on('credits.balance')),
  'referrals.credits.spend': call(spend, ['rich', spent], on('credits.spend')),
  'referrals.credits.hold': call(spend, ['rich', spent], on('credits.hold')),
  'referrals.credits.capture': call(
    { ...settlement, '0.amount': 'amount' },
    [{ reference: 'junk' }],
    on('credits.capture'),
  ),
  'referrals.credits.release': call(settlement, [{ reference: 'junk' }], on('credits.release')),
  'referrals.credits.refund': call(settlement, [{ reference: 'junk' }], on('credits.refund')),

  'referrals.signups.create': call(
    { 0: 'fields', '0.user': 'user', '0.code': 'string', 1: options },
    [{ user: 'new', code: 'ANNA' }, {}],
    on('signups.create'),
  ),
  'referrals.credits.create': call(
    {
      0: 'fields',
      '0.user': 'user',
      '0.creditType': 'id',
      '0.initialBalance': 'amount',
      '0.durationDays': 'id',
      1: options,
    },
    [{ user: 'rich', creditType: 1, initialBalance: 1, durationDays: 1 }, {}],
    on('credits.create'),
  ),
  'referrals.channels.create': call(
    { 0: 'fields', '0.user': 'user', '0.code': 'text', '0.promoValue': 'amount', 1: options },
    [{ user: 'carla', code: 'JUNK', promoType: 'value_off', promoValue: 1 }, {}],
    on('channels.create'),
  ),
  'referrals.purchases.create': call(
    { 0: 'fields', '0.user': 'user', '0.amount': 'amount', '0.reference': 'text', 1: options },
    [{ user: 'clicked', amount: 1, reference: 'junk' }, {}],
    on('purchases.create'),
  ),

  'Referral.create': call(
    {
      0: 'fields',
      '0.user': 'owner',
      '0.redirectTo': 'text',
      '0.target': 'list',
      '0.label': 'text',
      '0.program': 'id',
      '0.expiredAt': 'string',
      1: options,
    },
    [{ user: 'x', redirectTo: '/' }, {}],
    (...given) => Referral.create(...(given as [never])),
  ),
  'Referral.findByCode': call({ 0: 'string', 1: options }, ['ANNA', {}], (...given) =>
    Referral.findByCode(...(given as [never])),
  ),
  'Referral.recordResponse': call(
    { 0: 'request', 1: 'text', 2: options, '2.target': 'list' },
    [undefined, 'X', {}],
    withRequest(Referral.recordResponse.bind(Referral)),
  ),
  'Referral.recordSignup': call(
    { 0: 'request', 1: 'user', 2: options, '2.code': 'list' },
    [undefined, 'x', {}],
    withRequest(Referral.recordSignup.bind(Referral)),
  ),
  'Referral.referralForRequest': call(
    { 0: 'request', 1: options },
    [undefined, {}],
    withRequest(Referral.referralForRequest.bind(Referral)),
  ),
  'Referral.responsesForRequest': call(
    { 0: 'request', 1: options, '1.take': 'uuid', '1.skip': 'uuid' },
    [undefined, {}],
    withRequest(Referral.responsesForRequest.bind(Referral)),
  ),
  'Referral.responsesForReferrer': call(
    { 0: 'user', 1: options, '1.take': 'uuid', '1.skip': 'uuid' },
    ['anna', {}],
    (...given) => Referral.responsesForReferrer(...(given as [never])),
  ),
  'Referral#respond': call(
    { 0: 'request', 1: 'text', 2: options, '2.target': 'list' },
    [undefined, 'X', {}],
    withRequest(ofReferral('respond')),
  ),
  'Referral#linkResponsesToUser': call(
    { 0: 'user', 1: 'uuid', 2: options },
    ['x', '6f9619ff-8b86-d011-b42d-00cf4fc964ff', {}],
    ofReferral('linkResponsesToUser'),
  ),
  'Referral#responseCount': call({ 0: options }, [{}], ofReferral('responseCount')),
  'Referral#filteredResponses': call(
    { 0: options, '0.take': 'uuid', '0.skip': 'uuid' },
    [{}],
    ofReferral('filteredResponses'),
  ),
  'Referral#loadTarget': call({ 0: options }, [{}], ofReferral('loadTarget')),
  'ReferralResponse#loadTarget': call({ 0: options }, [{}], response),

  'req.referralForRequest': takesNothing,
  'res.locals.referrals.createForm': call(
    { 0: 'fields', '0.redirectTo': 'text', '0.target': 'list', '0.label': 'string', '0.button': 'string' },
    [{ redirectTo: '/' }],
    helper('createForm'),
  ),
  'res.locals.referrals.actionDisplay': call({ 0: 'text' }, ['RESPONDED'], helper('actionDisplay')),
};

const rowCounts = (): Promise<string[]> =>
  Promise.all(entities.map(async (entity) => `${entity.name} ${await manager.getRepository(entity).count()}`));

/** The arguments with junk in one place. */
function withJunk(good: unknown[], place: string, junk: unknown): unknown[] {
  const [index, field] = place.split('.') as [string, string | undefined];
  const given = [...good];
  given[Number(index)] = field ? { ...(good[Number(index)] as object), [field]: junk } : junk;
  return given;
}

const isCall = (name: string): boolean => !/^(GET|POST|PATCH|DELETE) /.test(name);

test.each(Object.keys(entries).filter(isCall))('%s refuses junk, and writes nothing', async (name) => {
  const tried = callOf(name);
  if (!tried) return;
  const before = await rowCounts();
  const wrong: unknown[] = [];
  for (const [place, kind] of Object.entries(tried.takes))
    for (const [what, junk] of Object.entries((inputs[kind] ?? junkOf[kind as Kind])())) {
      // A field that is left out is not junk.
      if (place.includes('.') && (junk === undefined || junk === null)) continue;
      const outcome = await settled(() => tried.call(...withJunk(tried.good, place, junk))).then(
        (result) => ({ result: typeof result }),
        (error: Error & { code?: string }) => error,
      );
      const isRefused = outcome instanceof Error && outcome.name === 'ReferralError';
      const isExplained = isRefused && !/secret of the trap|[\n\u0080-\u009f\u202e]/.test(outcome.message);
      if (!isExplained) wrong.push([place, what, outcome instanceof Error ? outcome.stack : outcome]);
    }
  expect(wrong).toEqual([]);
  expect(await rowCounts()).toEqual(before);
  expect(host.errors).toEqual([]);
});
