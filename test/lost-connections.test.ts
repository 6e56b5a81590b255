import type { Request } from 'express';
import request from 'supertest';
import type { DataSource, EntityManager } from 'typeorm';
import { entities, Referral, type ReferralCreditType, ReferralError, type ReferralProgram } from '../lib';
import { type CuttingProxy, type Loss, startCuttingProxy } from './support/cutting-proxy';
import { couponOf, type EarningsHost, fresh, refer, startEarnings } from './support/earnings';
import { endBackend } from './support/end-backend';
import { closeAll, cookieOf, databaseUrl, type Host, openDataSource, startHost } from './support/host';

/** On the same tables: what a call needs is made directly, and the call runs behind the proxy. */
let direct: EarningsHost;
let own: Host;
let behind: DataSource;
let proxy: CuttingProxy;
let type: ReferralCreditType;
let program: ReferralProgram;

const options = { commission: { ratio: '0.25', pendingDays: 0 }, earnOuts: { payout: () => undefined } };

beforeAll(async () => {
  direct = await startEarnings(options);
  const { dataSource } = direct;
  const { schema } = dataSource.options as { schema: string };
  const given = new URL(databaseUrl(schema));
  proxy = await startCuttingProxy(Number(given.port), { end: (pid) => endBackend(dataSource, pid) });
  const url = Object.assign(given, { port: String(proxy.port) }).href;
  behind = await openDataSource({ url, schema, migrate: false, poolSize: 2 });
  own = await startHost({ ...options, dataSource: behind, clock: direct.clock.read }, (app) => {
    app.post('/request', (req, res, next) => {
      inRequest!(req).then(() => res.sendStatus(204), next);
    });
  });
  type = await direct.referrals.creditTypes.create({ name: 'compute', refundable: true });
  const credit = { amount: '25', durationDays: 90, type };
  const terms = { beforeRewardUsageThreshold: '50', referralCredit: credit, rewardCredit: credit };
  program = await direct.referrals.programs.create({ name: 'launch', ...terms });
});
afterAll(async () => {
  await closeAll();
  await proxy.stop();
});

let inRequest: ((req: Request) => Promise<unknown>) | undefined;

interface Visit {
  referral: Referral;
  cookie: string;
}

/** A visitor who came through a link. */
async function visit(): Promise<Visit> {
  const referral = await link();
  const answer = await request(direct.app).get(`/r/${referral.code}`).set('User-Agent', 'Mozilla/5.0 Chrome/120');
  return { referral, cookie: cookieOf(answer)! };
}

/** Makes a call in a request of a visitor. */
function inRequestOf({ cookie }: Visit, make: (req: Request) => Promise<unknown>): Promise<unknown> {
  return new Promise((resolve, reject) => {
    inRequest = (req) => make(req).then(resolve, reject);
    request(own.app).post('/request').set('Cookie', cookie).then(undefined, reject);
  });
}

interface Call<T> {
  prepare: () => Promise<T>;
  /** Makes the call behind the proxy; without `manager`, or with that of a transaction. */
  make: (given: T, options: { manager?: EntityManager }) => Promise<unknown>;
  /** Whether it takes no `manager`. */
  isOwn?: boolean;
  /** Whether it only reads: it is tried with fewer losses. */
  isRead?: boolean;
}

function call<T>(
  prepare: Call<T>['prepare'],
  make: Call<T>['make'],
  how: Pick<Call<T>, 'isOwn' | 'isRead'> = {},
): Call<unknown> {
  return { prepare, make, ...how } as Call<unknown>;
}

/** A call that changes nothing. */
const read = <T>(prepare: Call<T>['prepare'], make: Call<T>['make']): Call<unknown> =>
  call(prepare, make, { isRead: true });

const nobody = (): Promise<string> => Promise.resolve(fresh());

