import { connect, type Socket } from 'node:net';

/** What one connection after the other gets, in turn. */
export interface Requests {
  paths: readonly string[];
  headers: Readonly<Record<string, string>>;
  /** Whether visitors come back with the cookie that they were given; else each request is a new visitor's. */
  isReturning?: boolean;
}

export interface Load {
  requests: number;
  perSecond: number;
  /** The median time from request to answer, in milliseconds. */
  p50: number;
  p99: number;
  /** What went wrong: connections lost, and answers that are errors. */
  failures: readonly string[];
}

/** Connections that are opened at a time: more would overflow the queue of the server's socket. */
const openedAtOnce = 200;

/**
 * Connections that keep their requests in flight, each sending its next request when it has the answer to the last. On raw
 * sockets with requests made beforehand: a client that costs as much as the server would measure itself.
 */
export class Connections {
  readonly #connections: Connection[] = [];
  readonly #host: string;

  private constructor(host: string) {
    this.#host = host;
  }

  static async open(url: string, count: number): Promise<Connections> {
    const { hostname, port, host } = new URL(url);
    const opened = new Connections(host);
    while (opened.#connections.length < count) {
      const next = Math.min(openedAtOnce, count - opened.#connections.length);
      const open = (): Promise<Connection> => Connection.open(hostname, Number(port));
      opened.#connections.push(...(await Promise.all(Array.from({ length: next }, open))));
    }
    return opened;
  }

  /** Sends requests for so many seconds, or so many requests. */
  async load(
    { paths, headers, isReturning }: Requests,
    until: { seconds: number } | { requests: number },
  ): Promise<Load> {
    const lines = Object.entries({ host: this.#host, connection: 'keep-alive', ...headers }).map(
      ([name, value]) => `${name}: ${value}\r\n`,
    );
    const requests = paths.map((path) => `GET ${path} HTTP/1.1\r\n${lines.join('')}`);
    const made = requests.map((request) => Buffer.from(`${request}\r\n`));
    const times: number[] = [];
    const failures: string[] = [];
    const atMost = 'requests' in until ? until.requests : Infinity;
    let sent = 0;
    let isOver = false;

    const run = async (connection: Connection): Promise<void> => {
      while (!isOver && sent < atMost) {
        const index = sent++ % requests.length;
        const start = performance.now();
        const answer = await connection.ask(
          isReturning && connection.cookie ? `${requests[index]}cookie: ${connection.cookie}\r\n\r\n` : made[index]!,
        );
        times.push(performance.now() - start);
        if (!/^HTTP\/1\.1 [23]/.test(answer)) failures.push(answer.slice(0, 200));
        if (isReturning) connection.keepCookie(answer);
        if (connection.isLost) return;
      }
    };

    const start = performance.now();
    const timer = 'seconds' in until ? setTimeout(() => (isOver = true), until.seconds * 1000) : undefined;
    await Promise.all(this.#connections.map(run));
    const elapsed = (performance.now() - start) / 1000;
    clearTimeout(timer);
    times.sort((a, b) => a - b);
    const at = (share: number): number => times[Math.floor(times.length * share)]!;
    return { requests: times.length, perSecond: times.length / elapsed, p50: at(0.5), p99: at(0.99), failures };
  }

  /** What returning visitors were given, of each connection. */
  get cookies(): string[] {
    return this.#connections.map(({ cookie }) => cookie);
  }

  get lost(): number {
    return this.#connections.filter(({ isLost }) => isLost).length;
  }

  close(): void {
    for (const connection of this.#connections) connection.close();
  }
}

/** One connection, with one request at a time. */
class Connection {
  readonly #socket: Socket;
  #received = '';
  #resolve: ((answer: string) => void) | null = null;
  isLost = false;
  /** What the server has set, as the header `Cookie` sends it. */
  cookie = '';

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk) => {
      this.#received += chunk.toString('latin1');
      if (isWhole(this.#received)) this.#answer(this.#received);
    });
    const lost = (error?: Error): void => {
      this.isLost = true;
      this.#answer(`the connection was lost: ${error?.message ?? 'the server closed it'}`);
    };
    socket.on('error', lost);
    socket.on('close', () => lost());
  }

  static open(hostname: string, port: number): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, hostname).setNoDelay(true);
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new Connection(socket));
      });
    });
  }

  /** The answer with its headers, or what went wrong. */
  ask(request: Buffer | string): Promise<string> {
    if (this.isLost) return Promise.resolve('the connection was lost');
    return new Promise((resolve) => {
      this.#resolve = resolve;
      this.#socket.write(request);
    });
  }

  keepCookie(answer: string): void {
    const set = /\r\nset-cookie: ([^;\r]+)/i.exec(answer);
    if (set) this.cookie = set[1]!;
  }

  close(): void {
    this.#socket.removeAllListeners().on('error', () => undefined);
    this.#socket.destroy();
  }

  #answer(answer: string): void {
    const resolve = this.#resolve;
    this.#received = '';
    this.#resolve = null;
    resolve?.(answer);
  }
}

function isWhole(received: string): boolean {
  const head = received.indexOf('\r\n\r\n');
  if (head === -1) return false;
  const length = /\r\ncontent-length: (\d+)/i.exec(received);
  return received.length >= head + 4 + Number(length?.[1] ?? 0);
}
