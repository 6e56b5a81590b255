import { Referral, ReferralError, type ReferralProgram, type Referrals } from 'express-referrals';
import { type EntityManager, IsNull } from 'typeorm';

/**
 * The terms on which customers bring customers. Whichever process starts first makes them; from then on they are the
 * database's, so that whoever changes them there need not fear the next start.
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

/** What managers of records with unique names have in common. */
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
      // Another process that starts now was faster: the next look finds what it made.
      if (!(error instanceof ReferralError && error.code === 'NAME_TAKEN')) throw error;
    }
  }
}

/**
 * Puts a link under the program if it has none yet: those that the forms on the pages make have none, because their route
 * knows of no program, and neither have those from before the shop had one. What a link promises matters when somebody
 * signs up with it, so that is when it joins, and no start of the shop has to bring all links up to date.
 */
export async function joinProgram(program: ReferralProgram, link: Referral, manager: EntityManager): Promise<void> {
  if (link.programId !== null) return;
  await manager.update(Referral, { id: link.id, programId: IsNull() }, { programId: program.id });
}
