import { Referral, ReferralError, type ReferralProgram, type Referrals } from 'express-referrals';
import { type EntityManager, IsNull } from 'typeorm';

/**
 * Returns the program with the terms for customers who refer customers. The first start of the shop creates it. Later
 * starts do not change it, so that staff can change the terms in the database.
 */
export async function friendsProgram({ creditTypes, programs }: Referrals): Promise<ReferralProgram> {
  const type = await ensured(creditTypes, { name: 'shop credit', refundable: true });
  return ensured(programs, {
    name: 'friends',
    referralCredit: { amount: '10.00', durationDays: 90, type },
    beforeRewardUsageThreshold: '20.00',
    rewardCredit: { amount: '15.00', durationDays: 180, type },
  });
}

/** The calls that all managers of records with unique names have. */
interface ByName<Record, Input> {
  getByName(name: string, options: { optional: true }): Promise<Record | null>;
  create(input: Input): Promise<Record>;
}

async function ensured<Record, Input extends { name: string }>(
  records: ByName<Record, Input>,
  input: Input,
): Promise<Record> {
  for (;;) {
    const known = await records.getByName(input.name, { optional: true });
    if (known) return known;
    try {
      return await records.create(input);
    } catch (error) {
      // Another process has created it in the meantime. The next look-up finds it.
      if (!(error instanceof ReferralError && error.code === 'NAME_TAKEN')) throw error;
    }
  }
}

/**
 * Sets the program of a link that has none. The links that the forms on the pages create have none, and neither have
 * links that are older than the program. The program matters only when a user signs up, so it is set then, and the shop
 * need not update all links when it starts.
 */
export async function joinProgram(program: ReferralProgram, link: Referral, manager: EntityManager): Promise<void> {
  if (link.programId !== null) return;
  await manager.update(Referral, { id: link.id, programId: IsNull() }, { programId: program.id });
}
