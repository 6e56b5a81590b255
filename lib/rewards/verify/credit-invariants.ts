import type { Database } from '../../database/database';
import { kindsOfSpends } from '../credits/entries';
import { conditionsOn, type Invariant } from './invariant';

/** The invariants of credits, their entries and what was spent. */
export function creditInvariants({
  credits,
  creditTypes,
  transactions,
  spends,
  creditRefunds,
  signups,
}: Database['tables']): Invariant[] {
  return [
    ...creditPass({ credits, creditTypes, transactions, signups }),
    ...spendPass({ spends, transactions, creditRefunds }),
    ...givenBackPass({ credits, creditTypes, transactions, spends, creditRefunds }),
    ...refundPass({ creditRefunds, transactions }),
    {
      name: 'every entry gives or takes, as its kind says',
      table: 'transactions',
      sql: `SELECT id, kind AS expected, value AS found FROM ${transactions}
       WHERE CASE WHEN kind IN ('grant', 'release', 'refund') THEN value <= 0 WHEN kind IN ('spend', 'hold', 'take-back') THEN value >= 0
         WHEN kind = 'adjustment' THEN value = 0 ELSE true END OR value = 'NaN'`,
    },
    {
      name: 'nothing goes back where it did not come from',
      table: 'transactions',
      sql: `SELECT max(id) AS id, '0' AS expected, sum(value) AS found FROM ${transactions}
       WHERE kind IN ${kindsOfSpends} AND (user_id, reference) IN (
         SELECT user_id, reference FROM ${transactions} WHERE kind IN ('release', 'refund')
       ) GROUP BY user_id, reference, credit_id HAVING sum(value) > 0`,
    },
    {
      name: 'a type that is refundable is known as such',
      table: 'creditTypes',
      sql: `SELECT id, refundable AS expected, was_refundable AS found FROM ${creditTypes}
       WHERE refundable AND NOT was_refundable`,
    },
  ];
}

/** Each credit with the sums of its entries, its type, and the sign-up that it was given for. */
function creditPass({
  credits,
  creditTypes,
  transactions,
  signups,
}: Pick<Database['tables'], 'credits' | 'creditTypes' | 'transactions' | 'signups'>): Invariant[] {
  const rows = `${credits} c FULL JOIN (
        SELECT user_id, credit_id, sum(value) AS value, count(*) AS entries, min(id) AS id,
          count(*) FILTER (WHERE kind = 'grant') AS grants, max(value) FILTER (WHERE kind = 'grant') AS granted,
          max(reference) FILTER (WHERE kind = 'grant') AS reference,
          max(created_at) FILTER (WHERE kind = 'grant') AS created_at
        FROM ${transactions} GROUP BY user_id, credit_id
      ) e ON e.user_id = c.user_id AND e.credit_id = c.id
      LEFT JOIN ${creditTypes} t ON t.id = c.type_id
      LEFT JOIN ${signups} s ON s.user_id = c.referee_id`;
  const ofCredit = conditionsOn('credits', { rows, id: 'c.id' });
  const ofEntry = conditionsOn('transactions', { rows, id: 'e.id' });
  const check = (name: string, isBroken: string, expected: string, found: string): Invariant =>
    ofCredit(name, { isBroken: `c.id IS NOT NULL AND (${isBroken})`, expected, found });
  const byKind = (referral: string, reward: string, other: string): string =>
    `CASE c.kind WHEN 'referral' THEN ${referral} WHEN 'reward' THEN ${reward} ELSE ${other} END`;
  const type = byKind('s.referral_credit_type_id', 's.reward_credit_type_id', 'c.type_id');
  const owner = byKind('s.user_id', 's.referrer_id', 'c.user_id');
  return [
    check('balance = initial + entries', 'c.current_balance <> coalesce(e.value, 0)', 'coalesce(e.value, 0)', 'c.current_balance'), // prettier-ignore
    check('initial balance = the first entry', `e.grants IS DISTINCT FROM 1 OR e.granted <> c.initial_balance`, 'e.granted', 'c.initial_balance'), // prettier-ignore
    check('a credit is as old as its first entry', 'e.created_at <> c.created_at', 'e.created_at', 'c.created_at'),
    check('a credit has the reference of its first entry', 'e.grants = 1 AND e.reference IS DISTINCT FROM c.reference', 'e.reference', 'c.reference'), // prettier-ignore
    check('no entry of a credit is missing', 'c.entries <> coalesce(e.entries, 0)', 'c.entries', 'coalesce(e.entries, 0)'), // prettier-ignore
    check('balance from 0', `c.current_balance < 0 OR c.initial_balance <= 0 OR 'NaN' IN (c.initial_balance, c.current_balance)`, '0', 'least(c.initial_balance, c.current_balance)'), // prettier-ignore
    check('used up = nothing left', 'c.is_used_up <> (c.current_balance = 0)', 'c.current_balance = 0', 'c.is_used_up'), // prettier-ignore
    check('expiry after start', 'c.expiry_date <= c.start_date', 'c.start_date', 'c.expiry_date'),
    check('a credit starts when it is given, unless staff gave it', `c.kind <> 'grant' AND c.start_date <> c.created_at`, 'c.created_at', 'c.start_date'), // prettier-ignore
    check('every credit has a type, of a sign-up the one of its terms', `t.id IS NULL OR t.id <> ${type}`, type, 't.id'), // prettier-ignore
    check('every credit of a sign-up is of its referee or referrer', `c.kind IN ('referral', 'reward') AND c.user_id IS DISTINCT FROM ${owner}`, owner, 'c.user_id'), // prettier-ignore
    check('a credit of a sign-up is not older', `c.created_at < ${byKind('s.created_at', 's.threshold_reached_at', 'NULL')}`, 's.created_at', 'c.created_at'), // prettier-ignore
    check('only credit of a sign-up has a referee', `(c.kind IN ('referral', 'reward')) <> (c.referee_id IS NOT NULL)`, 'c.kind', 'c.referee_id'), // prettier-ignore
    check('every credit has a reason', `c.kind NOT IN ('referral', 'reward', 'earn-out', 'grant')`, 'NULL', 'c.kind'),
    ofEntry('every entry is of a credit', { isBroken: 'c.id IS NULL', expected: 'e.credit_id', found: 'NULL' }),
  ];
}

