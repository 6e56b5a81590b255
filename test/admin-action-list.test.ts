import { actions } from '../lib/http/admin/actions/actions';
import { PublicTypes } from './support/public-types';

const named = [...actions.values()];

/** The calls of staff that the pages do not make, and why. */
const without: Record<string, string> = {
  'accounts.create': 'a user’s first look makes the account',
  'creditTransactions.create': 'credits.adjust corrects the same credit, with a reason',
  'earnOuts.reconcile': 'takes the list of a payment provider, from a script',
  'purchases.create': 'the site records what is bought',
  'signups.create': 'users sign up themselves',
};

/** Calls that the type of every manager has, and that refuse everything. */
const refused = [
  ...['accounts.delete', 'adjustments.create', 'adjustments.update', 'adjustments.delete', 'audit.create'],
  ...['audit.update', 'audit.delete', 'commissions.create', 'commissions.update', 'commissions.delete'],
  ...['creditTransactions.update', 'creditTransactions.delete', 'credits.delete', 'earnOuts.create'],
  ...['earnOuts.update', 'earnOuts.delete', 'purchases.update', 'purchases.delete', 'reviews.create'],
  ...['reviews.update', 'reviews.delete', 'signups.update'],
];

test('each call of staff has an action, or a reason why not', () => {
  const calls = new PublicTypes().callsWith('Referrals', ['by', 'reason', 'requestId']);
  expect(calls).toContain('mergeUsers');
  const inBulk = calls.filter((call) => call.endsWith('.createMany') && call !== 'channels.createMany');
  const known = [...Object.keys(without), ...refused, ...inBulk];
  const made = named.map(({ name, call = name }) => call).filter((call) => call !== 'runEarnOuts');
  expect([...made, ...known].sort()).toEqual([...calls].sort());
});

test('no two fields of an action have one name, and what it is about comes first', () => {
  for (const { fields } of named) {
    const names = fields.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(fields.findIndex(({ isAbout }) => isAbout === true)).toBeLessThan(1);
  }
});
