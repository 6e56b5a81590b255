import type { EntityManager } from 'typeorm';
import { lengths } from '../entities/columns';
import { ReferralProgram } from '../entities/referral-program';
import { invalid } from '../errors';
import { objectOf, recordIdOf, textOf } from '../input';
import type { CodeTerms, ProgramChanges, ProgramInput, ReadOptions } from '../reward-types';
import type { RecordRef } from '../types';
import type { Database } from '../tracking/database';
import type { CreditTypeManager } from './credit-type-manager';
import { named } from './named';
import { RecordManager } from './record-manager';
import { codeName, flatTerms, type NameOf, programName, termValues } from './terms';

const known = ['name', 'referralCredit', 'rewardCredit', 'beforeRewardUsageThreshold'];

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
  getByName<const O extends ReadOptions>(name: string, options?: O) {
    return this.getBy('name', name, options);
  }

  /** A program of a code's own. @internal */
  makeOwn(name: string, terms: CodeTerms, manager: EntityManager): Promise<ReferralProgram> {
    return this.#make(name, terms, codeName, manager);
  }

  /** Changes the terms of a code's own program. @internal */
  changeOwn(id: number, terms: CodeTerms, manager: EntityManager): Promise<void> {
    return this.#change(id, undefined, terms, codeName, manager);
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
    return async (field, type) => {
      const id = recordIdOf(field, type);
      if (await this.#creditTypes.get(id, { optional: true, manager })) return id;
      throw invalid(field, 'a credit type that exists, or its id', id);
    };
  }
}
