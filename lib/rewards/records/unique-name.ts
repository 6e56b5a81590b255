import { violatedConstraint } from '../../database/driver-errors';
import { referralError } from '../../errors';

const uniqueNames = new Set<string | null>(['uq_referral_credit_types_name', 'uq_referral_programs_name']);

/** Writes a record with a unique name. @throws ReferralError `NAME_TAKEN` if another record has the name. */
export async function withUniqueName<T>(record: string, name: string | undefined, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (uniqueNames.has(violatedConstraint(error))) throw referralError('NAME_TAKEN', record, name!);
    throw error;
  }
}