async function withCredit(): Promise<string> {
  const user = fresh();
  for (const initialBalance of ['5', '7'])
    await direct.referrals.credits.create({ user, creditType: type, initialBalance, durationDays: 30 });
  return user;
}
async function credited(): Promise<number> {
  const user = await withCredit();
  return (await direct.referrals.credits.search({ where: { userId: user } }))[0]!.id;
}
async function held(): Promise<string> {
  const user = await withCredit();
  await direct.referrals.credits.hold(user, { amount: '9', reference: 'h' });
  return user;
}
async function spent(): Promise<string> {
  const user = await withCredit();
  await direct.referrals.credits.spend(user, { amount: '9', reference: 's' });
  return user;
}
async function referee(): Promise<string> {
  const user = fresh();
  await refer(direct, fresh(), user, { program });
  return user;
}
async function bought(): Promise<string> {
  const user = await referee();
  await direct.referrals.recordPurchase(user, { amount: '20', reference: 'p' });
  return user;
}
async function offered(): Promise<{ user: string; code: string; id: number; owner: string }> {
  const owner = fresh();
  const { code, id } = await couponOf(direct, owner);
  return { user: fresh(), code, id, owner };
}
async function applied(): Promise<string> {
  const { user, code } = await offered();
  await direct.referrals.coupons.apply(user, code);
  return user;
}
const link = (): Promise<Referral> =>
  Referral.create({ user: fresh(), redirectTo: '/', label: fresh() }, { manager: direct.dataSource.manager });
async function code(): Promise<string> {
  const made = await direct.referrals.referralCodes.create({ code: fresh('code'), user: fresh(), program });
  return made.code;
}
async function account(): Promise<number> {
  return (await direct.referrals.accounts.of(fresh())).id;
}
/** The referral as the DataSource behind the proxy has it. */
const ownReferral = async ({ referral }: Visit): Promise<Referral> =>
  (await Referral.findByCode(referral.code, within()))!;
const within = (manager?: EntityManager): { manager: EntityManager } => ({ manager: manager ?? behind.manager });

