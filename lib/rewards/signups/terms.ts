import type { Currency } from '../../currency';
import type { ReferralProgram } from '../../entities/referral-program';
import { invalid } from '../../errors';
import { amountOf, daysOf, type FieldsOf, isNothing, objectOf, wholeOf } from '../../input';
import type { CommissionTerms } from '../../types/commissions';
import type { RecordRef } from '../../types/common';
import type { CodeTerms, CreditTerms, RewardLimit } from '../../types/signups';
import { checkedCommission, flatCommission, limitPeriods } from '../records/commission-terms';

type TermsSide = 'referralCredit' | 'rewardCredit';
type TermsPart = 'Amount' | 'Duration' | 'Type';

const sides: readonly TermsSide[] = ['referralCredit', 'rewardCredit'];
const parts: readonly TermsPart[] = ['Amount', 'Duration', 'Type'];

const creditFields: FieldsOf<CreditTerms> = { amount: true, durationDays: true, type: true };

/**
 * The field of a program's input for each part: `referralCreditAmount` of a code is `referralCredit.amount` of a
 * program.
 */
const fieldOfPart: Record<TermsPart, keyof CreditTerms> = { Amount: 'amount', Duration: 'durationDays', Type: 'type' };

/** The name of a term in errors: that of the field in the caller's input. */
export type TermName = (side: TermsSide, part: TermsPart) => string;
export const programTermName: TermName = (side, part) => `${side}.${fieldOfPart[part]}`;
export const codeTermName: TermName = (side, part) => `${side}${part}`;

/** Returns the terms of a program's input, under the names that they have in a code's input. */
export function flatTerms(
  input: {
    referralCredit?: Partial<CreditTerms> | null;
    rewardCredit?: Partial<CreditTerms> | null;
    beforeRewardUsageThreshold?: CodeTerms['beforeRewardUsageThreshold'];
    rewardLimit?: CodeTerms['rewardLimit'];
    commission?: CommissionTerms | null;
  },
  currency: Currency,
): CodeTerms {
  const { beforeRewardUsageThreshold, rewardLimit } = input;
  const flat: Record<string, unknown> = { beforeRewardUsageThreshold, rewardLimit };
  const { commission } = input;
  // Sets all, because a limit belongs to its ratio.
  if (commission !== undefined) Object.assign(flat, flatCommission(commission, currency));
  for (const side of sides) {
    const terms = input[side];
    if (terms === undefined) continue;
    if (terms !== null) {
      objectOf(side, terms, creditFields);
      if (Object.values(terms).every((value) => value === undefined))
        throw invalid(side, `${Object.keys(creditFields).join(', ')}, or null for no credit`, terms);
    }
    for (const part of parts) flat[`${side}${part}`] = terms === null ? null : terms[fieldOfPart[part]];
  }
  return flat;
}

/**
 * Returns the values of a program's columns for the given terms. A side needs all three parts: those that are left out
 * come from `before`, the program before the change. If all given parts of a side are null, the side has no credit.
 * `typeIdOf` throws for a credit type that does not exist.
 */
export async function termValues(
  terms: CodeTerms,
  before: ReferralProgram | null,
  termName: TermName,
  typeIdOf: (field: string, type: RecordRef) => Promise<number>,
  currency: Currency,
): Promise<Record<string, unknown>> {
  const values: Record<string, unknown> = {};
  const { beforeRewardUsageThreshold: threshold } = terms;
  if (threshold !== undefined)
    values['beforeRewardUsageThreshold'] = amountOf('beforeRewardUsageThreshold', threshold, 'not negative', currency);
  Object.assign(values, limitValues(terms), checkedCommission(terms, before, currency));
  for (const side of sides) {
    const given = parts.map((part) => terms[`${side}${part}`]);
    if (given.every((value) => value === undefined)) continue;
    const isNone = given.every((value) => value === null);
    const { Amount, Duration, Type } = { ...partsOfProgram(before, side), ...givenParts(terms, side) };
    values[`${side}Amount`] = isNone ? null : amountOf(termName(side, 'Amount'), Amount!, 'positive', currency);
    values[`${side}Duration`] = isNone ? null : daysOf(termName(side, 'Duration'), Duration);
    values[`${side}TypeId`] = isNone ? null : await typeIdOf(termName(side, 'Type'), Type!);
  }
  return values;
}

function limitValues({ rewardLimit }: CodeTerms): Record<string, unknown> {
  if (rewardLimit === undefined) return {};
  if (rewardLimit === null) return { rewardLimitCount: null, rewardLimitPeriod: null };
  const { count, period } = objectOf<RewardLimit>('rewardLimit', rewardLimit, { count: true, period: true });
  if (!limitPeriods.includes(period))
    throw invalid('rewardLimit.period', `one of '${limitPeriods.join("', '")}'`, period);
  return { rewardLimitCount: wholeOf('rewardLimit.count', count, 1, 2_147_483_647), rewardLimitPeriod: period };
}

interface SideTerms {
  Amount?: string | number;
  Duration?: number;
  Type?: RecordRef;
}

function partsOfProgram(program: ReferralProgram | null, side: TermsSide): SideTerms {
  const amount = program?.[`${side}Amount`];
  if (!program || isNothing(amount)) return {};
  return { Amount: amount, Duration: program[`${side}Duration`]!, Type: program[`${side}TypeId`]! };
}

function givenParts(terms: CodeTerms, side: TermsSide): SideTerms {
  const given = parts.map((part) => [part, terms[`${side}${part}`]]);
  return Object.fromEntries(given.filter(([, value]) => value !== undefined)) as SideTerms;
}
