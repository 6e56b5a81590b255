import type { Request } from 'express';
import { Referral } from 'express-referrals';
import { centsOf, decimalOf } from './cents';
import { Order, type Product, type User } from './entities';
import type { Shop } from './shop';

/**
 * The order, the credit that it takes, and what it counts for with whoever invited this customer are one transaction:
 * no credit is gone for an order that was not made.
 */
export async function buy(
  { dataSource, referrals }: Shop,
  req: Request,
  user: User,
  { id, name, priceCents }: Product,
  isCreditUsed: boolean,
): Promise<Order> {
  return dataSource.transaction(async (manager) => {
    const bought = manager.create(Order, { userId: user.id, productId: id, productName: name, priceCents });
    const order = await manager.save(bought);
    const reference = `order-${order.id}`;
    if (isCreditUsed && priceCents > 0) {
      const amount = decimalOf(priceCents);
      // Partial: what there is, up to the price. Only the spend knows how much that is, so no balance is read before.
      const { covered } = await referrals.credits.spend(user, { amount, reference, partial: true, manager });
      order.creditCents = centsOf(covered);
      await manager.save(order);
    }
    await Referral.recordResponse(req, 'BOUGHT', { target: order, manager });
    // Only what is paid counts: credit that was given away should not earn a reward.
    await referrals.recordUsage(user, { amount: decimalOf(order.toPayCents), reference, manager });
    return order;
  });
}
