import { randomUUID } from 'node:crypto';
import type { Request, Response } from 'express';
import request from 'supertest';
import {
  createReferrals,
  formatAmount,
  Referral,
  ReferralResponse,
  type RunEarnOutsOptions,
  runMigrations,
  type VerifyOptions,
  type WithManager,
} from '../../lib';
import { mount } from './api';
import { firefox } from './browser';
import { type CallWorld, fresh, next } from './call-world';
import { baseUrl, type Host, secret } from './host';

/** What a call is made with. */
export interface Turn {
  host: Host;
  world: CallWorld;
  /** The host's transaction, for a call that takes it. */
  options: WithManager;
  onProgress: RunEarnOutsOptions['onProgress'];
  /** What the provider says of payments, for `verify`. */
  payouts: VerifyOptions['payouts'];
  /** Works in a page of the host's, whose visitor has the cookie, and returns what the work returns. */
  inPage: <T>(cookie: string, work: (req: Request, res: Response) => T | Promise<T>) => Promise<T>;
}

type Call = (turn: Turn) => unknown;

/** How a call is made; `alone` if it can't run in the host's transaction. */
export type Entry = Call | { alone: Call };

type Records = keyof CallWorld['id'];

/** How the calls are made that all managers and all records have. */
interface Kind {
  /** The class of the records. */
  record: string;
  /** What `create` takes. */
  input: (world: CallWorld) => object;
  changes: object;
  /** The errors of calls that such records refuse. */
  refuses?: { create?: string; update?: string; delete?: string };
  /** The methods of a record that load related records. */
  loaders?: string[];
}

const kept = { update: 'NOT_CHANGEABLE', delete: 'IN_USE' };
const notCreated = { ...kept, create: 'NOT_CREATABLE' };
const promo = { promoType: 'percent_off', promoValue: '0.20' };

const kinds: Record<Records, Kind> = {
  creditTypes: {
    ...{ record: 'ReferralCreditType', input: () => ({ name: fresh() }), changes: { refundable: true } },
    loaders: ['credits'],
  },
  programs: {
    ...{ record: 'ReferralProgram', input: () => ({ name: fresh() }), changes: { beforeRewardUsageThreshold: '50' } },
    loaders: ['referralCreditType', 'rewardCreditType', 'referralCodes'],
  },
  referralCodes: {
    record: 'ReferralCode',
    input: (world) => ({
      ...{ user: fresh(), referralCreditAmount: 5, referralCreditDuration: 9 },
      referralCreditType: world.id.creditTypes,
    }),
    changes: { expiredAt: null },
    loaders: ['referrals', 'program', 'referralCreditType', 'rewardCreditType'],
  },
  signups: {
    ...{ record: 'ReferralSignup', input: () => ({ user: fresh(), code: 'ANNA' }), changes: {} },
    refuses: { update: 'NOT_CHANGEABLE' },
    loaders: ['referralCode', 'ownReferralCodes', 'credits'],
  },
  credits: {
    record: 'ReferralCredit',
    input: (world) => ({ user: fresh(), creditType: world.id.creditTypes, initialBalance: 5, durationDays: 9 }),
    changes: { name: 'fortune' },
    refuses: { delete: 'IN_USE' },
    loaders: ['creditType', 'transactions', 'signup'],
  },
  creditTransactions: {
    record: 'ReferralCreditTransaction',
    input: (world) => ({ credit: world.id.credits, value: 1, reference: fresh() }),
    ...{ changes: {}, refuses: kept, loaders: ['credit'] },
  },
  channels: {
    ...{ record: 'ReferralChannel', input: () => ({ user: fresh(), code: fresh(), ...promo }) },
    ...{ changes: { description: 'a fifth off' }, loaders: ['commissions'] },
  },
  accounts: {
    ...{ record: 'ReferralAccount', input: () => ({ user: fresh() }), changes: { mode: 'credits' } },
    refuses: { delete: 'IN_USE' },
  },
  purchases: {
    record: 'ReferralPurchase',
    input: () => ({ user: 'clicked', amount: 100, reference: fresh() }),
    ...{ changes: {}, refuses: kept, loaders: ['commission', 'lateAttribution'] },
  },
  commissions: {
    ...{ record: 'ReferralCommission', input: () => ({}), changes: {}, refuses: notCreated },
    loaders: ['channel', 'earnOut', 'ofPurchase', 'ofSignup'],
  },
  audit: { record: 'ReferralAudit', input: () => ({}), changes: {}, refuses: notCreated },
  adjustments: {
    ...{ record: 'ReferralAdjustment', input: () => ({}), changes: {}, refuses: notCreated },
    loaders: ['earnOut'],
  },
  reviews: {
    ...{ record: 'ReferralReview', input: () => ({}), changes: {}, refuses: notCreated },
  },
  earnOuts: {
    ...{ record: 'ReferralEarnOut', input: () => ({}), changes: {}, refuses: notCreated },
    loaders: ['commissions'],
  },
};

