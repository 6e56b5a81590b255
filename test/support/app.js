// An app in a process of its own, on the built package: only links. 'stop' ends it in good order.
const express = require('express');
const { start } = require('./built');

async function main() {
  const { referrals, stop } = await start();
  const app = express();
  let isStopping = false;
  app.use((_req, res, next) => {
    if (isStopping) res.set('Connection', 'close'); // so that server.close() comes to an end
    next();
  });
  app.use(referrals.middleware);
  app.use('/r', referrals.router);
  const server = app.listen(0, '127.0.0.1', () => process.send(`http://127.0.0.1:${server.address().port}`));
  process.once('message', () => {
    isStopping = true;
    server.close(async () => {
      await stop();
      process.disconnect();
    });
  });
}

main();
