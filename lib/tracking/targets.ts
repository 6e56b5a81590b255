import type { DataSource, EntityManager, EntityMetadata, FindOptionsWhere, ObjectLiteral } from 'typeorm';
import type { Database } from '../database/database';
import { invalid, ReferralError } from '../errors';
import { hostIdOf, textOf } from '../input';
import { lengths } from '../limits';
import { quoted } from '../shown';
import type { TargetRef } from '../types/referrals';

/** A target as the tables store it. */
export interface StoredTarget {
  targetType: string | null;
  targetId: string | null;
}

/**
 * Returns a target as it is stored: an entity of the DataSource by its entity name and primary key, or `{ type, id }`.
 * An entity and `{ type: <its entity name>, id }` are the same target.
 */
export function storedTarget(dataSource: DataSource, target: TargetRef | null | undefined): StoredTarget {
  if (target === null || target === undefined) return { targetType: null, targetId: null };
  try {
    return checkedTarget(dataSource, target);
  } catch (error) {
    if (error instanceof ReferralError) throw error;
    throw invalid('target', takes, target); // a proxy or a getter that throws
  }
}

const takes = 'an entity of the DataSource, or { type, id }';

function checkedTarget(dataSource: DataSource, target: TargetRef): StoredTarget {
  if (typeof target !== 'object') throw invalid('target', takes, target);
  // An entity of an EntitySchema is a plain object: it has no class that would tell its type, so it needs `type` and
  // `id`.
  if (target.constructor !== Object && dataSource.hasMetadata(target.constructor)) {
    const metadata = dataSource.getMetadata(target.constructor);
    return { targetType: metadata.name, targetId: keyOf(metadata, target) };
  }
  const { type, id } = target as { type?: unknown; id?: unknown };
  if (type === undefined && id === undefined) throw invalid('target', takes, target);
  return { targetType: textOf('target.type', type, lengths.targetType, 1), targetId: hostIdOf('target.id', id) };
}

/** Returns the target that an entity of a type is. The entity may be a plain object, as one of an EntitySchema is. */
export function targetOfType(dataSource: DataSource, type: string, entity: object): { type: string; id: string } {
  const metadata = dataSource.entityMetadatas.find(({ name }) => name === type)!;
  return { type, id: keyOf(metadata, entity) };
}

function keyOf(metadata: EntityMetadata, entity: object): string {
  const values = metadata.primaryColumns.map((column) => column.getEntityValue(entity) as unknown);
  if (values.some((value) => value === undefined || value === null))
    throw invalid('target', `a saved ${quoted(metadata.name)}, with its primary key`, entity);
  const texts = values.map((value) => (value instanceof Date ? value.toISOString() : String(value)));
  return hostIdOf('target', texts.length === 1 ? texts[0] : JSON.stringify(texts));
}

/** SQLSTATEs of a text that can't be a key: invalid for the key's type, a number out of range, a malformed date. */
const noSuchKey = new Set(['22P02', '22003', '22007', '22008']);

/**
 * Loads the target's row. Returns null if there is none, if its type is not an entity, or if the id can't be one of its
 * keys.
 */
export async function loadTarget(
  database: Database,
  { targetType, targetId }: StoredTarget,
  manager: EntityManager | undefined,
): Promise<object | null> {
  const metadata = database.dataSource.entityMetadatas.find(({ name }) => name === targetType);
  if (!metadata || targetId === null) return null;
  const keys = metadata.primaryColumns.length === 1 ? [targetId] : parsedKeys(targetId);
  if (keys?.length !== metadata.primaryColumns.length) return null;
  const where: FindOptionsWhere<ObjectLiteral> = Object.fromEntries(
    metadata.primaryColumns.map((column, index) => [column.propertyName, keys[index]]),
  );
  const find = (within?: EntityManager): Promise<object | null> =>
    database.use((using) => using.findOne(metadata.target, { where, cache: false }), within);
  try {
    return await database.attempt(find, manager); // a malformed key would abort the host's transaction
  } catch (error) {
    if (noSuchKey.has((error as { code?: string }).code ?? '')) return null;
    throw error;
  }
}

function parsedKeys(targetId: string): string[] | null {
  try {
    const keys: unknown = JSON.parse(targetId);
    return Array.isArray(keys) && keys.every((key) => typeof key === 'string') ? keys : null;
  } catch {
    return null;
  }
}
