import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { violatedConstraint } from '../../database/driver-errors';
import { nowIn } from '../../database/statement-time';
import { shownAmount } from '../../entities/columns';
import { Referral } from '../../entities/referral';
import { ReferralChannel } from '../../entities/referral-channel';
import { invalid, referralError } from '../../errors';
import {
  amountOf,
  booleanOf,
  codeOf,
  dateOf,
  isNothing,
  objectOf,
  ratioOf,
  someUserIdOf,
  textOf,
  wholeOf,
} from '../../input';
import { lengths } from '../../limits';
import type { Settings } from '../../options';
import type { Links } from '../../tracking/links';
import type { ChannelChanges, ChannelInput } from '../../types/commissions';
import type { UserRef, WithManager } from '../../types/common';
import type { FieldOf, ReadOptions } from '../../types/records';
import { type NoOptions, type Optional, type Query, RecordManager } from '../records/record-manager';
import { type Fields, fieldsOf } from '../records/search';

const inUse = {
  fk_referral_redemptions_channel: 'buyers have redeemed it; to close it, set isActive to false',
  fk_referral_commissions_referral: 'it has earned commissions; to close it, set isActive to false',
  fk_referral_signups_referral: 'people have signed up with its code',
  fk_referral_accounts_referral: 'its code is the one of its owner’s account',
};

const terms = [
  ...['description', 'promoType', 'promoValue', 'isActive', 'isRecurring', 'startDate', 'endDate'],
  ...['initialRate', 'ongoingRate', 'initialRatePeriodDays', 'maxEarningsPerReferred'],
];

/** `referrals.channels`: referrals whose codes are coupons. */
export class ChannelManager extends RecordManager<ReferralChannel, ChannelInput, ChannelChanges> {
  readonly #clock: Clock;
  readonly #links: Links;
  readonly #settings: Settings['commission'];

  /** @internal */
  constructor(database: Database, clock: Clock, links: Links, { commission }: Settings) {
    super(database, {
      ...{ record: ReferralChannel, word: 'channel', inUse, fields: fieldsOfChannels(database) },
      computed: { totalUses: ['userId'], totalCommission: ['userId'], totalRevenue: ['userId'] },
      keys: ['userId'],
    });
    this.#clock = clock;
    this.#links = links;
    this.#settings = commission;
  }

  /** The channel of a code, in any case. @throws ReferralError `NOT_FOUND`, unless `optional`: then null. */
  async getByCode<const O extends ReadOptions<FieldOf<ReferralChannel>> = NoOptions>(code: string, options?: O) {
    if (typeof code !== 'string') throw invalid('code', 'a string', code);
    const referral = await this.#links.findByCode(code, options?.manager);
    const { manager, optional } = { manager: undefined, optional: false, ...options };
    const isChannel = referral !== null && (await this.count({ where: { id: referral.id }, manager })) > 0;
    if (!isChannel && !optional) throw referralError('NOT_FOUND', this.kind.word, 'code', [code]);
    return isChannel ? this.get(referral.id, options) : (null as Optional<O>);
  }

  /** A user's channels, by id. */
  async ofUser(user: UserRef, options: WithManager = {}): Promise<ReferralChannel[]> {
    const { manager } = objectOf('channels.ofUser', options, ['manager']);
    return this.search({ where: { userId: someUserIdOf('user', user) }, manager });
  }

  protected override load({ where, order, select, take, skip, fields }: Query, manager?: EntityManager) {
    const find = {
      ...{ where, order, relations: { referral: true } },
      ...(select && { select }),
      ...(take !== undefined && { take }),
      ...(skip && { skip }),
    };
    return this.database.use(async (within) => {
      const channels = await within.find(ReferralChannel, find);
      for (const channel of channels) {
        const { referral, ...columns } = channel;
        Object.assign(channel, columns, { userId: referral!.userId, code: referral!.code, referral: undefined });
      }
      const isCounted = fields?.some((field) => field.startsWith('total')) ?? true;
      if (isCounted && channels.length > 0) await this.#count(channels, manager);
      return channels;
    }, manager);
  }

