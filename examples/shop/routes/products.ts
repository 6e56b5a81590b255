import { Router } from 'express';
import { Referral } from 'express-referrals';
import { Product, User } from '../entities';
import { findProduct } from '../products';
import { currentUser } from '../sessions';
import type { Shop } from '../shop';

/** The shelves, and one product. */
export function productRoutes({ dataSource, referrals }: Shop): Router {
  const router = Router();

  router.get('/', async (req, res) => {
    const products = await dataSource.manager.find(Product, { order: { id: 'ASC' } });
    const referrerId = (await req.referralForRequest())?.userId ?? null;
    const isOwnLink = referrerId === currentUser(res)?.id;
    const inviter =
      referrerId === null || isOwnLink ? null : await dataSource.manager.findOneBy(User, { id: referrerId });
    res.render('home', { products, inviter });
  });

  router.get('/products/:id', async (req, res) => {
    const product = await findProduct(dataSource, req.params.id);
    await Referral.recordResponse(req, 'VIEWED', { target: product });
    const user = currentUser(res);
    res.render('product', { product, balance: user && (await referrals.credits.balance(user)) });
  });

  return router;
}
