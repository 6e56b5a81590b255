import type { EntityManager, FindOneOptions } from 'typeorm';
import { Order, type User } from './entities';
import { HttpError } from './http-error';

/** Returns an order of a customer. Throws the same 404 for a missing order and for one of another customer. */
export async function findOrder(
  manager: EntityManager,
  { id: userId }: User,
  id: string,
  options: Pick<FindOneOptions<Order>, 'lock'> = {},
): Promise<Order> {
  const order = /^\d{1,18}$/.test(id) ? await manager.findOne(Order, { where: { id, userId }, ...options }) : null;
  if (!order) throw new HttpError(404, 'There is no such order.');
  return order;
}
