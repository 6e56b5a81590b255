import {
  type ChannelInput,
  entities,
  type ReferralChannel,
  type ReferralCode,
  type ReferralError,
  type ReferralsOptions,
  type WithManager,
} from '../../lib';
import { type Host, openDataSource, Product, startHost, TestClock } from './host';

export interface EarningsHost extends Host {
  clock: TestClock;
  /** The events since the start, as `name user amount …`. */
  told: string[];
  schema: string;
}

/** A host with a clock to set, where referrers earn a quarter of what their referees pay, 30 days later. */
export async function startEarnings(
  options: Partial<ReferralsOptions> = {},
  routes?: Parameters<typeof startHost>[1],
): Promise<EarningsHost> {
  const clock = new TestClock();
  const host = await startHost(
    { clock: clock.read, ...options, commission: { ratio: '0.25', ...options.commission } },
    routes,
  );
  const { schema } = host.dataSource.options as { schema: string };
  return { ...host, clock, told: listen(host), schema: `"${schema}"` };
}

function listen({ referrals }: Host): string[] {
  const told: string[] = [];
  referrals.on('purchase', ({ userId, amount }) => void told.push(`purchase ${userId} ${amount}`));
  referrals.on('commissionEarned', ({ userId, earned }) => void told.push(`earned ${userId} ${earned}`));
  referrals.on('commissionReverted', ({ userId, amount, revertedAt }, refund) => {
    told.push(`${revertedAt ? 'reverted' : 'lowered'} ${userId} to ${amount} by ${refund.reference} ${refund.amount}`);
  });
  referrals.on('earnOut', ({ userId, mode, amount, status }) => {
    told.push(`earn-out ${userId} ${mode} ${amount} ${status}`);
  });
  referrals.on('creditGranted', ({ userId, initialBalance }) => void told.push(`granted ${userId} ${initialBalance}`));
  return told;
}

let count = 0;

/** A name that nobody else in the file has. */
export const fresh = (word = 'user'): string => `${word}-${++count}`;

/** A code of the referrer's, with which the referee signs up. */
export async function refer(
  { referrals }: Host,
  referrer: string,
  referee: string,
  terms: Partial<Parameters<Host['referrals']['referralCodes']['create']>[0]> = {},
): Promise<ReferralCode> {
  const code = fresh('code');
  const made = await referrals.referralCodes.create({ code, label: code, user: referrer, ...terms });
  await referrals.signups.create({ user: referee, code });
  return made;
}

/** A coupon: a fifth off the first purchase; its owner earns 30 %, from the second year on 10 %. */
export function couponOf(
  { referrals }: Host,
  user: string,
  given: Partial<ChannelInput> = {},
): Promise<ReferralChannel> {
  return referrals.channels.create({
    ...{ user, code: fresh('COUPON'), promoType: 'percent_off', promoValue: '0.20' },
    ...{ initialRate: '0.30', ongoingRate: '0.10' },
    ...given,
  });
}

/** What a call is refused with: its code, and the field where there is one. */
export async function refusalOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return 'nothing';
  } catch (error) {
    const { code, field } = error as ReferralError;
    return field === undefined ? code : `${code} ${field}`;
  }
}

/** Every row of ours, as JSON by column, in order of the tables and of the rows' text. One statement: some tests ask hundreds of times. */
export async function everyRow({ dataSource }: Pick<Host, 'dataSource'>): Promise<string[]> {
  const { schema } = dataSource.options as { schema: string };
  const selects = entities.map((entity, index) => {
    const { tableName } = dataSource.getMetadata(entity);
    return `SELECT ${index} AS table_index, row_to_json(t)::text AS row FROM "${schema}"."${tableName}" t`;
  });
  const rows = await dataSource.query<{ row: string }[]>(`${selects.join(' UNION ALL ')} ORDER BY table_index, row`);
  return rows.map(({ row }) => row);
}

/**
 * Refuses each input by the name of its field, by itself and in the host's transaction, which goes on and commits.
 * Nothing is written.
 */
