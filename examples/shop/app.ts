import path from 'node:path';
import express, { type Express } from 'express';
import type { Referrals } from 'express-referrals';
import type { Pool } from 'pg';
import { accounts, ensureAccount, randomPassword } from './accounts';
import { checkCsrfToken, showCsrfToken } from './csrf';
import { errorPage, notFound } from './error-pages';
import { credit, money, time } from './format';
import { friendsProgram } from './friends';
import { partnersCoupon } from './partner';
import { shopReferrals, type ShopReferralsOptions } from './referrals';
import { accountRoutes } from './routes/account';
import { bankRoutes } from './routes/bank';
import { couponRoutes } from './routes/coupons';
import { orderRoutes } from './routes/orders';
import { pageRoutes } from './routes/pages';
import { productRoutes } from './routes/products';
import { secretOf } from './secrets';
import { securityHeaders } from './security-headers';
import { loadUser, sessions } from './sessions';
import type { Shop } from './shop';

export interface ShopOptions extends ShopReferralsOptions {
  /** For the session store. */
  pool: Pool;
  /** Signs the session's cookie. Default: the variable `SESSION_SECRET`. */
  sessionSecret?: string;
  /** The password of the partner whose coupon the front page shows. Default: one that nobody knows. */
  partnerPassword?: string;
  /** The password of the staff, who run earn-outs. Default: one that nobody knows. */
  staffPassword?: string;
  /** Express' setting `trust proxy`. Set it only behind a proxy, because every client can send the headers of one. */
  trustProxy?: string | number;
}

/** Creates the shop, and stores the terms of its referrals. There is one shop for each DataSource at a time. */
export async function createShop(options: ShopOptions): Promise<{ app: Express; referrals: Referrals }> {
  const { dataSource, bank, partnerPassword = randomPassword(), staffPassword = randomPassword() } = options;
  const referrals = shopReferrals(options);
  try {
    const program = await friendsProgram(referrals);
    await ensureAccount(dataSource, accounts.staff, staffPassword);
    const partner = await ensureAccount(dataSource, accounts.partner, partnerPassword);
    const coupon = await partnersCoupon(dataSource, referrals, partner);
    return { app: createApp(options, { dataSource, referrals, bank, program, coupon }), referrals };
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
  // Where browsers look on pages that name no icon, as those of the package.
  app.get('/favicon.ico', (_req, res) => res.redirect(301, '/favicon.svg'));
  // Before the session and the CSRF check: the bank has neither, but signs what it sends.
  app.use(bankRoutes(shop));
  app.use(sessions(pool, sessionSecret ?? secretOf('SESSION_SECRET')));
  app.use(showCsrfToken);
  app.use(shop.referrals.middleware); // after the session, because the option `user` reads it
  app.use('/r', shop.referrals.router);
  // Before the CSRF check: the API accepts only JSON, which a form of another site can't send.
  app.use('/api/v2/referral', shop.referrals.api);
  app.use(loadUser(shop.dataSource));
  app.use(express.urlencoded({ extended: false, limit: '10kb' }), checkCsrfToken);
  app.use(productRoutes(shop), couponRoutes(shop), orderRoutes(shop), accountRoutes(shop), pageRoutes(shop));
  app.use(notFound, errorPage);
  return app;
}
