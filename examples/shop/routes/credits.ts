import { Router } from 'express';
import { currentUser } from '../sessions';
import type { Shop } from '../shop';

/** The page of a user's credits. */
export function creditRoutes({ referrals }: Shop): Router {
  const router = Router();

  router.get('/credits', async (_req, res) => {
    const user = currentUser(res);
    if (!user) return res.redirect(303, '/login?next=/credits');
    res.render('credits', {
      balance: await referrals.credits.balance(user),
      credits: await referrals.credits.search({ where: { userId: user.id }, order: { id: 'DESC' }, take: 100 }),
    });
  });

  return router;
}
