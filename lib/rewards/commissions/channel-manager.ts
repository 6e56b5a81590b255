import { And, type EntityManager, Equal, FindOperator, MoreThan } from 'typeorm';
import { csvCell } from '../../csv';
import type { Clock } from '../../database/clock';
import { forgetDaysOfOwner } from '../../database/closed-days';
import { takeCode } from '../../database/codes';
import type { Database } from '../../database/database';
import { violatedConstraint } from '../../database/driver-errors';
import { sql } from '../../database/named-parameters';
import { nowIn } from '../../database/statement-time';
import { Referral } from '../../entities/referral';
import { ReferralChannel } from '../../entities/referral-channel';
import { invalid, referralError } from '../../errors';
import { allowedUsesOf, codeOf, type FieldsOf, isCode, isNothing, objectOf, someUserIdOf, wholeOf } from '../../input';
import type { Settings } from '../../options';
import { eraseClicks } from '../../tracking/erased-clicks';
import type { ReferralCreation } from '../../tracking/referral-creation';
import type { ReferralLookup } from '../../tracking/referral-lookup';
import type { StaffOptions } from '../../types/audit';
import type { ChannelBatchInput, ChannelChanges, ChannelInput, ExportCodesOptions } from '../../types/commissions';
import type { UserRef, WithManager } from '../../types/common';
import type { FieldOf, ReadOptions } from '../../types/records';
import { type Audit, staffFields, staffOf } from '../records/audit';
import {
  checkedOptions,
  type CheckedSearch,
  type NoOptions,
  type Optional,
  RecordManager,
} from '../records/record-manager';
import { type Fields, fieldsOf } from '../records/search';
import { ChannelBatches } from './channel-batches';
import { channelTerms, checkedPromo, checkedTerms, maxRedemptionsOf, newValues, refusingDates } from './channel-values';

/** The reason why a channel can't be deleted, for each foreign key that refuses it. */
const inUse = {
  fk_referral_redemptions_channel: 'buyers have redeemed it; to close it, set isActive to false',
  fk_referral_commissions_referral: 'it has earned commissions; to close it, set isActive to false',
  fk_referral_signups_referral: 'people have signed up with its code',
  fk_referral_accounts_referral: 'its code is that of its owner’s account',
};

/** `referrals.channels`: manages referrals whose codes are coupons. */
export class ChannelManager extends RecordManager<ReferralChannel, ChannelInput, ChannelChanges> {
  readonly #clock: Clock;
  readonly #lookup: ReferralLookup;
  readonly #creation: ReferralCreation;
  readonly #settings: Settings['commission'];
  readonly #audit: Audit;
  readonly #batches: ChannelBatches;
  /** TypeORM's `select` for a channel as a whole. */
  readonly #columns: object;

  /** @internal */
  constructor(
    database: Database,
    clock: Clock,
    lookup: ReferralLookup,
    creation: ReferralCreation,
    settings: Settings,
    audit: Audit,
  ) {
    super(database, {
      ...{ record: ReferralChannel, word: 'channel', inUse, fields: fieldsOfChannels(database) },
      computed: { totalUses: ['userId'], totalCommission: ['userId'], totalRevenue: ['userId'] },
      keys: ['userId'],
    });
    this.#clock = clock;
    this.#lookup = lookup;
    this.#creation = creation;
    this.#settings = settings.commission;
    this.#audit = audit;
    this.#batches = new ChannelBatches(database, clock, settings);
    const own = [...fieldsOf(database.dataSource, ReferralChannel).keys()].map((name) => [name, true] as const);
    this.#columns = { ...Object.fromEntries(own), referral: { id: true, ...ofReferral } };
  }

  /**
   * Returns the channel that has a code, or once had it, in any case; with `optional`, null if there is none.
   *
   * @throws ReferralError `NOT_FOUND`.
   */
  async getByCode<const O extends ReadOptions<FieldOf<ReferralChannel>> = NoOptions>(code: string, options?: O) {
    if (typeof code !== 'string') throw invalid('code', 'a string', code);
    const { manager, optional } = checkedOptions(options);
    const referral = await this.#lookup.findByCode(code, manager);
    const isChannel = referral !== null && (await this.count({ where: { id: referral.id }, manager })) > 0;
    if (!isChannel && !optional) throw referralError('NOT_FOUND', this.kind.word, 'code', [code]);
    return isChannel ? this.get(referral.id, options) : (null as Optional<O>);
  }