export async function expectRefusals<T>(
  host: Host,
  inputs: readonly (readonly [field: string, input: T])[],
  call: (input: T, options: WithManager) => Promise<unknown>,
): Promise<void> {
  const before = await everyRow(host);
  for (const [field, input] of inputs) {
    const refusal = { name: 'ReferralError', code: 'INVALID_INPUT', status: 400, field };
    await expect(call(input, {})).rejects.toMatchObject(refusal);
    await host.dataSource.transaction(async (manager) => {
      await expect(call(input, { manager })).rejects.toMatchObject(refusal);
      await manager.save(Object.assign(new Product(), { name: 'still usable' }));
    });
  }
  expect(await everyRow(host)).toEqual(before);
}

/** What `manager` never takes: of another database, of a transaction that is over, or no manager at all. */
export async function wrongManagers({ dataSource }: Host): Promise<unknown[]> {
  const foreign = await openDataSource({ migrate: false });
  const released = await dataSource.transaction((manager) => Promise.resolve(manager));
  return [foreign.manager, released, dataSource, {}, 7, dataSource.getRepository(Product)];
}

/** What can't be an amount of money. */
export const noAmounts: readonly unknown[] = [
  ...[NaN, Infinity, -Infinity, 1e16, 1e-5, 1.00001, 0.1 + 0.2],
  ...['', ' ', ' 1', '1,5', '1.', '.5', '1e3', '0x10', '1.00001', '12345678901234567', 'NaN', "1'; --"],
  ...[true, 10n ** 200n, [], ['5'], {}, new Date(0), Symbol('5'), () => 5, JSON.parse('{"toString":1}')],
];

/**
 * Referrers `prefix 1`, `prefix 2`, … who have earned 1.00 on each of so many purchases, written as the calls would have,
 * but all at once: one referee each, paid at `at`, available 30 days later.
 */
export async function seedCommissions(
  { dataSource, schema, clock }: EarningsHost,
  { prefix, referrers, each, at = clock.time, mode = 'credits' }: Seed,
): Promise<void> {
  const label = fresh('seed');
  await dataSource.query(
    `WITH pairs AS (
       SELECT $1 || ' ' || i AS user_id, $1 || ' buyer ' || i AS referee_id, $4::timestamptz AS at, $6 AS mode, i
       FROM generate_series(1, $2::int) i
     ), referrals AS (
       INSERT INTO ${schema}.referrals (user_id, code, label, redirect_to) SELECT user_id, $5 || '-' || i, $5, '/' FROM pairs
       RETURNING id, user_id
     ), paid AS (
       SELECT pairs.*, 'seed ' || j AS reference, referrals.id AS referral_id
       FROM pairs JOIN referrals USING (user_id), generate_series(1, $3::int) j
     ), buyers AS (
       INSERT INTO ${schema}.referral_buyers (user_id, first_purchase_at, purchase_count, purchased)
       SELECT referee_id, at, $3::int, 4 * $3::int FROM pairs
     ), purchases AS (
       INSERT INTO ${schema}.referral_purchases
         (user_id, reference, amount, purchased_at, source, referral_id, referrer_id, mode, rate, created_at)
       SELECT referee_id, reference, 4, at, 'attribution', referral_id, user_id, mode, 0.25, at FROM paid
     ), commissions AS (
       INSERT INTO ${schema}.referral_commissions
         (user_id, referee_id, purchase, referral_id, mode, rate, earned, amount, pending_days, available_at, created_at, updated_at)
       SELECT user_id, referee_id, reference, referral_id, mode, 0.25, 1, 1, 30, at + interval '720 hours', at, at FROM paid
     ), referees AS (
       INSERT INTO ${schema}.referral_referees
         (user_id, referee_id, met_by, earned, purchases, first_purchase_at, upgraded_at, created_at)
       SELECT user_id, referee_id, 'purchase', $3::int, $3::int, at, at, at FROM pairs
     ), accounts AS (
       INSERT INTO ${schema}.referral_accounts
         (user_id, mode, payout_email, users_referred, users_upgraded, created_at, updated_at)
       SELECT user_id, mode, i || '@example.org', 1, 1, at, at FROM pairs
     )
     INSERT INTO ${schema}.referral_account_totals (user_id, channel_id, mode, commissions, amount, matured_until)
     SELECT user_id, 0, mode, $3::int, $3::int, at FROM pairs`,
    [prefix, referrers, each, at, label, mode],
  );
}

interface Seed {
  prefix: string;
  referrers: number;
  each: number;
  at?: Date;
  mode?: 'credits' | 'payout';
}
