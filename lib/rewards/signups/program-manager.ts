import type { EntityManager } from 'typeorm';
import type { Database } from '../../database/database';
import { ReferralProgram } from '../../entities/referral-program';
import { objectOf, textOf } from '../../input';
import { lengths } from '../../limits';
import type { RecordRef } from '../../types/common';
import type { FieldOf, ReadOptions } from '../../types/records';
import type { CodeTerms, ProgramChanges, ProgramInput } from '../../types/signups';
import type { CreditTypeManager } from '../credits/credit-type-manager';
import { type NoOptions, RecordManager } from '../records/record-manager';
import { named } from '../records/unique-name';
import { codeName, flatTerms, type NameOf, programName, termValues } from './terms';

const known = ['name', 'referralCredit', 'rewardCredit', 'beforeRewardUsageThreshold', 'commission'];

const inUse = {
  fk_referrals_program: 'there are referrals with it; give them another with referralCodes.update',
  fk_referral_signups_program: 'people have signed up under it',
};

/** `referrals.programs`. */
export class ProgramManager extends RecordManager<ReferralProgram, ProgramInput, ProgramChanges> {
  readonly #creditTypes: CreditTypeManager;

  /** @internal */
  constructor(database: Database, creditTypes: CreditTypeManager) {
    super(database, { record: ReferralProgram, word: 'program', inUse });
    this.#creditTypes = creditTypes;
  }

  /** @throws ReferralError `NOT_FOUND`, unless `optional`: then null. */
  getByName<const O extends ReadOptions<FieldOf<ReferralProgram>> = NoOptions>(name: string, options?: O) {
    return this.getBy('name', name, options);
  }

  /** A program of a code's own. @internal */
  makeOwn(name: string, terms: CodeTerms, manager: EntityManager): Promise<ReferralProgram> {
    return this.#make(name, terms, codeName, manager);
  }

  /** Changes the terms of a code's own program. @internal */
  async changeOwn(id: number, terms: CodeTerms, manager: EntityManager): Promise<void> {
    await this.lock(id, manager);
    await this.#change(id, undefined, terms, codeName, manager);
  }

  /** Deletes a code's own program with it, unless it has become others' as well. @internal */
  async removeOwn(id: number, name: string, manager: EntityManager): Promise<void> {
    const { programs, referrals, signups } = this.database.tables;
    await this.database.query(
      `DELETE FROM ${programs} WHERE id = $1 AND name = $2
         AND NOT EXISTS (SELECT FROM ${referrals} WHERE program_id = $1)
         AND NOT EXISTS (SELECT FROM ${signups} WHERE program_id = $1)`,
      [id, name],
      manager,
    );
  }

  protected make(input: ProgramInput, manager: EntityManager): Promise<ReferralProgram> {
    const { name } = objectOf('programs.create', input, known);
    return this.#make(name, flatTerms(input), programName, manager);
  }

  protected change(id: number, changes: ProgramChanges, manager: EntityManager): Promise<void> {
    const { name } = objectOf('programs.update', changes, known);
    return this.#change(id, name, flatTerms(changes), programName, manager);
  }

  protected remove(id: number, manager: EntityManager): Promise<void> {
    return this.erase(id, manager);
  }

  async #make(name: string, terms: CodeTerms, nameOf: NameOf, manager: EntityManager): Promise<ReferralProgram> {
    const checked = textOf('name', name, lengths.name, 1);
    const values = await termValues(terms, null, nameOf, this.#typeIdOf(manager));
    return named(this.kind.word, name, () => this.insert({ name: checked, ...values }, manager));
  }

  async #change(id: number, name: string | undefined, terms: CodeTerms, nameOf: NameOf, manager: EntityManager) {
    const before = await this.get(id, { manager });
    const values = await termValues(terms, before, nameOf, this.#typeIdOf(manager));
    if (name !== undefined) values['name'] = textOf('name', name, lengths.name, 1);
    await named(this.kind.word, name, () => this.write(id, values, manager));
  }

  #typeIdOf(manager: EntityManager): (field: string, type: RecordRef) => Promise<number> {
    return (field, type) => this.#creditTypes.existing(field, type, manager);
  }
}