/** Each spend and hold with the sums and times of its entries, by their kinds. */
function spendPass({
  spends,
  transactions,
  creditRefunds,
}: Pick<Database['tables'], 'spends' | 'transactions' | 'creditRefunds'>): Invariant[] {
  const id = `coalesce(s.user_id, e.user_id) || '/' || coalesce(s.reference, e.reference, '')`;
  const rows = `${spends} s FULL JOIN (
        SELECT user_id, reference, ${['spend', 'hold', 'release', 'refund']
          .map((kind) => `sum(value) FILTER (WHERE kind = '${kind}') AS ${kind}`)
          .join(', ')},
          min(created_at) FILTER (WHERE kind IN ('spend', 'hold')) AS taken_at,
          max(created_at) FILTER (WHERE kind IN ('spend', 'hold')) AS last_taken_at
        FROM ${transactions} WHERE kind IN ${kindsOfSpends} GROUP BY user_id, reference
      ) e ON e.user_id = s.user_id AND e.reference = s.reference
      LEFT JOIN (
        SELECT user_id, reference, count(*), sum(given) AS given, max(created_at) AS last_at FROM ${creditRefunds} GROUP BY 1, 2
      ) r ON r.user_id = s.user_id AND r.reference = s.reference`;
  const ofSpend = conditionsOn('spends', { rows, id });
  const check = (name: string, isBroken: string, expected: string, found: string): Invariant =>
    ofSpend(name, { isBroken, expected, found });
  const sums = [
    [`CASE s.kind WHEN 'spend' THEN s.covered ELSE 0 END`, '-coalesce(e.spend, 0)'],
    [`CASE s.kind WHEN 'hold' THEN s.covered ELSE 0 END`, '-coalesce(e.hold, 0)'],
    ['coalesce(s.covered - s.captured, 0)', 'coalesce(e.release, 0)'],
    ['coalesce(s.refunded, 0)', 'coalesce(e.refund, 0)'],
  ] as const;
  const settled = (amount: string, time: string): Invariant =>
    check(`${amount} at a time`, `(s.${amount} IS NULL) <> (s.${time} IS NULL)`, `s.${time}`, `s.${amount}`);
  return [
    ...sums.map(([expected, found]) => check('spend = its entries', `${expected} <> ${found}`, expected, found)),
    check(
      'refunded <= captured <= covered <= amount',
      `s.amount <= 0 OR s.covered NOT BETWEEN 0 AND s.amount OR s.captured NOT BETWEEN 0 AND s.covered
          OR s.refunded NOT BETWEEN 0 AND s.captured OR (s.refunded IS NOT NULL AND s.captured IS NULL)
          OR 'NaN' IN (s.amount, s.covered, s.captured, s.refunded)`,
      ...(['s.amount', 'greatest(s.covered, s.captured, s.refunded)'] as const),
    ),
    check(
      'a spend captures what it covers',
      `s.kind = 'spend' AND s.captured IS DISTINCT FROM s.covered`,
      ...(['s.covered', 's.captured'] as const),
    ),
    check('a spend covers all, unless it is partial', 'NOT s.is_partial AND s.covered <> s.amount', 's.amount', 's.covered'), // prettier-ignore
    check('a spend or a hold', `s.kind NOT IN ('spend', 'hold')`, 'NULL', 's.kind'),
    settled('captured', 'captured_at'),
    settled('refunded', 'refunded_at'),
    check(
      'a spend is captured at once',
      `s.captured_at < s.created_at OR s.refunded_at < s.captured_at
          OR (s.kind = 'spend' AND s.captured_at <> s.created_at)`,
      ...(['s.created_at', 's.captured_at'] as const),
    ),
    check(
      'refunded = its refunds',
      '(s.refunds, s.refunded, s.refunded_at) IS DISTINCT FROM (coalesce(r.count, 0), r.given, r.last_at) AND s.user_id IS NOT NULL',
      ...([
        `concat_ws('/', coalesce(r.count, 0), r.given, r.last_at)`,
        `concat_ws('/', s.refunds, s.refunded, s.refunded_at)`,
      ] as const),
    ),
    check(
      'a hold is not captured after its end, and is released at it',
      `s.expires_at <= s.created_at OR (s.expires_at IS NOT NULL AND s.kind <> 'hold')
          OR (s.captured_at >= s.expires_at AND (s.captured > 0 OR s.captured_at > s.expires_at))`,
      ...(['s.expires_at', 's.captured_at'] as const),
    ),
    check('entries are made when the spend is', 'e.taken_at <> s.created_at OR e.last_taken_at <> s.created_at', 's.created_at', 'e.taken_at'), // prettier-ignore
  ];
}

