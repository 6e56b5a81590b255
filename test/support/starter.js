// A process of its own, on the built package, that runs the migrations as it starts.
const { DataSource } = require('typeorm');
const { entities, migrations, runMigrations } = require('express-referrals');

async function main() {
  const dataSource = new DataSource({
    type: 'postgres',
    url: process.env.TEST_DATABASE_URL,
    schema: process.env.SCHEMA,
    entities,
    migrations,
    poolSize: 1, // must not need a second connection
  });
  await dataSource.initialize();
  if (process.argv[2] === 'ours') await runMigrations(dataSource);
  else await dataSource.runMigrations();
  await dataSource.destroy();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
