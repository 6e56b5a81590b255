// Links in a process of its own, on the built package. Headers say who is signed in, and whether the visitor consents.
const express = require('express');
const { DataSource } = require('typeorm');
const { createReferrals, entities } = require('express-referrals');

async function main() {
  const { TEST_DATABASE_URL: url, SCHEMA: schema, TEST_QUERY_TIMEOUT_MS: limit } = process.env;
  const dataSource = new DataSource({ type: 'postgres', url, schema, entities });
  await dataSource.initialize();
  const referrals = createReferrals({
    dataSource,
    baseUrl: 'https://shop.example',
    secret: 'a secret of at least thirty-two characters',
    user: (req) => req.get('x-user'),
    consent: (req) => req.get('x-consent') !== 'no',
    queryTimeoutMs: Number(limit),
  });
  const app = express();
  app.use(referrals.middleware);
  app.use('/r', referrals.router);
  app.use((_req, res) => res.sendStatus(204));
  const server = app.listen(0, '127.0.0.1', () => process.send(`http://127.0.0.1:${server.address().port}`));
}

main();
