import supertest from 'supertest';
import type { EntityManager } from 'typeorm';
import { Referral, type ReferralsOptions } from '../lib';
import { firefox } from './support/browser';
import { closeAll, cookieOf, type Host, openDataSource, startHost, visitorOf, waitFor } from './support/host';

// What a visitor does in one request is committed while the same browser signs in by another.

afterEach(closeAll);

/** Two processes of an app: what one of them knows, the other does not. Here they are two instances, each with its pool. */
async function startTwo(options: Partial<ReferralsOptions> = {}): Promise<[Host, Host]> {
  const dataSource = await openDataSource();
  const { schema } = dataSource.options as { schema: string };
  const routes = (host: { dataSource: Host['dataSource'] }) => (app: Host['app']) =>
    app.post('/buy', async (req, res) => {
      const record = (manager: EntityManager) => Referral.recordResponse(req, 'BOUGHT', { manager });
      const isRecorded =
        (await host.dataSource.transaction(async (manager) => {
          const response = await record(manager);
          await beforeCommit();
          return response;
        })) !== null;
      res.json({ isRecorded });
    });
  const second = await openDataSource({ schema, migrate: false });
  return [
    await startHost({ dataSource, ...options }, routes({ dataSource })),
    await startHost({ dataSource: second, ...options }, routes({ dataSource: second })),
  ];
}
let beforeCommit = (): Promise<unknown> => Promise.resolve();

const schemaOf = ({ dataSource }: Host): string => `"${(dataSource.options as { schema: string }).schema}"`;

let made = 0;
const linkOf = (host: Host, user = 'olga'): Promise<Referral> =>
  Referral.create({ user, redirectTo: '/', label: `${++made}` }, { manager: host.dataSource.manager });

const get = (app: Parameters<typeof supertest>[0], path: string, ...cookies: string[]) =>
  supertest(app)
    .get(path)
    .set({ 'User-Agent': firefox, 'Cookie': cookies.join('; ') });

/** A visitor who has come through a link, and is about to sign in at a process. */
async function visitorOn(host: Host, { code }: Referral, at: Host, user = 'dora') {
  const click = await get(host.app, `/r/${code}`).expect(302);
  const login = cookieOf(await supertest(at.app).post(`/login/${user}`), 'connect.sid')!;
  return { cookie: cookieOf(click)!, visitorId: visitorOf(click), login };
}

/** Does something while another transaction has locked rows, once a statement waits for them, and lets go of them. */
async function whileWaitedFor(
  host: Host,
  lock: string,
  begin: () => Promise<unknown>,
  meanwhile: () => Promise<unknown>,
): Promise<void> {
  let began: Promise<unknown> | undefined;
  await host.dataSource.transaction(async (manager) => {
    await manager.query(lock);
    let isOver = false;
    began = begin().finally(() => (isOver = true));
    began.catch(() => undefined);
    await waitFor(async () => {
      if (isOver) throw new Error('it did not wait');
      const [row] = await host.dataSource.query<{ count: number }[]>(
        `SELECT count(*)::int AS count FROM pg_locks l JOIN pg_stat_activity a USING (pid)
         WHERE NOT l.granted AND a.datname = current_database() AND strpos(a.query, $1) > 0`,
        [schemaOf(host)],
      );
      return row!.count > 0;
    });
    await meanwhile();
  });
  await began;
}

const lockOf = (host: Host, { id }: Referral): string =>
  `SELECT FROM ${schemaOf(host)}.referrals WHERE id = ${id} FOR UPDATE`;

/** The users of the responses to a link, and its count of clicks. */
async function onRecord(link: Referral): Promise<[users: (string | null)[], clicks: number]> {
  const users = (await link.filteredResponses()).map(({ userId }) => userId);
  return [users, await link.responseCount()];
}

const ways = {
  router: (host: Host) => host.app,
  listener: (host: Host) => host.referrals.listener(host.app),
};