/** A call that fails with this error; if there is no code, it returns its result. */
async function ends(call: unknown, code: string | undefined): Promise<unknown> {
  if (code === undefined) return call;
  return expect(call).rejects.toMatchObject({ code });
}

/** A manager of any records, and its records, as the table calls them: they check their input themselves. */
interface AnyManager {
  get(id: number, options: WithManager): Promise<AnyRecord>;
  list(ids: number[], options: WithManager): Promise<unknown>;
  search(search: WithManager & { take: number }): Promise<unknown>;
  count(search: WithManager): Promise<unknown>;
  create(input: object, options: WithManager): Promise<unknown>;
  createMany(inputs: object[], options: WithManager): Promise<unknown>;
  update(id: number, changes: object, options: WithManager): Promise<unknown>;
  delete(id: number, options: WithManager): Promise<unknown>;
}
interface AnyRecord {
  refresh(options: WithManager): Promise<unknown>;
  update(changes: object, options: WithManager): Promise<unknown>;
  delete(options: WithManager): Promise<unknown>;
  toJSON(): object;
  [loader: string]: (...given: never[]) => unknown;
}

/** The calls that every manager and every record has. */
function callsOfKind(name: Records, { record, input, changes, refuses = {}, loaders = [] }: Kind) {
  const managerOf = ({ host }: Turn) => host.referrals[name] as unknown as AnyManager;
  const load = (turn: Turn) => managerOf(turn).get(turn.world.id[name], turn.options);
  const unusedId = ({ world }: Turn): number =>
    name in world.unused ? next(world.unused[name as keyof CallWorld['unused']]) : world.id[name];
  const made = ({ world }: Turn) => input(world);
  const ofManager: Record<string, Call> = {
    get: load,
    list: (turn) => managerOf(turn).list([turn.world.id[name]], turn.options),
    search: (turn) => managerOf(turn).search({ take: 3, ...turn.options }),
    count: (turn) => managerOf(turn).count(turn.options),
    create: (turn) => ends(managerOf(turn).create(made(turn), turn.options), refuses.create),
    createMany: (turn) => ends(managerOf(turn).createMany([made(turn), made(turn)], turn.options), refuses.create),
    update: (turn) => ends(managerOf(turn).update(turn.world.id[name], changes, turn.options), refuses.update),
    delete: (turn) => ends(managerOf(turn).delete(unusedId(turn), turn.options), refuses.delete),
  };
  const ofRecord: Record<string, Call> = {
    refresh: async (turn) => (await load(turn)).refresh(turn.options),
    update: async (turn) => ends((await load(turn)).update(changes, turn.options), refuses.update),
    delete: async (turn) => {
      const unused = await managerOf(turn).get(unusedId(turn), turn.options);
      await ends(unused.delete(turn.options), refuses.delete);
    },
    toJSON: async (turn) => (await load(turn)).toJSON(),
    ...Object.fromEntries(
      // Twice at once: the two share a load.
      loaders.map((loader) => [
        loader,
        async (turn: Turn) => {
          const loaded = await load(turn);
          const loading = loaded[loader] as (options: WithManager) => Promise<unknown>;
          const [first] = await Promise.all([loading.call(loaded, turn.options), loading.call(loaded, turn.options)]);
          return first;
        },
      ]),
    ),
  };
  return {
    ...named(`referrals.${name}.`, ofManager),
    ...named(`${record}#`, ofRecord),
  };
}

