import type pg from 'pg';
import type { DataSource } from 'typeorm';

/** How many connections of the pool of a DataSource are in use. */
export function heldOf({ driver }: DataSource): number {
  const { totalCount, idleCount } = (driver as unknown as { master: pg.Pool }).master;
  return totalCount - idleCount;
}
