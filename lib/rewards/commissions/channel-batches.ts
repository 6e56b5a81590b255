import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { violatedConstraint } from '../../database/driver-errors';
import { folded } from '../../database/folding';
import { askHost } from '../../database/host-answers';
import { sql } from '../../database/named-parameters';
import { overtaken, retryOvertaken } from '../../database/retry';
import { nowIn } from '../../database/statement-time';
import { ReferralChannel } from '../../entities/referral-channel';
import { referralError } from '../../errors';
import { codeOf } from '../../input';
import type { Settings } from '../../options';

/** The maximum number of attempts, each with new codes for those that were taken. */
const maxTries = 10;

/** These refuse a code that another call has taken after the statement's snapshot. */
const taken = new Set<string | null>(['uq_referrals_code', 'pk_referral_aliases']);

/** Many channels with the same terms. */
export interface Batch {
  user: string;
  count: number;
  /** What each code begins with. */
  prefix: string;
  redirectTo: string;
  allowedUses: number;
  maxRedemptions: number | null;
  /** The values of the channels' columns, by their properties, at a time. */
  valuesAt: (now: Date) => Readonly<Record<string, unknown>>;
}

/** Makes channels in bulk: one statement for all of them, which makes all or none. */
export class ChannelBatches {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #generateCode: Settings['generateCode'];

  constructor(database: Database, clock: Clock, { generateCode }: Settings) {
    this.#database = database;
    this.#clock = clock;
    this.#generateCode = generateCode;
  }

  /**
   * Makes the channels, and then does the work that is given their ids, in one transaction. Codes come from the option
   * `generateCode`, which is called outside of it; those that are taken are replaced.
   */
  async make<T>(
    batch: Batch,
    manager: EntityManager | undefined,
    work: (ids: number[], within: EntityManager) => Promise<T>,
  ): Promise<T> {
    const codes = new Map<string, string>();
    let tries = 0;
    return retryOvertaken(async () => {
      if (tries++ === maxTries) throw referralError('CODES_EXHAUSTED', maxTries, [...codes.values()].at(-1)!);
      const more = await askHost(`generateCode ${tries}`, manager, () => this.#more(codes, batch));
      for (const code of more) codes.set(code.toLowerCase(), code);
      try {
        return await this.#database.transaction(async (within) => {
          const rows = await this.#insert([...codes.values()], batch, within);
          const wrong = rows.flatMap(({ takenCode }) => takenCode ?? []);
          for (const code of wrong) codes.delete(code.toLowerCase());
          return wrong.length > 0
            ? overtaken
            : work(
                rows.map(({ id }) => Number(id)),
                within,
              );
        }, manager);
      } catch (error) {
        if (taken.has(violatedConstraint(error))) return overtaken;
        throw error;
      }
    });
  }

  /** Returns the codes that are missing until there are enough different ones. The keys are without regard to case. */
  async #more(
    codes: ReadonlyMap<string, string>,
    { count, prefix, user, redirectTo }: Batch,
  ): Promise<readonly string[]> {
    const draft = { userId: user, label: '', redirectTo, targetType: null, targetId: null };
    const more = new Map<string, string>();
    let failures = 0;
    while (codes.size + more.size < count) {
      const code = codeOf('generateCode', prefix + (await this.#generateCode(draft)));
      const key = code.toLowerCase();
      if ((codes.has(key) || more.has(key)) && ++failures > count + maxTries)
        throw referralError('CODES_EXHAUSTED', codes.size + more.size + failures, code);
      if (!codes.has(key)) more.set(key, code);
    }
    return [...more.values()];
  }

  /** Returns the ids of the new channels, or, if nothing is made, the codes that are taken. */
  async #insert(
    codes: string[],
    { user, redirectTo, allowedUses, maxRedemptions, valuesAt }: Batch,
    manager: EntityManager,
  ): Promise<{ id: string | null; takenCode: string | null }[]> {
    const { referrals, aliases, channels } = this.#database.tables;
    const now = await nowIn(this.#database, this.#clock, manager);
    const values = { ...valuesAt(now), createdAt: now };
    const metadata = this.#database.dataSource.getMetadata(ReferralChannel);
    const columns = Object.keys(values).map((name) => metadata.findColumnWithPropertyName(name)!);
    const parameters: Record<string, unknown> = {
      codes,
      user,
      redirectTo,
      allowedUses,
      maxRedemptions,
      now,
      ...values,
    };
    const query = sql(
      parameters,
      ($) => `
      WITH
      -- The codes, in their order.
      given AS (
        SELECT code, place FROM unnest(${$['codes']}::text[]) WITH ORDINALITY AS t (code, place)
      ),
      -- Those that another referral has, or once had. If there are any, nothing is made.
      taken AS (
        SELECT g.code FROM given g WHERE EXISTS (SELECT FROM ${aliases} a WHERE a.code = ${folded('g.code')})
          OR EXISTS (SELECT FROM ${referrals} r WHERE ${folded('r.code')} = ${folded('g.code')})
      ),
      -- The referrals. The code as label makes each one separate.
      made AS (
        INSERT INTO ${referrals} (user_id, label, redirect_to, code, allowed_uses, max_redemptions, created_at)
        SELECT ${$['user']}, code, ${$['redirectTo']}, code, ${$['allowedUses']}::integer,
          ${$['maxRedemptions']}::integer, ${$['now']}::timestamptz
        FROM given WHERE NOT EXISTS (SELECT FROM taken) ORDER BY place
        RETURNING id, code
      ),
      -- Gives them their codes for good, in the order of the key, so that two batches can't deadlock.
      kept AS (
        INSERT INTO ${aliases} (code, referral_id) SELECT ${folded('code')}, id FROM made ORDER BY 1
      ),
      -- The channels.
      channelled AS (
        INSERT INTO ${channels} (id, ${columns.map(({ databaseName }) => databaseName).join(', ')})
        SELECT id, ${columns
          .map(({ propertyName, type, isArray }) => `${$[propertyName]}::${String(type)}${isArray ? '[]' : ''}`)
          .join(', ')}
        FROM made
      )
      SELECT id, NULL AS "takenCode" FROM made UNION ALL SELECT NULL, code FROM taken ORDER BY 1`,
    );
    return this.#database.query(query, manager);
  }
}
