import { randomInt } from 'node:crypto';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

/** How a connection is lost at a statement. */
export type Loss =
  /** The network fails before PostgreSQL gets the statement. */
  | 'cut before'
  /** PostgreSQL does the statement, and the network fails before the client gets the answer. */
  | 'cut after'
  /** An operator ends the backend, and the statement finds it ending. */
  | 'ended before'
  /** An operator ends the backend once it has answered. The client reads both at once, and asks for nothing any more. */
  | 'ended after';

export interface CuttingProxy {
  port: number;
  /** Loses the connection that sends the `n`th statement from now on. 0 is the next connection, as it is ready. */
  loseAt(n: number, loss: Loss): void;
  /** Stops losing, and returns whether a connection was lost since {@link loseAt}. */
  heal(): boolean;
  /** How many cancel requests were passed on. */
  cancelled: number;
  stop(): Promise<void>;
}

export interface CuttingProxyOptions {
  /** Ends the backend with a process id, and waits until it has gone. */
  end?: (pid: number) => Promise<void>;
  /** Refuses what does not use TLS. */
  tls?: { key: string; cert: string };
  /** Listens on this socket of the file system, and not on a port. */
  path?: string;
}

/** The codes of the messages without a type. They stand behind the length. */
const [sslRequest, cancelRequest] = [80877103, 80877102];

/**
 * Stands between a client and a server on this machine, knows their protocol, and loses connections at a statement. It gives
 * each client a cancel key of its own, as a pooler does: at the server that key is nobody's.
 */
export async function startCuttingProxy(target: number, options: CuttingProxyOptions = {}): Promise<CuttingProxy> {
  const { end = () => Promise.resolve(), tls, path } = options;
  let plan: { left: number; loss: Loss } | undefined;
  let isLost = false;
  const keys = new Map<string, readonly number[]>();
  const sockets = new Set<Socket>();
  const proxy: CuttingProxy = {
    port: 0,
    loseAt(n, loss) {
      plan = { left: n, loss };
      isLost = false;
    },
    heal() {
      plan = undefined;
      return isLost;
    },
    cancelled: 0,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };

  // Without a delay: it passes on messages that are smaller than a packet, and each would wait for the one before.
  const server = createServer({ noDelay: true }, (socket) => {
    const upstream = connect({ port: target, host: '127.0.0.1', noDelay: true });
    let client = socket;
    let pid = 0;
    let isStarted = false;
    let isReady = false;
    let sent: Buffer[] = [];
    /** What the server has said since it is kept back; `undefined` if it is passed on. */
    let kept: Buffer[] | undefined;
    let onKept = (): void => undefined;

    const drop = (): void => [client, socket, upstream].forEach((one) => one.destroy());
    for (const one of [socket, upstream]) {
      sockets.add(one);
      one.on('error', drop);
      one.once('close', () => sockets.delete(one));
    }
    socket.once('close', drop);
    upstream.once('close', () => (kept ? client.end(Buffer.concat(kept)) : drop()));

    function keepBack(act: () => void): void {
      plan = undefined;
      isLost = true;
      kept = [];
      onKept = act;
    }
    /** Passes on what makes one statement, unless the connection is to be lost here. */
    function pass(statement: Buffer): void {
      if (!plan || --plan.left !== 0) return void upstream.write(statement);
      const { loss } = plan;
      keepBack(loss === 'ended after' ? () => void end(pid) : drop);
      if (loss === 'cut before') return drop();
      if (loss !== 'ended before') return void upstream.write(statement);
      kept = undefined;
      void end(pid).then(() => upstream.write(statement));
    }
    function onStart(message: Buffer): void {
      const code = message.readInt32BE(4);
      if (code === sslRequest) {
        socket.write(tls ? 'S' : 'N');
        if (!tls) return;
        socket.off('data', fromClient);
        client = new TLSSocket(socket, { isServer: true, ...tls });
        client.on('error', drop).on('data', fromClient);
        return;
      }
      if (tls && client === socket) return drop();
      if (code === cancelRequest) {
        const known = keys.get(`${message.readInt32BE(8)}/${message.readInt32BE(12)}`);
        if (!known) return drop();
        known.forEach((part, index) => message.writeInt32BE(part, 8 + 4 * index));
        proxy.cancelled++;
      }
      isStarted = code !== cancelRequest;
      upstream.write(message);
    }

    const fromClient = messagesOf(
      (message, type) => {
        if (type === null) return onStart(message);
        sent.push(message);
        if ('PBDEC'.includes(type)) return;
        const whole = Buffer.concat(sent);
        sent = [];
        if (type === 'Q' || type === 'S') pass(whole);
        else upstream.write(whole);
      },
      () => isStarted,
    );
    const fromServer = messagesOf(
      (message, type) => {
        if (type === 'K') {
          const theirs = [message.readInt32BE(5), message.readInt32BE(9)];
          const ours = [randomInt(1, 2 ** 31), randomInt(1, 2 ** 31)];
          ours.forEach((part, index) => message.writeInt32BE(part, 5 + 4 * index));
          keys.set(ours.join('/'), theirs);
          pid = theirs[0]!;
        }
        if (type === 'Z' && !isReady) {
          isReady = true;
          if (plan?.left === 0) keepBack(() => void end(pid));
        }
        if (!kept) return void client.write(message);
        kept.push(message);
        if (type === 'Z') onKept();
      },
      () => true,
    );
    socket.on('data', fromClient);
    upstream.on('data', fromServer);
  });
  await new Promise<void>((resolve) => (path ? server.listen(path, resolve) : server.listen(0, '127.0.0.1', resolve)));
  if (!path) proxy.port = (server.address() as AddressInfo).port;
  return proxy;
}

/** Cuts what a socket reads into the messages of PostgreSQL's protocol. Before it has started, they have no type. */
function messagesOf(
  onMessage: (message: Buffer, type: string | null) => void,
  isTyped: () => boolean,
): (chunk: Buffer) => void {
  let buffer = Buffer.alloc(0);
  return (chunk) => {
    buffer = Buffer.concat([buffer, chunk]);
    for (;;) {
      const start = isTyped() ? 1 : 0;
      if (buffer.length < start + 4) return;
      const length = start + buffer.readInt32BE(start);
      if (buffer.length < length) return;
      const message = Buffer.from(buffer.subarray(0, length));
      buffer = buffer.subarray(length);
      onMessage(message, start ? String.fromCharCode(message[0]!) : null);
    }
  };
}
