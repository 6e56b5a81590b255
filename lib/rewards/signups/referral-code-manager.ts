import type { EntityManager } from 'typeorm';
import { forgetDaysOfOwner } from '../../database/closed-days';
import { takeCode } from '../../database/codes';
import type { Database } from '../../database/database';
import { violatedConstraint } from '../../database/driver-errors';
import { overtaken } from '../../database/retry';
import { registry } from '../../entities/instance';
import { Referral } from '../../entities/referral';
import { ReferralCode } from '../../entities/referral-code';
import { invalid, referralError } from '../../errors';
import { allowedUsesOf, codeOf, dateOf, type FieldsOf, objectOf, textOf } from '../../input';
import { lengths } from '../../limits';
import { quoted } from '../../shown';
import { eraseClicks } from '../../tracking/erased-clicks';
import type { ReferralCreation, ReferralPlan } from '../../tracking/referral-creation';
import type { ReferralLookup } from '../../tracking/referral-lookup';
import type { RecordRef } from '../../types/common';
import type { FieldOf, ReadOptions } from '../../types/records';
import type { CodeTerms, ReferralCodeChanges, ReferralCodeInput } from '../../types/signups';
import { commissionFields } from '../records/commission-terms';
import {
  checkedOptions,
  type CheckedSearch,
  type NoOptions,
  type Optional,
  RecordManager,
} from '../records/record-manager';
import type { ProgramManager } from './program-manager';
import { codeRecord, fieldsOfCodes, refereeIdsOf } from './referral-code-records';

const inUse = {
  fk_referral_signups_referral:
    'people have signed up with it; to close it, set its expiredAt, or its allowedUses to its uses',
  fk_referral_channels_referral: 'it is the code of a channel; call channels.delete',
  fk_referral_accounts_referral: 'it is the code of its owner’s account',
  fk_referral_commissions_referral: 'it has earned commissions',
};

const termFields: FieldsOf<CodeTerms> = {
  ...{ referralCreditAmount: true, referralCreditDuration: true, referralCreditType: true },
  ...{ beforeRewardUsageThreshold: true, rewardLimit: true },
  ...{ rewardCreditAmount: true, rewardCreditDuration: true, rewardCreditType: true },
  ...commissionFields,
};
const changeFields: FieldsOf<Omit<ReferralCodeChanges, keyof CodeTerms>> = {
  ...{ code: true, label: true, redirectTo: true, expiredAt: true, program: true, allowedUses: true },
};
const createFields: FieldsOf<Omit<ReferralCodeInput, keyof CodeTerms>> = { user: true, target: true, ...changeFields };

/** `referrals.referralCodes`: referrals as codes to sign up with, together with their terms. */
export class ReferralCodeManager extends RecordManager<
  ReferralCode,
  ReferralCodeInput,
  ReferralCodeChanges,
  ReferralPlan
