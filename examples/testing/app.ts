import express, { type Express } from 'express';
import session from 'express-session';
import { createReferrals, Referral, type Referrals } from 'express-referrals';
import type { DataSource } from 'typeorm';

declare module 'express-session' {
  interface SessionData {
    userId?: string;
  }
}

export interface AppOptions {
  dataSource: DataSource;
  /** The public address of the site. */
  baseUrl: string;
  /** For tests. Without it, as in production, the database's time counts. */
  clock?: () => Date;
}

/** Returns a secret from the environment. Everybody can read the one for tests here, so production refuses it. */
function secretOf(variable: 'REFERRALS_SECRET' | 'SESSION_SECRET'): string {
  const published = 'a development secret of 32 characters or more';
  const secret = process.env[variable] || published;
  if (process.env['NODE_ENV'] === 'production' && (secret === published || secret.length < 32))
    throw new Error(`In production, set ${variable} to a random text of 32 characters or more.`);
  return secret;
}

/** The application under test. A function, so that each test file gets an application of its own. */
export function createApp({ dataSource, baseUrl, clock }: AppOptions): { app: Express; referrals: Referrals } {
  const referrals = createReferrals({
    dataSource,
    baseUrl,
    secret: secretOf('REFERRALS_SECRET'),
    user: (req) => req.session.userId,
    commission: { ratio: '0.25', pendingDays: 30 },
    ...(clock && { clock }),
  });
  const app = express();
  const cookie = { sameSite: 'lax', secure: 'auto' } as const;
  app.use(session({ secret: secretOf('SESSION_SECRET'), resave: false, saveUninitialized: false, cookie }));
  app.use(express.json());
  app.use(referrals.middleware);
  app.use('/r', referrals.router);

  app.post('/register', async (req, res) => {
    const { userId } = req.body as { userId: string };
    await Referral.recordSignup(req, userId);
    req.session.userId = userId;
    res.sendStatus(204);
  });
  app.post('/buy', async (req, res) => {
    const { amount, reference } = req.body as { amount: string; reference: string };
    await referrals.recordPurchase(req.session.userId!, { amount, reference });
    res.sendStatus(204);
  });
  return { app, referrals };
}
