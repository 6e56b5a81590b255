import type { AddressInfo } from 'node:net';
import express from 'express';
import { createReferrals, entities, migrations } from 'express-referrals';
import { DataSource } from 'typeorm';
import { given, tell } from './child';
import type { Place } from './purchased';

async function main(): Promise<void> {
  const { databaseUrl: url, schema } = given<Place>();
  const dataSource = new DataSource({ type: 'postgres', url, schema, entities, migrations });
  await dataSource.initialize();
  const referrals = createReferrals({
    ...{ dataSource, baseUrl: 'https://shop.example', secret: 'a secret of at least thirty-two characters' },
    user: (req) => req.headers['x-user'] as string | undefined,
    commission: { ratio: '0.25' },
    earnOuts: { payout: () => undefined },
    queryTimeoutMs: 60_000, // the first read of a million
  });
  const app = express();
  app.use('/api/v2/referral', referrals.api);
  app.use('/referrals', referrals.pages);
  const server = app.listen(0, '127.0.0.1', () => {
    tell({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  });
}

process.once('SIGTERM', () => process.exit());
void main();
