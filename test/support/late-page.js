// A page in a process of its own, on the built package, for a user who is signed in. The process dies where it asks whether referrer and
// buyer are the same person: the responses are linked by then, and nothing else is done.
const express = require('express');
const { DataSource } = require('typeorm');
const { createReferrals, entities } = require('express-referrals');

async function main() {
  const { TEST_DATABASE_URL: url, SCHEMA: schema, NOW: now, TEST_QUERY_TIMEOUT_MS: limit } = process.env;
  const dataSource = new DataSource({ type: 'postgres', url, schema, entities });
  await dataSource.initialize();
  const referrals = createReferrals({
    dataSource,
    baseUrl: 'https://shop.example',
    secret: 'a secret of at least thirty-two characters',
    user: (req) => req.get('x-user'),
    queryTimeoutMs: Number(limit),
    clock: () => new Date(now),
    commission: { ratio: '0.25' },
    isSamePerson: () => process.kill(process.pid, 'SIGKILL'),
  });
  const app = express();
  app.use(referrals.middleware);
  app.use((_req, res) => res.sendStatus(204));
  const server = app.listen(0, '127.0.0.1', () => process.send(`http://127.0.0.1:${server.address().port}`));
}

main();
