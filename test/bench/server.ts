import type { AddressInfo } from 'node:net';
import express, { type Request } from 'express';
import { createReferrals, entities, migrations, Referral, type Referrals } from 'express-referrals';
import pg from 'pg';
import { DataSource, type Logger } from 'typeorm';
import type { ServerOptions, Variant } from './servers';

const { variant, databaseUrl, schema } = JSON.parse(process.env['BENCH']!) as ServerOptions;
const destination = 'https://shop.example/welcome?from=friend';
let statements = 0;

const logger = {
  logQuery: () => void statements++,
  logQueryError: (error: unknown) => console.error(error),
  logQuerySlow: () => undefined,
  logSchemaBuild: () => undefined,
  logMigration: () => undefined,
  log: () => undefined,
} as unknown as Logger;

async function wired(): Promise<Referrals> {
  const dataSource = new DataSource({
    type: 'postgres',
    url: databaseUrl,
    schema,
    entities,
    migrations,
    logger: variant === 'page' ? logger : undefined,
  });
  await dataSource.initialize();
  return createReferrals({
    dataSource,
    baseUrl: 'https://shop.example',
    secret: 'a secret of at least thirty-two characters',
    user: (req) => req.headers['x-user'] as string | undefined,
  });
}

async function withReferrals(app: express.Express): Promise<void> {
  const referrals = await wired();
  app.use(referrals.middleware);
  app.use('/r', referrals.router);
}

const page = (app: express.Express): void => void app.get('/page', (_req, res) => void res.send('<h1>A page</h1>'));

const apps: Record<Variant, (app: express.Express) => unknown> = {
  'bare redirect': (app) => app.get('/r/:code', (_req, res) => res.redirect(destination)),
  'select and insert': (app) => {
    const pool = new pg.Pool({ connectionString: databaseUrl, max: 10 });
    app.get('/r/:code', async (req, res) => {
      const found = await pool.query(`SELECT * FROM "${schema}".referrals WHERE lower(code) = lower($1)`, [
        req.params['code'],
      ]);
      const referral = found.rows[0] as { id: string; redirect_to: string };
      await pool.query(
        `INSERT INTO "${schema}".referral_responses (referral_id, visitor_id, ip_address, user_agent, action)
         VALUES ($1, gen_random_uuid(), $2, $3, 'RESPONDED')`,
        [referral.id, req.ip, req.headers['user-agent']],
      );
      res.redirect(referral.redirect_to);
    });
  },
  'click': withReferrals,
  // The same host with the same packages loaded; only the middleware is not mounted.
  'bare page': async (app) => {
    await wired();
    page(app);
  },
  'page': async (app) => {
    await withReferrals(app);
    page(app);
  },
};

/** The median time of a call, of runs one after the other, in milliseconds. */
async function median(call: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let run = 0; run < 400; run++) {
    const start = performance.now();
    await call();
    times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[times.length / 2]!;
}

async function main(): Promise<void> {
  const app = express();
  await apps[variant](app);
  // One request's lifetime, in which each call is a first one: the answer is remembered for the request.
  app.get('/whose', async (req, res) => {
    res.json({ code: (await req.referralForRequest())?.code ?? null });
  });
  const seen: Request[] = [];
  app.get('/meet', (req, res) => {
    seen.push(req);
    res.end();
  });
  const server = app.listen(0, '127.0.0.1', () => {
    process.send!({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  });
  process.on('message', ({ what, argument }: { what: string; argument: string }) => {
    const answer = async (): Promise<object> => {
      if (what === 'statements') return { statements };
      if (what === 'responseCount') {
        const referral = (await Referral.findByCode(argument))!;
        return { ms: await median(() => referral.responseCount()) };
      }
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/meet`;
      const [from, to] = argument.split('-').map(Number) as [number, number];
      let user = from;
      const times: number[] = [];
      for (let run = 0; run < 400; run++) {
        user = from + ((user - from + 7919) % (to - from));
        await (await fetch(url, { headers: { 'x-user': String(user) } })).text();
        const req = seen.pop()!;
        const start = performance.now();
        if (!(await req.referralForRequest())) throw new Error(`user ${user} has no referral`);
        times.push(performance.now() - start);
      }
      return { ms: times.sort((a, b) => a - b)[200]! };
    };
    void answer().then((reply) => process.send!(reply));
  });
}

process.once('SIGTERM', () => process.exit());
void main();