/** Each entry that gives back, with its spend and the type of its credit. */
function givenBackPass({
  credits,
  creditTypes,
  transactions,
  spends,
  creditRefunds,
}: Pick<Database['tables'], 'credits' | 'creditTypes' | 'transactions' | 'spends' | 'creditRefunds'>): Invariant[] {
  const rows = `(
      SELECT e.id, e.kind, e.created_at, t.id AS type_id, t.was_refundable,
        CASE e.kind WHEN 'release' THEN s.captured_at ELSE r.created_at END AS settled_at
      FROM ${transactions} e LEFT JOIN ${spends} s ON s.user_id = e.user_id AND s.reference = e.reference
      LEFT JOIN ${credits} c ON c.user_id = e.user_id AND c.id = e.credit_id
      LEFT JOIN ${creditTypes} t ON t.id = c.type_id
      LEFT JOIN (SELECT DISTINCT user_id, reference, created_at FROM ${creditRefunds}) r
        ON r.user_id = e.user_id AND r.reference = e.reference AND r.created_at = e.created_at
      WHERE e.kind IN ('release', 'refund')
    ) AS given_back`;
  const ofEntry = conditionsOn('transactions', { rows, id: 'id' });
  return [
    ofEntry('entries that give back are made when the spend is settled', {
      isBroken: 'created_at IS DISTINCT FROM settled_at',
      expected: 'settled_at',
      found: 'created_at',
    }),
    ofEntry('only refundable credit is refunded', {
      isBroken: `kind = 'refund' AND NOT was_refundable`,
      expected: 'type_id',
      found: 'was_refundable',
    }),
  ];
}

/** The refunds of each spend and moment, with the entries of then. */
function refundPass({
  creditRefunds,
  transactions,
}: Pick<Database['tables'], 'creditRefunds' | 'transactions'>): Invariant[] {
  const rows = `(
      SELECT r.user_id, r.reference, r.given, r.is_more, coalesce(sum(e.value), 0) AS entered
      FROM (
        SELECT user_id, reference, created_at, sum(given) AS given, bool_or(given > amount) AS is_more
        FROM ${creditRefunds} GROUP BY 1, 2, 3
      ) r LEFT JOIN ${transactions} e
        ON e.user_id = r.user_id AND e.reference = r.reference AND e.kind = 'refund' AND e.created_at = r.created_at
      GROUP BY r.user_id, r.reference, r.created_at, r.given, r.is_more
    ) AS refunded`;
  const ofRefund = conditionsOn('creditRefunds', { rows, id: `user_id || '/' || reference` });
  return [
    ofRefund('a refund = its entries, and no more than was asked for', {
      isBroken: 'given <> entered OR is_more',
      expected: 'entered',
      found: 'given',
    }),
  ];
}
