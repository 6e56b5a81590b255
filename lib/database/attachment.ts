import type { DataSource, EntitySubscriberInterface } from 'typeorm';
import { driverOf, type Pool } from './driver';
import { watchConnections } from './lost-connections';

/** What an instance has added to its DataSource. */
interface Attachment {
  readonly subscribers: readonly EntitySubscriberInterface[];
  /** The list and the pool that it was added to. */
  list: EntitySubscriberInterface[];
  pool: Pool | undefined;
  unwatch: () => void;
}

const attachments = new WeakMap<DataSource, Attachment>();

/**
 * Adds the subscribers of an instance to its DataSource, and watches its connections.
 *
 * @returns a function that undoes both.
 */
export function attach(dataSource: DataSource, subscribers: readonly EntitySubscriberInterface[]): () => void {
  attachments.set(dataSource, { subscribers, ...added(dataSource, subscribers) });
  return () => {
    const { list, unwatch } = attachments.get(dataSource)!;
    attachments.delete(dataSource);
    unwatch();
    for (const subscriber of subscribers) if (list.includes(subscriber)) list.splice(list.indexOf(subscriber), 1);
  };
}

/**
 * Adds again what `destroy()` and `initialize()` of the DataSource have removed: they make another list of subscribers and
 * another pool. Must be called before the DataSource is used, because without the subscribers the events of transactions
 * are lost.
 */
export function renewAttachment(dataSource: DataSource): void {
  const attachment = attachments.get(dataSource);
  if (!attachment || !dataSource.isInitialized) return;
  if (attachment.list === dataSource.subscribers && attachment.pool === driverOf(dataSource).master) return;
  attachment.unwatch();
  Object.assign(attachment, added(dataSource, attachment.subscribers));
}

function added(
  dataSource: DataSource,
  subscribers: readonly EntitySubscriberInterface[],
): Pick<Attachment, 'list' | 'pool' | 'unwatch'> {
  const list = dataSource.subscribers;
  list.push(...subscribers.filter((subscriber) => !list.includes(subscriber)));
  return { list, pool: driverOf(dataSource).master, unwatch: watchConnections(dataSource) };
}