const calls: Record<string, Call<unknown>> = {
  'recordPurchase, of a referee': call(referee, (user, by) =>
    own.referrals.recordPurchase(user, { amount: '20', reference: 'p', ...by }),
  ),
  'recordPurchase, with a coupon': call(applied, (user, by) =>
    own.referrals.recordPurchase(user, { amount: '20', reference: 'p', ...by }),
  ),
  'recordPurchase, of a stranger': call(nobody, (user, by) =>
    own.referrals.recordPurchase(user, { amount: '20', reference: 'p', ...by }),
  ),
  'purchases.create': call(referee, (user, by) =>
    own.referrals.purchases.create({ user, amount: '20', reference: 'p' }, by),
  ),
  'recordRefund': call(bought, (user, by) =>
    own.referrals.recordRefund(user, { purchase: 'p', reference: 'r', amount: '5', ...by }),
  ),
  'quote': read(applied, (user, by) => own.referrals.quote(user, '20', by)),
  'recordUsage': call(referee, (user, by) => own.referrals.recordUsage(user, { amount: '60', reference: 'u', ...by })),
  'explainSignup': read(referee, (user, by) => own.referrals.explainSignup(user, by)),
  'verify': read(nobody, (_user, by) => own.referrals.verify(by)),
  'runEarnOuts': call(
    async () => {
      const payee = fresh();
      await refer(direct, payee, fresh());
      for (const referrer of [fresh(), payee]) {
        const user = fresh();
        await refer(direct, referrer, user);
        await direct.referrals.recordPurchase(user, { amount: '20', reference: 'p' });
      }
      const { id } = await direct.referrals.accounts.of(payee);
      await direct.referrals.accounts.update(id, { mode: 'payout', payoutEmail: 'payee@shop.example' });
      direct.clock.advanceDays(8);
    },
    () => own.referrals.runEarnOuts(),
    { isOwn: true },
  ),

  'coupons.apply': call(offered, ({ user, code: typed }, by) => own.referrals.coupons.apply(user, typed, by)),
  'coupons.of': read(applied, (user, by) => own.referrals.coupons.of(user, by)),
  'coupons.remove': call(applied, (user, by) => own.referrals.coupons.remove(user, by)),
  'channels.create': call(nobody, (user, by) =>
    own.referrals.channels.create({ user, code: fresh('C'), promoType: 'percent_off', promoValue: '0.2' }, by),
  ),
  'channels.update': call(offered, ({ id }, by) => own.referrals.channels.update(id, { code: fresh('C') }, by)),
  'channels.delete': call(offered, ({ id }, by) => own.referrals.channels.delete(id, by)),
  'channels.get': read(offered, ({ id }, by) => own.referrals.channels.get(id, by)),
  'channels.getByCode': read(offered, ({ code: typed }, by) => own.referrals.channels.getByCode(typed, by)),
  'channels.ofUser': read(offered, ({ owner }, by) => own.referrals.channels.ofUser(owner, by)),
  'channels.search': read(offered, ({ owner }, by) =>
    own.referrals.channels.search({ where: { userId: owner }, ...by }),
  ),
  'channels.count': read(offered, (_given, by) => own.referrals.channels.count(by)),

  'credits.balance': read(withCredit, (user, by) => own.referrals.credits.balance(user, by)),
  'credits.create': call(nobody, (user, by) =>
    own.referrals.credits.create({ user, creditType: type, initialBalance: '5', durationDays: 3, reference: 'c' }, by),
  ),
  'credits.createMany': call(nobody, (user, by) => {
    const credit = { user, creditType: type, initialBalance: '5', durationDays: 3 };
    return own.referrals.credits.createMany(
      ['a', 'b'].map((reference) => ({ ...credit, reference })),
      by,
    );
  }),
  'credits.update': call(credited, (id, by) => own.referrals.credits.update(id, { name: 'new' }, by)),
  'credits.search': read(withCredit, (userId, by) => own.referrals.credits.search({ where: { userId }, ...by })),
  'credits.spend': call(withCredit, (user, by) =>
    own.referrals.credits.spend(user, { amount: '9', reference: 's', ...by }),
  ),
  'credits.hold': call(withCredit, (user, by) =>
    own.referrals.credits.hold(user, { amount: '9', reference: 'h', ...by }),
  ),
  'credits.capture': call(held, (user, by) => own.referrals.credits.capture({ user, reference: 'h', ...by })),
  'credits.release': call(held, (user, by) => own.referrals.credits.release({ user, reference: 'h', ...by })),
  'credits.refund': call(spent, (user, by) => own.referrals.credits.refund({ user, reference: 's', ...by })),
  'creditTransactions.create': call(credited, (credit, by) =>
    own.referrals.creditTransactions.create({ credit, value: '1', reference: 'a', description: 'more' }, by),
  ),
  'creditTypes.create': call(nobody, (name, by) => own.referrals.creditTypes.create({ name }, by)),
  'creditTypes.delete': call(
    async () => (await direct.referrals.creditTypes.create({ name: fresh() })).id,
    (id, by) => own.referrals.creditTypes.delete(id, by),
  ),
  'programs.create': call(nobody, (name, by) =>
    own.referrals.programs.create({ name, referralCredit: { amount: '5', durationDays: 9, type } }, by),
  ),
  'referralCodes.create': call(nobody, (user, by) =>
    own.referrals.referralCodes.create({ code: fresh('code'), user, program }, by),
  ),
  'referralCodes.update': call(
    async () => (await direct.referrals.referralCodes.create({ code: fresh('code'), user: fresh() })).id,
    (id, by) => own.referrals.referralCodes.update(id, { allowedUses: 7 }, by),
  ),
  'signups.create': call(code, (typed, by) => own.referrals.signups.create({ user: fresh(), code: typed }, by)),
  'accounts.of': call(nobody, (user, by) => own.referrals.accounts.of(user, by)),
  'accounts.totals': call(nobody, (user, by) => own.referrals.accounts.totals(user, by)),
  'accounts.update': call(account, (id, by) =>
    own.referrals.accounts.update(id, { payoutEmail: 'new@shop.example' }, by),
  ),
  'commissions.search': read(nobody, (_user, by) => own.referrals.commissions.search({ take: 2, ...by })),
  'earnOuts.count': read(nobody, (_user, by) => own.referrals.earnOuts.count(by)),

  'Referral.create': call(nobody, (user, { manager }) =>
    Referral.create({ user, redirectTo: '/', label: fresh() }, within(manager)),
  ),
  'Referral.findByCode': read(link, (made, { manager }) => Referral.findByCode(made.code, within(manager))),
  'Referral.recordSignup': call(code, (typed, { manager }) =>
    Referral.recordSignup(null, fresh(), { code: typed, ...within(manager) }),
  ),
  'Referral.responsesForReferrer': read(nobody, (user, { manager }) =>
    Referral.responsesForReferrer(user, within(manager)),
  ),
  'referral.filteredResponses': read(link, (made, { manager }) => made.filteredResponses(within(manager))),
  'referral.responseCount': read(link, (made, { manager }) => made.responseCount(within(manager))),
  'Referral.recordResponse': call(
    visit,
    (visitor) => inRequestOf(visitor, (req) => Referral.recordResponse(req, 'DONE')),
    { isOwn: true },
  ),
  'referral.respond': call(
    visit,
    (visitor) => inRequestOf(visitor, async (req) => (await ownReferral(visitor)).respond(req, 'DONE')),
    { isOwn: true },
  ),
};

