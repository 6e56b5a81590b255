import type { ReferralProgram } from '../../entities/referral-program';
import { invalid } from '../../errors';
import { amountOf, daysOf, isNothing, objectOf, ratioOf } from '../../input';
import type { CommissionTerms } from '../../types/commissions';
import type { RecordRef } from '../../types/common';
import type { CodeTerms, CreditTerms } from '../../types/signups';

type Side = 'referralCredit' | 'rewardCredit';
type Part = 'Amount' | 'Duration' | 'Type';

const sides: readonly Side[] = ['referralCredit', 'rewardCredit'];
const parts: readonly Part[] = ['Amount', 'Duration', 'Type'];

/** The parts of a side's terms, by the names that a program's input has for them. */
const nested = { Amount: 'amount', Duration: 'durationDays', Type: 'type' } as const;

/** How the caller knows a term: by its place in a program's input, or by its name on a code. */
export type NameOf = (side: Side, part: Part) => string;
export const programName: NameOf = (side, part) => `${side}.${nested[part]}`;
export const codeName: NameOf = (side, part) => `${side}${part}`;

/** A program's terms under the names that a code has for them. */
export function flatTerms(input: {
  referralCredit?: Partial<CreditTerms> | null;
  rewardCredit?: Partial<CreditTerms> | null;
  beforeRewardUsageThreshold?: CodeTerms['beforeRewardUsageThreshold'];
  commission?: CommissionTerms | null;
}): CodeTerms {
  const flat: Record<string, unknown> = { beforeRewardUsageThreshold: input.beforeRewardUsageThreshold };
  const { commission } = input;
  if (commission !== undefined) {
    if (commission !== null) objectOf('commission', commission, ['ratio', 'maxPerReferee']);
    // As a whole: a limit belongs to its ratio.
    flat['commissionRatio'] = commission === null ? null : ratioOf('commission.ratio', commission.ratio);
    const max = commission?.maxPerReferee;
    flat['commissionMaxPerReferee'] = isNothing(max) ? null : amountOf('commission.maxPerReferee', max, 'positive');
  }
  for (const side of sides) {
    const terms = input[side];
    if (terms === undefined) continue;
    if (terms !== null) {
      objectOf(side, terms, Object.values(nested));
      if (Object.values(terms).every((value) => value === undefined))
        throw invalid(side, `${Object.values(nested).join(', ')}, or null for no credit`, terms);
    }
    for (const part of parts) flat[`${side}${part}`] = terms === null ? null : terms[nested[part]];
  }
  return flat;
}

/**
 * The values of a program's columns for the terms that are given. A side is given as a whole, or, where `before` has it, in
 * parts; all three null for no credit. `typeIdOf` refuses a type that there is not.
 */
export async function termValues(
  terms: CodeTerms,
  before: ReferralProgram | null,
  nameOf: NameOf,
  typeIdOf: (field: string, type: RecordRef) => Promise<number>,
): Promise<Record<string, unknown>> {
  const values: Record<string, unknown> = {};
  const { beforeRewardUsageThreshold: threshold } = terms;
  if (threshold !== undefined)
    values['beforeRewardUsageThreshold'] = amountOf('beforeRewardUsageThreshold', threshold, 'not negative');
  Object.assign(values, commissionValues(terms, before));
  for (const side of sides) {
    const given = parts.map((part) => terms[`${side}${part}`]);
    if (given.every((value) => value === undefined)) continue;
    const isNone = given.every((value) => value === null);
    const { Amount, Duration, Type } = { ...columnsOf(before, side), ...definedOf(terms, side) };
    values[`${side}Amount`] = isNone ? null : amountOf(nameOf(side, 'Amount'), Amount!, 'positive');
    values[`${side}Duration`] = isNone ? null : daysOf(nameOf(side, 'Duration'), Duration);
    values[`${side}TypeId`] = isNone ? null : await typeIdOf(nameOf(side, 'Type'), Type!);
  }
  return values;
}

function commissionValues(
  { commissionRatio: ratio, commissionMaxPerReferee: max }: CodeTerms,
  before: ReferralProgram | null,
): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  if (ratio !== undefined) values['commissionRatio'] = ratio === null ? null : ratioOf('commissionRatio', ratio);
  if (max !== undefined)
    values['commissionMaxPerReferee'] = max === null ? null : amountOf('commissionMaxPerReferee', max, 'positive');
  if (isNothing(ratio === undefined ? before?.commissionRatio : ratio)) {
    if (!isNothing(max)) throw invalid('commissionMaxPerReferee', 'a limit together with a commissionRatio only', max);
    if (ratio === null) values['commissionMaxPerReferee'] = null;
  }
  return values;
}

interface SideTerms {
  Amount?: string | number;
  Duration?: number;
  Type?: RecordRef;
}

function columnsOf(program: ReferralProgram | null, side: Side): SideTerms {
  const amount = program?.[`${side}Amount`];
  if (!program || isNothing(amount)) return {};
  return { Amount: amount, Duration: program[`${side}Duration`]!, Type: program[`${side}TypeId`]! };
}

function definedOf(terms: CodeTerms, side: Side): SideTerms {
  const given = parts.map((part) => [part, terms[`${side}${part}`]]);
  return Object.fromEntries(given.filter(([, value]) => value !== undefined)) as SideTerms;
}
