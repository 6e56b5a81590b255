import { Router } from 'express';
import { currentUser } from '../sessions';
import type { Shop } from '../shop';

/** The referrers' own pages and those of the staff, which the package brings, and one of them inside a page of the shop's. */
export function pageRoutes({ referrals }: Shop): Router {
  const router = Router();
  router.use('/referrals', referrals.pages);
  router.use('/admin/referrals', referrals.admin);

  router.get('/account', async (req, res) => {
    if (!currentUser(res)) return res.redirect(303, '/login?next=/account');
    res.render('account', { embed: await referrals.embed(req) });
  });

  return router;
}
