import { randomInt, randomUUID } from 'node:crypto';
import fc from 'fast-check';
import request from 'supertest';
import type { DataSource, EntityManager } from 'typeorm';
import { Referral, ReferralResponse } from '../lib';
import { arrayLiteral } from '../lib/database/array-literal';
import { VisitorTokens } from '../lib/tracking/visitor-token';
import { firefox } from './support/browser';
import {
  closeAll,
  cookieOf,
  databaseUrl,
  type Host,
  openDataSource,
  secret,
  startHost,
  TestClock,
  visitorOf,
  waitFor,
} from './support/host';
import { hasPgBouncer, startPgBouncer } from './support/pgbouncer';

afterEach(closeAll);

const seed = Number(process.env['SEED'] ?? randomInt(2 ** 31));
console.log(`click batches: SEED=${seed}`);

const schemaOf = (dataSource: DataSource): string => `"${(dataSource.options as { schema: string }).schema}"`;

let codes = 0;
const link = (given: object = {}): Promise<Referral> =>
  Referral.create({ user: 'anna', redirectTo: '/', label: `${++codes}`, ...given });

const click = ({ app }: Host, { code }: Referral) =>
  request(app).get(`/r/${code}`).set('User-Agent', firefox).expect(302);

const clicks = (host: Host, to: Referral, times: number) =>
  Promise.all(Array.from({ length: times }, () => click(host, to)));

/** Rows of responses and daily counts that lead to no referral. */
async function orphans(dataSource: DataSource): Promise<number> {
  const schema = schemaOf(dataSource);
  const [row] = await dataSource.query<{ count: number }[]>(
    `SELECT count(*)::int AS count FROM (
       SELECT referral_id FROM ${schema}.referral_responses UNION ALL SELECT referral_id FROM ${schema}.referral_daily_counts
     ) AS c WHERE NOT EXISTS (SELECT FROM ${schema}.referrals r WHERE r.id = c.referral_id)`,
  );
  return row!.count;
}

/** Waits until so many statements on the schema wait for a lock, or until the work is done. */
async function waits(dataSource: DataSource, work: Promise<unknown>, count = 1): Promise<'waits' | 'done'> {
  let isDone = false;
  void work.then(
    () => (isDone = true),
    () => (isDone = true),
  );
  let isWaiting = false;
  await waitFor(async () => {
    const [row] = await dataSource.query<{ count: number }[]>(
      `SELECT count(*)::int AS count FROM pg_locks l JOIN pg_stat_activity a USING (pid)
       WHERE NOT l.granted AND a.datname = current_database() AND strpos(a.query, $1) > 0`,
      [schemaOf(dataSource)],
    );
    isWaiting = row!.count >= count;
    return isWaiting || isDone;
  });
  return isWaiting ? 'waits' : 'done';
}