function named(prefix: string, calls: Record<string, Entry>): Record<string, Entry> {
  return Object.fromEntries(Object.entries(calls).map(([name, call]) => [prefix + name, call]));
}

/** The key of a payment that is booked now. */
async function reconciled({ host, world, options }: Turn): Promise<string> {
  const payment = { key: randomUUID(), amount: 5, user: fresh(), at: world.clock.time };
  await host.referrals.earnOuts.reconcile([payment], options);
  return payment.key;
}

const looksWrong = { by: 'eve', reason: 'looks wrong' };

const referralOf = ({ options }: Turn) => Referral.findByCode('ANNA', options).then((found) => found!);

const calls: Record<string, Entry> = {
  'createReferrals': {
    // The host itself was made by such a call on this pool.
    alone: ({ host: { dataSource } }) => {
      const again = () => createReferrals({ dataSource, baseUrl, secret, user: () => null });
      expect(again).toThrow(expect.objectContaining({ code: 'ALREADY_CREATED' }));
    },
  },
  'runMigrations': { alone: ({ host }) => runMigrations(host.dataSource) },

  'referrals.on': {
    alone: ({ host: { referrals } }) => {
      const listener = () => undefined;
      referrals.on('signup', listener);
      referrals.off('signup', listener);
    },
  },
  'referrals.off': { alone: ({ host: { referrals } }) => referrals.off('signup', () => undefined) },
  'referrals.close': { alone: ({ host: { referrals } }) => referrals.close() },
  // A visitor who has just signed in.
  'referrals.middleware': {
    alone: ({ host, world }) =>
      ask(host, 'get', '/page/none', { cookie: next(world.cookies), as: fresh() }).expect(404),
  },
  'referrals.listener': {
    alone: ({ host: { app, referrals } }) =>
      request(referrals.listener(app)).get('/r/ANNA').set('User-Agent', firefox).expect(302),
  },
  'referrals.visitorId': {
    alone: ({ host, inPage, world }) => inPage(world.cookie, (req) => host.referrals.visitorId(req)),
  },
  'referrals.formatAmount': { alone: ({ host }) => host.referrals.formatAmount('12.50', 'de') },
  'formatAmount': { alone: () => formatAmount('12.50', 'de', 'EUR') },
  'referrals.pages': { alone: ({ host }) => ask(host, 'get', '/own-pages', { as: fresh() }).expect(200) },
  'referrals.embed': { alone: ({ host, inPage, world }) => inPage(world.cookie, (req) => host.referrals.embed(req)) },
  'referrals.referralBanner': {
    alone: ({ host, inPage, world }) => inPage(world.cookie, (req) => host.referrals.referralBanner(req)),
  },
  // Whether it lets the request pass or not.
  'referrals.limitCouponTries': {
    alone: ({ host, inPage, world }) =>
      inPage(world.cookie, (req, res) => new Promise((next) => host.referrals.limitCouponTries(req, res, next))),
  },
  'referrals.explainSignup': ({ host, options }) => host.referrals.explainSignup('boris', options),
  'referrals.explain': ({ host, options }) => host.referrals.explain('boris', options),
  'referrals.recordUsage': ({ host, world, options }) =>
    host.referrals.recordUsage(next(world.referees), { amount: 60, reference: fresh(), ...options }),
  'referrals.quote': ({ host, options }) => host.referrals.quote('dora', 100, options),
  'referrals.recordPurchase': ({ host, options }) =>
    host.referrals.recordPurchase('clicked', { amount: 100, reference: fresh(), ...options }),
  'referrals.qualify': ({ host, options }) => host.referrals.qualify('boris', { reference: fresh(), ...options }),
  'referrals.recordRefund': ({ host, world, options }) =>
    host.referrals.recordRefund('boris', { purchase: next(world.refundable), reference: fresh(), ...options }),
  'referrals.renameUser': async ({ host, options }) => {
    const user = fresh();
    await host.referrals.recordUsage(user, { amount: 1, reference: fresh(), ...options });
    return host.referrals.renameUser(user, fresh(), { reason: 'the ids have changed', ...options });
  },
  'referrals.undoRefund': ({ host, world, options }) =>
    host.referrals.undoRefund('boris', { reference: next(world.refunded), ...looksWrong, ...options }),
  'referrals.commissions.hold': ({ host, world, options }) =>
    host.referrals.commissions.hold(next(world.earned), { ...looksWrong, ...options }),
  'referrals.commissions.release': ({ host, world, options }) =>
    host.referrals.commissions.release(next(world.held), options),
  'referrals.commissions.reject': ({ host, world, options }) =>
    host.referrals.commissions.reject(next(world.earned), { ...looksWrong, ...options }),
  'referrals.commissions.adjust': ({ host, options }) =>
    host.referrals.commissions.adjust(fresh(), { amount: 5, reference: fresh(), ...looksWrong, ...options }),
  'referrals.earnOuts.approve': ({ host, world, options }) =>
    host.referrals.earnOuts.approve(world.id.earnOuts, { ...looksWrong, ...options }),
  'referrals.mergeUsers': async ({ host, options }) => {
    const user = fresh();
    await host.referrals.recordUsage(user, { amount: 1, reference: fresh(), ...options });
    return host.referrals.mergeUsers(user, fresh(), { reason: 'two accounts of one person', ...options });
  },
  'referrals.runEarnOuts': {
    alone: ({ host, world, onProgress }) => {
      world.clock.advanceDays(100);
      return host.referrals.runEarnOuts({ ...(onProgress && { onProgress }) });
    },
  },
  // A payment that the database does not know, so that each call has an earn-out of its own.
  'referrals.earnOuts.reconcile': reconciled,
  'referrals.earnOuts.settle': async (turn) => {
    const key = await reconciled(turn);
    return turn.host.referrals.earnOuts.settle({ key, status: 'returned', ...turn.options });
  },
  'referrals.earnOuts.retry': async (turn) => {
    const key = await reconciled(turn);
    const returned = await turn.host.referrals.earnOuts.settle({ key, status: 'returned', ...turn.options });
    return turn.host.referrals.earnOuts.retry(returned, turn.options);
  },
  'referrals.earnOuts.reject': async (turn) => {
    const key = await reconciled(turn);
    const returned = await turn.host.referrals.earnOuts.settle({ key, status: 'returned', ...turn.options });
    return turn.host.referrals.earnOuts.reject(returned, { ...looksWrong, ...turn.options });
  },
  'referrals.reviews.allow': ({ host, world, options }) => host.referrals.reviews.allow(world.id.reviews, options),
  'referrals.reviews.refuse': ({ host, world, options }) => host.referrals.reviews.refuse(next(world.reviews), options),
  'referrals.verify': ({ host, options, payouts }) =>
    host.referrals.verify({ ...options, ...(payouts && { payouts }) }),

  'referrals.coupons.of': ({ host, options }) => host.referrals.coupons.of('dora', options),
  'referrals.coupons.apply': ({ host, options }) => host.referrals.coupons.apply(fresh(), 'CARLA', options),
  'referrals.channels.exportCodes': async ({ host, options }) => {
    for await (const line of host.referrals.channels.exportCodes(options)) expect(line).toContain(',');
  },
  'referrals.coupons.giveBack': ({ host, options }) =>
    host.referrals.coupons.giveBack('dora', { reason: 'a test', ...options }),
  'referrals.coupons.quote': ({ host, options }) => host.referrals.coupons.quote('dora', 100, options),
  'referrals.coupons.remove': ({ host, options }) => host.referrals.coupons.remove(fresh(), options),
  'referrals.signups.reassign': async ({ host, options }) => {
    const { userId } = await host.referrals.signups.create({ user: fresh(), code: 'ANNA' }, options);
    return host.referrals.signups.reassign(userId, { code: null, reason: 'nobody referred them', ...options });
  },
  'referrals.creditTypes.getByName': ({ host, options }) => host.referrals.creditTypes.getByName('anything', options),
  'referrals.programs.getByName': ({ host, options }) => host.referrals.programs.getByName('launch', options),
  'referrals.referralCodes.getByCode': ({ host, options }) => host.referrals.referralCodes.getByCode('anna', options),
  'referrals.channels.getByCode': ({ host, options }) => host.referrals.channels.getByCode('carla', options),
  'referrals.channels.ofUser': ({ host, options }) => host.referrals.channels.ofUser('carla', options),
  'referrals.accounts.of': ({ host, options }) => host.referrals.accounts.of(fresh(), options),
  'referrals.accounts.totals': ({ host, options }) => host.referrals.accounts.totals(fresh(), options),
  'referrals.accounts.suspend': ({ host, options }) =>
    host.referrals.accounts.suspend(fresh(), { reason: 'a trial', ...options }),
  'referrals.accounts.ban': ({ host, options }) =>
    host.referrals.accounts.ban(fresh(), { reason: 'a trial', ...options }),
  'referrals.accounts.reinstate': async ({ host, options }) => {
    const user = fresh();
    await host.referrals.accounts.suspend(user, { reason: 'a trial', ...options });
    return host.referrals.accounts.reinstate(user, options);
  },
  'referrals.credits.getByName': ({ host, options }) => host.referrals.credits.getByName('fortune', options),
  'referrals.credits.balance': ({ host, options }) => host.referrals.credits.balance('rich', options),
  'referrals.credits.spend': ({ host, options }) =>
    host.referrals.credits.spend('rich', { amount: 1, reference: fresh(), ...options }),
  'referrals.credits.hold': ({ host, options }) =>
    host.referrals.credits.hold('rich', { amount: 1, reference: fresh(), ...options }),
  'referrals.credits.capture': ({ host, world, options }) =>
    host.referrals.credits.capture({ reference: next(world.holds), ...options }),
  'referrals.credits.release': ({ host, world, options }) =>
    host.referrals.credits.release({ reference: next(world.holds), ...options }),
  'referrals.credits.adjust': ({ host, options }) =>
    host.referrals.credits.adjust('rich', { amount: 1, reference: fresh(), reason: 'a test', ...options }),
  'referrals.credits.refund': ({ host, world, options }) =>
    host.referrals.credits.refund({ reference: next(world.spends), ...options }),

  'Referral.create': ({ options }) => Referral.create({ user: fresh(), redirectTo: '/' }, options),
  'Referral.findByCode': ({ options }) => Referral.findByCode('ANNA', options),
  'Referral.recordResponse': ({ inPage, world, options }) =>
    inPage(world.cookie, (req) => Referral.recordResponse(req, 'TRIED', options)),
  'Referral.recordSignup': ({ inPage, world, options }) =>
    inPage(next(world.cookies), (req) => Referral.recordSignup(req, fresh(), options)),
  'Referral.referralForRequest': ({ inPage, world, options }) =>
    inPage(world.cookie, (req) => Referral.referralForRequest(req, options)),
  'Referral.responsesForRequest': ({ inPage, world, options }) =>
    inPage(world.cookie, (req) => Referral.responsesForRequest(req, options)),
  'Referral.responsesForReferrer': ({ options }) => Referral.responsesForReferrer('anna', options),
  'Referral#respond': async (turn) => {
    const referral = await referralOf(turn);
    return turn.inPage(turn.world.cookie, (req) => referral.respond(req, 'TRIED', turn.options));
  },
  'Referral#linkResponsesToUser': async (turn) => {
    const referral = await referralOf(turn);
    return referral.linkResponsesToUser(fresh(), next(turn.world.visitorIds), turn.options);
  },
  'Referral#responseCount': async (turn) => (await referralOf(turn)).responseCount(turn.options),
  'Referral#filteredResponses': async (turn) => (await referralOf(turn)).filteredResponses(turn.options),
  'Referral#loadTarget': async (turn) => (await referralOf(turn)).loadTarget(turn.options),
  'ReferralResponse#loadTarget': async ({ host: { dataSource }, options: { manager = dataSource.manager } }) => {
    const response = await manager.findOneByOrFail(ReferralResponse, { userId: 'clicked' });
    return response.loadTarget({ manager });
  },

  'req.referralForRequest': {
    alone: ({ inPage, world }) => inPage(world.cookie, (req) => req.referralForRequest()),
  },
  'res.locals.referrals.createForm': {
    alone: ({ inPage, world }) =>
      inPage(world.cookie, (_req, res) => res.locals['referrals'].createForm({ redirectTo: '/' })),
  },
  'res.locals.referrals.actionDisplay': {
    alone: ({ inPage, world }) =>
      inPage(world.cookie, (_req, res) => res.locals['referrals'].actionDisplay('RESPONDED')),
  },
};

