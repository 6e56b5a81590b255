import type { EntityManager, FindOneOptions } from 'typeorm';
import { Order, type User } from './entities';
import { HttpError } from './http-error';

/** A customer's own order; a 404 for another's, the same as for none. */
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
