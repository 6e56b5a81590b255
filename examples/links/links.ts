import type { Request } from 'express';
import { Referral, ReferralDailyCount, type ReferralResponse, type Referrals } from 'express-referrals';
import type { DataSource, EntityManager } from 'typeorm';

interface User {
  id: number;
}

interface Order {
  id: number;
  productId: number;
}

/** Returns the user's link to a product. Each call for the same user and product returns the same referral. */
export function productLink(user: User, productId: number): Promise<Referral> {
  const target = { type: 'product', id: productId };
  return Referral.create({ user, redirectTo: `/products/${productId}`, label: 'product page', target });
}

/** Creates a link of the site itself, for a newsletter: without a referrer, with a chosen code and an expiry. */
export function newsletterLink(expiredAt: Date): Promise<Referral> {
  return Referral.create({ redirectTo: '/?from=newsletter', code: 'AUTUMN', expiredAt });
}

/** Records an order in the transaction that stores it. Returns null if the visitor was never referred. */
export async function placeOrder(req: Request, order: Order, manager: EntityManager): Promise<ReferralResponse | null> {
  await manager.query('INSERT INTO orders (id, product_id) VALUES ($1, $2)', [order.id, order.productId]);
  return Referral.recordResponse(req, 'ORDERED', { target: { type: 'order', id: order.id }, manager });
}

/** Records that a visitor typed a friend's code. From now on the visitor counts as referred by that friend. */
export async function enterCode(req: Request, code: string): Promise<boolean> {
  const referral = await Referral.findByCode(code);
  const response = referral && (await referral.respond(req, 'ENTERED_CODE'));
  return response !== null; // null: there is no such code, or it has expired
}

/** Returns the user's links, each with its URL and its number of clicks. */
export async function linksOf(dataSource: DataSource, user: User): Promise<{ url: string; clicks: number }[]> {
  const links = await dataSource.getRepository(Referral).findBy({ userId: String(user.id) });
  return Promise.all(links.map(async (link) => ({ url: link.url, clicks: await link.responseCount() })));
}

/** Returns the clicks of each day in UTC, for a chart. */
export function clicksByDay(dataSource: DataSource, { id }: Referral): Promise<ReferralDailyCount[]> {
  return dataSource.getRepository(ReferralDailyCount).find({ where: { referralId: id }, order: { day: 'ASC' } });
}

/** Returns the responses to the user's links, newest first. */
export async function news(user: User): Promise<string[]> {
  const responses = await Referral.responsesForReferrer(user, { take: 20 });
  return responses.map(({ action, userId }) => `${action} by ${userId ?? 'somebody'}`);
}

/** Tells the referrer about each order. Listeners run after the commit, in the process that recorded the response. */
export function tellReferrers(referrals: Referrals, tell: (referralId: number) => Promise<void>): void {
  referrals.on('response', async ({ action, referralId }) => {
    if (action === 'ORDERED') await tell(referralId);
  });
}
