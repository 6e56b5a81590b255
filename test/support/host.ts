import { randomBytes } from 'node:crypto';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express, { type Express } from 'express';
import session from 'express-session';
import type request from 'supertest';
import {
  Column,
  DataSource,
  type DataSourceOptions,
  Entity,
  type Logger,
  PrimaryColumn,
  PrimaryGeneratedColumn,
} from 'typeorm';
import { createReferrals, entities, migrations, type Referrals, type ReferralsOptions } from '../../lib';
import { browserOf } from './browser';
import { clusterUrl, distribute } from './cluster';
import { copiedSchema, copyMigrated, databaseUrl, isServerOfRun } from './migrated-databases';

export { databaseUrl };

declare module 'express-session' {
  interface SessionData {
    userId?: string;
  }
}

/** Entities of a host's, one for each kind of primary key. */
@Entity()
export class Product {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column('text')
  name!: string;
}

@Entity()
export class Order {
  @PrimaryGeneratedColumn('uuid')
  id!: string;
}

@Entity()
export class OrderLine {
  @PrimaryColumn('text')
  order!: string;

  @PrimaryColumn('int')
  line!: number;
}

@Entity()
export class Country {
  @PrimaryColumn('text')
  code!: string;
}

@Entity()
export class User {
  @PrimaryGeneratedColumn('identity', { type: 'bigint' })
  id!: string;

  @Column('text')
  name!: string;
}

const hostEntities = [Product, Order, OrderLine, Country, User];

/** Counts and keeps the statements that TypeORM runs, as a host's logger sees them. */
export class StatementLog implements Logger {
  statements: string[] = [];
  logQuery(query: string): void {
    this.statements.push(query);
  }
  logQueryError(): void {}
  logQuerySlow(): void {}
  logSchemaBuild(): void {}
  logMigration(): void {}
  log(): void {}
}

/** Limits that no test meets, however slow the machine: for every instance but those of tests about a limit. */
export const patient = () => ({
  queryTimeoutMs: Number(process.env['TEST_QUERY_TIMEOUT_MS']),
  linkCache: { ttlMs: 86_400_000 },
});

const opened: { destroy(): Promise<unknown> }[] = [];

type PostgresOptions = Extract<DataSourceOptions, { type: 'postgres' }>;

/** With these, a schema is migrated where it is: they say what is in it, or which it is. */
const ofSchema = ['url', 'schema', 'entities', 'migrations', 'namingStrategy', 'entityPrefix'] as const;

/**
 * A DataSource in a fresh schema, with our migrations run and the host's tables made. Where no option says otherwise, the schema is
 * in a database of its own, whose URL is `databaseUrl(schema)`.
 */
export async function openDataSource(
  options: { migrate?: boolean; entities?: DataSourceOptions['entities'] } & Partial<PostgresOptions> = {},
): Promise<DataSource> {
  const { migrate = true, ...given } = options;
  const schema = given.schema ?? `test ${randomBytes(6).toString('hex')}`; // a space: everything must quote it
  const isCopy = migrate && isServerOfRun() && !ofSchema.some((option) => option in given);
  if (isCopy) opened.push({ destroy: (await copyMigrated(schema, fillTemplate)).drop });
  const dataSource = sourceOf({ url: databaseUrl(schema), ...given, schema });
  await dataSource.initialize();
  opened.push({ destroy: () => (dataSource.isInitialized ? dataSource.destroy() : Promise.resolve()) });
  if (isCopy) {
    await dataSource.query(`ALTER SCHEMA ${copiedSchema} RENAME TO "${schema}"`);
  } else {
    await dataSource.query(`CREATE SCHEMA IF NOT EXISTS "${schema}"`);
    if (migrate) await migrateSchema(dataSource);
  }
  return dataSource;
}

const sourceOf = (options: Partial<PostgresOptions>): DataSource =>
  new DataSource({ type: 'postgres', entities: [...entities, ...hostEntities], migrations, ...options });

async function migrateSchema(dataSource: DataSource): Promise<void> {
  await dataSource.runMigrations();
  await dataSource.synchronize();
  if (databaseUrl() === clusterUrl) await distribute(dataSource);
}

async function fillTemplate(url: string): Promise<void> {
  const dataSource = sourceOf({ url, schema: copiedSchema });
  await dataSource.initialize();
  await dataSource.query(`CREATE SCHEMA ${copiedSchema}`);
  await migrateSchema(dataSource);
  await dataSource.destroy();
}

/**
 * Creates a database with a locale, such as `LOCALE_PROVIDER icu ICU_LOCALE 'tr-TR'`, and returns its URL. It is dropped
 * when the test file has closed what it opened later.
 */
