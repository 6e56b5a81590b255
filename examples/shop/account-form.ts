import type { Request } from 'express';
import { field } from './forms';
import type { NewUser } from './sign-up';

/**
 * Returns the same text for each spelling of an address, because people write addresses in upper and lower case. It folds
 * A to Z alone: other letters, such as İ, belong to addresses of their own.
 */
export const normalisedEmail = (email: string): string =>
  email
    .normalize('NFKC')
    .trim()
    .replace(/[A-Z]/g, (letter) => letter.toLowerCase());

type Outcome = { newUser: NewUser; problem?: undefined } | { newUser?: undefined; problem: string };

/** Returns the content of the sign-up form, or a message that says what is wrong with it. */
export function newUserOf(req: Request): Outcome {
  const name = field(req, 'name').trim();
  const email = normalisedEmail(field(req, 'email'));
  const password = field(req, 'password');
  const code = field(req, 'code').trim();
  if (name === '' || name.length > 80 || /\p{Cc}/u.test(name))
    return { problem: 'Please enter a name, up to 80 characters.' };
  if (email.length > 254 || !/^[^\s\p{Cc}@]+@[^\s\p{Cc}@]+$/u.test(email))
    return { problem: 'Please enter an e-mail address.' };
  if (password.length < 8 || password.length > 200)
    return { problem: 'Please choose a password of 8 to 200 characters.' };
  return { newUser: { name, email, password, code } };
}
