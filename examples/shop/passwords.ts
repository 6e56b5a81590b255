import { randomBytes, scrypt as scryptCallback, type ScryptOptions, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

const scrypt = promisify<string, Buffer, number, ScryptOptions, Buffer>(scryptCallback);

// Five rounds in 16 MB are as hard to attack as one round in 128 MB, and need less memory.
const cost = { N: 2 ** 14, r: 8, p: 5 };
const keyLength = 32;

/** Returns the text to store: `salt.key`. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const key = await scrypt(password, salt, keyLength, cost);
  return `${salt.toString('base64url')}.${key.toString('base64url')}`;
}

/** A random hash, which is compared if there is no account. Nobody knows its password. */
const nobody = `${randomBytes(16).toString('base64url')}.${randomBytes(keyLength).toString('base64url')}`;

/**
 * Checks a password. It takes the same time without a hash, so that the response time does not tell who has an account.
 */
export async function isPassword(password: string, hash: string | undefined): Promise<boolean> {
  const [salt, key] = (hash ?? nobody).split('.').map((part) => Buffer.from(part, 'base64url'));
  if (!salt || !key) return false;
  const isEqual = timingSafeEqual(await scrypt(password, salt, key.length, cost), key);
  return isEqual && hash !== undefined;
}