describe.each(['router', 'listener'] as const)('a click through the %s', (way) => {
  test.each([0, 1])('on somebody else’s link gets the user who signs in meanwhile (in the process %d)', async (at) => {
    const hosts = await startTwo();
    const [host] = hosts;
    const [first, second] = [await linkOf(host), await linkOf(host)];
    const { cookie, visitorId, login } = await visitorOn(host, first, hosts[at]!);
    const events: string[] = [];
    for (const { referrals } of hosts)
      referrals.on('userLinkedToResponse', ({ referralId, userId }) => void events.push(`${referralId} ${userId}`));
    await whileWaitedFor(
      host,
      lockOf(host, second),
      () => get(ways[way](host), `/r/${second.code}`, cookie).expect(302).then(),
      () => get(hosts[at]!.app, '/whose', cookie, login).expect({ code: first.code }).then(),
    );
    expect(await onRecord(second)).toEqual([['dora'], 1]);
    expect(await second.filteredResponses()).toMatchObject([{ visitorId, userId: 'dora' }]);
    expect(events.toSorted()).toEqual([`${first.id} dora`, `${second.id} dora`]);
    expect(hosts.flatMap(({ errors }) => errors)).toEqual([]);
  });

  test('gets it also if the sign-in has begun to link, and does not see it', async () => {
    const [host, other] = await startTwo();
    const [first, second] = [await linkOf(host), await linkOf(host)];
    const { cookie, login } = await visitorOn(host, first, other);
    const [held] = await first.filteredResponses();
    let clicked: Promise<unknown> | undefined;
    await whileWaitedFor(
      host,
      `SELECT FROM ${schemaOf(host)}.referral_responses WHERE id = ${held!.id} FOR UPDATE`,
      () => get(other.app, '/whose', cookie, login).expect(200).then(),
      async () => {
        clicked = get(ways[way](host), `/r/${second.code}`, cookie).expect(302).then();
        await waitFor(async () => (await second.responseCount()) === 1);
      },
    );
    await clicked;
    expect(await onRecord(second)).toEqual([['dora'], 1]);
    expect(await onRecord(first)).toEqual([['dora'], 1]);
    expect([...host.errors, ...other.errors]).toEqual([]);
  });

  test('many of a visitor and of others at once: each has the user of its visitor', async () => {
    const [host, other] = await startTwo();
    const [first, second] = [await linkOf(host), await linkOf(host)];
    const visitors = await Promise.all(
      ['dora', 'emil', 'fred', 'gina'].map((user) => visitorOn(host, first, other, user)),
    );
    await whileWaitedFor(
      host,
      lockOf(host, second),
      () =>
        Promise.all([
          ...visitors.flatMap(({ cookie }) =>
            [1, 2, 3].map(() => get(ways[way](host), `/r/${second.code}`, cookie).expect(302)),
          ),
          get(ways[way](host), `/r/${second.code}`).expect(302),
        ]),
      () =>
        Promise.all(visitors.slice(1).map(({ cookie, login }) => get(other.app, '/whose', cookie, login).expect(200))),
    );
    const [users, clicks] = await onRecord(second);
    expect(clicks).toBe(13);
    const count = (user: string | null) => users.filter((one) => one === user).length;
    expect(['dora', 'emil', 'fred', 'gina', null].map(count)).toEqual([0, 3, 3, 3, 4]);
    expect([...host.errors, ...other.errors]).toEqual([]);
  });

  test('of a visitor who is another user’s already becomes that user’s', async () => {
    const [host] = await startTwo();
    const [first, second] = [await linkOf(host), await linkOf(host)];
    const { cookie, login } = await visitorOn(host, first, host);
    await get(host.app, '/whose', cookie, login).expect(200);
    await get(ways[way](host), `/r/${second.code}`, cookie).expect(302); // the browser did not get the last answer
    expect(await onRecord(second)).toEqual([['dora'], 1]);
  });

  test('that can’t be settled is reported, and redirects', async () => {
    const [host] = await startTwo();
    const [first, second] = [await linkOf(host), await linkOf(host)];
    const { cookie } = await visitorOn(host, first, host);
    await host.dataSource.query(`ALTER TABLE ${schemaOf(host)}.referral_visitors RENAME TO away`);
    await get(ways[way](host), `/r/${second.code}`, cookie).expect(302);
    expect(host.errors).toMatchObject([{ code: 'MIGRATIONS_NOT_RUN' }]);
    expect(await onRecord(second)).toEqual([[null], 1]);
  });
});

test('a click on a link of one’s own, through the listener, is taken back though sign-in did not see it', async () => {
  const [host, other] = await startTwo();
  const [first, own] = [await linkOf(host), await linkOf(host, 'dora')];
  const { cookie, login } = await visitorOn(host, first, other);
  await whileWaitedFor(
    host,
    lockOf(host, own),
    () => get(host.referrals.listener(host.app), `/r/${own.code}`, cookie).expect(302).then(),
    () => get(other.app, '/whose', cookie, login).expect({ code: first.code }).then(),
  );
  expect(await onRecord(own)).toEqual([[], 0]);
  expect(await onRecord(first)).toEqual([['dora'], 1]);
  expect([...host.errors, ...other.errors]).toEqual([]);
});

test('an action in a transaction of the host’s that commits after the sign-in', async () => {
  const [host, other] = await startTwo();
  const link = await linkOf(host);
  const { cookie, login } = await visitorOn(host, link, other);
  beforeCommit = () => get(other.app, '/whose', cookie, login).expect({ code: link.code }).then();
  const buy = supertest(host.app).post('/buy').set({ 'User-Agent': firefox, 'Cookie': cookie });
  await buy.expect({ isRecorded: true });
  beforeCommit = () => Promise.resolve();
  await waitFor(async () => (await onRecord(link))[0].every((user) => user === 'dora'));
  expect(await onRecord(link)).toEqual([['dora', 'dora'], 1]);
});

test('linkResponsesToUser in a transaction of the host’s: a click that is committed before it', async () => {
  const [host, other] = await startTwo();
  const link = await linkOf(host);
  const { cookie, visitorId } = await visitorOn(host, link, host);
  await host.dataSource.transaction(async (manager) => {
    expect(await link.linkResponsesToUser('dora', visitorId, { manager })).toHaveLength(1);
    await get(other.app, `/r/${link.code}`, cookie).expect(302);
    expect((await onRecord(link))[0]).toEqual([null, null]);
  });
  await waitFor(async () => (await onRecord(link))[0].every((user) => user === 'dora'));
  expect(await onRecord(link)).toEqual([['dora', 'dora'], 2]);
});

test('clicks of new visitors ask for nobody', async () => {
  const statements: string[] = [];
  const [host] = await startTwo();
  const link = await linkOf(host);
  const known = cookieOf(await get(host.app, `/r/${link.code}`))!;
  Object.assign(host.dataSource.logger, { logQuery: (text: string) => void statements.push(text) });
  await Promise.all(Array.from({ length: 9 }, () => get(host.app, `/r/${link.code}`).expect(302)));
  expect(statements.filter((text) => text.includes('referral_visitors'))).toEqual([]);
  await get(host.app, `/r/${link.code}`, known).expect(302);
  expect(statements.filter((text) => text.includes('referral_visitors'))).toHaveLength(1);
});
