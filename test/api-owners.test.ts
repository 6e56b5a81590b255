import { endpoints } from '../lib/http/api/endpoints';
import { type ApiHost, buy, coupon, detail, ids, type Method, refer, startApi } from './support/api';
import { closeAll } from './support/host';

/** Ids that a wrong comparison would treat as equal, and one that contains SQL. */
const users = ['anna', 'ANNA', '1', '01', "anna' OR '1'='1"];
type Kind = 'credit' | 'earnout' | 'channel';

let host: ApiHost;
/** What each user has, by kind. */
const owned = new Map<string, Record<Kind, number[]>>();
/** Words that only responses to that user may contain. */
const secrets = new Map<string, string[]>();
const reads = ['/credit/', '/earnout/', '/config/', '/channel/', '/coupon-code/'];

beforeAll(async () => {
  host = await startApi({
    commission: { ratio: '0.25', pendingDays: 0 },
    earnOuts: { every: { days: 7 }, payout: () => undefined },
  });
  for (const [index, user] of users.entries()) {
    const [linked, couponed, own] = [`linked-by-${index}`, `couponed-by-${index}`, `COUPON-OF-${index}`];
    await coupon(host, user, { code: own });
    await refer(host, user, linked);
    await host.ask('PATCH', '/config/', {
      ...{ as: user, send: { mode: 'payout', paypal_payout_email: `mail-${index}@example.com` } },
    });
    await host.referrals.coupons.apply(couponed, own);
    await coupon(host, 'seller', { code: `APPLIED-BY-${index}`, isRecurring: true });
    await host.referrals.coupons.apply(user, `APPLIED-BY-${index}`);
    for (let purchase = 0; purchase <= index; purchase++) await buy(host, linked, `${100 + index}`, `${purchase}`);
    await buy(host, couponed, '50', 'first');
  }
  host.clock.advanceDays(7);
  await host.referrals.runEarnOuts();
  for (const [index, user] of users.entries()) {
    owned.set(user, {
      credit: ids(await host.get('/credit/', user)),
      earnout: ids(await host.get('/earnout/', user)),
      channel: ids({ results: await host.get('/channel/', user) }),
    });
    const { referral_code: code } = await host.get('/config/', user);
    const named = [`linked-by-${index}`, `couponed-by-${index}`, `COUPON-OF-${index}`, `APPLIED-BY-${index}`];
    secrets.set(user, [...named, `mail-${index}@example.com`, code as string]);
  }
});
afterAll(closeAll);

/** Everything that a user sees. */
async function seenBy(user: string): Promise<string> {
  const seen = [];
  for (const path of reads) seen.push(await host.get(path, user));
  const { credit, earnout } = owned.get(user)!;
  for (const id of credit) seen.push(await host.get(`/credit/${id}/`, user));
  for (const id of earnout) seen.push(await host.get(`/earnout/${id}/`, user));
  return JSON.stringify(seen);
}

/** All rows of all tables. */
async function stored(): Promise<unknown> {
  const rows: unknown[] = [];
  for (const { name } of host.dataSource.entityMetadatas.filter(({ tableName }) => tableName.startsWith('referral')))
    rows.push([name, (await host.dataSource.manager.find(name)).map((row) => JSON.stringify(row)).sort()]);
  return rows;
}

// The methods are only named here, so nothing that answers them is needed.
const rooms = [{ settings: {} }, { managers: {} }] as unknown as Parameters<typeof endpoints>;
const operations = endpoints(...rooms).flatMap(({ path, methods, isOpen = false }) =>
  (Object.keys(methods) as Method[]).map((method) => ({ method, path, isOpen })),
);
const personal = operations.filter(({ isOpen }) => !isOpen);
const pairs = users.flatMap((owner) => [...users, 'stranger', 'seller'].map((asker) => ({ owner, asker })));

test('each user has what is to be hidden', () => {
  for (const [index, user] of users.entries()) {
    const { credit, earnout, channel } = owned.get(user)!;
    expect([credit.length, earnout.length, channel.length]).toEqual([index + 2, 1, 1]);
  }
  const all = [...owned.values()];
  for (const kind of ['credit', 'earnout', 'channel'] as const) {
    const every = all.flatMap((of) => of[kind]);
    expect(new Set(every).size).toBe(every.length);
  }
  expect(personal.map(({ method, path }) => `${method} ${path}`)).toEqual([
    ...['GET /credit/', 'GET /credit/:id/', 'GET /earnout/', 'GET /earnout/:id/', 'GET /config/', 'PATCH /config/'],
    ...['GET /channel/', 'GET /coupon-code/', 'POST /coupon-code/', 'DELETE /coupon-code/'],
  ]);
});

