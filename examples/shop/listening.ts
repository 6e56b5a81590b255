import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

const defaultPort = 3000;
const graceMs = 5000;

/** Answers while the shop is being created. A request that nobody answers would wait until the client gives up. */
const notReady: RequestListener = (_req, res) => {
  res.writeHead(503, { 'Content-Type': 'text/plain; charset=utf-8', 'Retry-After': '1', 'Cache-Control': 'no-store' });
  res.end('The shop is starting.\n');
};

/** Returns a server that answers 503 until {@link serve} gives it an app. */
export function createWaitingServer(): Server {
  return createServer(notReady);
}

/** Lets an app answer from now on. */
export function serve(server: Server, app: RequestListener): void {
  server.off('request', notReady).on('request', app);
}

/** Listens on the given port. The default is 3000, or a free port if that is in use. Returns the port. */
export async function listen(
  server: Server,
  given: string | undefined,
  say: (line: string) => void = () => undefined,
): Promise<number> {
  try {
    return await listenOn(server, given ? Number(given) : defaultPort);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    if (given) throw new Error(`Port ${given}, which PORT names, is in use. Set PORT to another one.`);
    const port = await listenOn(server, 0);
    say(`Port ${defaultPort} is in use; using ${port}`);
    return port;
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

/** Waits for the requests in progress, but only for a limited time. */
export function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    setTimeout(() => server.closeAllConnections(), graceMs).unref();
  });
}