describe('a batch', () => {
  test('array literals hold every text, number and time', async () => {
    const dataSource = await openDataSource({ migrate: false });
    const special = fc.constantFrom(
      '',
      'NULL',
      'null',
      '"',
      '\\',
      '\\"',
      '{',
      '}',
      ',',
      ' ',
      '\n',
      '\t',
      "'",
      '$1',
      'é',
      '😀',
      '\u2028',
    );
    const noNul = (text: string): boolean => !text.includes('\0') && !/\p{Surrogate}/u.test(text);
    const texts = fc.array(
      fc.option(
        fc.oneof(
          special,
          fc.array(special, { maxLength: 6 }).map((parts) => parts.join('')),
          fc.string({ unit: 'binary' }).filter(noNul),
        ),
      ),
      { maxLength: 20 },
    );
    const property = fc.asyncProperty(texts, async (given) => {
      const [row] = await dataSource.query<{ read: unknown[] }[]>('SELECT to_jsonb($1::text[]) AS read', [
        arrayLiteral(given),
      ]);
      expect(row!.read).toEqual(given);
    });
    await fc.assert(property, { seed, numRuns: 300 });
    const [row] = await dataSource.query<{ numbers: string; times: boolean }[]>(
      `SELECT $1::bigint[]::text AS numbers, $2::timestamptz[] = ARRAY['2026-03-01 12:00:00.5Z', NULL]::timestamptz[] AS times`,
      [arrayLiteral([1, null, 9_007_199_254_740_991]), arrayLiteral([new Date('2026-03-01T12:00:00.500Z'), null])],
    );
    expect(row).toEqual({ numbers: '{1,NULL,9007199254740991}', times: true });
  });

  test('stores what each click has said, whatever is in it', async () => {
    const texts = [
      ...[
        'NULL',
        '',
        'null',
        '"',
        '\\',
        '\\"',
        '{}',
        '{a,b}',
        'a,b',
        "it's",
        ' ',
        'tab\there',
        'é',
        '$1',
        'x'.repeat(1200),
      ],
    ];
    const { app, errors } = await startHost({ user: (req) => decodeURIComponent(req.get('x-user') ?? '') });
    const to = await Referral.create({ redirectTo: '/' });
    await Promise.all(
      texts.map((text) =>
        request(app)
          .get(`/r/${to.code}`)
          .set({ 'User-Agent': `${firefox} ${text}`, 'X-User': encodeURIComponent(`user ${text.slice(0, 9)} 😀"\\`) })
          .expect(302),
      ),
    );
    const found = await to.filteredResponses();
    // HTTP leaves out spaces at the end.
    expect(new Set(found.map(({ userAgent }) => userAgent))).toEqual(
      new Set(texts.map((text) => `${firefox} ${text}`.trimEnd().slice(0, 1024))),
    );
    expect(new Set(found.map(({ userId }) => userId))).toEqual(
      new Set(texts.map((text) => `user ${text.slice(0, 9)} 😀"\\`)),
    );
    expect(await to.responseCount()).toBe(texts.length);
    expect(errors).toEqual([]);
  });

  test('of many links and of one, and without those that have expired or are deleted', async () => {
    const host = await startHost();
    const open = await Promise.all([1, 2, 3].map(() => link()));
    const expired = await link();
    await Promise.all(open.flatMap((to) => [click(host, to), click(host, to)]));
    await host.dataSource.getRepository(Referral).update(expired.id, { expiredAt: new Date(0) });
    const gone = await link();
    await click(host, gone); // then it is cached
    await host.dataSource.query(`DELETE FROM ${schemaOf(host.dataSource)}.referrals WHERE id = ${gone.id}`);
    await Promise.all([...open, expired, gone].map((to) => click(host, to)));
    expect(await Promise.all(open.map((to) => to.responseCount()))).toEqual([3, 3, 3]);
    expect(await Promise.all([expired, gone].map((to) => to.responseCount()))).toEqual([0, 1]);
    expect(await host.dataSource.getRepository(ReferralResponse).count()).toBe(10);
    expect(host.errors).toEqual([]);
  });
});

/** The names of the package's statements on the only connection of the pool. */
const names = async (dataSource: DataSource): Promise<string[]> =>
  (await dataSource.query<{ name: string }[]>('SELECT name FROM pg_prepared_statements')).map(({ name }) => name);

const started = async (): Promise<{ host: Host; to: Referral }> => {
  const dataSource = await openDataSource({ poolSize: 1 });
  const host = await startHost({ dataSource });
  return { host, to: await link() };
};

