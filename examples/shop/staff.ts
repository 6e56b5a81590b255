import type { ReferralAudit, ReferralCommission, ReferralReview, Referrals } from 'express-referrals';
import { type DataSource, In, IsNull } from 'typeorm';
import { User } from './entities';

/** What the page of the staff shows. */
export interface StaffPage {
  /** What looks wrong and nobody has decided yet. */
  reviews: ReferralReview[];
  /** What no earn-out pays yet. */
  commissions: ReferralCommission[];
  /** Who changed what. */
  audit: ReferralAudit[];
  /** Returns the name of a user. */
  nameOf: (id: string | null) => string;
}

const newestFirst = { order: { id: 'DESC' }, take: 50 } as const;

/** Returns the newest of what the staff look at. */
export async function staffPage(dataSource: DataSource, referrals: Referrals): Promise<StaffPage> {
  const [reviews, commissions, audit] = await Promise.all([
    referrals.reviews.search({ where: { status: 'open' }, ...newestFirst }),
    referrals.commissions.search({ where: { earnOutId: IsNull(), rejectedAt: null }, ...newestFirst }),
    referrals.audit.search(newestFirst),
  ]);
  const ids = [
    ...reviews.flatMap(({ userId, refereeId }) => [userId, refereeId]),
    ...commissions.flatMap(({ userId, refereeId }) => [userId, refereeId]),
    ...audit.flatMap(({ userId, by }) => [userId, by]),
  ];
  const users = await dataSource.manager.findBy(User, { id: In([...new Set(ids)].filter((id) => id !== null)) });
  const names = new Map(users.map(({ id, name }) => [id, name]));
  return { reviews, commissions, audit, nameOf: (id) => (id === null ? '' : (names.get(id) ?? id)) };
}
