import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import type { Events } from '../../database/events';
import type { Statement } from '../../database/named-parameters';
import { ReferralCommission } from '../../entities/referral-commission';
import { ReferralSignup } from '../../entities/referral-signup';
import { referralError } from '../../errors';
import { objectOf, referenceOf, someUserIdOf } from '../../input';
import type { Settings } from '../../options';
import type { QualifyInput } from '../../types/commissions';
import type { UserRef } from '../../types/common';
import type { Author } from '../records/audit';
import { takeTurn } from '../records/buyer-turn';
import type { SignupEarnings } from '../records/signup-earnings';
import { optionTerms, type OptionTerms, termsOfSignup } from './chosen-terms';
import type { CommissionRejections } from './commission-rejections';
import { setPaidAt } from './paid-at';
import { unlessOvertaken } from './referrer-periods';
import {
  type SignupCommissionParameters,
  type SignupCommissionRow,
  signupCommissionStatement,
} from './signup-commission-statement';

/** The result of `qualify`. */
export interface QualifiedSignup {
  signup: ReferralSignup;
  /** The commission of the sign-up; null if it earned none: `signup.noCommission` says why. */
  commission: ReferralCommission | null;
}

/** What sign-ups themselves earn: at once, or when the host calls `qualify`. */
export class SignupCommissions implements SignupEarnings {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #events: Events;
  readonly #rejections: CommissionRejections;
  readonly #settings: Settings;
  readonly #optionTerms: OptionTerms;
  readonly #statement: Statement<SignupCommissionParameters>;

  constructor(database: Database, clock: Clock, events: Events, rejections: CommissionRejections, settings: Settings) {
    this.#database = database;
    this.#clock = clock;
    this.#events = events;
    this.#rejections = rejections;
    this.#settings = settings;
    this.#optionTerms = optionTerms(settings);
    this.#statement = database.prepared(signupCommissionStatement(database, settings));
  }

  isDue(referral: string): string {
    const { referrals, programs, channels, accounts } = this.#database.tables;
    return `EXISTS (
            SELECT FROM ${referrals} r LEFT JOIN ${programs} p ON p.id = r.program_id
            LEFT JOIN ${channels} c ON c.id = r.id LEFT JOIN ${accounts} a ON a.user_id = r.user_id
            CROSS JOIN LATERAL ${termsOfSignup({ account: 'a', channel: 'c', program: 'p' }, this.#settings)} AS t
            WHERE r.id = ${referral} AND t.flat_amount > 0 AND NOT t.is_later
          )`;
  }

  async earn(user: string, manager: EntityManager): Promise<void> {
    await unlessOvertaken(() => this.#database.transaction((within) => this.#decide(user, '', within), manager));
  }

  async takeBack(signupId: number, author: Author, manager: EntityManager): Promise<void> {
    const found = await this.#database.find(ReferralCommission, { where: { signupId, kind: 'sign-up' } }, manager);
    if (found.length === 0) return;
    await this.#rejections.reject({ ids: found.map(({ id }) => id) }, author, manager);
  }

  async qualify(user: UserRef, input: QualifyInput): Promise<QualifiedSignup> {
    const { manager, ...given } = objectOf('qualify', input, { reference: true, manager: true });
    const userId = someUserIdOf('user', user);
    const reference = referenceOf('reference', given.reference);
    const qualified = await unlessOvertaken(() =>
      this.#database.transaction(async (within) => {
        await takeTurn(this.#database, userId, within);
        const row = await this.#decide(userId, reference, within);
        if (row['signup.id'] === null) throw referralError('NOT_SIGNED_UP', userId);
        return {
          signup: this.#database.entity(ReferralSignup, row, 'signup.'),
          commission: this.#commissionIn(row),
        };
      }, manager),
    );
    if (qualified.commission) await setPaidAt(this.#database, [qualified.commission], manager);
    return qualified;
  }

  async #decide(user: string, reference: string, manager: EntityManager): Promise<SignupCommissionRow> {
    const { pendingDays } = this.#settings.commission;
    const parameters = { user, reference, now: this.#clock.parameter(), pendingDays, ...this.#optionTerms };
    const [row] = await this.#database.query<SignupCommissionRow>(this.#statement.with(parameters), manager);
    const commission = this.#commissionIn(row!);
    if (row!.isNew && commission) this.#events.emit(manager, 'commissionEarned', commission);
    return row!;
  }

  #commissionIn(row: SignupCommissionRow): ReferralCommission | null {
    return row['commission.id'] === null ? null : this.#database.entity(ReferralCommission, row, 'commission.');
  }
}
