// A process of its own, on the built package: makes the same referral many times at once, and answers the ids.
const { DataSource } = require('typeorm');
const { createReferrals, entities, Referral } = require('express-referrals');

async function main() {
  const dataSource = new DataSource({
    type: 'postgres',
    url: process.env.TEST_DATABASE_URL,
    schema: process.env.SCHEMA,
    entities,
  });
  await dataSource.initialize();
  const referrals = createReferrals({
    dataSource,
    baseUrl: 'https://shop.example',
    secret: 'a secret of at least thirty-two characters',
    user: () => null,
  });
  const created = await Promise.all(
    Array.from({ length: 25 }, () => Referral.create({ user: 'processes', redirectTo: '/' })),
  );
  process.send(created.map(({ id }) => id));
  await referrals.close();
  await dataSource.destroy();
}

main();