  /** What has happened with these channels' codes. */
  async #count(channels: readonly ReferralChannel[], manager: EntityManager | undefined): Promise<void> {
    const { totals } = this.database.tables;
    const rows = await this.database.query<Counted>(
      `SELECT channel_id AS id, sum(redemptions) AS uses, sum(amount)::text AS commission, sum(revenue)::text AS revenue
       FROM ${totals} WHERE user_id = ANY($1::varchar[]) AND channel_id = ANY($2::bigint[]) GROUP BY channel_id`,
      [[...new Set(channels.map(({ userId }) => userId))], channels.map(({ id }) => id)],
      manager,
    );
    const byId = new Map(rows.map((row) => [Number(row.id), row]));
    for (const channel of channels) {
      const { uses, commission, revenue } = byId.get(channel.id) ?? { uses: 0, commission: '0', revenue: '0' };
      const counted = { totalCommission: shownAmount(commission), totalRevenue: shownAmount(revenue) };
      Object.assign(channel, { totalUses: Number(uses), ...counted });
    }
  }

  protected async make(input: ChannelInput, manager: EntityManager): Promise<ReferralChannel> {
    objectOf('channels.create', input, ['user', 'code', ...terms]);
    const user = someUserIdOf('user', input.user);
    const code = codeOf('code', input.code);
    for (const field of ['promoType', 'promoValue'] as const)
      if (input[field] === undefined) throw invalid(field, 'a value: it has no default', undefined);
    const { ratio, maxPerReferee } = this.#settings;
    const initialRate = input.initialRate ?? ratio;
    const now = await nowIn(this.database, this.#clock, manager);
    const values = this.#values({
      ...{ initialRate, ongoingRate: initialRate, initialRatePeriodDays: 365, maxEarningsPerReferred: maxPerReferee },
      ...Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined)),
      ...{ startDate: input.startDate ?? now },
    });
    // Its label keeps it apart from the user's other referrals.
    const { referral, isNew } = await this.#links.create({ user, code, label: code, redirectTo: '/' }, { manager });
    if (!isNew) throw referralError('CODE_TAKEN', code);
    await refusingDates(input, () =>
      this.insert(
        { id: referral.id, createdAt: now, ...values, ...checkedPromo(input.promoType, input.promoValue) },
        manager,
      ),
    );
    return this.get(referral.id, { manager });
  }

  protected async change(id: number, changes: ChannelChanges, manager: EntityManager): Promise<void> {
    const { code } = objectOf('channels.update', changes, ['code', ...terms]);
    const before = await this.get(id, { fields: ['code', 'promoType', 'promoValue'], manager });
    const values = this.#values(changes);
    const { promoType = before.promoType, promoValue = before.promoValue } = changes;
    Object.assign(values, checkedPromo(promoType, promoValue));
    await refusingDates(changes, () => this.write(id, values, manager));
    if (code === undefined) return;
    await this.#rename(id, before.code, codeOf('code', code), manager);
  }

  async #rename(id: number, before: string, code: string, manager: EntityManager): Promise<void> {
    const sql = `UPDATE ${this.database.tables.referrals} SET code = $2, label = $2 WHERE id = $1`;
    try {
      await this.database.query(sql, [id, code], manager);
    } catch (error) {
      const constraint = violatedConstraint(error);
      if (constraint === 'uq_referrals_code') throw referralError('CODE_TAKEN', code);
      if (constraint === 'uq_referrals_identity') throw referralError('REFERRAL_EXISTS', code, 'of the channel');
      throw error;
    }
    this.#links.forget(before);
  }

  /** With its referral, which is nothing else. */
  protected async remove(id: number, manager: EntityManager): Promise<void> {
    const { code } = await this.get(id, { fields: ['code'], manager });
    await this.erase(id, manager);
    await this.database.query(`DELETE FROM ${this.database.tables.referrals} WHERE id = $1`, [id], manager);
    this.#links.forget(code);
  }

  /** The columns of what is given. */
  #values(input: ChannelChanges): Partial<Record<FieldOf<ReferralChannel>, unknown>> {
    const { description, isActive, isRecurring, startDate, endDate, initialRate, ongoingRate } = input;
    const { initialRatePeriodDays, maxEarningsPerReferred } = input;
    if (startDate === null) throw invalid('startDate', 'a Date', startDate);
    const values = {
      ...(description !== undefined && { description: textOf('description', description, lengths.description) }),
      ...(isActive !== undefined && { isActive: booleanOf('isActive', isActive) }),
      ...(isRecurring !== undefined && { isRecurring: booleanOf('isRecurring', isRecurring) }),
      ...(startDate !== undefined && { startDate: dateOf('startDate', startDate) }),
      ...(endDate !== undefined && { endDate: dateOf('endDate', endDate) }),
      ...(initialRate !== undefined && { initialRate: ratioOf('initialRate', initialRate) }),
      ...(ongoingRate !== undefined && { ongoingRate: ratioOf('ongoingRate', ongoingRate) }),
      ...(initialRatePeriodDays !== undefined && {
        initialRatePeriodDays: wholeOf('initialRatePeriodDays', initialRatePeriodDays, 0, 36_500),
      }),
      ...(maxEarningsPerReferred !== undefined && {
        maxEarningsPerReferred: isNothing(maxEarningsPerReferred)
          ? null
          : amountOf('maxEarningsPerReferred', maxEarningsPerReferred, 'positive'),
      }),
    };
    return values;
  }
}

/** What the discount is; only the two together say whether the value is one. */
function checkedPromo(promoType: unknown, promoValue: ChannelInput['promoValue']) {
  if (promoType !== 'percent_off' && promoType !== 'value_off')
    throw invalid('promoType', "'percent_off' or 'value_off'", promoType);
  const check = promoType === 'percent_off' ? ratioOf : amountFrom0;
  return { promoType, promoValue: check('promoValue', promoValue) };
}

function amountFrom0(field: string, value: ChannelInput['promoValue']): string {
  return amountOf(field, value, 'not negative');
}

async function refusingDates<T>({ startDate, endDate }: ChannelChanges, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (violatedConstraint(error) !== 'ck_referral_channels_dates') throw error;
    if (isNothing(endDate)) throw invalid('startDate', 'a Date before the endDate', startDate);
    throw invalid('endDate', 'a Date after the startDate', endDate);
  }
}

/** The record's fields: the channel's own, and its code and owner, which are the referral's. */
function fieldsOfChannels({ dataSource }: Database): Fields {
  const fields = new Map(fieldsOf(dataSource, ReferralChannel));
  const ofReferral = fieldsOf(dataSource, Referral);
  for (const name of ['userId', 'code'])
    fields.set(name, { kind: ofReferral.get(name)!.kind, path: ['referral', name] });
  return fields;
}

interface Counted {
  id: string;
  uses: string | number;
  commission: string;
  revenue: string;
}
