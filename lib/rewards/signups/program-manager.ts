import type { EntityManager } from 'typeorm';
import { isCodeOf } from '../../database/codes';
import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import { ReferralProgram } from '../../entities/referral-program';
import { type FieldsOf, objectOf, textOf } from '../../input';
import { lengths } from '../../limits';
import type { RecordRef } from '../../types/common';
import type { FieldOf, ReadOptions } from '../../types/records';
import type { CodeTerms, ProgramChanges, ProgramInput } from '../../types/signups';
import type { CreditTypeManager } from '../credits/credit-type-manager';
import { type NoOptions, RecordManager } from '../records/record-manager';
import { withUniqueName } from '../records/unique-name';
import { codeTermName, flatTerms, programTermName, type TermName, termValues } from './terms';

const inputFields: FieldsOf<ProgramInput> = {
  rewardLimit: true,
  ...{ name: true, referralCredit: true, rewardCredit: true, beforeRewardUsageThreshold: true, commission: true },
};

const inUse = {
  fk_referrals_program: 'there are referrals with it; give them another program with referralCodes.update',
  fk_referral_signups_program: 'people have signed up under it',
  fk_referral_reward_counts_program: 'people have signed up under it',
};

/** `referrals.programs`: terms that many referrals share. */
export class ProgramManager extends RecordManager<ReferralProgram, ProgramInput, ProgramChanges> {
  readonly #creditTypes: CreditTypeManager;

  /** @internal */
  constructor(database: Database, creditTypes: CreditTypeManager) {
    super(database, { record: ReferralProgram, word: 'program', inUse });
    this.#creditTypes = creditTypes;
  }

  /** Returns the program with a name; with `optional`, null if there is none. @throws ReferralError `NOT_FOUND`. */
  getByName<const O extends ReadOptions<FieldOf<ReferralProgram>> = NoOptions>(name: string, options?: O) {
    return this.getBy('name', name, options);
  }

  /** Creates a program for one code, with the code as its name. @internal */
  createOwn(code: string, terms: CodeTerms, manager: EntityManager): Promise<ReferralProgram> {
    return this.#create(code, terms, codeTermName, manager);
  }

  /** Changes the terms of a program that belongs to one code. @internal */
  async changeOwn(id: number, terms: CodeTerms, manager: EntityManager): Promise<void> {
    await this.lock(id, manager);
    await this.#change(id, undefined, terms, codeTermName, manager);
  }

  /**
   * Deletes the program that was made for a deleted referral and has one of its codes as its name, unless referrals or
   * sign-ups still use it. @internal
   */
  async removeOwn(id: number, referralId: number, manager: EntityManager): Promise<void> {
    const { programs, referrals, signups } = this.database.tables;
    await this.database.query(
      sql(
        { id, referralId },
        ($) => `DELETE FROM ${programs} WHERE id = ${$.id} AND ${isCodeOf(this.database.tables, 'name', $.referralId)}
          AND NOT EXISTS (SELECT FROM ${referrals} WHERE program_id = ${$.id})
          AND NOT EXISTS (SELECT FROM ${signups} WHERE program_id = ${$.id})`,
      ),
      manager,
    );
  }

  protected make(input: ProgramInput, manager: EntityManager): Promise<ReferralProgram> {
    const { name } = objectOf('programs.create', input, inputFields);
    return this.#create(name, flatTerms(input, this.database.currency), programTermName, manager);
  }

  protected change(id: number, changes: ProgramChanges, manager: EntityManager): Promise<void> {
    const { name } = objectOf('programs.update', changes, inputFields);
    return this.#change(id, name, flatTerms(changes, this.database.currency), programTermName, manager);
  }

  protected remove(id: number, manager: EntityManager): Promise<void> {
    return this.erase(id, manager);
  }

  async #create(name: string, terms: CodeTerms, termName: TermName, manager: EntityManager): Promise<ReferralProgram> {
    const checked = textOf('name', name, lengths.name, 1);
    const values = await termValues(terms, null, termName, this.#typeIdOf(manager), this.database.currency);
    return withUniqueName(this.kind.word, name, () => this.insert({ name: checked, ...values }, manager));
  }

  async #change(id: number, name: string | undefined, terms: CodeTerms, termName: TermName, manager: EntityManager) {
    const before = await this.get(id, { manager });
    const values = await termValues(terms, before, termName, this.#typeIdOf(manager), this.database.currency);
    if (name !== undefined) values['name'] = textOf('name', name, lengths.name, 1);
    await withUniqueName(this.kind.word, name, () => this.write(id, values, manager));
  }

  #typeIdOf(manager: EntityManager): (field: string, type: RecordRef) => Promise<number> {
    return (field, type) => this.#creditTypes.existing(field, type, manager);
  }
}
