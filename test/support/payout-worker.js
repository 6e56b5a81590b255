// A process of its own, on the built package: runs earn-outs against the payment provider, and reports payments. It dies at the
// place of a payout's life that its orders name.
const { readFileSync } = require('node:fs');
const { DataSource } = require('typeorm');
const { createReferrals, entities, PayoutRefused } = require('express-referrals');

const { TEST_DATABASE_URL: url, SCHEMA: schema, CLOCK: clockFile, PROVIDER: provider } = process.env;

let orders = {};
let left = 0;

/** Whether the process is to die here. */
const isLast = (place) => orders.dies?.place === place && --left === 0;
const die = () => process.kill(process.pid, 'SIGKILL');

function reached(place) {
  if (isLast(place)) die();
}

/** Dies before a statement is sent, or right after that, before PostgreSQL has answered. */
function reachedStatement(step) {
  reached(`before ${step}`);
  if (isLast(`during ${step}`)) setImmediate(die);
}

const steps = [
  ['the binding', /\bmade AS \(/],
  ['the claim', /\bclaimed AS \(/],
  ['the settling', /\b(completed|submitted|unclear|refused) AS \(/],
];

/** Knows the statements of a payout's life by their text, and their COMMIT by the connection. */
class Watch {
  #steps = new WeakMap();

  logQuery(text, _parameters, runner) {
    if (text === 'COMMIT' && this.#steps.has(runner)) reachedStatement(`the COMMIT of ${this.#steps.get(runner)}`);
    const step = steps.find(([, pattern]) => pattern.test(text))?.[0];
    if (step) reachedStatement(step);
    if (!runner) return;
    if (step) this.#steps.set(runner, step);
    else if (/^(START|COMMIT|ROLLBACK)/.test(text)) this.#steps.delete(runner);
  }

  logQueryError() {}
  logQuerySlow() {}
  logSchemaBuild() {}
  logMigration() {}
  log() {}
}

async function payout({ idempotencyKey: key, userId: user, amount }) {
  reached('before the provider is asked');
  const at = ['working', 'paid'].find((moment) => isLast(`while the provider is ${moment}`));
  const kill = at ? { pid: process.pid, at } : null;
  const response = await fetch(provider, { method: 'POST', body: JSON.stringify({ key, user, amount, kill }) });
  const { reference, reason } = await response.json();
  reached('after the answer');
  if (response.status === 200) return { reference };
  if (response.status === 202) return { status: 'submitted', reference };
  if (response.status === 402) throw new PayoutRefused(reason);
  throw new Error(`The provider answers ${response.status}: ${reason}.`);
}

async function main() {
  const dataSource = new DataSource({ type: 'postgres', url, schema, entities, poolSize: 3, logger: new Watch() });
  await dataSource.initialize();
  const referrals = createReferrals({
    dataSource,
    baseUrl: 'https://shop.example',
    secret: 'a secret of at least thirty-two characters',
    user: () => null,
    queryTimeoutMs: Number(process.env.TEST_QUERY_TIMEOUT_MS),
    clock: () => new Date(readFileSync(clockFile, 'utf8')),
    earnOuts: { ...JSON.parse(process.env.EARN_OUTS), payout },
    onError: ({ code, message }) => process.send({ told: code ?? message }),
  });

  process.on('message', async (given) => {
    orders = given;
    left = given.dies?.at ?? 0;
    try {
      if (given.report) await referrals.earnOuts.settle(given.report);
      else process.send(await referrals.runEarnOuts());
    } catch (error) {
      process.send({ error: error.code ?? String(error) });
    }
    process.send('done');
  });
  process.once('disconnect', () => process.exit());
  process.send('ready');
}

main();
