import { Router } from 'express';
import { field } from '../forms';
import { findOrder } from '../orders';
import { findProduct } from '../products';
import { buy } from '../purchase';
import { refund } from '../refund';
import { currentUser } from '../sessions';
import type { Shop } from '../shop';

/** Routes to buy a product, to see the order, and to refund it. */
export function orderRoutes(shop: Shop): Router {
  const { dataSource } = shop;
  const router = Router();

  router.post('/products/:id/buy', async (req, res) => {
    const product = await findProduct(dataSource, req.params.id);
    const user = currentUser(res);
    if (!user) return res.redirect(303, `/login?next=/products/${product.id}`);
    const order = await buy(shop, req, user, product, field(req, 'useCredit') !== '');
    res.redirect(303, `/orders/${order.id}`);
  });

  router.get('/orders/:id', async (req, res) => {
    const user = currentUser(res);
    if (!user) return res.redirect(303, `/login?next=/orders/${encodeURIComponent(req.params.id)}`);
    res.render('order', { order: await findOrder(dataSource.manager, user, req.params.id) });
  });

  router.post('/orders/:id/refund', async (req, res) => {
    const user = currentUser(res);
    if (!user) return res.redirect(303, `/login?next=/orders/${encodeURIComponent(req.params.id)}`);
    const order = await refund(shop, user, req.params.id);
    res.redirect(303, `/orders/${order.id}`);
  });

  return router;
}
