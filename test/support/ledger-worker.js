// A process of its own, on the built package: does the calls that it is sent, so many at once, and answers each as it ends.
const { Referral } = require('express-referrals');
const { start } = require('./built');

async function main() {
  const { dataSource, referrals, stop } = await start();
  const { credits } = referrals;
  const calls = {
    signUp: (user, options) => Referral.recordSignup(null, user, options),
    use: (user, options) => referrals.recordUsage(user, options),
    spend: (user, options) => credits.spend(user, options),
    hold: (user, options) => credits.hold(user, options),
    capture: (user, options) => credits.capture({ user, ...options }),
    release: (user, options) => credits.release({ user, ...options }),
    refund: (user, options) => credits.refund({ user, ...options }),
  };
  const run = ({ call, user, options, inTransaction }) =>
    inTransaction
      ? dataSource.transaction((manager) => calls[call](user, { ...options, manager }))
      : calls[call](user, options);

  process.on('message', async ({ tasks, atOnce }) => {
    const left = tasks.entries();
    const worker = async () => {
      for (const [index, task] of left) {
        const answer = await run(task).then(
          (done) => ({ index, isDone: done !== null }),
          (error) => ({ index, error: error.code ?? String(error) }),
        );
        process.send(answer);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, worker));
    process.send('done');
  });
  process.once('disconnect', stop);
  process.send('ready');
}

main();
