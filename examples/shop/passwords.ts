import { randomBytes, scrypt as scryptCallback, type ScryptOptions, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

const scrypt = promisify<string, Buffer, number, ScryptOptions, Buffer>(scryptCallback);

// 16 MB and five rounds: as hard to guess as one round in 128 MB, and kinder to a small server.
const cost = { N: 2 ** 14, r: 8, p: 5 };
const keyLength = 32;

/** `salt.key`, to be stored. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const key = await scrypt(password, salt, keyLength, cost);
  return `${salt.toString('base64url')}.${key.toString('base64url')}`;
}

/** Stands in for the hash of nobody; its password is not known to anyone. */
const nobody = `${randomBytes(16).toString('base64url')}.${randomBytes(keyLength).toString('base64url')}`;

/** Takes as long without a hash, so that the time of an answer does not tell which addresses have an account. */
export async function isPassword(password: string, hash: string | undefined): Promise<boolean> {
  const [salt, key] = (hash ?? nobody).split('.').map((part) => Buffer.from(part, 'base64url'));
  if (!salt || !key) return false;
  const isEqual = timingSafeEqual(await scrypt(password, salt, key.length, cost), key);
  return isEqual && hash !== undefined;
}