describe('a statement that can’t be prepared is sent unprepared, once, and so is every later one', () => {
  test('prepared, where nothing is in the way', async () => {
    const { host, to } = await started();
    await clicks(host, to, 3);
    expect(await names(host.dataSource)).toEqual([expect.stringMatching(/^referrals_[0-9a-f]{32}$/)]);
  });

  test('not with `preparedStatements: false`', async () => {
    const host = await startHost({ dataSource: await openDataSource({ poolSize: 1 }), preparedStatements: false });
    await clicks(host, await link(), 3);
    expect(await names(host.dataSource)).toEqual([]);
  });

  test.each(['DISCARD ALL', 'DEALLOCATE ALL'])('after %s of the host’s', async (statement) => {
    const { host, to } = await started();
    await clicks(host, to, 3);
    await host.dataSource.query(statement);
    await clicks(host, to, 4);
    await clicks(host, to, 1);
    expect(await to.responseCount()).toBe(8);
    expect(await host.dataSource.getRepository(ReferralResponse).count()).toBe(8);
    expect(await names(host.dataSource)).toEqual([]);
    expect(host.errors).toEqual([]);
  });

  test('where another client of a pooler has prepared it', async () => {
    const { host, to } = await started();
    await clicks(host, to, 1);
    const [name] = await names(host.dataSource);
    const { schema } = host.dataSource.options as { schema: string };
    const dataSource = await openDataSource({ schema, migrate: false, poolSize: 1 });
    await dataSource.query(`PREPARE ${name} AS SELECT 1`);
    const second = await startHost({ dataSource });
    await clicks(second, to, 3);
    expect(await host.dataSource.getRepository(ReferralResponse).count()).toBe(4);
    expect([...host.errors, ...second.errors]).toEqual([]);
  });

  test.each(['the host’s', 'our'])('in %s transaction: a sign-up', async (whose) => {
    const { host, to } = await started();
    const signUp = (user: string) => {
      const record = (manager?: EntityManager) =>
        Referral.recordSignup(null, user, { code: to.code, ...(manager && { manager }) });
      return whose === 'our' ? record() : host.dataSource.transaction(record);
    };
    await signUp('one');
    expect(await names(host.dataSource)).not.toEqual([]);
    await host.dataSource.query('DISCARD ALL');
    expect(await signUp('two')).toMatchObject({ referralId: to.id });
    expect(await names(host.dataSource)).toEqual([]);
    expect(await signUp('three')).toMatchObject({ referralId: to.id });
    expect(await host.referrals.signups.count()).toBe(3);
    expect(await host.referrals.verify()).toMatchObject({ ok: true });
  });

  (hasPgBouncer ? test : test.skip)('behind PgBouncer in transaction mode, with the default options', async () => {
    const direct = await openDataSource();
    const { schema } = direct.options as { schema: string };
    const pooler = await startPgBouncer(databaseUrl(schema), 3);
    try {
      const hosts = await Promise.all(
        [1, 2, 3].map(async () =>
          startHost({ dataSource: await openDataSource({ schema, url: pooler.url, migrate: false, poolSize: 4 }) }),
        ),
      );
      const manager = hosts[0]!.dataSource.manager;
      const to = await Referral.create({ user: 'anna', redirectTo: '/' }, { manager });
      const visit = async (host: Host, index: number): Promise<void> => {
        await click(host, to);
        await host.dataSource.transaction(async (manager) => {
          await Referral.recordSignup(null, `user ${index}`, { code: to.code, manager });
        });
        await host.referrals.recordPurchase(`user ${index}`, { amount: 10, reference: 'first' });
      };
      await Promise.all(Array.from({ length: 30 }, (_, index) => visit(hosts[index % 3]!, index)));
      expect(hosts.flatMap(({ errors }) => errors)).toEqual([]);
      expect(await direct.getRepository(ReferralResponse).count()).toBe(30);
      expect(await hosts[0]!.referrals.signups.count()).toBe(30);
      expect(await hosts[0]!.referrals.purchases.count()).toBe(30);
      expect(await hosts[0]!.referrals.verify()).toMatchObject({ ok: true });
    } finally {
      await closeAll();
      await pooler.stop();
    }
  });
});

