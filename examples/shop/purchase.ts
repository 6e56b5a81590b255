import type { Request } from 'express';
import { Referral } from 'express-referrals';
import { centsOf, decimalOf } from './cents';
import { Order, type Product, type User } from './entities';
import type { Shop } from './shop';

/**
 * The order, the coupon and the credit that it takes, and what it earns whoever brought this customer are one
 * transaction: nothing is redeemed or gone for an order that was not made.
 *
 * The coupon's discount comes first, as it is on the price; then credit covers what it can of the rest. Commission is
 * paid on what is left to pay then, in money: credit was given away, or earned, and should not earn once more.
 */
export async function buy(
  { dataSource, referrals }: Shop,
  req: Request,
  user: User,
  { id, name, priceCents }: Product,
  isCreditUsed: boolean,
): Promise<Order> {
  return dataSource.transaction(async (manager) => {
    // From here on this customer's other tabs wait, so that a coupon that is good once lowers one price.
    const quote = await referrals.quote(user, decimalOf(priceCents), { manager });
    const discount = { discountCents: centsOf(quote.discount), couponCode: quote.code };
    const bought = { userId: user.id, productId: id, productName: name, priceCents, ...discount, creditCents: 0 };
    const order = await manager.save(manager.create(Order, bought));
    const { reference } = order;
    if (isCreditUsed && order.toPayCents > 0) {
      const amount = decimalOf(order.toPayCents);
      // Partial: what there is, up to the price. Only the spend knows how much that is, so no balance is read before.
      const { covered } = await referrals.credits.spend(user, { amount, reference, partial: true, manager });
      order.creditCents = centsOf(covered);
      await manager.save(order);
    }
    await Referral.recordResponse(req, 'BOUGHT', { target: order, manager });
    const paid = { amount: decimalOf(order.toPayCents), reference, manager };
    await referrals.recordUsage(user, paid);
    // Last: from here on, other customers of the same referrer wait for the commit.
    await referrals.recordPurchase(user, paid);
    return order;
  });
}
