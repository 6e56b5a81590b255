import { Router } from 'express';
import { field } from '../forms';
import { showProduct } from '../product-page';
import { findProduct } from '../products';
import { couponRefusal } from '../refusals';
import { currentUser } from '../sessions';
import type { Shop } from '../shop';

/**
 * Routes of the coupon field. A coupon is applied to the customer and not to a product: the next purchase redeems it.
 */
export function couponRoutes(shop: Shop): Router {
  const { dataSource, referrals } = shop;
  const router = Router();

  // The limit is that of the API, which counts tries together with this form.
  router.post('/products/:id/coupon', referrals.limitCouponTries);
  router.post('/products/:id/coupon', async (req, res) => {
    const product = await findProduct(dataSource, req.params.id);
    const user = currentUser(res);
    if (!user) return res.redirect(303, `/login?next=/products/${product.id}`);
    const code = field(req, 'code');
    try {
      await referrals.coupons.apply(user, code);
    } catch (error) {
      const problem = couponRefusal(error);
      if (problem === undefined) throw error;
      return showProduct(shop, res, product, { code, problem });
    }
    res.redirect(303, `/products/${product.id}`);
  });

  router.post('/products/:id/coupon/remove', async (req, res) => {
    const product = await findProduct(dataSource, req.params.id);
    const user = currentUser(res);
    if (user) await referrals.coupons.remove(user);
    res.redirect(303, `/products/${product.id}`);
  });

  return router;
}