describe('after a migration that changes the type of a column that it returns, a statement is prepared anew', () => {
  /** Changes the type of a column under the live connections of the pool, back or forth. */
  const migrate = async ({ dataSource }: Host, table: string, column: string): Promise<void> => {
    const [row] = await dataSource.query<{ type: string }[]>(
      `SELECT format_type(atttypid, atttypmod) AS type FROM pg_attribute WHERE attrelid = $1::regclass AND attname = $2`,
      [`${schemaOf(dataSource)}.${table}`, column],
    );
    const type = row!.type === 'text' ? 'varchar(2000)' : 'text';
    await dataSource.query(`ALTER TABLE ${schemaOf(dataSource)}.${table} ALTER COLUMN ${column} TYPE ${type}`);
  };
  /** The ends of the names: a name without a number, or the number of its generation. */
  const generations = async (host: Host): Promise<string[]> =>
    (await names(host.dataSource)).map((name) => name.replace(/^referrals_[0-9a-f]{32}_?/, '')).toSorted();

  test('clicks: none is lost, and the next one is prepared', async () => {
    const { host, to } = await started();
    const seen: string[] = [];
    host.referrals.on('response', ({ action }) => void seen.push(action)); // then the rows are returned
    await clicks(host, to, 2);
    for (const generation of ['1', '2']) {
      await migrate(host, 'referral_responses', 'user_agent');
      await clicks(host, to, 2); // unprepared
      await clicks(host, to, 2);
      expect(await generations(host)).toContain(generation);
    }
    expect(await to.responseCount()).toBe(10);
    expect(seen).toHaveLength(10);
    expect(host.errors).toEqual([]);
  });

  test.each(['the host’s', 'our'])('in %s transaction: a sign-up', async (whose) => {
    const { host, to } = await started();
    const signUp = (user: string) => {
      const record = (manager?: EntityManager) =>
        Referral.recordSignup(null, user, { code: to.code, ...(manager && { manager }) });
      return whose === 'our' ? record() : host.dataSource.transaction(record);
    };
    await signUp('one');
    await migrate(host, 'referral_signups', 'user_id');
    expect(await signUp('two')).toMatchObject({ userId: 'two', referralId: to.id });
    expect(await signUp('three')).toMatchObject({ userId: 'three', referralId: to.id });
    expect((await generations(host)).filter((generation) => generation === '1')).not.toEqual([]);
    expect(await host.referrals.verify()).toMatchObject({ ok: true });
  });

  test('on many live connections at once, which all have the outdated plan', async () => {
    const host = await startHost({
      ...{ dataSource: await openDataSource({ poolSize: 8 }), commission: { ratio: '0.1' } },
    });
    const to = await link();
    const buyers = Array.from({ length: 16 }, (_, index) => `user ${index}`);
    for (const user of buyers) await Referral.recordSignup(null, user, { code: to.code });
    let references = 0;
    const buyAll = () =>
      Promise.all(
        buyers.map((user) => host.referrals.recordPurchase(user, { amount: 10, reference: `${++references}` })),
      );
    await buyAll();
    for (const table of ['referral_purchases', 'referral_commissions']) {
      await migrate(host, table, table === 'referral_purchases' ? 'reference' : 'user_id');
      await buyAll();
    }
    expect(await host.referrals.commissions.count()).toBe(48);
    expect(await host.referrals.verify()).toMatchObject({ ok: true });
  });

  test('an error of the host’s with the same SQLSTATE stays what it is', async () => {
    const { host, to } = await started();
    const schema = schemaOf(host.dataSource);
    await clicks(host, to, 1);
    await host.dataSource.query(`CREATE FUNCTION ${schema}.refuse() RETURNS trigger LANGUAGE plpgsql AS
      'BEGIN RAISE EXCEPTION ''not supported'' USING ERRCODE = ''feature_not_supported''; END'`);
    await host.dataSource.query(`CREATE TRIGGER refuse BEFORE INSERT ON ${schema}.referral_responses FOR EACH ROW
      EXECUTE FUNCTION ${schema}.refuse()`);
    await clicks(host, to, 1);
    expect(host.errors.splice(0)).toMatchObject([{ code: '0A000' }]);
    await host.dataSource.query(`DROP TRIGGER refuse ON ${schema}.referral_responses`);
    await clicks(host, to, 1);
    expect(await generations(host)).toEqual(['']);
    expect(await to.responseCount()).toBe(2);
    expect(host.errors).toEqual([]);
  });
});

