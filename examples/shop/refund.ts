import { decimalOf } from './cents';
import { Order, type User } from './entities';
import { findOrder } from './orders';
import type { Shop } from './shop';

/**
 * Gives back all that an order took, in one transaction with the order's state: the money (which a real shop would ask
 * its provider of payments to send), the credit, and with them the commission. The coupon stays redeemed.
 */
export async function refund({ dataSource, referrals }: Shop, user: User, id: string): Promise<Order> {
  return dataSource.transaction(async (manager) => {
    // Whoever clicks twice waits here the second time, and then finds it done.
    const order = await findOrder(manager, user, id, { lock: { mode: 'pessimistic_write' } });
    if (order.refundedAt) return order;
    await manager.update(Order, { id: order.id }, { refundedAt: () => 'now()' });
    const { reference } = order;
    if (order.creditCents > 0) await referrals.credits.refund({ user, reference, manager });
    // Orders that credit paid have none, and those from before the shop recorded purchases.
    const where = { userId: user.id, reference };
    if (order.toPayCents > 0 && (await referrals.purchases.count({ where, manager })) > 0) {
      const back = { reference: `${reference}-refund`, manager };
      // For a reward that is still to come, this order no longer counts.
      await referrals.recordUsage(user, { amount: `-${decimalOf(order.toPayCents)}`, ...back });
      await referrals.recordRefund(user, { purchase: reference, ...back });
    }
    return order;
  });
}
