import { Router } from 'express';
import { Order } from '../entities';
import { field } from '../forms';
import { HttpError } from '../http-error';
import { findProduct } from '../products';
import { buy } from '../purchase';
import { currentUser } from '../sessions';
import type { Shop } from '../shop';

/** Buying, and the receipt. */
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
    const { id } = req.params;
    const order = /^\d{1,18}$/.test(id) ? await dataSource.manager.findOneBy(Order, { id, userId: user.id }) : null;
    if (!order) throw new HttpError(404, 'There is no such order.');
    res.render('order', { order });
  });

  return router;
}
