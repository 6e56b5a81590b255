import { Router } from 'express';
import { Referral } from 'express-referrals';
import { responseRows } from '../response-rows';
import { currentUser } from '../sessions';
import type { Shop } from '../shop';

/** The page of a user's links, clicks and responses. */
export function referralRoutes({ dataSource }: Shop): Router {
  const router = Router();

  router.get('/referrals', async (_req, res) => {
    const user = currentUser(res);
    if (!user) return res.redirect(303, '/login?next=/referrals');
    // `Referral` is a TypeORM entity. The host queries it through TypeORM where the package has no method.
    const links = await dataSource.manager.find(Referral, { where: { userId: user.id }, order: { id: 'ASC' } });
    const clicks = await Promise.all(links.map((link) => link.responseCount()));
    const responses = await Referral.responsesForReferrer(user, { take: 100 });
    res.render('referrals', {
      links: links.map(({ url, label, code, uses }, index) => ({ url, label, code, uses, clicks: clicks[index] })),
      rows: await responseRows(dataSource, links, responses),
    });
  });

  return router;
}
