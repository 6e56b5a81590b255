import type { ReferralRecord } from '../../../entities/record';
import type { Rewards } from '../../../rewards/rewards';
import { userPath } from '../paths';
import type { CallOptions, Field, FieldName, Input, Outcome, Subject, SubjectFact } from './action';

/** The record that an action is about, by its id. */
export const aboutId: Field = { name: 'id', kind: 'id', isRequired: true, isAbout: true };
/** The user whom an action is about. */
export const aboutUser: Field = { name: 'user', kind: 'text', isRequired: true, isAbout: true, maxLength: 128 };

/** The name of a credit type, and of a program. */
export const nameField: Field = { name: 'name', kind: 'text', isRequired: true, empty: '', maxLength: 100 };

/** How many records a field offers. A list of more is no help; then the field takes the id. */
export const maxChoices = 200;

export const creditTypes = (rewards: Rewards) => rewards.managers.creditTypes.search({ take: maxChoices + 1 });
export const programs = (rewards: Rewards) => rewards.managers.programs.search({ take: maxChoices + 1 });

/**
 * The commission terms that accounts, programs and channels share. A channel has rates of its own in the place of the share,
 * and the limit for each referee beside them.
 */
export const channelCommissionFields: readonly Field[] = [
  { name: 'commission.amount', kind: 'amount' },
  { name: 'commission.months', kind: 'whole' },
  { name: 'commission.purchases', kind: 'whole' },
  { name: 'commission.signup', kind: 'amount' },
  { name: 'commission.qualify', kind: 'flag' },
  { name: 'commission.maxPerReferrer.amount', kind: 'amount' },
  { name: 'commission.maxPerReferrer.period', kind: 'choice', choices: 'period' },
];
export const commissionFields: readonly Field[] = [
  { name: 'commission.ratio', kind: 'amount' },
  ...channelCommissionFields.slice(0, 3),
  { name: 'commission.maxPerReferee', kind: 'amount' },
  ...channelCommissionFields.slice(3),
];

/** The fields of forms whose columns have other names. */
export const columnsOfFields: Partial<Record<FieldName, string>> = {
  'commission.ratio': 'commissionRatio',
  'commission.amount': 'commissionAmount',
  'commission.months': 'commissionMonths',
  'commission.purchases': 'commissionPurchases',
  'commission.maxPerReferee': 'commissionMaxPerReferee',
  'commission.signup': 'commissionSignup',
  'commission.qualify': 'commissionQualify',
  'commission.maxPerReferrer.amount': 'commissionMaxPerReferrer',
  'commission.maxPerReferrer.period': 'commissionPeriod',
  'referralCredit.amount': 'referralCreditAmount',
  'referralCredit.durationDays': 'referralCreditDuration',
  'referralCredit.type': 'referralCreditTypeId',
  'rewardCredit.amount': 'rewardCreditAmount',
  'rewardCredit.durationDays': 'rewardCreditDuration',
  'rewardCredit.type': 'rewardCreditTypeId',
  'rewardLimit.count': 'rewardLimitCount',
  'rewardLimit.period': 'rewardLimitPeriod',
  'program': 'programId',
  'creditType': 'creditTypeId',
};

/** Returns what a record has for the fields of a form. */
export function valuesOf(fields: readonly Field[], record: object): Readonly<Record<string, unknown>> {
  const values = record as Record<string, unknown>;
  return Object.fromEntries(fields.map(({ name }) => [name, values[columnsOfFields[name] ?? name]]));
}

/** Returns the named fields of a record, as facts. */
export function factsOf(record: object, names: readonly FieldName[]): readonly SubjectFact[] {
  const values = record as Record<string, unknown>;
  return names.map((name) => [name, values[name]] as const);
}

/** Finds the records of a manager that an action is about, and shows these fields of them. */
export function aboutRecords<R extends ReferralRecord>(
  find: (rewards: Rewards, ids: readonly number[]) => Promise<readonly R[]>,
  facts: readonly FieldName[],
  values: (record: R) => Readonly<Record<string, unknown>> = () => ({}),
) {
  return async (rewards: Rewards, { id }: Input): Promise<Subject> => {
    const records = await find(rewards, (Array.isArray(id) ? id : [id]) as number[]);
    return {
      records: records.map((record) => factsOf(record, facts)),
      values: records.length === 1 ? values(records[0]!) : {},
    };
  };
}

/** What is left of an input without some fields. */
export function without(input: Input, ...names: readonly FieldName[]): Input {
  return Object.fromEntries(Object.entries(input).filter(([name]) => !names.includes(name as FieldName)));
}

/** The user of an action, as a manager takes it: it checks the text. */
export const userIn = ({ user }: Input): string => user as string;
/** The id of the record of an action. */
export const idIn = ({ id }: Input): number => id as number;

/** The reference of what an action books: its own for each form, so that a form books once. */
export const referenceOf = ({ requestId }: CallOptions): string => `staff ${requestId}`;

/** Goes to the story of the user whom an action names. */
export const toUser = ({ input }: Outcome): string => userPath(userIn(input));
/** Goes to the story of the user whose money it is, else to a list. */
export const toOwner =
  (list: string) =>
  ({ kept }: Outcome): string =>
    kept?.userId ? userPath(kept.userId) : list;