  /** Returns all channels of a user, oldest first. @throws ReferralError `INVALID_INPUT`. */
  async ofUser(user: UserRef, options: WithManager = {}): Promise<ReferralChannel[]> {
    const { manager } = objectOf('channels.ofUser', options, { manager: true });
    return this.all({ userId: someUserIdOf('user', user) }, manager);
  }

  /** Creates channels: all of them, or none if one is refused. @throws ReferralError as {@link create}. */
  override async createMany(inputs: readonly ChannelInput[], options?: StaffOptions): Promise<ReferralChannel[]>;
  /**
   * Creates `count` channels with the same terms, each with a code of its own that can't be guessed: `prefix`, and what the
   * option `generateCode` returns. All of them, or none. Returns them in the order of their ids.
   *
   * @example
   * const coupons = await referrals.channels.createMany({
   *   ...{ count: 10_000, prefix: 'SPRING-', user: 'partner-7' },
   *   ...{ promoType: 'percent_off', promoValue: '0.10', maxRedemptions: 1 },
   * });
   *
   * @throws ReferralError as {@link create}; `CODES_EXHAUSTED`.
   */
  override async createMany(input: ChannelBatchInput, options?: StaffOptions): Promise<ReferralChannel[]>;
  override async createMany(
    given: readonly ChannelInput[] | ChannelBatchInput,
    options: StaffOptions = {},
  ): Promise<ReferralChannel[]> {
    if (!isBatch(given)) return super.createMany(given, options);
    const input = objectOf<ChannelBatchInput>('channels.createMany', given, batchFields);
    const checked = objectOf<StaffOptions>('options', options, staffFields);
    const author = staffOf(checked);
    const batch = {
      user: someUserIdOf('user', input.user),
      count: wholeOf('count', input.count, 1, maxBatch),
      prefix: prefixOf(input.prefix),
      redirectTo: this.#creation.home,
      allowedUses: input.allowedUses === undefined ? -1 : allowedUsesOf(input.allowedUses),
      maxRedemptions: maxRedemptionsOf(input.maxRedemptions),
      valuesAt: (now: Date) => newValues(input as unknown as ChannelInput, now, this.#settings, this.database.currency),
    };
    batch.valuesAt(this.#clock.now()); // refuses wrong terms before any code is made
    return refusingDates(input, () =>
      this.#batches.make(batch, checked.manager, async (ids, within) => {
        const [first, last] = [ids[0]!, ids.at(-1)!];
        const made = { call: 'channels.createMany', subject: 'channel', subjectId: first, userId: batch.user };
        const after = { count: batch.count, prefix: batch.prefix, firstId: first, lastId: last };
        await this.#audit.record([{ ...made, before: null, after }], author, within);
        return this.list(ids, { manager: within });
      }),
    );
  }

  /**
   * Returns the codes of channels as the lines of a CSV file, with a header, oldest first: a thousand are read at once, so
   * that any number of codes needs the memory of a thousand. What is created or deleted meanwhile may be in it or not.
   *
   * @example
   * Readable.from(referrals.channels.exportCodes({ where: { userId: 'partner-7' } })).pipe(res.type('csv'));
   *
   * @throws ReferralError `INVALID_INPUT` naming the field; `DATABASE_UNAVAILABLE`.
   */
  async *exportCodes(options: ExportCodesOptions = {}): AsyncGenerator<string, void, undefined> {
    const { where = {}, manager } = objectOf<ExportCodesOptions>('channels.exportCodes', options, {
      ...{ where: true, manager: true },
    });
    yield `${exported.join(',')}\n`;
    for (let last = 0; ;) {
      const after = (one: object): object => ({ ...one, id: And(MoreThan(last), idIn(one)) });
      const search = {
        where: Array.isArray(where) ? where.map(after) : after(where),
        ...{ order: { id: 'ASC' as const }, take: exportedAtOnce, fields: exported, manager: manager! },
      };
      const found = await this.search(search);
      for (const channel of found) yield `${exported.map((field) => csvCell(channel[field])).join(',')}\n`;
      if (found.length < exportedAtOnce) return;
      last = found.at(-1)!.id;
    }
  }