/** A digest of every row of ours. */
async function everything(): Promise<string> {
  const { dataSource, schema } = direct;
  const tables = entities.map((entity) => `${schema}."${dataSource.getMetadata(entity).tableName}"`);
  const [row] = await dataSource.query<{ digest: string }[]>(
    `SELECT md5(concat(${tables.map((table) => `(SELECT string_agg(t::text, ',' ORDER BY t::text) FROM ${table} t)`).join(', ')})) AS digest`,
  );
  return row!.digest;
}

interface Seen {
  isLost: boolean;
  error: ReferralError | null;
  hasChanged: boolean;
}

/** Makes a call once and loses the connection at its `n`th statement. */
async function lose(made: Call<unknown>, n: number, loss: Loss, isInTransaction: boolean): Promise<Seen> {
  const given = await made.prepare();
  const before = await everything();
  let error: unknown = null;
  const attempt = async (by: { manager?: EntityManager }): Promise<void> => {
    proxy.loseAt(n, loss);
    await made.make(given, by).catch((thrown) => (error = thrown));
  };
  if (isInTransaction) {
    await behind
      .transaction(async (manager) => {
        await attempt({ manager });
        proxy.heal();
        throw new Error('the host gives up');
      })
      .catch(() => undefined);
  } else {
    await attempt({});
  }
  const isLost = proxy.heal();
  return { isLost, error: error as ReferralError | null, hasChanged: before !== (await everything()) };
}

/** Each statement is lost before PostgreSQL has it and after, by the network and by an operator in turn. */
const moments: readonly (readonly [Loss, Loss])[] = [
  ['cut before', 'ended before'],
  ['cut after', 'ended after'],
];

/** Loses the connection at each of the first statements of a call, then at some, and checks what the call says. */
async function loseEach(
  made: Call<unknown>,
  moment: readonly Loss[],
  shift: number,
  isInTransaction: boolean,
): Promise<void> {
  for (let n = 1; ; n += n < 9 ? 1 : n) {
    const loss = moment[(n + shift) % moment.length]!;
    const { isLost, error, hasChanged } = await lose(made, n, loss, isInTransaction);
    const where = `${loss}, statement ${n}${isInTransaction ? ', in a transaction of the host' : ''}`;
    if (error) {
      if (!(error instanceof ReferralError)) throw new Error(`${where}: ${String(error)}`, { cause: error });
      const { code, status, outcome } = error;
      expect([where, code, status, outcome]).toEqual([
        where,
        'DATABASE_UNAVAILABLE',
        503,
        expect.stringMatching(/^(none|unknown)$/),
      ]);
      if (isInTransaction) expect([where, outcome]).toEqual([where, 'none']);
      if (outcome === 'none') expect([where, hasChanged]).toEqual([where, false]);
    }
    if (!isLost) return expect([where, error]).toEqual([where, null]); // it has fewer statements
  }
}

describe('a call that loses its connection, at any of its statements,', () => {
  const numbered = Object.entries(calls).map(([name, made], index) => [name, made, index] as const);
  test.each(numbered)('%s is unavailable, and says whether it may have happened', async (_name, made, index) => {
    for (const isInTransaction of made.isOwn ? [false] : [false, true])
      for (const moment of made.isRead ? moments.slice(1) : moments)
        await loseEach(made, moment, index + Number(isInTransaction), isInTransaction);
  });
});
