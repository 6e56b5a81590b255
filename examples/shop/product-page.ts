import type { Response } from 'express';
import { decimalOf } from './cents';
import type { Product } from './entities';
import { currentUser } from './sessions';
import type { Shop } from './shop';

/**
 * Shows a product, with its price for this customer. For a refused coupon, it also shows the typed code and the reason.
 */
export async function showProduct(
  { referrals }: Shop,
  res: Response,
  product: Product,
  refused: { code: string; problem: string } | null = null,
): Promise<void> {
  const user = currentUser(res);
  res.status(refused ? 400 : 200).render('product', {
    product,
    balance: user && (await referrals.credits.balance(user)),
    quote: user && (await referrals.quote(user, decimalOf(product.priceCents))),
    code: refused?.code ?? '',
    problem: refused?.problem ?? null,
  });
}