export async function createDatabase(locale: string): Promise<string> {
  const admin = new DataSource({ type: 'postgres', url: databaseUrl() });
  await admin.initialize();
  const name = `test_${randomBytes(6).toString('hex')}`;
  await admin.query(`CREATE DATABASE ${name} TEMPLATE template0 ENCODING 'UTF8' ${locale}`);
  opened.push({
    async destroy() {
      await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
      await admin.destroy();
    },
  });
  const url = new URL(databaseUrl());
  url.pathname = `/${name}`;
  return url.href;
}

/** Closes everything that a test file opened; for `afterAll`. */
export async function closeAll(): Promise<void> {
  for (const resource of opened.splice(0).reverse()) await resource.destroy();
}

export const secret = 'a secret of at least thirty-two characters';
export const baseUrl = 'https://shop.example';

/** A clock that tests set. */
export class TestClock {
  time = new Date('2026-03-01T12:00:00.000Z');
  readonly read = (): Date => new Date(this.time);
  advance(ms: number): void {
    this.time = new Date(this.time.getTime() + ms);
  }

  advanceDays(days: number): void {
    this.time = new Date(this.time.getTime() + days * 86_400_000);
  }
}

export interface Host {
  app: Express;
  dataSource: DataSource;
  referrals: Referrals;
  errors: unknown[];
  /** An agent that keeps its cookies, as one browser does. */
  browser(): ReturnType<typeof browserOf>;
}

/**
 * A small host: sessions, `POST /login`, and whatever `routes` adds after our middleware and router. Requests count as
 * https, as behind a proxy.
 */
export async function startHost(
  options: Partial<ReferralsOptions> = {},
  routes: (app: Express, dataSource: DataSource) => void = () => undefined,
): Promise<Host> {
  const dataSource = options.dataSource ?? (await openDataSource());
  const errors: unknown[] = [];
  const referrals = createReferrals({
    dataSource,
    baseUrl,
    secret,
    user: (req) => req.session.userId,
    onError: (error) => errors.push(error),
    ...patient(),
    ...options,
  });
  opened.push({ destroy: () => referrals.close() });
  const app = express();
  app.set('trust proxy', true);
  app.use(session({ secret: 'session', resave: false, saveUninitialized: false }));
  app.use(referrals.middleware);
  app.use(options.linkPath ?? '/r', referrals.router);
  app.use('/own-pages', referrals.pages);
  app.post('/login/:id', (req, res, next) => {
    req.session.regenerate((error) => {
      if (error) return next(error);
      req.session.userId = req.params.id;
      res.sendStatus(204);
    });
  });
  app.post('/logout', (req, res, next) => req.session.destroy((error) => (error ? next(error) : res.sendStatus(204))));
  app.get('/whose', async (req, res, next) => {
    try {
      res.json({ code: (await req.referralForRequest())?.code ?? null });
    } catch (error) {
      next(error);
    }
  });
  routes(app, dataSource);
  app.use(((error, _req, res, _next) => {
    res.status(error.status ?? 500).json({ code: error.code, message: error.message });
  }) as express.ErrorRequestHandler);
  return { app, dataSource, referrals, errors, browser: () => browserOf(app) };
}

/** The app on a port of its own, for tests with many connections. */
export async function listen(app: Express): Promise<{ url: string; server: Server }> {
  const server = await new Promise<Server>((resolve) => {
    const listening = app.listen(0, '127.0.0.1', () => resolve(listening));
  });
  server.keepAliveTimeout = 0; // else a client that was held up may ask on a connection that is being closed
  opened.push({
    destroy: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}

/** Asks until the answer is yes; what is waited for is an event elsewhere, never the passing of time. */
export async function waitFor(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 10));
}

/**
 * Tries until no time limit is met: for what has to succeed where a test sets a limit that something else is to meet. Any other
 * error is thrown.
 */
export async function despiteLimit<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isLate(error)) throw error;
    }
  }
}

/** The visitor id in the cookie that an answer sets. */
export const visitorOf = (response: Parameters<typeof cookieOf>[0]): string => cookieOf(response)!.split('.')[2]!;

/** Whether a limit was met: of a statement, or of `pg` for a connection. */
export const isLate = (error: unknown): boolean =>
  /no (answer|connection) within|timeout/.test((error as Error).message);

/** The cookie of ours that an answer sets, as `name=value`; null if it sets none. */
export function cookieOf(response: request.Response, name = '__Host-referral'): string | null {
  const lines = (response.headers['set-cookie'] ?? []) as unknown as string[];
  const line = lines.find((one) => one.startsWith(`${name}=`));
  return line ? line.split(';')[0]! : null;
}