/** The requests that the routers answer, by their method and path. */
const requests: Record<string, (turn: Turn) => request.Test> = {
  'GET ?referral_code=': ({ host }) => ask(host, 'get', '/page/none?referral_code=ANNA').expect(404),
  'GET /r/:code': ({ host }) => ask(host, 'get', '/r/ANNA').expect(302),
  'POST /r/': ({ host }) =>
    ask(host, 'post', '/r/', { as: fresh() }).set('Origin', baseUrl).send({ redirect_to: '/' }).expect(200),
  'GET /r/create-link.js': ({ host }) => ask(host, 'get', '/r/create-link.js').expect(200),

  'GET /credit/': ({ host }) => ask(host, 'get', `${mount}/credit/?mode=credits`, { as: 'carla' }).expect(200),
  'GET /credit/{id}/': ({ host, world }) =>
    ask(host, 'get', `${mount}/credit/${world.id.commissions}/`, { as: 'carla' }).expect(200),
  'GET /earnout/': ({ host }) => ask(host, 'get', `${mount}/earnout/`, { as: 'carla' }).expect(200),
  'GET /earnout/{id}/': ({ host, world }) =>
    ask(host, 'get', `${mount}/earnout/${world.id.earnOuts}/`, { as: 'carla' }).expect(200),
  'GET /config/': ({ host }) => ask(host, 'get', `${mount}/config/`, { as: fresh() }).expect(200),
  'PATCH /config/': ({ host }) =>
    ask(host, 'patch', `${mount}/config/`, { as: fresh() }).send({ mode: 'credits' }).expect(200),
  'GET /channel/': ({ host }) => ask(host, 'get', `${mount}/channel/`, { as: 'carla' }).expect(200),
  'GET /coupon-code/': ({ host }) => ask(host, 'get', `${mount}/coupon-code/`, { as: 'dora' }).expect(200),
  'POST /coupon-code/': ({ host }) =>
    ask(host, 'post', `${mount}/coupon-code/`, { as: fresh() }).send({ code: 'CARLA' }).expect(200),
  'DELETE /coupon-code/': ({ host }) => ask(host, 'delete', `${mount}/coupon-code/`, { as: fresh() }).expect(204),
  'GET /code/info/': ({ host }) => ask(host, 'get', `${mount}/code/info/?referral_code=CARLA`).expect(200),
  'GET /openapi.json': ({ host }) => ask(host, 'get', `${mount}/openapi.json`).expect(200),
};

function ask(
  { app }: Host,
  method: 'get' | 'post' | 'patch' | 'delete',
  path: string,
  { as, cookie }: { as?: string; cookie?: string } = {},
): request.Test {
  return request(app)
    [method](path)
    .set({ 'User-Agent': firefox, ...(as && { Authorization: as }), ...(cookie && { Cookie: cookie }) });
}

/** How each call and each request is made, by its name. */
export const entries: Readonly<Record<string, Entry>> = Object.assign(
  {},
  ...Object.entries(kinds).map(([name, kind]) => callsOfKind(name as Records, kind)),
  calls,
  Object.fromEntries(Object.entries(requests).map(([name, call]) => [name, { alone: call }])),
) as Record<string, Entry>;
