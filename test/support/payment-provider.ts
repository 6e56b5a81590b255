import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { waitFor } from './host';

/**
 * What the provider does with a key that it has not seen:
 *
 * - `pays`, `refuses`: and says so.
 * - `pays, then drops`, `pays, then is silent`: the caller learns nothing.
 * - `drops`: takes nothing; the next request with the key is its first.
 * - `is silent, then pays`: pays at a later tick, when the caller has given up. Until then the key is in flight.
 * - `accepts`: answers that the payment is under way, and reports its result later.
 */
export type Manner =
  'pays' | 'refuses' | 'accepts' | 'drops' | 'pays, then drops' | 'pays, then is silent' | 'is silent, then pays';

/** Why a payment is as it is. `in flight` and `accepted` payments become another one later. */
export type State = 'in flight' | 'accepted' | 'paid' | 'refused' | 'failed' | 'returned';

/** A payment in the provider's book, which is the truth about it. */
export interface Payment {
  key: string;
  reference: string;
  user: string;
  amount: string;
  at: Date;
  state: State;
  reason: string;
  /** How often it was asked for. */
  asked: number;
  /** How often money was sent. */
  sent: number;
  /** When the state changes by itself; null for never. */
  changesAt: Date | null;
}

/** What a webhook says. */
export interface Report {
  key: string;
  reference: string;
  status: 'completed' | 'failed' | 'returned';
}

export interface ProviderOptions {
  /** The time of the provider. */
  clock: () => Date;
  /** What it does with the `n`th request for a new key. See `drawn`. */
  manner: (key: string, n: number) => Manner;
  /** Whether an accepted payment fails, and whether a paid one is returned later. Default: neither. */
  fails?: (key: string) => boolean;
  bounces?: (key: string) => boolean;
  /** Whether the reports about a payment contradict what has become of it. Default: they are true. */
  lies?: (key: string) => boolean;
}

/** A number from 0 up to 1 for a text: always the same one for a seed. */
export function drawn(seed: number, text: string): number {
  return createHash('sha256').update(`${seed} ${text}`).digest().readUInt32BE() / 2 ** 32;
}

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/**
 * A payment provider with the manners of a real one, as an HTTP server in this process. It pays once for each key, gives
 * the first result again, answers 409 while a key is in flight, and survives its callers.
 *
 * A request may name its process and the moment at which the provider kills it: `working` or `paid`.
 */
export class PaymentProvider {
  readonly book = new Map<string, Payment>();
  /** How many requests there were, and how many of them met a key in flight. */
  asked = 0;
  conflicts = 0;
  /** The keys about which reports have contradicted each other. */
  readonly contradicted = new Set<string>();
  /** While it is set, payments wait for it before they are made. */
  gate: Promise<void> | null = null;
  /** Where it is asked. */
  address = '';
  #options: ProviderOptions;
  #server: Server | null = null;
  readonly #requests = new Map<string, number>();
  readonly #silent = new Set<ServerResponse>();
  readonly #reports: Report[] = [];

  constructor(options: ProviderOptions) {
    this.#options = options;
  }

  /** Other manners from now on. */
  become(options: Partial<ProviderOptions>): void {
    this.#options = { ...this.#options, ...options };
  }

