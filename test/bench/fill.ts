import type { DataSource } from 'typeorm';
import { openSchema } from './open-schema';

/** Schemas with links: without responses, with ten thousand, and with very many. */
export const schemas = ['empty', 'some', 'big'] as const;

export type Schema = (typeof schemas)[number];

/** The links that are clicked, `LINK0` and on, with the ids from 1 on. */
export const linkCount = 100;
export const linkPaths = Array.from({ length: linkCount }, (_, link) => `/r/LINK${link}`);

/** Responses of one who has few. */
export const few = 100;
/** Responses of the schema `some`. */
export const someResponses = 10_000;

/** A signed-in user of the stored responses: half of them have one, ten responses each. */
export const usersOf = (responses: number): number => Math.max(1, Math.floor(responses / 20));

export const userAgent =
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36';

/** Stores what clicks and lists are measured on; it takes minutes for millions. */
export async function fillLinks(databaseUrl: string, many: number): Promise<void> {
  const counts: Record<Schema, number> = { empty: 0, some: someResponses, big: many };
  for (const schema of schemas) {
    const start = performance.now();
    const dataSource = await openSchema(databaseUrl, schema);
    await fill(dataSource, schema, counts[schema]);
    await dataSource.query('VACUUM ANALYZE');
    await dataSource.destroy();
    const took = ((performance.now() - start) / 1000).toFixed(0);
    console.log(`Stored ${counts[schema]} responses in ${took} s`);
  }
}

/**
 * Stores links and responses, one a second up to now. A fifth of the responses are to the link `MANY0`, whose owner has
 * nine other links, as has the owner of `FEW0`, which has a hundred; the rest are to the links that are clicked. The visitor
 * ids of the older half are random, as they were once.
 */
async function fill(dataSource: DataSource, schema: string, responses: number): Promise<void> {
  const sql = (text: string): Promise<unknown> => dataSource.query(text.replaceAll('@', `"${schema}".`));
  await sql(`INSERT INTO @referrals (user_id, label, code, redirect_to)
    SELECT 'owner', n, 'LINK' || n, '/welcome?from=friend' FROM generate_series(0, ${linkCount - 1}) n`);
  await sql(`INSERT INTO @referrals (user_id, label, code, redirect_to)
    SELECT lower(who), n, who || n, '/' FROM unnest(ARRAY['MANY', 'FEW']) who, generate_series(0, 9) n ORDER BY who, n`);
  if (responses === 0) return;
  const insert = (referral: string, user: string, visitor: string, count: number): Promise<unknown> =>
    sql(`INSERT INTO @referral_responses
        (referral_id, visitor_id, user_id, ip_address, user_agent, action, created_at, touched_at)
      SELECT ${referral}, ${visitor}, ${user}, '192.0.2.0', '${userAgent}', 'RESPONDED', now() - ago, now() - ago
      FROM generate_series(0, ${count - 1}) n, LATERAL (SELECT (${count} - n) * interval '1 second' AS ago) t
      ORDER BY n`);
  const idOf = (code: string): string => `(SELECT id FROM @referrals WHERE code = '${code}')`;
  await insert(
    `CASE n % 5 WHEN 0 THEN ${idOf('MANY0')} ELSE 1 + n % ${linkCount} END`,
    `CASE WHEN n % 2 = 0 THEN (n / 2 % ${usersOf(responses)})::text END`,
    `CASE WHEN n < ${responses / 2} THEN gen_random_uuid() ELSE uuidv7(-ago) END`,
    responses,
  );
  await insert(idOf('FEW0'), 'NULL', 'uuidv7(-ago)', few);
  await sql(`INSERT INTO @referral_daily_counts SELECT referral_id, (created_at AT TIME ZONE 'UTC')::date, count(*)
    FROM @referral_responses GROUP BY 1, 2`);
  // A year of days for the popular one.
  await sql(`INSERT INTO @referral_daily_counts
    SELECT ${idOf('MANY1')}, '2025-01-01'::date + n, 2740 FROM generate_series(0, 364) n
    UNION ALL SELECT ${idOf('FEW1')}, '2025-01-01', 10`);
}
