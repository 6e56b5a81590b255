import { createServer, type RequestListener, type Server } from 'node:http';
import express, { type Express } from 'express';
import { createReferrals, entities, migrations, type Referrals } from 'express-referrals';
import pg from 'pg';
import { DataSource, type Logger } from 'typeorm';
import { nodeClick, nodeRedirect } from './floors';

/** The apps that are measured: bare ones, ones that a host could write by hand, and ours. */
export type AppName =
  | 'node redirect'
  | 'node click'
  | 'bare redirect'
  | 'by hand'
  | 'by hand, prepared'
  | 'router'
  | 'listener'
  | 'no-op page'
  | 'page'
  | 'referred page';

export interface App {
  server: Server;
  /** How many statements our package has run in this process. */
  statements: () => number;
}

const destination = 'https://shop.example/welcome?from=friend';

const servers: Record<AppName, (app: Express, place: Place) => Promise<RequestListener> | RequestListener> = {
  'node redirect': () => nodeRedirect(),
  'node click': (_app, { databaseUrl, schema }) => nodeClick(databaseUrl, schema),
  'bare redirect': (app) => app.get('/r/:code', (_req, res) => res.redirect(destination)),
  'by hand': (app, place) => byHand(app, place, false),
  'by hand, prepared': (app, place) => byHand(app, place, true),
  'router': async (app, place) => mounted(app, await place.wire()),
  'listener': async (app, place) => {
    const referrals = await place.wire();

    return referrals.listener(mounted(app, referrals));
  },
  // The same host with the same packages loaded.
  'no-op page': async (app, place) => {
    await place.wire();
    return page(app.use((_req, _res, next) => next()));
  },
  'page': async (app, place) => page(mounted(app, await place.wire())),
  'referred page': async (app, place) =>
    mounted(app, await place.wire()).get('/page', async (req, res) => {
      if (!(await req.referralForRequest())) throw new Error('the visitor was not referred');
      res.send(pageText);
    }),
};

const pageText = '<h1>A page</h1>';

function page(app: Express): Express {
  return app.get('/page', (_req, res) => void res.send(pageText));
}

function mounted(app: Express, referrals: Referrals): Express {
  return app.use(referrals.middleware).use('/r', referrals.router);
}

/** One SELECT and one INSERT a click, prepared or not. */
function byHand(app: Express, { databaseUrl, schema }: Place, isPrepared: boolean): Express {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 10 });
  const find = `SELECT * FROM "${schema}".referrals WHERE lower(code) = lower($1)`;
  const insert = `INSERT INTO "${schema}".referral_responses (referral_id, visitor_id, ip_address, user_agent, action)
    VALUES ($1, gen_random_uuid(), $2, $3, 'RESPONDED')`;
  const query = (name: string, text: string, values: unknown[]): Promise<pg.QueryResult<Record<string, string>>> =>
    pool.query(isPrepared ? { name, text, values } : { text, values });
  return app.get('/r/:code', async (req, res) => {
    const { rows } = await query('find', find, [req.params['code']]);
    const { id, redirect_to } = rows[0]!;
    await query('insert', insert, [id, req.ip, req.headers['user-agent']]);
    res.redirect(redirect_to!);
  });
}

/** Where an app finds its tables. */
class Place {
  readonly databaseUrl: string;
  readonly schema: string;
  statements = 0;

  constructor(databaseUrl: string, schema: string) {
    this.databaseUrl = databaseUrl;
    this.schema = schema;
  }

  async wire(): Promise<Referrals> {
    const { databaseUrl: url, schema } = this;
    const logger = {
      logQuery: () => void this.statements++,
      logQueryError: (error: unknown) => console.error(error),
    } as unknown as Logger;
    const dataSource = new DataSource({ type: 'postgres', url, schema, entities, migrations, logger });
    await dataSource.initialize();
    return createReferrals({
      ...{ dataSource, baseUrl: 'https://shop.example', secret: 'a secret of at least thirty-two characters' },
      user: () => null,
    });
  }
}

export async function startApp(name: AppName, databaseUrl: string, schema: string): Promise<App> {
  const place = new Place(databaseUrl, schema);
  const server = createServer(await servers[name](express(), place));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, statements: () => place.statements };
}
