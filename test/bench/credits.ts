import { randomBytes } from 'node:crypto';
import { createReferrals, Referral, type Referrals } from 'express-referrals';
import { Pool } from 'pg';
import type { DataSource } from 'typeorm';
import type { Bench } from './bench';
import { openSchema } from './open-schema';
import { verified } from './verified';
import { comparePairs, type Pair } from './rates';

/** Calls under way at once, and connections of each side. */
const workers = 16;
const users = 20_000;
/** Sign-ups and spends that are there before. */
const past = 100_000;

/** Each call gets a number of its own. */
type Call = (call: number) => Promise<void>;

let calls = 0;

/** The same rows on both sides: users with a credit each, one with very much, and a code that anyone may use. */
async function fill(dataSource: DataSource, schema: string): Promise<void> {
  const sql = (text: string): Promise<unknown> => dataSource.query(text.replaceAll('@', `"${schema}".`));
  await sql(`INSERT INTO @referral_credit_types (name) VALUES ('any')`);
  await sql(`INSERT INTO @referral_programs (name, referral_credit_amount, referral_credit_duration, referral_credit_type_id,
      before_reward_usage_threshold, reward_credit_amount, reward_credit_duration, reward_credit_type_id)
    VALUES ('hot', 25, 90, 1, 50, 40, 180, 1)`);
  await sql(`INSERT INTO @referrals (user_id, code, redirect_to, program_id) VALUES ('owner', 'HOT', '/', 1)`);
  await sql(`INSERT INTO @referral_credits
      (user_id, kind, name, type_id, initial_balance, current_balance, start_date, expiry_date)
    SELECT 'user-' || n, 'grant', 'credit', 1, 1000000, 1000000, now() - interval '1 day', now() + interval '1 year'
    FROM generate_series(0, ${users}) n`);
  await sql(`INSERT INTO @referral_credit_transactions (user_id, credit_id, kind, value, created_at)
    SELECT user_id, id, 'grant', initial_balance, created_at FROM @referral_credits`);
  await sql(`INSERT INTO @referral_user_counts (user_id, grants, granted)
    SELECT user_id, 1, initial_balance FROM @referral_credits`);
  // A past: on empty tables, PostgreSQL would plan for a page or two.
  await sql(`INSERT INTO @referral_credit_spends (user_id, reference, kind, amount, covered, captured, captured_at, created_at, description)
    SELECT 'user-' || n % ${users}, 'past-' || n, 'spend', 1, 1, 1, now(), now(), 'April' FROM generate_series(1, ${past}) n`);
  await sql(`INSERT INTO @referral_credit_transactions (user_id, credit_id, kind, value, description, reference, created_at)
    SELECT user_id, 1 + substr(user_id, 6)::integer, 'spend', -1, 'April', reference, created_at FROM @referral_credit_spends`);
  await sql(`UPDATE @referral_credits c SET current_balance = initial_balance - p.count, entries = 1 + p.count FROM (
      SELECT user_id, count(*) FROM @referral_credit_spends GROUP BY 1
    ) p WHERE p.user_id = c.user_id`);
  await sql(`INSERT INTO @referral_signups (user_id, referral_id, referrer_id, program_id, source, weighed, before_reward_usage_threshold,
      created_at)
    SELECT 'past-' || n, 1, 'owner', 1, 'code', '{"rule":"typed-code"}', 50, now() FROM generate_series(1, ${past}) n`);
  await sql(`UPDATE @referrals SET uses = ${past}`);
  await sql(`INSERT INTO @referral_referees (user_id, referee_id, met_by, earned, created_at)
    SELECT referrer_id, user_id, 'sign-up', 0, created_at FROM @referral_signups`);
  await sql(`INSERT INTO @referral_accounts (user_id, users_referred) VALUES ('owner', ${past})`);
}

