import { Router } from 'express';
import { Referral } from 'express-referrals';
import { Product } from '../entities';
import { showProduct } from '../product-page';
import { findProduct } from '../products';
import type { Shop } from '../shop';

/** The list of products, and the page of one product. */
export function productRoutes(shop: Shop): Router {
  const { dataSource, referrals } = shop;
  const router = Router();

  router.get('/', async (req, res) => {
    const products = await dataSource.manager.find(Product, { order: { id: 'ASC' } });
    // Loaded for each page, because staff may have renamed or closed the coupon.
    const fields = ['code', 'description', 'isActive'] as const;
    const coupon = await referrals.channels.get(shop.coupon.id, { fields, optional: true });
    res.render('home', { products, coupon, banner: await referrals.referralBanner(req) });
  });

  router.get('/products/:id', async (req, res) => {
    const product = await findProduct(dataSource, req.params.id);
    await Referral.recordResponse(req, 'VIEWED', { target: product });
    await showProduct(shop, res, product);
  });

  return router;
}
