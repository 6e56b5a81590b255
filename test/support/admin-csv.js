// The built package in a process of its own, with little memory: reads a list of staff as CSV over HTTP.
const express = require('express');
const { createReferrals, entities } = require('express-referrals');
const { DataSource } = require('typeorm');

async function main() {
  const { TEST_DATABASE_URL: url, SCHEMA: schema, TEST_QUERY_TIMEOUT_MS } = process.env;
  const dataSource = new DataSource({ type: 'postgres', url, schema, entities });
  await dataSource.initialize();
  const referrals = createReferrals({
    dataSource,
    baseUrl: 'https://shop.example',
    secret: 'a secret of at least thirty-two characters',
    user: () => null,
    staff: () => ({ id: 'staff' }),
    onError: (error) => console.error(error),
    queryTimeoutMs: Number(TEST_QUERY_TIMEOUT_MS),
  });
  const app = express();
  app.use('/staff', referrals.admin);
  const server = app.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const response = await fetch(`http://127.0.0.1:${server.address().port}/staff/${process.argv[2]}`);
  let lines = 0;
  for await (const piece of response.body) for (const byte of piece) if (byte === 10) lines++;
  server.closeAllConnections();
  server.close();
  await referrals.close();
  await dataSource.destroy();
  process.send({ status: response.status, lines }, () => process.disconnect());
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
