import path from 'node:path';
import express, { type Express } from 'express';
import { createReferrals, type Referrals } from 'express-referrals';
import type { Pool } from 'pg';
import type { DataSource } from 'typeorm';
import { checkCsrfToken, showCsrfToken } from './csrf';
import { Product } from './entities';
import { errorPage, notFound } from './error-pages';
import { credit, money, time } from './format';
import { friendsProgram } from './friends';
import { accountRoutes } from './routes/account';
import { creditRoutes } from './routes/credits';
import { orderRoutes } from './routes/orders';
import { productRoutes } from './routes/products';
import { referralRoutes } from './routes/referrals';
import { securityHeaders } from './security-headers';
import { loadUser, sessions } from './sessions';
import type { Shop } from './shop';

export interface ShopOptions {
  /** Initialised and migrated, as `openDatabase` leaves it. */
  dataSource: DataSource;
  /** For the session store. */
  pool: Pool;
  /** The public origin, for example `https://shop.example`. */
  baseUrl: string;
  referralsSecret?: string;
  sessionSecret?: string;
  /** As Express' `trust proxy`; only behind a proxy, because anybody can send its headers. */
  trustProxy?: string | number;
}

// Good for development only: anybody can read them here.
const developmentReferralsSecret = 'development only: set REFERRALS_SECRET in production';
const developmentSessionSecret = 'development only: set SESSION_SECRET in production';

/** The shop, once the terms of its referrals are in the database. One per DataSource at a time. */
export async function createShop(options: ShopOptions): Promise<{ app: Express; referrals: Referrals }> {
  const { dataSource, baseUrl } = options;
  const referrals = createReferrals({
    dataSource,
    baseUrl,
    secret: options.referralsSecret ?? developmentReferralsSecret,
    user: (req) => req.session.userId,
    targetTypes: [Product],
    actionDisplay: {
      RESPONDED: 'Opened the link',
      VIEWED: 'Looked at',
      REGISTERED: 'Signed up',
      BOUGHT: 'Bought',
    },
  });

  try {
    return { app: createApp(options, { dataSource, referrals, program: await friendsProgram(referrals) }), referrals };
  } catch (error) {
    await referrals.close();
    throw error;
  }
}

function createApp({ pool, sessionSecret, trustProxy }: ShopOptions, shop: Shop): Express {
  const app = express();
  app.disable('x-powered-by');
  if (trustProxy !== undefined) app.set('trust proxy', trustProxy);
  app.set('view engine', 'ejs');
  app.set('views', path.join(__dirname, 'views'));
  Object.assign(app.locals, { credit, money, time });

  app.use(securityHeaders);
  app.use(express.static(path.join(__dirname, 'public')));
  app.use(sessions(pool, sessionSecret ?? developmentSessionSecret));
  app.use(showCsrfToken);
  app.use(shop.referrals.middleware); // after the session, because the option `user` reads it
  app.use('/r', shop.referrals.router);
  app.use(loadUser(shop.dataSource));
  app.use(express.urlencoded({ extended: false, limit: '10kb' }), checkCsrfToken);
  app.use(productRoutes(shop), orderRoutes(shop), accountRoutes(shop), referralRoutes(shop), creditRoutes(shop));
  app.use(notFound, errorPage);
  return app;
}
