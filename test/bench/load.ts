import { connect, type Socket } from 'node:net';

export interface Load {
  perSecond: number;
  /** The 99th percentile of the time from request to answer, in milliseconds. */
  p99: number;
}

export interface LoadOptions {
  url: string;
  paths: readonly string[];
  headers: Readonly<Record<string, string>>;
  connections: number;
  seconds: number;
}

/**
 * Keeps `connections` requests in flight, each connection sending its next request when it has the answer to the last. On raw
 * sockets with requests made beforehand: a client that costs as much as the server would measure itself.
 */
export async function load({ url, paths, headers, connections, seconds }: LoadOptions): Promise<Load> {
  const { hostname, port, host } = new URL(url);
  const lines = Object.entries({ host, connection: 'keep-alive', ...headers }).map(
    ([name, value]) => `${name}: ${value}`,
  );
  const requests = paths.map((path) => Buffer.from(`GET ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`));
  const times: number[] = [];
  let next = 0;
  let isOver = false;
  const start = performance.now();

  const run = (socket: Socket): Promise<void> =>
    new Promise((resolve, reject) => {
      let sent = 0;
      let received = '';
      const send = (): void => {
        sent = performance.now();
        socket.write(requests[next++ % requests.length]!);
      };
      socket.on('data', (chunk) => {
        received += chunk.toString('latin1');
        const head = received.indexOf('\r\n\r\n');
        if (head === -1) return;
        const length = /\r\ncontent-length: (\d+)/i.exec(received);
        if (received.length < head + 4 + Number(length?.[1] ?? 0)) return;
        if (!/^HTTP\/1\.1 [23]/.test(received)) return reject(new Error(`${url} answered ${received.slice(0, 200)}`));
        received = '';
        times.push(performance.now() - sent);
        if (!isOver) return send();
        socket.destroy();
        resolve();
      });
      socket.once('error', reject);
      socket.once('connect', send);
    });

  setTimeout(() => (isOver = true), seconds * 1000);
  await Promise.all(Array.from({ length: connections }, () => run(connect(Number(port), hostname).setNoDelay(true))));
  const elapsed = (performance.now() - start) / 1000;
  times.sort((a, b) => a - b);
  return { perSecond: times.length / elapsed, p99: times[Math.floor(times.length * 0.99)]! };
}
