import type { Request } from 'express';
import { Referral } from 'express-referrals';
import { centsOf, decimalOf } from './cents';
import { Order, type Product, type User } from './entities';
import type { Shop } from './shop';

/**
 * Buys a product. One transaction contains the order, the coupon, the credit and the commission: if the order fails, no
 * coupon is redeemed and no credit is spent.
 *
 * The discount of the coupon is subtracted from the price first. Then credit pays as much of the rest as it covers. The
 * commission is computed from what is paid in money, so that credit does not earn a commission.
 */
export async function buy(
  { dataSource, referrals }: Shop,
  req: Request,
  user: User,
  { id, name, priceCents }: Product,
  isCreditUsed: boolean,
): Promise<Order> {
  return dataSource.transaction(async (manager) => {
    // Locks the buyer's row until the commit, so that two tabs of this customer can't use the same coupon.
    const quote = await referrals.quote(user, decimalOf(priceCents), { manager });
    const discount = { discountCents: centsOf(quote.discount), couponCode: quote.code };
    const bought = { userId: user.id, productId: id, productName: name, priceCents, ...discount, creditCents: 0 };
    const order = await manager.save(manager.create(Order, bought));
    const { reference } = order;
    if (isCreditUsed && order.toPayCents > 0) {
      const amount = decimalOf(order.toPayCents);
      // `partial` spends the available credit, up to the price. `covered` says how much that is.
      const { covered } = await referrals.credits.spend(user, { amount, reference, partial: true, manager });
      order.creditCents = centsOf(covered);
      await manager.save(order);
    }
    await Referral.recordResponse(req, 'BOUGHT', { target: order, manager });
    const paid = { amount: decimalOf(order.toPayCents), reference, manager };
    await referrals.recordUsage(user, paid);
    // The last call, because other customers of the same referrer wait from here until the commit.
    await referrals.recordPurchase(user, paid);
    return order;
  });
}
