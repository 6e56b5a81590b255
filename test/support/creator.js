// A process of its own, on the built package: makes the same referral many times at once, and answers the ids.
const { Referral } = require('express-referrals');
const { start } = require('./built');

async function main() {
  const { stop } = await start();
  const created = await Promise.all(
    Array.from({ length: 25 }, () => Referral.create({ user: 'processes', redirectTo: '/' })),
  );
  process.send(created.map(({ id }) => id));
  await stop();
}

main();