/** What our calls do, as bare prepared statements on a pool of the same size: BEGIN, INSERTs, UPDATEs, COMMIT. */
function bareWork(pool: Pool, schema: string): { spend: (user: string, call: number) => Promise<void>; signUp: Call } {
  const known = new Map<string, { name: string; text: string }>();
  const prepared = (text: string): { name: string; text: string } => {
    const made = known.get(text) ?? { name: `bare-${known.size}`, text: text.replaceAll('@', `"${schema}".`) };
    known.set(text, made);
    return made;
  };
  const inTransaction = async (statements: [text: string, values: unknown[]][]): Promise<void> => {
    const client = await pool.connect();
    try {
      await client.query('BEGIN');
      for (const [text, values] of statements) await client.query({ ...prepared(text), values });
      await client.query('COMMIT');
    } finally {
      client.release();
    }
  };
  return {
    spend: (user, call) => {
      const id = Number(user.slice('user-'.length)) + 1;
      return inTransaction([
        [
          `INSERT INTO @referral_credit_spends (user_id, reference, kind, amount, covered, captured, description, created_at)
           VALUES ($1, $2, 'spend', 1, 1, 1, 'May', now())`,
          [user, `invoice-${call}`],
        ],
        [
          `INSERT INTO @referral_credit_transactions (user_id, credit_id, kind, value, description, reference, created_at)
           VALUES ($1, $2, 'spend', -1, 'May', $3, now())`,
          [user, id, `invoice-${call}`],
        ],
        [
          'UPDATE @referral_credits SET current_balance = current_balance - 1, entries = entries + 1 WHERE user_id = $1 AND id = $2',
          [user, id],
        ],
      ]);
    },
    signUp: (call) =>
      inTransaction([
        [
          `INSERT INTO @referral_signups (user_id, referral_id, referrer_id, program_id, referral_credit_amount,
             referral_credit_duration, referral_credit_type_id, before_reward_usage_threshold, reward_credit_amount,
             reward_credit_duration, reward_credit_type_id, source, weighed, created_at)
           VALUES ($1, 1, 'owner', 1, 25, 90, 1, 50, 40, 180, 1, 'code', $2, now())`,
          [
            `new-${call}`,
            '{"rule":"typed-code","choice":"HOT","candidates":[{"code":"HOT","source":"code","outcome":"chosen","touchedAt":null,"referralId":1}]}',
          ],
        ],
        [
          `WITH given AS (
             INSERT INTO @referral_credits (user_id, kind, name, type_id, initial_balance, current_balance, start_date,
               expiry_date, referee_id, created_at)
             VALUES ($1, 'referral', $2, 1, 25, 25, now(), now() + interval '2160 hours', $1, now()) RETURNING *
           )
           INSERT INTO @referral_credit_transactions (user_id, credit_id, kind, value, created_at)
           SELECT user_id, id, 'grant', initial_balance, created_at FROM given`,
          [`new-${call}`, `hot: credit for sign-up ${call} with HOT`],
        ],
        [
          `INSERT INTO @referral_referees (user_id, referee_id, created_at) VALUES ('owner', $1, now())`,
          [`new-${call}`],
        ],
        ['UPDATE @referrals SET uses = uses + 1 WHERE id = 1', []],
        [`UPDATE @referral_accounts SET users_referred = users_referred + 1 WHERE user_id = 'owner'`, []],
      ]),
  };
}

function ourWork(referrals: Referrals): { spend: (user: string, call: number) => Promise<void>; signUp: Call } {
  return {
    spend: async (user, call) => {
      await referrals.credits.spend(user, { amount: '1', reference: `invoice-${call}`, description: 'May' });
    },
    signUp: async (call) => {
      await Referral.recordSignup(null, `new-${call}`, { code: 'HOT' });
    },
  };
}

/** What sign-ups and spends cost, against the same rows written without our checks. */
export async function credits(bench: Bench): Promise<void> {
  bench.become('app');
  const { entries, seconds } = bench.options;
  const ours = await openSchema(bench.databaseUrl, 'ours', workers);
  const bare = await openSchema(bench.databaseUrl, 'bare', 1);
  await fill(ours, 'ours');
  await fill(bare, 'bare');
  for (const dataSource of [ours, bare]) await dataSource.query('VACUUM ANALYZE');
  const referrals = createReferrals({
    ...{ dataSource: ours, baseUrl: 'https://shop.example', secret: randomBytes(32).toString('hex') },
    ...{ user: () => null, queryTimeoutMs: 60_000 },
  });
  const pool = new Pool({ connectionString: bench.databaseUrl, max: workers });
  const [our, theirs] = [ourWork(referrals), bareWork(pool, 'bare')];

  const someone = (call: number): string => `user-${1 + (call % users)}`;
  const numbered = (id: Pair['id'], one: Call, other: Call): Pair => {
    return { id, ours: () => one(calls++), bare: () => other(calls++) };
  };
  const pairs = [
    numbered(
      'spends',
      (n) => our.spend(someone(n), n),
      (n) => theirs.spend(someone(n), n),
    ),
    numbered(
      'spends, hot',
      (n) => our.spend('user-0', n),
      (n) => theirs.spend('user-0', n),
    ),
    numbered('sign-ups', our.signUp, theirs.signUp),
  ];
  await comparePairs(bench, pairs, workers, seconds);
  await pool.end();
  await bare.destroy();

  if (bench.options.isVerified) await verifyMany(ours, referrals, entries);
  await referrals.close();
  await ours.destroy();
}

/** How long `verify()` takes on so many entries. */
async function verifyMany(dataSource: DataSource, referrals: Referrals, entries: number): Promise<void> {
  const [counted] = await dataSource.query<{ stored: number }[]>(
    'SELECT count(*)::int AS stored FROM "ours".referral_credit_transactions',
  );
  const missing = Math.max(0, entries - counted!.stored);
  await dataSource.query(
    `WITH added AS (
       INSERT INTO "ours".referral_credit_transactions (user_id, credit_id, kind, value, description)
       SELECT 'user-' || n % ${users}, 1 + n % ${users}, 'adjustment', 0.01, 'filler'
       FROM generate_series(1, ${missing}) n RETURNING user_id
     )
     UPDATE "ours".referral_credits c SET current_balance = c.current_balance + 0.01 * a.count,
       entries = c.entries + a.count
     FROM (SELECT user_id, count(*) FROM added GROUP BY 1) a WHERE a.user_id = c.user_id`,
  );
  await dataSource.query('VACUUM ANALYZE');
  await verified(referrals);
}
