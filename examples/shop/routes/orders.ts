import { Router } from 'express';
import { Referral } from 'express-referrals';
import type { DataSource } from 'typeorm';
import { Order } from '../entities';
import { HttpError } from '../http-error';
import { findProduct } from '../products';
import { currentUser } from '../sessions';

/** Buying, and the receipt. */
export function orderRoutes(dataSource: DataSource): Router {
  const router = Router();

  router.post('/products/:id/buy', async (req, res) => {
    const product = await findProduct(dataSource, req.params.id);
    const user = currentUser(res);
    if (!user) return res.redirect(303, `/login?next=/products/${product.id}`);
    const order = await dataSource.transaction(async (manager) => {
      const bought = await manager.save(
        manager.create(Order, {
          userId: user.id,
          productId: product.id,
          productName: product.name,
          priceCents: product.priceCents,
        }),
      );
      await Referral.recordResponse(req, 'BOUGHT', { target: bought, manager });
      return bought;
    });
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
