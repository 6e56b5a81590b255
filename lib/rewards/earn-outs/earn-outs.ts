import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import type { Events } from '../../database/events';
import { afterCommit } from '../../database/unavailable';
import { invalid } from '../../errors';
import { objectOf } from '../../input';
import type { Settings } from '../../options';
import type { EarnOutProgress, PayoutApproval, RunEarnOutsOptions } from '../../types/earn-outs';
import type { CreditTypeManager } from '../credits/credit-type-manager';
import type { FraudRules } from '../reviews/fraud-rules';
import { EarnOutBinding } from './binding';
import { CreditPayments } from './credit-payments';
import { Payouts } from './payouts';
import { Progress } from './progress';
import type { Reports } from './reports';
import type { Transitions } from './transitions';

const approvals: ReadonlySet<string> = new Set<PayoutApproval>(['all', 'new-accounts', 'none']);

/**
 * Pays available commissions, in three steps: commissions are bound to an earn-out, the earn-out is paid, and it is
 * completed.
 *
 * Each step locks or claims its rows, and skips rows that another process has. So any number of processes share the
 * work. If a process dies between two steps, the next run continues its work.
 */
export class EarnOuts {
  readonly #database: Database;
  readonly #binding: EarnOutBinding;
  readonly #credits: CreditPayments;
  readonly #payouts: Payouts;

  constructor(
    database: Database,
    clock: Clock,
    events: Events,
    settings: Settings,
    creditTypes: CreditTypeManager,
    transitions: Transitions,
    reports: Reports,
    fraud: FraudRules,
  ) {
    this.#database = database;
    this.#binding = new EarnOutBinding(database, clock, events, settings, fraud);
    this.#credits = new CreditPayments(database, clock, events, settings, creditTypes, transitions);
    this.#payouts = new Payouts(database, settings, transitions, reports);
  }

  async run(options: RunEarnOutsOptions = {}): Promise<EarnOutProgress> {
    const { onProgress, approve } = objectOf('runEarnOuts', options, { onProgress: true, approve: true });
    if (onProgress !== undefined && typeof onProgress !== 'function')
      throw invalid('onProgress', 'a function', onProgress);
    if (approve !== undefined && !approvals.has(approve))
      throw invalid('approve', [...approvals].join(' or '), approve);
    const progress = new Progress(this.#database, onProgress);
    try {
      await this.#pay(approve, progress);
    } catch (error) {
      throw progress.hasBegun ? afterCommit(error) : error;
    }
    return progress.shown();
  }

  async #pay(approve: PayoutApproval | undefined, progress: Progress): Promise<void> {
    await this.#binding.adoptAll();
    // All commissions are bound before any earn-out is paid, so that this run does not bind those of a failed one
    // again.
    await this.#binding.bindAll('skip', approve, progress);
    // Then the accounts that were skipped, because a concurrent call or run had locked them.
    await this.#binding.bindAll('wait', approve, progress);
    await this.#credits.payAll(progress);
    await this.#payouts.payAll(progress);
  }
}
