import { type Request, type Response, Router } from 'express';
import { newUserOf, normalisedEmail } from '../account-form';
import { issueCsrfToken } from '../csrf';
import { User } from '../entities';
import { field, localPath } from '../forms';
import { isPassword } from '../passwords';
import { currentUser, signIn, signOut } from '../sessions';
import type { Shop } from '../shop';
import { signUp } from '../sign-up';

/** Routes to register, to log in and to log out. */
export function accountRoutes(shop: Shop): Router {
  const router = Router();

  router.get(['/register', '/login'], (req, res) => {
    const next = localPath(req.query['next']);
    if (currentUser(res)) return res.redirect(303, next);
    issueCsrfToken(req, res);
    res.render(req.path === '/login' ? 'login' : 'register', { next, name: '', email: '', code: '', problem: null });
  });

  router.post('/register', async (req, res) => {
    const next = localPath(field(req, 'next')); // before anything is written, because a malformed field is refused
    const { newUser, problem } = newUserOf(req);
    if (!newUser) return refuse(req, res, 'register', problem);
    const { user, problem: refusal } = await signUp(shop, req, newUser);
    if (!user) return refuse(req, res, 'register', refusal);
    await signIn(req, res, user);
    res.redirect(303, next);
  });

  router.post('/login', async (req, res) => {
    const next = localPath(field(req, 'next'));
    const user = await shop.dataSource.manager.findOne(User, {
      where: { email: normalisedEmail(field(req, 'email')) },
      select: { id: true, passwordHash: true },
    });
    const isRight = await isPassword(field(req, 'password'), user?.passwordHash);
    if (!user || !isRight) return refuse(req, res, 'login', 'The e-mail address or the password is wrong.');
    await signIn(req, res, user);
    res.redirect(303, next);
  });

  router.post('/logout', async (req, res) => {
    await signOut(req, res);
    res.redirect(303, '/');
  });

  return router;
}

/** Shows the form again, with what was entered, except for the password. */
function refuse(req: Request, res: Response, view: 'register' | 'login', problem: string): void {
  const [name, email, code] = ['name', 'email', 'code'].map((entered) => field(req, entered));
  res.status(400).render(view, { next: localPath(field(req, 'next')), name, email, code, problem });
}