  async open(): Promise<void> {
    const server = createServer((request, response) => void this.#answer(request, response));
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    this.address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  /** Waits until it has answered, or given up, every request. Its callers are gone. */
  async untilQuiet(): Promise<void> {
    this.#drop();
    await waitFor(
      () => new Promise((resolve) => this.#server!.getConnections((_error, count) => resolve(count === 0))),
    );
  }

  async destroy(): Promise<void> {
    const closed = new Promise((resolve) => this.#server?.close(resolve));
    this.#server?.closeAllConnections();
    if (this.#server) await closed;
  }

  /** Time has passed: what was in flight is paid, what was accepted is paid or fails, and some payments bounce. */
  tick(): void {
    const now = this.#options.clock();
    for (const payment of this.book.values()) {
      if (payment.changesAt === null || payment.changesAt > now) continue;
      if (payment.state === 'in flight') this.#pay(payment);
      else if (payment.state === 'paid') this.#become(payment, 'returned', 'The bank sent it back.');
      else if (this.#options.fails?.(payment.key)) this.#become(payment, 'failed', 'The bank refused it.');
      else {
        this.#pay(payment);
        this.#report(payment, 'completed');
      }
    }
    this.#drop();
  }

  /** The reports that nobody has taken yet. Who could not pass one on puts it back. */
  takeReports(): Report[] {
    return this.#reports.splice(0);
  }

  putBack(report: Report): void {
    this.#reports.push(report);
  }

  /** The payments that were made, or are under way: the list for `earnOuts.reconcile`. */
  list(): Payment[] {
    return [...this.book.values()].filter(({ state }) => isOnItsWay(state));
  }

  /** What became of a payment, as a report: what staff read on the provider's pages. Null while it is under way. */
  lookUp(key: string): Report | null {
    const payment = this.book.get(key);
    if (!payment || payment.state === 'in flight' || payment.state === 'accepted') return null;
    const { reference, state } = payment;
    return { key, reference, status: state === 'paid' ? 'completed' : state === 'returned' ? 'returned' : 'failed' };
  }

  #drop(): void {
    for (const response of this.#silent) response.destroy();
    this.#silent.clear();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => undefined);
    const { key, user, amount, kill } = JSON.parse(await bodyOf(request)) as Asked;
    this.asked++;
    const n = (this.#requests.get(key) ?? 0) + 1;
    this.#requests.set(key, n);
    const known = this.book.get(key);
    if (known) {
      known.asked++;
      if (kill) process.kill(kill.pid, 'SIGKILL');
      if (known.user !== user || known.amount !== amount) return say(response, 422, { reason: 'another payment' });
      return this.#repeat(known, response);
    }
    const manner = this.#options.manner(key, n);
    if (manner === 'drops') return void response.destroy();
    const payment = this.#enter({ key, user, amount });
    if (kill?.at === 'working') process.kill(kill.pid, 'SIGKILL');
    if (this.gate) await this.gate;
    if (manner === 'refuses') {
      Object.assign(payment, { state: 'refused', reason: 'The address does not accept payments.' });
    } else if (manner === 'accepts') {
      payment.state = 'accepted';
      payment.changesAt = this.#later(dayMs);
    } else if (manner === 'is silent, then pays') {
      payment.changesAt = this.#later(hourMs / 4);
      return void this.#silent.add(response);
    } else this.#pay(payment);
    if (kill?.at === 'paid') process.kill(kill.pid, 'SIGKILL');
    if (manner === 'pays, then drops') return void response.destroy();
    if (manner === 'pays, then is silent') return void this.#silent.add(response);
    this.#repeat(payment, response);
  }

  /** The first result again. */
  #repeat({ state, reference, reason }: Payment, response: ServerResponse): void {
    switch (state) {
      case 'in flight':
        this.conflicts++;
        return say(response, 409, { reason: 'a request with this key is in flight' });
      case 'accepted':
        return say(response, 202, { reference });
      case 'paid':
      case 'returned': // it was paid
        return say(response, 200, { reference });
      case 'refused':
      case 'failed':
        return say(response, 402, { reason });
    }
  }

  #enter({ key, user, amount }: Asked): Payment {
    const payment: Payment = {
      ...{ key, user, amount, reference: `payment-${this.book.size + 1}`, at: this.#options.clock() },
      ...{ state: 'in flight', reason: '', asked: 1, sent: 0, changesAt: null },
    };
    this.book.set(key, payment);
    return payment;
  }

  #pay(payment: Payment): void {
    payment.state = 'paid';
    payment.sent++;
    payment.changesAt = this.#options.bounces?.(payment.key) ? this.#later(2 * dayMs) : null;
  }

  #become(payment: Payment, state: 'failed' | 'returned', reason: string): void {
    Object.assign(payment, { state, reason, changesAt: null });
    this.#report(payment, state);
  }

  /** One that lies says the opposite first, and what was not last. */
  #report({ key, reference }: Payment, status: Report['status']): void {
    const said: Report['status'][] = [status];
    if (this.#options.lies?.(key)) {
      this.contradicted.add(key);
      said.unshift(status === 'completed' ? 'failed' : 'completed');
      if (status === 'returned') said.push('completed');
    }
    for (const one of said) this.#reports.push({ key, reference, status: one });
  }

  #later(ms: number): Date {
    return new Date(this.#options.clock().getTime() + ms);
  }
}

export const isOnItsWay = (state: State): boolean => state === 'paid' || state === 'in flight' || state === 'accepted';

/** The body of a request for a payment. */
interface Asked {
  key: string;
  user: string;
  amount: string;
  kill?: { pid: number; at: 'working' | 'paid' } | null;
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = '';
  for await (const part of request.setEncoding('utf8')) body += part as string;
  return body;
}

function say(response: ServerResponse, status: number, body: object): void {
  if (response.destroyed) return;
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