  protected override load({ where, order, select, take, skip, fields }: CheckedSearch, manager?: EntityManager) {
    // The discount is formatted as an amount or a share, which its type says.
    const selected = select && 'promoValue' in select ? { ...select, promoType: true } : select;
    const find = { where, order, relations: { referral: true }, select: selected ?? this.#columns, take, skip };
    return this.database.use(async (within) => {
      const channels = await this.database.find(ReferralChannel, find, within);
      for (const channel of channels) {
        const { referral, ...columns } = channel;
        const { userId, code, allowedUses, maxRedemptions } = referral!;
        Object.assign(channel, columns, { userId, code, allowedUses, maxRedemptions, referral: undefined });
      }
      const isCounted = fields?.some((field) => field.startsWith('total')) ?? true;
      if (isCounted && channels.length > 0) await this.#count(channels, within);
      return channels;
    }, manager);
  }

  /** Sets the computed totals of channels. */
  async #count(channels: readonly ReferralChannel[], manager: EntityManager): Promise<void> {
    const parameters = {
      userIds: [...new Set(channels.map(({ userId }) => userId))],
      channelIds: channels.map(({ id }) => id),
    };
    const rows = await this.database.query<ChannelTotalsRow>(
      sql(
        parameters,
        ($) => `
        SELECT channel_id AS id, sum(redemptions) AS uses, sum(amount)::text AS commission,
          sum(revenue)::text AS revenue
        FROM ${this.database.tables.totals}
        WHERE user_id = ANY(${$.userIds}::varchar[]) AND channel_id = ANY(${$.channelIds}::bigint[])
        GROUP BY channel_id`,
      ),
      manager,
    );
    const byId = new Map(rows.map((row) => [Number(row.id), row]));
    for (const channel of channels) {
      const { uses, commission, revenue } = byId.get(channel.id) ?? { uses: '0', commission: '0', revenue: '0' };
      const counted = {
        totalCommission: this.database.shown(commission),
        totalRevenue: this.database.shown(revenue),
      };
      Object.assign(channel, { totalUses: Number(uses), ...counted });
    }
  }