test.each(personal)('$method $path: an anonymous request reads and changes nothing', async ({ method, path }) => {
  const before = await stored();
  const paths = path.includes(':id')
    ? users.flatMap((user) => {
        const kind = path.split('/')[1] as Kind;
        return owned.get(user)![kind].map((id) => path.replace(':id', String(id)));
      })
    : [path];
  for (const one of paths) {
    const send = { PATCH: { mode: 'credits' }, POST: { code: 'COUPON-OF-0' } }[method as string];
    const answer = await host.ask(method, one, { send });
    expect([answer.status, answer.body]).toEqual([401, detail]);
  }
  expect(await stored()).toEqual(before);
});

const byId = personal.filter(({ path }) => path.includes(':id'));
test.each(byId.flatMap((operation) => pairs.map((pair) => ({ ...operation, ...pair }))))(
  '$method $path of $owner, asked by $asker',
  async ({ method, path, owner, asker }) => {
    const kind = path.split('/')[1] as Kind;
    const missing = await host.ask(method, path.replace(':id', '987654321'), { as: asker });
    expect([missing.status, missing.body]).toEqual([404, detail]);
    for (const id of owned.get(owner)![kind]) {
      const answer = await host.ask(method, path.replace(':id', String(id)), { as: asker });
      if (owner === asker) expect([answer.status, answer.body.id]).toEqual([200, id]);
      else {
        // The response is the same as for a missing one, byte for byte, so that it does not tell which ids exist.
        expect([answer.status, answer.text]).toEqual([404, missing.text]);
        const told = ({ headers }: typeof answer) => Object.keys(headers).sort();
        expect(told(answer)).toEqual(told(missing));
      }
    }
  },
);

test.each(pairs.filter(({ owner, asker }) => owner !== asker))(
  'lists of $asker hold nothing of $owner; nor can they be narrowed to their channels',
  async ({ owner, asker }) => {
    const seen = [];
    for (const path of reads) seen.push(await host.get(path, asker));
    for (const secret of secrets.get(owner)!) {
      const isPublic = asker === 'seller' && secret.startsWith('APPLIED-BY-'); // the seller's own coupons
      if (!isPublic) expect(JSON.stringify(seen)).not.toContain(JSON.stringify(secret).slice(1, -1));
    }
    for (const id of owned.get(owner)!.channel) {
      const unknown = await host.ask('GET', '/credit/?referral_channel=987654321', { as: asker });
      const answer = await host.ask('GET', `/credit/?referral_channel=${id}`, { as: asker });
      expect([answer.status, answer.text]).toEqual([400, unknown.text]);
    }
  },
);

test.each(users)('what others write changes nothing of %s', async (owner) => {
  const before = await seenBy(owner);
  for (const asker of [...users, 'stranger'].filter((other) => other !== owner)) {
    // Whatever names another user is no field and no parameter.
    for (const field of ['id', 'user', 'user_id', 'userId'])
      for (const { method, path } of personal.filter(({ method }) => method === 'PATCH' || method === 'POST')) {
        const answer = await host.ask(method, path, { as: asker, send: { [field]: owner } });
        expect([400, 429]).toContain(answer.status);
      }
    const query = `?user_id=${encodeURIComponent(owner)}&user=${encodeURIComponent(owner)}`;
    expect(await host.get(`/credit/${query}`, asker)).toEqual(await host.get('/credit/', asker));
    const { mode } = await host.get('/config/', asker);
    await host.ask('PATCH', `/config/${query}`, { as: asker, send: { mode } });
    await host.ask('DELETE', `/coupon-code/${query}`, { as: `${asker}, too` });
  }
  expect(await seenBy(owner)).toBe(before);
});

test('a coupon that a user takes off, or changes, is nobody else’s', async () => {
  const before = await Promise.all(users.map(seenBy));
  await host.ask('POST', '/coupon-code/', { as: 'new', send: { code: 'coupon-of-0' } });
  await host.ask('PATCH', '/config/', { as: 'new', send: { paypal_payout_email: 'new@example.com' } });
  await host.ask('DELETE', '/coupon-code/', { as: 'new' });
  expect(await Promise.all(users.map(seenBy))).toEqual(before);
});
