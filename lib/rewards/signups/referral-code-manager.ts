import type { EntityManager } from 'typeorm';
import type { Database } from '../../database/database';
import { violatedConstraint } from '../../database/driver-errors';
import { Referral } from '../../entities/referral';
import { ReferralCode } from '../../entities/referral-code';
import { ReferralProgram } from '../../entities/referral-program';
import { invalid, referralError } from '../../errors';
import { allowedUsesOf, codeOf, dateOf, objectOf, textOf } from '../../input';
import { lengths } from '../../limits';
import { registry } from '../../registry';
import type { Links } from '../../tracking/links';
import type { FieldOf, ReadOptions } from '../../types/records';
import type { CodeTerms, ReferralCodeChanges, ReferralCodeInput } from '../../types/signups';
import { type NoOptions, type Optional, type Query, RecordManager } from '../records/record-manager';
import { type Fields, fieldsOf } from '../records/search';
import type { ProgramManager } from './program-manager';

const inUse = {
  fk_referral_signups_referral:
    'people have signed up with it; to close it, set its expiredAt, or its allowedUses to its uses',
  fk_referral_channels_referral: 'it is the code of a channel; write channels.delete',
  fk_referral_accounts_referral: 'it is the code of its owner’s account',
  fk_referral_commissions_referral: 'it has earned commissions',
};

const termNames = [
  'referralCreditAmount',
  'referralCreditDuration',
  'referralCreditType',
  'beforeRewardUsageThreshold',
  'rewardCreditAmount',
  'rewardCreditDuration',
  'rewardCreditType',
  'commissionRatio',
  'commissionMaxPerReferee',
] as const;
const changeable = ['code', 'label', 'redirectTo', 'expiredAt', 'program', 'allowedUses'];

/** `referrals.referralCodes`: referrals as codes to sign up with, together with their terms. */
export class ReferralCodeManager extends RecordManager<ReferralCode, ReferralCodeInput, ReferralCodeChanges> {
  readonly #links: Links;
  readonly #programs: ProgramManager;

  /** @internal */
  constructor(database: Database, links: Links, programs: ProgramManager) {
    super(database, {
      ...{ record: ReferralCode, entity: Referral, word: 'referral code', inUse, fields: fieldsOfCodes(database) },
      keys: ['referralCreditTypeId', 'rewardCreditTypeId'],
      computed: { name: ['code', 'programName'], referralIds: ['id'] },
    });
    this.#links = links;
    this.#programs = programs;
  }

  /** The record of a code, in any case. @throws ReferralError `NOT_FOUND`, unless `optional`: then null. */
  async getByCode<const O extends ReadOptions<FieldOf<ReferralCode>> = NoOptions>(code: string, options?: O) {
    if (typeof code !== 'string') throw invalid('code', 'a string', code);
    const referral = await this.#links.findByCode(code, options?.manager);
    if (!referral && !options?.optional) throw referralError('NOT_FOUND', this.kind.word, 'code', [code]);
    return referral ? this.get(referral.id, options) : (null as Optional<O>);
  }

  protected override load(
    { where, order, fields, take, skip }: Query,
    manager?: EntityManager,
  ): Promise<ReferralCode[]> {
    const relations = { program: { referralType: true, rewardType: true } };
    const find = { where, order, relations, ...(take !== undefined && { take }), ...(skip && { skip }) };
    return this.database.use(async (within) => {
      const referrals = await within.find(Referral, find);
      const hasReferees = fields?.includes('referralIds') ?? true;
      const referees = await this.#referees(hasReferees ? referrals.map(({ id }) => id) : [], within);
      return referrals.map((referral) => this.#codeOf(referral, referees.get(referral.id) ?? [], fields));
    }, manager);
  }

  async #referees(ids: readonly number[], manager: EntityManager): Promise<Map<number, string[]>> {
    if (ids.length === 0) return new Map();
    const rows = await this.database.query<{ referralId: string; userIds: string[] }>(
      `SELECT referral_id AS "referralId", array_agg(user_id ORDER BY id) AS "userIds"
       FROM ${this.database.tables.signups} WHERE referral_id = ANY($1) GROUP BY referral_id`,
      [ids],
      manager,
    );
    return new Map(rows.map(({ referralId, userIds }) => [Number(referralId), userIds]));
  }

