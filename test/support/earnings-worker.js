// A process of its own, on the built package: records purchases and refunds, and runs earn-outs. What it pays out it writes into the
// table `payouts`, on a connection of its own: that stays, whatever becomes of the process.
const { DataSource } = require('typeorm');
const { createReferrals, entities, PayoutRefused } = require('express-referrals');

const { TEST_DATABASE_URL: url, SCHEMA: schema, NOW: now, TAKES_BACK: takesBack = 'yes' } = process.env;

const die = () => process.kill(process.pid, 'SIGKILL');

async function main() {
  const dataSource = new DataSource({ type: 'postgres', url, schema, entities, poolSize: 6 });
  const bank = new DataSource({ type: 'postgres', url, poolSize: 8 });
  await Promise.all([dataSource.initialize(), bank.initialize()]);
  let orders = {};
  let payouts = 0;
  const referrals = createReferrals({
    dataSource,
    baseUrl: 'https://shop.example',
    secret: 'a secret of at least thirty-two characters',
    user: () => null,
    queryTimeoutMs: Number(process.env.TEST_QUERY_TIMEOUT_MS),
    clock: () => new Date(orders.now ?? now),
    commission: { ratio: '0.25' },
    earnOuts: {
      takeBackCredit: takesBack === 'yes',
      payout: async ({ idempotencyKey, userId, amount }) => {
        const { declined = [], dies } = orders;
        if (declined.includes(userId)) throw new PayoutRefused('declined');
        const isLast = ++payouts === dies?.at;
        if (isLast && dies.moment === 'before') die();
        await bank.query(
          `INSERT INTO "${schema}".payouts AS p VALUES ($1, $2, $3, 1)
           ON CONFLICT (idempotency_key) DO UPDATE SET calls = p.calls + 1`,
          [idempotencyKey, userId, amount],
        );
        if (isLast && dies.moment === 'after') die();
      },
    },
  });
  const calls = {
    purchase: (user, input) => referrals.recordPurchase(user, input),
    refund: (user, input) => referrals.recordRefund(user, input),
    qualify: (user, input) => referrals.qualify(user, input),
    undo: (user, input) => referrals.undoRefund(user, input),
    hold: (id, input) => referrals.commissions.hold(id, input),
    release: (id, input) => referrals.commissions.release(id, input),
    reject: (id, input) => referrals.commissions.reject(id, input),
    adjust: (user, input) => referrals.commissions.adjust(user, input),
    earnOut: () => referrals.runEarnOuts(),
    signup: (user, input) => referrals.signups.create({ user, ...input }),
    suspend: (user, input) => referrals.accounts.suspend(user, input),
    ban: (user, input) => referrals.accounts.ban(user, input),
    reassign: (user, input) => referrals.signups.reassign(user, input),
    merge: (user, { into, ...input }) => referrals.mergeUsers(user, into, input),
    reinstate: (user, input) => referrals.accounts.reinstate(user, input),
  };
  const run = ({ call, user, input, inTransaction }) =>
    inTransaction
      ? dataSource.transaction((manager) => calls[call](user, { ...input, manager }))
      : calls[call](user, input);

  async function work({ tasks, atOnce }) {
    const left = tasks.entries();
    const worker = async () => {
      for (const [index, task] of left) {
        const answer = await run(task).then(
          () => ({ index, isDone: true }),
          (error) => ({ index, error: error.code ?? String(error) }),
        );
        process.send(answer);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, worker));
  }

  process.on('message', async (given) => {
    orders = given;
    try {
      if (given.tasks) await work(given);
      else process.send(await referrals.runEarnOuts({ onProgress: () => process.send({ isProgress: true }) }));
    } catch (error) {
      process.send({ error: String(error) });
    }
    process.send('done');
  });
  process.once('disconnect', async () => {
    await referrals.close();
    await Promise.all([dataSource.destroy(), bank.destroy()]);
  });
  process.send('ready');
}

main();
