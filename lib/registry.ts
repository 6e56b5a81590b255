import type { Request } from 'express';
import type { DataSource } from 'typeorm';
import { invalid, referralError } from './errors';
import { isManager } from './input';
import type { WithManager } from './types/common';

/** The options of a call that tell which instance it is for. */
interface Hints extends WithManager {
  req?: Request;
}

/**
 * Maps each DataSource to the instance that `createReferrals` wired for it, from `createReferrals` until `close()`.
 * Static methods of entities find their instance here.
 */
export class Registry<Instance> {
  readonly #instances = new Map<DataSource, Instance>();
  readonly #dataSources = new WeakMap<object, DataSource>();
  readonly #hasSeen: (instance: Instance, req: Request) => boolean;

  /** @param hasSeen whether an instance's middleware has seen a request. */
  constructor(hasSeen: (instance: Instance, req: Request) => boolean) {
    this.#hasSeen = hasSeen;
  }

  add(dataSource: DataSource, instance: Instance): void {
    if (this.#instances.has(dataSource)) throw referralError('ALREADY_CREATED');
    this.#instances.set(dataSource, instance);
  }

  remove(dataSource: DataSource): void {
    this.#instances.delete(dataSource);
  }

  /** Remembers the DataSource that an entity was loaded through. */
  own<T extends object>(entity: T, dataSource: DataSource): T {
    this.#dataSources.set(entity, dataSource);
    return entity;
  }

  /**
   * Returns the instance of the manager, else of the request, else the only one. Throws if there is none, or if more
   * than one remains.
   */
  instanceFor(call: string, hints: Hints = {}): Instance {
    if (hints.manager) {
      if (!isManager(hints.manager))
        throw invalid('manager', 'an EntityManager, as dataSource.transaction() gives it', hints.manager);
      return this.#instanceOn(hints.manager.connection, call);
    }
    const all = this.#open();
    const { req } = hints;
    const fitting = req && all.length > 1 ? all.filter((instance) => this.#hasSeen(instance, req)) : all;
    if (fitting.length === 1) return fitting[0]!;
    if (all.length === 0) throw referralError('NO_INSTANCE', call);
    if (req && fitting.length === 0) throw referralError('MIDDLEWARE_MISSING', call);
    throw referralError('AMBIGUOUS_INSTANCE', call, all.length);
  }

  /**
   * Like {@link instanceFor}, but an entity that was loaded through an instance's DataSource belongs to that instance.
   */
  instanceOf(entity: object, call: string, hints: Hints = {}): Instance {
    const dataSource = this.#dataSources.get(entity);
    return !dataSource || hints.manager ? this.instanceFor(call, hints) : this.#instanceOn(dataSource, call);
  }

  /** The instances whose DataSource is not destroyed. If all are, all: their calls say that the database is away. */
  #open(): Instance[] {
    const open = [...this.#instances].filter(([{ isInitialized }]) => isInitialized);
    return (open.length > 0 ? open : [...this.#instances]).map(([, instance]) => instance);
  }

  #instanceOn(dataSource: DataSource, call: string): Instance {
    const instance = this.#instances.get(dataSource);
    if (!instance) throw referralError('NO_INSTANCE', call);
    return instance;
  }
}
