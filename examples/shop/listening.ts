import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

const defaultPort = 3000;
const graceMs = 5000;

/** Listens on the given port, or on 3000, or where that is taken on a free one; answers which. */
export async function listen(server: Server, given: string | undefined): Promise<number> {
  if (given) return listenOn(server, Number(given));
  try {
    return await listenOn(server, defaultPort);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    return listenOn(server, 0);
  }
}

function listenOn(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, () => {
      server.off('error', reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

/** Lets requests in flight finish, but does not wait forever for one that hangs. */
export function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    setTimeout(() => server.closeAllConnections(), graceMs).unref();
  });
}
