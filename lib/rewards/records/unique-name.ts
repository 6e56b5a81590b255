import { violatedConstraint } from '../../database/driver-errors';
import { referralError } from '../../errors';

const uniqueNames = new Set<string | null>(['uq_referral_credit_types_name', 'uq_referral_programs_name']);

/** Writes something that has a unique name; another's name gets its own error. */
export async function named<T>(record: string, name: string | undefined, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (uniqueNames.has(violatedConstraint(error))) throw referralError('NAME_TAKEN', record, name!);
    throw error;
  }
}
