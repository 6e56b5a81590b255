/** For development only, because everybody can read them here. */
const published = {
  REFERRALS_SECRET: 'development only: set REFERRALS_SECRET in production',
  SESSION_SECRET: 'development only: set SESSION_SECRET in production',
};

/**
 * Returns a secret from the environment. Who knows it can sign cookies of anybody.
 *
 * @throws Error in production, if it is missing, short, or the one for development.
 */
export function secretOf(variable: keyof typeof published): string {
  const secret = process.env[variable] || published[variable];
  const isPublished = Object.values(published).includes(secret);
  if (process.env['NODE_ENV'] === 'production' && (isPublished || secret.length < 32))
    throw new Error(`In production, set ${variable} to a random text of 32 characters or more.`);
  return secret;
}