> {
  readonly #lookup: ReferralLookup;
  readonly #creation: ReferralCreation;
  readonly #programs: ProgramManager;

  /** @internal */
  constructor(database: Database, lookup: ReferralLookup, creation: ReferralCreation, programs: ProgramManager) {
    super(database, {
      ...{ record: ReferralCode, entity: Referral, word: 'referral code', inUse, fields: fieldsOfCodes(database) },
      keys: ['referralCreditTypeId', 'rewardCreditTypeId'],
      computed: { name: ['code', 'programName'], referralIds: ['id'] },
    });
    this.#lookup = lookup;
    this.#creation = creation;
    this.#programs = programs;
  }

  /**
   * Returns the record that has a code, or once had it, in any case; with `optional`, null if there is none.
   *
   * @throws ReferralError `NOT_FOUND`.
   */
  async getByCode<const O extends ReadOptions<FieldOf<ReferralCode>> = NoOptions>(code: string, options?: O) {
    if (typeof code !== 'string') throw invalid('code', 'a string', code);
    const { manager, optional } = checkedOptions(options);
    const referral = await this.#lookup.findByCode(code, manager);
    if (!referral && !optional) throw referralError('NOT_FOUND', this.kind.word, 'code', [code]);
    return referral ? this.get(referral.id, options) : (null as Optional<O>);
  }

  protected override load(
    { where, order, fields, take, skip }: CheckedSearch,
    manager?: EntityManager,
  ): Promise<ReferralCode[]> {
    const relations = { program: { referralType: true, rewardType: true } };
    return this.database.use(async (within) => {
      const referrals = await this.database.find(Referral, { where, order, relations, take, skip }, within);
      const hasReferees = fields?.includes('referralIds') ?? true;
      const refereeIds = await refereeIdsOf(this.database, hasReferees ? referrals.map(({ id }) => id) : [], within);
      return referrals.map((referral) => {
        const record = codeRecord(this.kind, referral, refereeIds.get(referral.id) ?? [], fields);
        return registry.own(record, this.database.dataSource);
      });
    }, manager);
  }

  protected override async plan(
    input: ReferralCodeInput,
    _manager: unknown,
    before?: ReferralPlan,
  ): Promise<ReferralPlan> {
    objectOf('referralCodes.create', input, { ...createFields, ...termFields });
    if (termsIn(input) && input.program) throw bothGiven(input.program);
    const given = Object.fromEntries(Object.entries(input).filter(([name]) => name in createFields));
    return this.#creation.plan({ redirectTo: this.#creation.home, ...given }, before);
  }

  protected async make(
    input: ReferralCodeInput,
    manager: EntityManager,
    plan: ReferralPlan,
  ): Promise<ReferralCode | typeof overtaken> {
    const created = await this.#creation.make(plan, manager);
    if (created === overtaken) return overtaken;
    const { referral, isNew } = created;
    const terms = termsIn(input);
    if (!isNew) throw referralError('REFERRAL_EXISTS', referral.code, 'give the new one another label');
    if (terms) {
      const program = await this.#programs.createOwn(referral.code, terms, manager);
      await this.write(referral.id, { programId: program.id }, manager);
    }
    return this.get(referral.id, { manager });
  }

  protected async change(id: number, changes: ReferralCodeChanges, manager: EntityManager): Promise<void> {
    objectOf('referralCodes.update', changes, { ...changeFields, ...termFields });
    const terms = termsIn(changes);
    if (terms && changes.program !== undefined) throw bothGiven(changes.program);
    const before = await this.get(id, { manager });
    const values = await this.#valuesOf(changes, manager);
    if (terms) values['programId'] = await this.#programWith(terms, before, manager);
    if (changes.code !== undefined) await takeCode(this.database, id, changes.code, manager);
    await this.write(id, values, manager).catch((error: unknown) => {
      throw explainedConstraint(error, before, changes);
    });
    this.#lookup.forget(id);
  }

  async #valuesOf(
    changes: ReferralCodeChanges,
    manager: EntityManager,
  ): Promise<Partial<Record<keyof ReferralCode, unknown>>> {
    const { code, label, redirectTo, expiredAt, program, allowedUses } = changes;
    return {
      ...(code !== undefined && { code: codeOf('code', code) }),
      ...(label !== undefined && { label: textOf('label', label, lengths.label) }),
      ...(redirectTo !== undefined && { redirectTo: this.#creation.destinationOf(redirectTo) }),
      ...(expiredAt !== undefined && { expiredAt: dateOf('expiredAt', expiredAt) }),
      ...(program !== undefined && {
        programId: program === null ? null : await this.#programs.existing('program', program, manager),
      }),
      ...(allowedUses !== undefined && { allowedUses: allowedUsesOf(allowedUses) }),
    };
  }

  /** Changes the terms of the code's own program, or creates a program with the terms. Returns its id. */
  async #programWith(terms: CodeTerms, { id, code, programId, programName }: ReferralCode, manager: EntityManager) {
    if (programId === null) return (await this.#programs.createOwn(code, terms, manager)).id;
    const sharing = await this.search({ where: { programId }, take: 2, fields: ['id'], manager });
    if (sharing.length > 1) {
      const reason =
        `its terms are those of the program ${programId}, ${quoted(programName!)}, ` +
        'which other codes share; call programs.update';
      throw referralError('NOT_CHANGEABLE', this.kind.word, id, reason);
    }
    await this.#programs.changeOwn(programId, terms, manager);
    return programId;
  }

  protected async remove(id: number, manager: EntityManager): Promise<void> {
    const { programId } = await this.get(id, { fields: ['programId'], manager });
    await forgetDaysOfOwner(this.database, id, '-infinity', manager);
    await this.erase(id, manager);
    await eraseClicks(this.database, id, manager);
    if (programId !== null) await this.#programs.removeOwn(programId, id, manager);
    this.#lookup.forget(id);
  }
}

/** The terms of a code's input; null if it has none. */
function termsIn(input: CodeTerms): CodeTerms | null {
  const names = Object.keys(termFields) as (keyof CodeTerms)[];
  const terms = Object.fromEntries(names.map((name) => [name, input[name]]));
  return Object.values(terms).some((value) => value !== undefined) ? terms : null;
}

function bothGiven(program: RecordRef | null): Error {
  return invalid('program', 'no value together with terms of the code: give one of the two', program);
}

/**
 * Turns the violated constraint of a change into an error that says what is wrong. Returns every other error unchanged.
 */
function explainedConstraint(
  error: unknown,
  { uses }: ReferralCode,
  { code, allowedUses }: ReferralCodeChanges,
): unknown {
  const constraint = violatedConstraint(error);
  if (constraint === 'uq_referrals_code') return referralError('CODE_TAKEN', code!);
  if (constraint === 'uq_referrals_identity')
    return referralError('REFERRAL_EXISTS', null, 'give the changed one another label');
  if (constraint === 'ck_referrals_uses')
    return invalid('allowedUses', `-1, or at least the ${uses} uses so far`, allowedUses);
  return error;
}