describe('a referral that is deleted while it is clicked leaves no response and no count', () => {
  test('a click waits for the delete, and finds no referral', async () => {
    const host = await startHost();
    const to = await link();
    await click(host, to);
    let clicked: Promise<unknown> | undefined;
    await host.dataSource.transaction(async (manager) => {
      await host.referrals.referralCodes.delete(to.id, { manager });
      clicked = click(host, to).then(() => undefined);
      expect(await waits(host.dataSource, clicked)).toBe('waits');
    });
    await clicked;
    expect(await orphans(host.dataSource)).toBe(0);
    expect(host.errors).toEqual([]);
  });

  test('a click that waits for a delete which is rolled back is recorded', async () => {
    const host = await startHost();
    const to = await link();
    await click(host, to);
    let clicked: Promise<unknown> | undefined;
    const undone = host.dataSource.transaction(async (manager) => {
      await host.referrals.referralCodes.delete(to.id, { manager });
      clicked = click(host, to).then(() => undefined);
      await waits(host.dataSource, clicked);
      throw new Error('undone');
    });
    await expect(undone).rejects.toThrow('undone');
    await clicked;
    expect(await to.responseCount()).toBe(2);
  });

  test.each(['referralCodes', 'channels'] as const)(
    '%s.delete waits for a response that is being recorded',
    async (name) => {
      const { dataSource, referrals, app } = await startHost({}, (app) => {
        app.post('/respond', async (req, res, next) => {
          await dataSource
            .transaction(async (manager) => {
              for (const action of ['RESPONDED', 'BOUGHT']) await to.respond(req, action, { manager });
              deleted = referrals[name].delete(to.id).then(() => undefined);
              res.json({ delete: await waits(dataSource, deleted) });
            })
            .catch(next);
        });
      });
      let deleted: Promise<unknown> | undefined;
      const channel = { user: 'anna', code: 'COUPON', promoType: 'percent_off', promoValue: '0.1' } as const;
      const { id } = name === 'channels' ? await referrals.channels.create(channel) : await link();
      const to = (await dataSource.getRepository(Referral).findOneBy({ id }))!;
      const { body } = (await request(app).post('/respond')) as { body: object };
      expect(body).toEqual({ delete: 'waits' });
      await deleted;
      expect(await dataSource.getRepository(Referral).countBy({ id })).toBe(0);
      expect(await orphans(dataSource)).toBe(0);
    },
  );

  test.each(['REPEATABLE READ', 'SERIALIZABLE'] as const)(
    'in a transaction under %s, whose snapshot lacks later clicks, a delete is refused',
    async (isolation) => {
      const host = await startHost();
      const to = await link();
      await click(host, to);
      const deleted = host.dataSource.transaction(isolation, (manager) =>
        host.referrals.referralCodes.delete(to.id, { manager }),
      );
      await expect(deleted).rejects.toMatchObject({ code: 'INVALID_INPUT', field: 'manager' });
      expect(await to.responseCount()).toBe(1);
    },
  );

  test('many clicks in several pools at once, while the links are deleted one by one', async () => {
    const first = await openDataSource();
    const schema = (first.options as { schema: string }).schema;
    const hosts = [await startHost({ dataSource: first })];
    for (let more = 0; more < 3; more++)
      hosts.push(await startHost({ dataSource: await openDataSource({ schema, migrate: false }) }));
    const { manager } = first;
    const all = await Promise.all(
      Array.from({ length: 12 }, (_, index) =>
        Referral.create({ user: 'anna', redirectTo: '/', label: `${index}` }, { manager }),
      ),
    );
    let isOver = false;
    const clicking = hosts.map(async ({ app }) => {
      while (!isOver)
        await Promise.all(all.map(({ code }) => request(app).get(`/r/${code}`).set('User-Agent', firefox)));
    });
    const [left, ...rest] = all;
    for (const [index, { id }] of rest.entries()) await hosts[index % 4]!.referrals.referralCodes.delete(id);
    isOver = true;
    await Promise.all(clicking);
    expect(await orphans(first)).toBe(0);
    expect(hosts.flatMap(({ errors }) => errors)).toEqual([]);
    const kept = await first.getRepository(ReferralResponse).countBy({ referralId: left!.id });
    expect(kept).toBeGreaterThan(0);
    expect(await left!.responseCount({ manager })).toBe(kept);
  });

  test('verify() lists what the host leaves over with a DELETE of its own', async () => {
    const host = await startHost();
    const { dataSource, referrals } = host;
    const to = await link();
    await click(host, to);
    await dataSource.query(`DELETE FROM ${schemaOf(dataSource)}.referrals WHERE id = ${to.id}`);
    const { problems } = await referrals.verify();
    expect(problems.map(({ table, expected }) => [table, expected])).toEqual([
      ['referral_responses', `${to.id}`],
      ['referral_daily_counts', `${to.id}`],
    ]);
  });
});

