import { existsSync } from 'node:fs';
import path from 'node:path';
import type * as Package from 'express-referrals';
import { Client } from 'pg';
import type * as Typeorm from 'typeorm';
import type * as Options from '../../lib/options';
import type { NewResponse } from '../../lib/tracking/response-insert';
import type * as Tracking from '../../lib/tracking/tracking';
import type * as VisitorId from '../../lib/tracking/visitor-id';
import { answerQuestions, given, tell } from './child';
import { linkCount, userAgent } from './fill';
import { requireOf } from './open-schema';

/** What a recorder's process is started with. */
export interface RecorderOptions {
  /** The folder of a built checkout of the package. */
  checkout: string;
  databaseUrl: string;
  schema: string;
}

/**
 * What the process is asked to write: clicks through the recorder in batches, or without a pause, or rows by hand in one
 * statement after the other.
 */
export interface Writing {
  how: 'batches' | 'flow' | 'by hand';
  /** How many a batch or a statement has, or how many clicks wait at any time. */
  count: number;
  until: { seconds: number } | { clicks: number };
}

export interface Written {
  clicks: number;
  perSecond: number;
}

/** Visitor ids as a checkout makes them: what they are like decides what an index costs. */
function visitorIdsOf(checkout: string, load: <T>(module: string) => T): typeof VisitorId {
  const module = './dist/lib/tracking/visitor-id.js';
  // Where they were made before they had a file of their own.
  return load(existsSync(path.join(checkout, module)) ? module : './dist/lib/tracking/visitor-token.js');
}

async function main(): Promise<void> {
  const { checkout, databaseUrl, schema } = given<RecorderOptions>();
  // All of it as that checkout has it.
  const load = requireOf(checkout);
  const { entities, migrations } = load<typeof Package>('express-referrals');
  const { DataSource } = load<typeof Typeorm>('typeorm');
  const { settingsOf } = load<typeof Options>('./dist/lib/options.js');
  const { wireTracking } = load<typeof Tracking>('./dist/lib/tracking/tracking.js');
  const { newVisitorId } = visitorIdsOf(checkout, load);

  const dataSource = new DataSource({ type: 'postgres', url: databaseUrl, schema, entities, migrations });
  await dataSource.initialize();
  const tracking = wireTracking(
    settingsOf({
      ...{ dataSource, baseUrl: 'https://shop.example', secret: 'a secret of at least thirty-two characters' },
      user: () => null,
    }),
  );
  await tracking.start();
  const client = new Client(databaseUrl);
  await client.connect();

  let made = 0;
  const click = (): NewResponse => ({
    ...{ referralId: 1 + (made++ % linkCount), visitorId: newVisitorId(), userId: null, action: 'RESPONDED' },
    ...{ ipAddress: '192.0.2.0', userAgent, httpReferrer: null, targetType: null, targetId: null },
    ...{ createdAt: null, touchedAt: null, isNewVisitor: true },
  });
  const record = async (): Promise<void> => {
    if (!(await tracking.recorder.record(click()))) throw new Error('a click was not recorded');
  };
  const insert = {
    name: 'insert',
    text: `INSERT INTO "${schema}".referral_responses (referral_id, visitor_id, ip_address, user_agent, action, created_at, touched_at)
      SELECT g.*, now(), now() FROM unnest($1::bigint[], $2::uuid[], $3::text[], $4::text[], $5::text[]) g`,
  };
  const insertByHand = async (count: number): Promise<void> => {
    const clicks = Array.from({ length: count }, click);
    const fields = ['referralId', 'visitorId', 'ipAddress', 'userAgent', 'action'] as const;
    await client.query({ ...insert, values: fields.map((field) => clicks.map((one) => one[field])) });
  };

  async function write({ how, count, until }: Writing): Promise<Written> {
    const start = performance.now();
    let clicks = 0;
    const repeat = async (times: number, once: () => Promise<unknown>): Promise<void> => {
      while ('clicks' in until ? clicks < until.clicks : performance.now() - start < until.seconds * 1000) {
        await once();
        clicks += times;
      }
    };
    if (how === 'by hand') await repeat(count, () => insertByHand(count));
    else if (how === 'batches') await repeat(count, () => Promise.all(Array.from({ length: count }, record)));
    else await Promise.all(Array.from({ length: count }, () => repeat(1, record)));
    return { clicks, perSecond: clicks / ((performance.now() - start) / 1000) };
  }

  answerQuestions(write);
  tell({});
}

void main();
