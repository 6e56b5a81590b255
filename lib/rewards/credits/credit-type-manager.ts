import type { EntityManager } from 'typeorm';
import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import { overtaken, retryOvertaken } from '../../database/retry';
import { ReferralCreditType } from '../../entities/referral-credit-type';
import { invalid } from '../../errors';
import { booleanOf, type FieldsOf, isNothing, objectOf, textOf } from '../../input';
import { lengths } from '../../limits';
import type { CreditTypeInput } from '../../types/credits';
import type { FieldOf, ReadOptions } from '../../types/records';
import { type NoOptions, RecordManager } from '../records/record-manager';
import { withUniqueName } from '../records/unique-name';

const inputFields: FieldsOf<CreditTypeInput> = {
  ...{ name: true, product: true, refundable: true, onlyForProducts: true, onlyForProductCategories: true },
};

const inUse = {
  fk_referral_credits_type: 'there are credits of this type',
  fk_referral_programs_referral_type: 'a program gives credit of this type to referees',
  fk_referral_programs_reward_type: 'a program gives credit of this type to referrers',
  fk_referral_signups_referral_type: 'sign-ups were promised credit of this type',
  fk_referral_signups_reward_type: 'the referrers of sign-ups were promised credit of this type',
};

/** `referrals.creditTypes`: what credits can be spent on. */
export class CreditTypeManager extends RecordManager<ReferralCreditType, CreditTypeInput, Partial<CreditTypeInput>> {
  /** @internal */
  constructor(database: Database) {
    super(database, { record: ReferralCreditType, word: 'credit type', inUse });
  }

  /** Returns the type with a name; with `optional`, null if there is none. @throws ReferralError `NOT_FOUND`. */
  getByName<const O extends ReadOptions<FieldOf<ReferralCreditType>> = NoOptions>(name: string, options?: O) {
    return this.getBy('name', name, options);
  }

  /** Returns the id of the type with a name, and creates the type if it does not exist. @internal */
  async findOrCreateId(name: string, manager: EntityManager): Promise<number> {
    const { creditTypes } = this.database.tables;
    const query = sql(
      { name },
      ($) => `
        WITH known AS (
          SELECT id FROM ${creditTypes} WHERE name = ${$.name}
        ), made AS (
          INSERT INTO ${creditTypes} (name) SELECT ${$.name}::varchar WHERE NOT EXISTS (SELECT FROM known)
          ON CONFLICT DO NOTHING RETURNING id
        )
        SELECT id FROM known UNION ALL SELECT id FROM made`,
    );
    return retryOvertaken(async () => {
      const [row] = await this.database.query<{ id: string }>(query, manager);
      return row ? Number(row.id) : overtaken;
    });
  }

  protected async make(input: CreditTypeInput, manager: EntityManager): Promise<ReferralCreditType> {
    const values = valuesOf({ ...objectOf('creditTypes.create', input, inputFields), name: input.name });
    return withUniqueName(this.kind.word, input.name, () => this.insert(values, manager));
  }

  /**
   * A list replaces the stored list. A list of products does not clear the stored list of categories: to change from
   * one to the other, set the other list to `[]` in the same call.
   */
  protected async change(id: number, changes: Partial<CreditTypeInput>, manager: EntityManager): Promise<void> {
    const values = valuesOf(objectOf('creditTypes.update', changes, inputFields));
    const { onlyForProducts, onlyForProductCategories } = { ...(await this.get(id, { manager })), ...values };
    refuseBoth(onlyForProducts, onlyForProductCategories);
    await withUniqueName(this.kind.word, changes.name, () => this.write(id, values, manager));
  }

  protected remove(id: number, manager: EntityManager): Promise<void> {
    return this.erase(id, manager);
  }
}

function valuesOf(input: Partial<CreditTypeInput>): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(input)) {
    if (value === undefined && field !== 'name') continue;
    if (field === 'name') values[field] = textOf(field, value, lengths.name, 1);
    else if (field === 'product') values[field] = isNothing(value) ? null : textOf(field, value, lengths.name, 1);
    else if (field === 'refundable') Object.assign(values, refundableValues(booleanOf(field, value ?? false)));
    else values[field] = listOf(field, value ?? []);
  }
  refuseBoth(values['onlyForProducts'] as string[], values['onlyForProductCategories'] as string[]);
  return values;
}

/** A type that was refundable once stays known as such: its credits may have been given back. */
function refundableValues(refundable: boolean): Record<string, boolean> {
  return { refundable, ...(refundable && { wasRefundable: true }) };
}

function listOf(field: string, value: unknown): string[] {
  if (!Array.isArray(value)) throw invalid(field, 'an array of strings', value);
  return Array.from(value as unknown[], (one, index) => textOf(`${field}[${index}]`, one, lengths.name, 1));
}

function refuseBoth(products: readonly string[] = [], categories: readonly string[] = []): void {
  if (products.length > 0 && categories.length > 0)
    throw invalid(
      'onlyForProductCategories',
      'no categories together with onlyForProducts: give one of the two',
      categories,
    );
}
