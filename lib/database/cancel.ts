import { isIP } from 'node:net';
import type { Client, Connection } from './driver';

/** How long a cancel request may take. It needs a connection, which a network that is down does not give. */
const cancelTimeoutMs = 5000;

/**
 * Closes a connection whose work nobody waits for any more. A statement that is under way is cancelled before:
 * PostgreSQL would notice only after the statement that the client has gone, and commit it.
 *
 * @param options what the clients of the pool are made with.
 */
export async function discard(client: Client, options: object): Promise<void> {
  if (client.readyForQuery === false) await cancelStatement(client, options).catch(() => undefined);
  // The server may never close its side of the connection, so this does not wait for it.
  client.end().catch(() => undefined);
}

/**
 * Sends the protocol's cancel request, on a connection of its own outside of the pool, and waits until the server has
 * closed that connection: then it has passed the request on. Behind a pooler the request is for the pooler, which alone
 * knows where the statement runs. So it goes to the address of the client's own connection, with TLS if that has it.
 */
async function cancelStatement(client: Client, options: object): Promise<void> {
  const { processID, secretKey } = client;
  if (!client.connection || !processID || secretKey === null || secretKey === undefined) return;
  // A client that never connects, for its connection: it has the host's settings of TLS and of the stream.
  const { connection } = new (client.constructor as new (options: object) => Client)(options);
  if (!connection) return;
  await new Promise<void>((resolve) => {
    const cancel = (): void => connection.cancel(processID, secretKey);
    const timer = setTimeout(() => connection.stream.destroy(), cancelTimeoutMs);
    connection.once('end', () => {
      clearTimeout(timer);
      resolve();
    });
    connection.on('error', () => connection.stream.destroy()); // which emits `end`
    connection.once('sslconnect', cancel);
    connection.once('connect', () => {
      if (!client.ssl) cancel();
      else if (client.sslNegotiation !== 'direct') connection.requestSsl();
    });
    connectLike(client, connection);
  });
}

/** Connects to where a client is connected: of a name with several addresses, to the same one. */
function connectLike({ host, port, ssl, connection: own }: Client, connection: Connection): void {
  if (host.startsWith('/')) return connection.connect(`${host}/.s.PGSQL.${port}`);
  const address = isIP(host) ? undefined : own?.stream.remoteAddress;
  if (address && ssl) connection.ssl = withServername(ssl, host);
  connection.connect(port, address ?? host);
}

/** Names the host, because the certificate is for the name and not for the address. `pg` hides the key from copies. */
function withServername(ssl: boolean | object, servername: string): object {
  if (typeof ssl !== 'object') return { servername };
  return { servername, ...ssl, ...('key' in ssl && { key: ssl.key }) };
}
