import type { DataSource } from 'typeorm';
import { Product } from './entities';
import { HttpError } from './http-error';

/** Returns the product with an id. Throws a 404 if there is none, without a query if the text can't be an id. */
export async function findProduct(dataSource: DataSource, id: string): Promise<Product> {
  const product = /^\d{1,9}$/.test(id) ? await dataSource.manager.findOneBy(Product, { id: Number(id) }) : null;
  if (!product) throw new HttpError(404, 'There is no such product.');
  return product;
}
