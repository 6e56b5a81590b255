import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** Stands between a client and a server on this machine, and can swallow all that is said, as a dead network does. */
export async function startProxy(target: number): Promise<{
  port: number;
  swallow(isDead: boolean): void;
  stop(): Promise<void>;
}> {
  let isDead = false;
  const sockets = new Set<Socket>();
  // Without a delay: it passes on messages that are smaller than a packet, and each would wait for the one before.
  const server = createServer({ noDelay: true }, (client) => {
    const upstream = connect({ port: target, host: '127.0.0.1', noDelay: true });
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on('data', (chunk) => {
        if (!isDead) to.write(chunk);
      });
      from.on('error', () => undefined);
      from.once('close', () => {
        sockets.delete(from);
        to.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    swallow: (dead) => {
      isDead = dead;
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
