import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { isOutOfRange } from '../../database/driver-errors';
import type { Statement } from '../../database/named-parameters';
import { overtaken, retryOvertaken } from '../../database/retry';
import { ReferralUsage } from '../../entities/referral-usage';
import { referralError } from '../../errors';
import { objectOf, referenceOf, someUserIdOf } from '../../input';
import type { UserRef } from '../../types/common';
import type { UsageInput } from '../../types/signups';
import { amountFields, type Exchange, shownOf } from '../records/exchange';
import type { SignupSide } from './granted-cte';
import type { Grants } from './grants';
import { type UsageParameters, type UsageRow, usageStatement } from './usage-statement';

/** Records what referees use, and rewards a referrer when a referee's usage reaches the threshold. */
export class Usages {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #grants: Grants;
  readonly #exchange: Exchange;
  readonly #statement: Statement<UsageParameters>;
  readonly #limitingStatement: Statement<UsageParameters>;

  constructor(database: Database, clock: Clock, grants: Grants, exchange: Exchange) {
    this.#database = database;
    this.#clock = clock;
    this.#grants = grants;
    this.#exchange = exchange;
    this.#statement = database.prepared(usageStatement(database, false));
    this.#limitingStatement = database.prepared(usageStatement(database, true));
  }

  async record(user: UserRef, input: UsageInput): Promise<ReferralUsage> {
    const given = objectOf('recordUsage', input, { ...amountFields, reference: true, manager: true });
    const checked = {
      user: someUserIdOf('user', user),
      ...this.#exchange.given(given, 'any'),
      reference: referenceOf('reference', given.reference),
    };
    const record = { table: 'usages', ...checked, at: null } as const;
    const parameters = {
      ...(await this.#exchange.rated(checked, record, given.manager)),
      now: this.#clock.parameter(),
    };
    const runOf =
      (statement: Statement<UsageParameters>) =>
      (sides: readonly SignupSide[], manager?: EntityManager): Promise<UsageRow[]> =>
        this.#database.query<UsageRow>(statement.with({ sides, ...parameters }), manager);
    const recorded = retryOvertaken(async () => {
      let [first] = await this.#grants.run(runOf(this.#statement), ['reward'], given.manager);
      if (first!.isLimited && first!['usage.userId'] === null)
        [first] = await this.#grants.run(runOf(this.#limitingStatement), ['reward'], given.manager);
      return first!['usage.userId'] === null ? overtaken : first!;
    });
    const row = await recorded.catch((error: unknown) => {
      throw isOutOfRange(error) ? this.#exchange.tooLarge(parameters) : error;
    });
    const usage = this.#database.entity(ReferralUsage, row, 'usage.');
    if (!row.isSame) throw referralError('REFERENCE_REUSED', usage.reference, shownOf(usage), shownOf(parameters));
    return usage;
  }
}
