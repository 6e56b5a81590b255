import express, { type Express, type RequestHandler } from 'express';
import { ipKeyGenerator, rateLimit } from 'express-rate-limit';
import { createReferrals, type Referrals } from 'express-referrals';
import type {} from 'express-session'; // declares req.session
import type { DataSource } from 'typeorm';

export interface Production {
  dataSource: DataSource;
  baseUrl: string;
  /** The keys for the cookie, newest first: the first one signs, all of them verify. */
  secrets: string[];
  /** Your express-session, with a store that all processes share. */
  sessions: RequestHandler;
  /** Is called with errors that no caller can catch. */
  report: (error: unknown) => void;
}

/**
 * Limits the requests a minute from one IP address, in one process. Pass a shared `store` to count for all processes.
 */
const perMinute = (limit: number): RequestHandler =>
  rateLimit({ windowMs: 60_000, limit, keyGenerator: (req) => ipKeyGenerator(req.ip ?? '') });

export function createApp(options: Production): { app: Express; referrals: Referrals } {
  const { dataSource, baseUrl, secrets, sessions, report } = options;
  const referrals = createReferrals({
    dataSource,
    baseUrl,
    secret: secrets,
    user: (req) => (req.session as { userId?: string }).userId,
    onError: report,
  });
  const app = express();
  app.set('trust proxy', 1); // the number of proxies in front of this process

  // The first route, because a health check must not create a session.
  app.get('/live', (_req, res) => void res.sendStatus(204));
  app.get('/ready', (_req, res) => {
    dataSource.query('SELECT 1').then(
      () => res.sendStatus(204),
      () => res.sendStatus(503),
    );
  });

  app.use(sessions);
  app.use(referrals.middleware);
  app.get('/r/:code', perMinute(120)); // each unknown code costs a look-up
  app.post('/r', perMinute(10)); // each new label creates a referral
  app.use('/r', referrals.router);
  app.get('/api/v2/referral/code/info', perMinute(30)); // needs no signed-in user
  app.use('/api/v2/referral', referrals.api);
  return { app, referrals };
}