  /** The referral and its program as one record, with the fields that are asked for. */
  #codeOf(referral: Referral, referralIds: string[], fields: readonly string[] | undefined): ReferralCode {
    const name = referral.program ? `${referral.code} (${referral.program.name})` : referral.code;
    const values: Record<string, unknown> = { name, referralIds };
    for (const [field, { path }] of this.kind.fields)
      values[field] =
        path.reduce<unknown>((value, step) => (value as Record<string, unknown> | null)?.[step], referral) ?? null;
    const wanted = fields
      ? [...this.kind.keys, ...fields, ...fields.flatMap((field) => this.kind.computed[field] ?? [])]
      : Object.keys(values);
    const picked = Object.fromEntries(wanted.map((field) => [field, values[field]]));
    return registry.own(Object.assign(new ReferralCode(), picked), this.database.dataSource);
  }

  protected async make(input: ReferralCodeInput, manager: EntityManager): Promise<ReferralCode> {
    const own = ['user', 'target', ...changeable];
    objectOf('referralCodes.create', input, [...own, ...termNames]);
    const terms = termsIn(input);
    if (terms && input.program)
      throw invalid('program', 'no program together with terms of the code: give one of the two', input.program);
    const given = Object.fromEntries(Object.entries(input).filter(([name]) => own.includes(name)));
    const { referral, isNew } = await this.#links.create({ redirectTo: '/', ...given }, { manager });
    if (!isNew) throw referralError('REFERRAL_EXISTS', referral.code, 'to be made');
    if (terms) {
      const program = await this.#programs.makeOwn(referral.code, terms, manager);
      await this.write(referral.id, { programId: program.id }, manager);
    }
    return this.get(referral.id, { manager });
  }

  protected async change(id: number, changes: ReferralCodeChanges, manager: EntityManager): Promise<void> {
    objectOf('referralCodes.update', changes, [...changeable, ...termNames]);
    const terms = termsIn(changes);
    if (terms && changes.program !== undefined)
      throw invalid('program', 'no program together with terms of the code: give one of the two', changes.program);
    const before = await this.get(id, { manager });
    const values = await this.#valuesOf(changes, manager);
    if (terms) values['programId'] = await this.#programWith(terms, before, manager);
    try {
      await this.write(id, values, manager);
    } catch (error) {
      const constraint = violatedConstraint(error);
      if (constraint === 'uq_referrals_code') throw referralError('CODE_TAKEN', changes.code!);
      if (constraint === 'uq_referrals_identity')
        throw referralError('REFERRAL_EXISTS', 'another one', 'to be changed');
      if (constraint === 'ck_referrals_uses')
        throw invalid('allowedUses', `-1, or at least the ${before.uses} uses so far`, changes.allowedUses);
      throw error;
    }
    this.#links.forget(before.code);
  }

  async #valuesOf(
    changes: ReferralCodeChanges,
    manager: EntityManager,
  ): Promise<Partial<Record<keyof ReferralCode, unknown>>> {
    const { code, label, redirectTo, expiredAt, program, allowedUses } = changes;
    return {
      ...(code !== undefined && { code: codeOf('code', code) }),
      ...(label !== undefined && { label: textOf('label', label, lengths.label) }),
      ...(redirectTo !== undefined && { redirectTo: this.#links.destinationOf(redirectTo) }),
      ...(expiredAt !== undefined && { expiredAt: dateOf('expiredAt', expiredAt) }),
      ...(program !== undefined && {
        programId: program === null ? null : await this.#programs.existing('program', program, manager),
      }),
      ...(allowedUses !== undefined && { allowedUses: allowedUsesOf(allowedUses) }),
    };
  }

  /** The program that has these terms from now on: the code's own, changed, or a new one. */
  async #programWith(terms: CodeTerms, { id, code, programId, programName }: ReferralCode, manager: EntityManager) {
    if (programId === null) return (await this.#programs.makeOwn(code, terms, manager)).id;
    const sharing = await this.search({ where: { programId }, take: 2, fields: ['id'], manager });
    if (sharing.length > 1) {
      const reason = `its terms are those of the program ${programId}, "${programName}", which other codes share; write programs.update`;
      throw referralError('NOT_CHANGEABLE', this.kind.word, id, reason);
    }
    await this.#programs.changeOwn(programId, terms, manager);
    return programId;
  }

  protected async remove(id: number, manager: EntityManager): Promise<void> {
    const { code, programId } = await this.get(id, { fields: ['code', 'programId'], manager });
    await this.erase(id, manager);
    if (programId !== null) await this.#programs.removeOwn(programId, code, manager);
    this.#links.forget(code);
  }
}

/** The record's fields: the referral's own, and those of its program. */
function fieldsOfCodes({ dataSource }: Database): Fields {
  const fields = new Map(fieldsOf(dataSource, Referral));
  for (const [name, { kind }] of fieldsOf(dataSource, ReferralProgram))
    if (!fields.has(name) && name !== 'name') fields.set(name, { kind, path: ['program', name] });
  fields.set('programName', { kind: 'text', path: ['program', 'name'] });
  fields.set('referralCreditTypeName', { kind: 'text', path: ['program', 'referralType', 'name'] });
  fields.set('rewardCreditTypeName', { kind: 'text', path: ['program', 'rewardType', 'name'] });
  return fields;
}

function termsIn(input: CodeTerms): CodeTerms | null {
  const terms = Object.fromEntries(termNames.map((name) => [name, input[name]]));
  return Object.values(terms).some((value) => value !== undefined) ? terms : null;
}
