// The built package in a process of its own, on the database that the environment names.
const { DataSource } = require('typeorm');
const { createReferrals, entities } = require('express-referrals');

exports.start = async () => {
  const { TEST_DATABASE_URL: url, SCHEMA: schema } = process.env;
  const dataSource = new DataSource({ type: 'postgres', url, schema, entities });
  await dataSource.initialize();
  const referrals = createReferrals({
    dataSource,
    baseUrl: 'https://shop.example',
    secret: 'a secret of at least thirty-two characters',
    user: () => null,
    queryTimeoutMs: Number(process.env.TEST_QUERY_TIMEOUT_MS),
  });
  const stop = async () => {
    await referrals.close();
    await dataSource.destroy();
  };
  return { dataSource, referrals, stop };
};
