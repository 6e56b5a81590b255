import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import type { Statement } from '../../database/named-parameters';
import { overtaken, retryOvertaken } from '../../database/retry';
import { shownAmount } from '../../entities/columns';
import { ReferralUsage } from '../../entities/referral-usage';
import { referralError } from '../../errors';
import { amountOf, objectOf, referenceOf, someUserIdOf } from '../../input';
import type { UserRef } from '../../types/common';
import type { UsageInput } from '../../types/signups';
import type { SignupSide } from './granted-cte';
import type { Grants } from './grants';
import { type UsageParameters, type UsageRow, usageStatement } from './usage-statement';

/** Records what referees use, and rewards a referrer when a referee's usage reaches the threshold. */
export class Usages {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #grants: Grants;
  readonly #statement: Statement<UsageParameters>;
  readonly #limitingStatement: Statement<UsageParameters>;

  constructor(database: Database, clock: Clock, grants: Grants) {
    this.#database = database;
    this.#clock = clock;
    this.#grants = grants;
    this.#statement = database.prepared(usageStatement(database, false));
    this.#limitingStatement = database.prepared(usageStatement(database, true));
  }

  async record(user: UserRef, input: UsageInput): Promise<ReferralUsage> {
    const given = objectOf('recordUsage', input, { amount: true, reference: true, manager: true });
    const parameters = {
      user: someUserIdOf('user', user),
      amount: amountOf('amount', given.amount, 'any'),
      reference: referenceOf('reference', given.reference),
      now: this.#clock.parameter(),
    };
    const runOf =
      (statement: Statement<UsageParameters>) =>
      (sides: readonly SignupSide[], manager?: EntityManager): Promise<UsageRow[]> =>
        this.#database.query<UsageRow>(statement.with({ sides, ...parameters }), manager);
    const row = await retryOvertaken(async () => {
      let [first] = await this.#grants.run(runOf(this.#statement), ['reward'], given.manager);
      if (first!.isLimited && first!['usage.userId'] === null)
        [first] = await this.#grants.run(runOf(this.#limitingStatement), ['reward'], given.manager);
      return first!['usage.userId'] === null ? overtaken : first!;
    });
    const usage = this.#database.entity(ReferralUsage, row, 'usage.');
    if (!row.isSame)
      throw referralError('REFERENCE_REUSED', usage.reference, usage.amount, shownAmount(parameters.amount));
    return usage;
  }
}
