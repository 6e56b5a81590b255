import { type Request, type Response, Router } from 'express';
import type { DataSource } from 'typeorm';
import { newUserOf, normalisedEmail } from '../account-form';
import { issueCsrfToken } from '../csrf';
import { User } from '../entities';
import { field, localPath } from '../forms';
import { isPassword } from '../passwords';
import { currentUser, signIn, signOut } from '../sessions';
import { signUp } from '../sign-up';

/** Registering, logging in and out. */
export function accountRoutes(dataSource: DataSource): Router {
  const router = Router();

  router.get(['/register', '/login'], (req, res) => {
    const next = localPath(req.query['next']);
    if (currentUser(res)) return res.redirect(303, next);
    issueCsrfToken(req, res);
    res.render(req.path === '/login' ? 'login' : 'register', { next, name: '', email: '', problem: null });
  });

  router.post('/register', async (req, res) => {
    const { newUser, problem } = newUserOf(req);
    if (!newUser) return refuse(req, res, 'register', problem);
    const user = await signUp(dataSource, req, newUser);
    if (!user) return refuse(req, res, 'register', 'This e-mail address has an account already. Log in instead.');
    await signIn(req, res, user);
    res.redirect(303, localPath(field(req, 'next')));
  });

  router.post('/login', async (req, res) => {
    const user = await dataSource.manager.findOne(User, {
      where: { email: normalisedEmail(field(req, 'email')) },
      select: { id: true, passwordHash: true },
    });
    const isRight = await isPassword(field(req, 'password'), user?.passwordHash);
    if (!user || !isRight) return refuse(req, res, 'login', 'The e-mail address or the password is wrong.');
    await signIn(req, res, user);
    res.redirect(303, localPath(field(req, 'next')));
  });

  router.post('/logout', async (req, res) => {
    await signOut(req, res);
    res.redirect(303, '/');
  });

  return router;
}

/** The form once more, with what was entered, except for the password. */
function refuse(req: Request, res: Response, view: 'register' | 'login', problem: string): void {
  const next = localPath(field(req, 'next'));
  res.status(422).render(view, { next, name: field(req, 'name'), email: field(req, 'email'), problem });
}
