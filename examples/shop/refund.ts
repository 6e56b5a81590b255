import { decimalOf } from './cents';
import { Order, type User } from './entities';
import { findOrder } from './orders';
import type { Shop } from './shop';

/**
 * Refunds an order in one transaction: the state of the order, the credit and the commission. A real shop also tells
 * its payment provider to send the money back. The coupon stays redeemed.
 */
export async function refund({ dataSource, referrals }: Shop, user: User, id: string): Promise<Order> {
  return dataSource.transaction(async (manager) => {
    // A second click waits here for the row lock, and then finds the order refunded.
    const order = await findOrder(manager, user, id, { lock: { mode: 'pessimistic_write' } });
    if (order.refundedAt) return order;
    await manager.update(Order, { id: order.id }, { refundedAt: () => 'now()' });
    const { reference } = order;
    if (order.creditCents > 0) await referrals.credits.refund({ user, reference, manager });
    // An order that credit has paid in full has no purchase. Neither has an order that is older than recordPurchase.
    const where = { userId: user.id, reference };
    if (order.toPayCents > 0 && (await referrals.purchases.count({ where, manager })) > 0) {
      const back = { reference: `${reference}-refund`, manager };
      // This order no longer counts towards the referrer's reward.
      await referrals.recordUsage(user, { amount: `-${decimalOf(order.toPayCents)}`, ...back });
      await referrals.recordRefund(user, { purchase: reference, ...back });
    }
    return order;
  });
}
