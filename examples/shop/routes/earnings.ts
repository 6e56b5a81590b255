import { ReferralError } from 'express-referrals';
import { type Response, Router } from 'express';
import { earningsOf } from '../earnings';
import type { User } from '../entities';
import { field } from '../forms';
import { HttpError } from '../http-error';
import { currentUser } from '../sessions';
import type { Shop } from '../shop';

const loginFirst = '/login?next=/earnings';

/** The page of a user's commissions, and of how they are paid. */
export function earningRoutes({ dataSource, referrals }: Shop): Router {
  const router = Router();

  async function show(res: Response, user: User, said: { problem?: string; notice?: string } = {}): Promise<void> {
    const { problem = null, notice = null } = said;
    const earnings = await earningsOf(dataSource, referrals, user);
    res.status(problem ? 400 : 200).render('earnings', { ...earnings, problem, notice });
  }

  router.get('/earnings', async (_req, res) => {
    const user = currentUser(res);
    if (!user) return res.redirect(303, loginFirst);
    await show(res, user);
  });

  router.post('/earnings', async (req, res) => {
    const user = currentUser(res);
    if (!user) return res.redirect(303, loginFirst);
    const account = await referrals.accounts.of(user);
    const mode = field(req, 'mode') === 'payout' ? 'payout' : 'credits';
    try {
      await referrals.accounts.update(account, { mode, payoutEmail: field(req, 'payoutEmail').trim() || null });
    } catch (error) {
      if (!(error instanceof ReferralError && error.field === 'payoutEmail')) throw error;
      return show(res, user, { problem: 'Please enter the e-mail address that payouts should go to.' });
    }
    res.redirect(303, '/earnings');
  });

  // A real shop runs earn-outs from cron: see earn-outs.ts. This button of the staff shows what they do.
  router.post('/earnings/run', async (_req, res) => {
    const user = currentUser(res);
    if (!user) return res.redirect(303, loginFirst);
    if (!user.isStaff) throw new HttpError(403, 'Only the staff of the shop can run earn-outs.');
    const { completed, failed } = await referrals.runEarnOuts();
    await show(res, user, { notice: `Earn-outs completed: ${completed}, failed: ${failed}.` });
  });

  return router;
}
