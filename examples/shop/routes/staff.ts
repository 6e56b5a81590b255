import { ReferralError, type Referrals } from 'express-referrals';
import { type Request, type Response, Router } from 'express';
import type { User } from '../entities';
import { field } from '../forms';
import { HttpError } from '../http-error';
import { currentUser } from '../sessions';
import type { Shop } from '../shop';
import { staffPage } from '../staff';

/** Who decides, and why: kept with each decision. */
interface Author {
  by: string;
  reason: string;
}

type Decision = (referrals: Referrals, id: number, author: Author) => Promise<unknown>;

/** What the staff can do, by the path of the form. */
const decisions = new Map<string, Decision>([
  ['commissions/hold', ({ commissions }, id, author) => commissions.hold(id, author)],
  ['commissions/release', ({ commissions }, id, author) => commissions.release(id, author)],
  ['commissions/reject', ({ commissions }, id, author) => commissions.reject(id, author)],
  ['reviews/allow', ({ reviews }, id, author) => reviews.allow(id, author)],
  ['reviews/refuse', ({ reviews }, id, author) => reviews.refuse(id, author)],
]);

/** The page where the staff decide about what looks wrong, and see who changed what. */
export function staffRoutes({ dataSource, referrals }: Shop): Router {
  const router = Router();

  /** Returns who of the staff is signed in; null for nobody. @throws HttpError 403 for a customer. */
  function staff(res: Response): User | null {
    const user = currentUser(res);
    if (user && !user.isStaff) throw new HttpError(403, 'Only the staff of the shop can see this page.');
    return user;
  }

  async function show(res: Response, problem: string | null = null): Promise<void> {
    res.status(problem ? 400 : 200).render('staff', { ...(await staffPage(dataSource, referrals)), problem });
  }

  router.get('/staff', async (_req, res) => {
    if (!staff(res)) return res.redirect(303, '/login?next=/staff');
    await show(res);
  });

  router.post('/staff/:what/:decision', async (req: Request<{ what: string; decision: string }>, res, next) => {
    const decide = decisions.get(`${req.params.what}/${req.params.decision}`);
    if (!decide) return next();
    const user = staff(res);
    if (!user) return res.redirect(303, '/login?next=/staff');
    const reason = field(req, 'reason').trim();
    if (reason === '') return show(res, 'Please say why.');
    try {
      await decide(referrals, Number(field(req, 'id')), { by: user.id, reason });
    } catch (error) {
      // Somebody else has decided otherwise in the meantime, or an earn-out has paid it.
      if (!(error instanceof ReferralError && error.status === 409)) throw error;
      return show(res, error.message);
    }
    res.redirect(303, '/staff');
  });

  return router;
}