  protected async make(input: ChannelInput, manager: EntityManager): Promise<ReferralChannel> {
    objectOf('channels.create', input, {
      user: true,
      code: true,
      allowedUses: true,
      maxRedemptions: true,
      ...channelTerms,
    });
    const user = someUserIdOf('user', input.user);
    const code = codeOf('code', input.code);
    const allowedUses = input.allowedUses === undefined ? undefined : allowedUsesOf(input.allowedUses);
    const maxRedemptions = maxRedemptionsOf(input.maxRedemptions);
    const now = await nowIn(this.database, this.#clock, manager);
    const values = newValues(input, now, this.#settings, this.database.currency);
    // A user has only one referral for each label and destination. The code as label makes this one a separate
    // referral. The option `generateCode` is not called in this transaction, because the code is given.
    const { referral, isNew } = await this.#creation.create(
      { user, code, label: code, redirectTo: this.#creation.home },
      { manager },
    );
    if (!isNew) throw referralError('CODE_TAKEN', code);
    if (allowedUses !== undefined || maxRedemptions !== null)
      await this.#changeReferral(referral.id, { allowedUses, maxRedemptions }, manager);
    await refusingDates(input, () => this.insert({ id: referral.id, createdAt: now, ...values }, manager));
    return this.get(referral.id, { manager });
  }

  protected async change(id: number, changes: ChannelChanges, manager: EntityManager): Promise<void> {
    objectOf('channels.update', changes, { code: true, allowedUses: true, maxRedemptions: true, ...channelTerms });
    const ofReferral = {
      ...(changes.code !== undefined && { code: codeOf('code', changes.code) }),
      ...(changes.allowedUses !== undefined && { allowedUses: allowedUsesOf(changes.allowedUses) }),
      ...(changes.maxRedemptions !== undefined && { maxRedemptions: maxRedemptionsOf(changes.maxRedemptions) }),
    };
    const before = await this.get(id, { fields: ['promoType', 'promoValue'], manager });
    const values = checkedTerms(changes, this.database.currency);
    const { promoType = before.promoType, promoValue = before.promoValue } = changes;
    Object.assign(values, checkedPromo(promoType, promoValue, this.database.currency));
    await refusingDates(changes, () => this.write(id, values, manager));
    if (Object.keys(ofReferral).length === 0) return;
    await this.#changeReferral(id, ofReferral, manager);
    this.#lookup.forget(id);
  }

  /** Changes the code of a channel, which is its label too, and what the code allows. */
  async #changeReferral(
    id: number,
    {
      code,
      allowedUses,
      maxRedemptions,
    }: { code?: string; allowedUses?: number | undefined; maxRedemptions?: number | null },
    manager: EntityManager,
  ): Promise<void> {
    const { referrals } = this.database.tables;
    if (code !== undefined) await takeCode(this.database, id, code, manager);
    const change = sql(
      {
        ...{ id, code: code ?? null, allowedUses: allowedUses ?? null },
        ...{ isLimitGiven: maxRedemptions !== undefined, maxRedemptions: maxRedemptions ?? null },
      },
      ($) => `
      UPDATE ${referrals} SET code = coalesce(${$.code}, code), label = coalesce(${$.code}, label),
        allowed_uses = coalesce(${$.allowedUses}::integer, allowed_uses),
        max_redemptions = CASE WHEN ${$.isLimitGiven}::boolean THEN ${$.maxRedemptions}::integer ELSE max_redemptions END
      WHERE id = ${$.id}`,
    );
    try {
      await this.database.query(change, manager);
    } catch (error) {
      const constraint = violatedConstraint(error);
      if (constraint === 'uq_referrals_code') throw referralError('CODE_TAKEN', code!);
      if (constraint === 'uq_referrals_identity') throw referralError('REFERRAL_EXISTS', null, 'choose another code');
      if (constraint === 'ck_referrals_uses')
        throw invalid('allowedUses', '-1, or at least as many as have signed up with the code', allowedUses);
      throw error;
    }
  }

  /** Deletes the channel, its referral and its clicks. */
  protected async remove(id: number, manager: EntityManager): Promise<void> {
    await forgetDaysOfOwner(this.database, id, '-infinity', manager);
    await this.erase(id, manager);
    const { referrals } = this.database.tables;
    await this.database.query(
      sql({ id }, ($) => `DELETE FROM ${referrals} WHERE id = ${$.id}`),
      manager,
    );
    await eraseClicks(this.database, id, manager);
    this.#lookup.forget(id);
  }
}

const batchFields: FieldsOf<ChannelBatchInput> = {
  ...{ user: true, count: true, prefix: true, allowedUses: true, maxRedemptions: true },
  ...channelTerms,
};
const maxBatch = 100_000;

/** Whether the input of `createMany` is one for codes in bulk. */
function isBatch(given: readonly ChannelInput[] | ChannelBatchInput): given is ChannelBatchInput {
  try {
    return typeof given === 'object' && !Array.isArray(given) && 'count' in given;
  } catch {
    return false; // null, or a proxy that throws: refused as no list
  }
}

function prefixOf(prefix: string | undefined): string {
  if (isNothing(prefix) || prefix === '') return '';
  if (!isCode(prefix) || prefix.length > 80) throw invalid('prefix', 'up to 80 characters of [A-Za-z0-9_-]', prefix);
  return prefix;
}

/** The fields that an export has. None of them contains a comma, a quote or a line break. */
const exported = [
  ...(['id', 'code', 'userId', 'promoType', 'promoValue', 'isActive', 'allowedUses', 'maxRedemptions'] as const),
  ...(['totalUses', 'startDate', 'endDate', 'createdAt'] as const),
];
const exportedAtOnce = 1000;

/** The condition on the id in a search; any id without one. */
function idIn(where: object): FindOperator<number> {
  const { id } = where as { id?: number | FindOperator<number> };
  return id instanceof FindOperator ? id : id === undefined ? MoreThan(0) : Equal(id);
}

/** The columns of its referral that a channel shows. */
const ofReferral = { userId: true, code: true, allowedUses: true, maxRedemptions: true };

/** Returns the fields of a channel: its columns, and those of its referral that a channel shows. */
function fieldsOfChannels({ dataSource }: Database): Fields {
  const fields = new Map(fieldsOf(dataSource, ReferralChannel));
  const columns = fieldsOf(dataSource, Referral);
  for (const name of ['userId', 'code', 'allowedUses'])
    fields.set(name, { kind: columns.get(name)!.kind, path: ['referral', name] });
  fields.set('maxRedemptions', { kind: 'count', path: ['referral', 'maxRedemptions'] });
  return fields;
}

/** The sums of a channel's totals. */
interface ChannelTotalsRow {
  id: string;
  uses: string;
  commission: string;
  revenue: string;
}