describe('at sign-in', () => {
  const old = (to: Referral): { id: string; cookie: string } => {
    const id = randomUUID();
    const tokens = new VisitorTokens([secret], ['shop.example']);
    return { id, cookie: `__Host-referral=${tokens.sign({ referral: to.id, visitorId: id, clickedAt: new Date() })}` };
  };

  test('two users at once with one cookie: one of them gets every response', async () => {
    const host = await startHost();
    const to = await link();
    for (let turn = 0; turn < 5; turn++) {
      const cookie = cookieOf(await click(host, to))!;
      await Promise.all([1, 2, 3].map(() => click(host, to).set('Cookie', cookie)));
      const logins = await Promise.all(
        ['x', 'y', 'z'].map(async (user) =>
          cookieOf(await request(host.app).post(`/login/${user}${turn}`), 'connect.sid')!,
        ),
      );
      await Promise.all(logins.map((login) => request(host.app).get('/whose').set('Cookie', `${cookie}; ${login}`)));
      const users = (await to.filteredResponses({ take: 4 })).map(({ userId }) => userId);
      expect(new Set(users)).toEqual(new Set([expect.stringMatching(new RegExp(`^[xyz]${turn}$`))]));
      // What comes with the cookie afterwards is the same visitor's, and nobody else's.
      await click(host, to).set('Cookie', cookie);
      await Promise.all(logins.map((login) => request(host.app).get('/whose').set('Cookie', `${cookie}; ${login}`)));
      const [last] = await to.filteredResponses({ take: 1 });
      expect([null, users[0]]).toContain(last!.userId);
    }
  });

  /**
   * Runs a call that links three responses of a visitor, so that it ends in a deadlock with a transaction of the host's: it
   * has locked the first, that transaction the second, and PostgreSQL ends the call.
   */
  async function deadlocked<T>(
    { dataSource }: Host,
    to: Referral,
    visitor: string,
    link: () => Promise<T>,
  ): Promise<Promise<T>[]> {
    const schema = schemaOf(dataSource);
    const table = `${schema}.referral_responses`;
    await dataSource.query(
      `INSERT INTO ${table} (referral_id, visitor_id, action) VALUES ($1, $2, 'RESPONDED'), ($1, $2, 'RESPONDED')`,
      [to.id, visitor],
    );
    // Holds the call when it has locked the first row. It must be the last to wait, because that one finds the deadlock.
    const key = `hashtext('${schema}')`;
    await dataSource.query(`CREATE FUNCTION ${schema}.hold() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN PERFORM pg_advisory_xact_lock_shared(${key}); RETURN NEW; END $$`);
    const ids = (await to.filteredResponses()).map(({ id }) => id).reverse();
    await dataSource.query(`CREATE TRIGGER hold BEFORE UPDATE ON ${table} FOR EACH ROW
      WHEN (OLD.id = ${ids[0]}) EXECUTE FUNCTION ${schema}.hold()`);
    const holder = dataSource.createQueryRunner();
    await holder.query(`SELECT pg_advisory_lock(${key})`);
    let linked: Promise<T> | undefined;
    await dataSource.transaction(async (manager) => {
      await manager.query(`SET LOCAL deadlock_timeout = '100min'`);
      const lock = (id: number | undefined) => manager.query(`SELECT FROM ${table} WHERE id = $1 FOR UPDATE`, [id]);
      await lock(ids[1]);
      linked = link();
      linked.catch(() => undefined);
      await waits(dataSource, linked);
      const locked = lock(ids[0]);
      await waits(dataSource, locked, 2);
      await holder.query(`SELECT pg_advisory_unlock(${key})`);
      await locked;
    });
    await holder.release();
    return [linked!];
  }

  test('a deadlock with a transaction of the host’s is retried', async () => {
    const host = await startHost();
    const to = await link();
    const visitor = visitorOf(await click(host, to));
    const [linked] = await deadlocked(host, to, visitor, () => to.linkResponsesToUser('boris', visitor));
    expect(await linked).toHaveLength(3);
  });

  test('in a transaction of the host’s, a deadlock is the host’s: nothing is linked, and the transaction can go on', async () => {
    const host = await startHost();
    const to = await link();
    const visitor = visitorOf(await click(host, to));
    const events: string[] = [];
    host.referrals.on('userLinkedToResponse', ({ userId }) => void events.push(userId!));
    let attempts = 0;
    let failure: unknown;
    const [committed] = await deadlocked(host, to, visitor, () =>
      host.dataSource.transaction(async (manager) => {
        attempts++;
        await to.linkResponsesToUser('boris', visitor, { manager }).catch((error: unknown) => (failure = error));
        await Referral.create({ user: 'boris', redirectTo: '/', label: 'goes on' }, { manager });
      }),
    );
    await committed;
    expect(failure).toMatchObject({ code: '40P01' });
    expect(attempts).toBe(1);
    expect(events).toEqual([]);
    expect((await to.filteredResponses()).map(({ userId }) => userId)).toEqual([null, null, null]);
    expect(await host.dataSource.getRepository(Referral).countBy({ userId: 'boris' })).toBe(1);
    // The host's next transaction succeeds.
    await host.dataSource.transaction((manager) => to.linkResponsesToUser('boris', visitor, { manager }));
    expect(events).toEqual(['boris', 'boris', 'boris']);
  });

  test('a cookie with an id of an older version is that visitor’s', async () => {
    const host = await startHost();
    const to = await link();
    const { id, cookie } = old(to);
    await click(host, to).set('Cookie', cookie);
    const login = cookieOf(await request(host.app).post('/login/carl'), 'connect.sid')!;
    await request(host.app).get('/whose').set('Cookie', `${cookie}; ${login}`).expect({ code: to.code });
    expect(await to.filteredResponses()).toMatchObject([{ visitorId: id, userId: 'carl' }]);
  });

  test('a new visitor has an id of version 7, in the order of time', async () => {
    const host = await startHost({ clock: new TestClock().read });
    const to = await link();
    const before = Date.now();
    const id = visitorOf(await click(host, to));
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const time = parseInt(id.replace('-', '').slice(0, 12), 16);
    expect(time).toBeGreaterThanOrEqual(before);
    expect(time).toBeLessThanOrEqual(Date.now());
    expect(await to.filteredResponses()).toMatchObject([{ visitorId: id }]);
  });
});

/** A database whose catalogue says of tables what that of Citus would. The tables themselves are plain. */
describe('where Citus distributes tables', () => {
  const places = {
    distributed: `'h', 'referral_id', 7, 'c'`,
    apart: `'h', 'referral_id', 8, 'c'`,
    byVisitor: `'h', 'visitor_id', 7, 'c'`,
    reference: `'n', NULL, 3, 't'`,
    schema: `'n', NULL, 5, 's'`,
    local: `'n', NULL, 0, 's'`,
  };
  type Tables = Partial<Record<'referrals' | 'referral_responses' | 'referral_daily_counts', keyof typeof places>>;

  async function start(tables: Tables): Promise<Host> {
    const dataSource = await openDataSource();
    await dataSource.query(
      `CREATE TABLE public.pg_dist_partition
        (logicalrelid regclass, partmethod "char", partkey text, colocationid integer, repmodel "char")`,
    );
    await dataSource.query(`CREATE FUNCTION public.column_to_column_name(regclass, text) RETURNS text RETURN $2`);
    for (const [table, place] of Object.entries(tables))
      await dataSource.query(
        `INSERT INTO public.pg_dist_partition VALUES ('${schemaOf(dataSource)}.${table}', ${places[place]})`,
      );
    return startHost({ dataSource, clock: undefined });
  }

  const byReferral: Tables = {
    referral_responses: 'distributed',
    referral_daily_counts: 'distributed',
    referrals: 'local',
  };

  test('by the referral: clicks are VALUES, and come to the same', async () => {
    const host = await start(byReferral);
    const run: string[] = [];
    Object.assign(host.dataSource.logger, { logQuery: (text: string) => void run.push(text) });
    const seen: number[] = [];
    const open = await Promise.all([1, 2, 3].map(() => link()));
    const expired = await link();
    await host.dataSource.getRepository(Referral).update(expired.id, { expiredAt: new Date(0) });
    await Promise.all([...open, ...open, expired].map((to) => click(host, to)));
    host.referrals.on('response', ({ id }) => void seen.push(id));
    await Promise.all([...open, expired].map((to) => click(host, to)));
    expect(await Promise.all([...open, expired].map((to) => to.responseCount()))).toEqual([3, 3, 3, 0]);
    const rows = await host.dataSource.getRepository(ReferralResponse).find();
    expect(rows).toHaveLength(9);
    for (const row of rows)
      expect(row).toMatchObject({ action: 'RESPONDED', userAgent: firefox, touchedAt: row.createdAt });
    expect(seen.toSorted((a, b) => a - b)).toEqual(seen);
    expect(seen).toHaveLength(3);
    expect(run.some((text) => text.includes('unnest') && text.includes('INSERT INTO'))).toBe(false);
    expect(host.errors).toEqual([]);
    const cookie = cookieOf(await click(host, open[0]!))!;
    const login = cookieOf(await request(host.app).post('/login/dora'), 'connect.sid')!;
    await request(host.app).get('/whose').set('Cookie', `${cookie}; ${login}`).expect({ code: open[0]!.code });
    await host.referrals.referralCodes.delete(open[1]!.id);
    expect(await orphans(host.dataSource)).toBe(0);
  });

  test('by the referral: a user’s touches are read first, and the same one wins', async () => {
    const host = await start(byReferral);
    const [first, second] = [await link(), await link({ user: 'bob' })];
    const mine = await link({ user: 'dora' });
    const session = cookieOf(await request(host.app).post('/login/dora'), 'connect.sid')!;
    const whose = (cookie: string, code: string | null) =>
      request(host.app).get('/whose').set('Cookie', cookie).expect({ code });
    await whose(session, null);
    // In the request that signs in, the touch that the visitor carries competes with the user's.
    const carried = cookieOf(await click(host, first))!;
    await whose(`${carried}; ${session}`, first.code);
    for (const to of [second, mine])
      await request(host.app).get(`/r/${to.code}`).set({ 'User-Agent': firefox, 'Cookie': session }).expect(302);
    await whose(session, second.code);
    expect(host.errors).toEqual([]);
  });

  test('by the referral: a click waits for a delete, and finds no referral', async () => {
    const host = await start(byReferral);
    const to = await link();
    await click(host, to);
    let clicked: Promise<unknown> | undefined;
    await host.dataSource.transaction(async (manager) => {
      await host.referrals.referralCodes.delete(to.id, { manager });
      clicked = click(host, to).then(() => undefined);
      expect(await waits(host.dataSource, clicked)).toBe('waits');
    });
    await clicked;
    expect(await orphans(host.dataSource)).toBe(0);
  });

  test.each<[string, Tables, RegExp]>([
    ['referrals as a reference table', { ...byReferral, referrals: 'reference' }, /"referrals" is a reference table/],
    ['referrals as a reference table alone', { referrals: 'reference' }, /"referrals" is a reference table/],
    [
      'a distributed schema',
      { referrals: 'schema', referral_responses: 'schema', referral_daily_counts: 'schema' },
      /"referral_responses" is in a distributed schema/,
    ],
    ['by another column', { referral_responses: 'byVisitor' }, /"referral_responses" is distributed by visitor_id/],
    ['responses alone', { referral_responses: 'distributed' }, /are not distributed together/],
    ['responses apart from counts', { ...byReferral, referral_daily_counts: 'apart' }, /are not distributed together/],
    ['referrals by themselves', { referrals: 'distributed' }, /"referrals" is distributed by referral_id/],
  ])('%s: refused at start, and no click is lost without an error', async (_name, tables, message) => {
    const host = await start(tables);
    await waitFor(() => Promise.resolve(host.errors.length > 0));
    const refused = { code: 'LAYOUT_UNSUPPORTED', status: 500, message: expect.stringMatching(message) as string };
    expect(host.errors.splice(0)).toMatchObject([refused]);
    const response = await click(host, await link());
    expect(cookieOf(response)).not.toBeNull(); // the cookie carries it
    expect(host.errors).toMatchObject([refused]);
    expect(await host.dataSource.getRepository(ReferralResponse).count()).toBe(0);
  });
});
