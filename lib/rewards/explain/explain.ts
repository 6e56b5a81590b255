import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { optionsOf, someUserIdOf } from '../../input';
import type { Settings } from '../../options';
import type { UserRef, WithManager } from '../../types/common';
import type { AccountManager } from '../earn-outs/account-manager';
import type { Explanation } from './explanation';
import { ExplanationFacts } from './facts';
import { sentencesAboutReferee, sentencesAboutReferrer } from './sentences';

/** `referrals.explain`: why somebody was or was not credited, as facts and in sentences. */
export class Explanations {
  readonly #database: Database;
  readonly #facts: ExplanationFacts;

  constructor(database: Database, clock: Clock, settings: Settings, accounts: AccountManager) {
    this.#database = database;
    this.#facts = new ExplanationFacts(database, clock, settings, accounts);
  }

  /** Without a manager, all facts are of one snapshot. */
  async explain(user: UserRef, options: WithManager = {}): Promise<Explanation> {
    const { manager } = optionsOf('explain', options);
    const userId = someUserIdOf('user', user);
    const read = async (within: EntityManager): Promise<Explanation> => {
      const asReferee = await this.#facts.asReferee(userId, within);
      const asReferrer = await this.#facts.asReferrer(userId, within);
      const sentences = [...sentencesAboutReferee(userId, asReferee), ...sentencesAboutReferrer(userId, asReferrer)];
      return { user: userId, asReferee, asReferrer, sentences };
    };
    return manager ? read(manager) : this.#database.unlimited('snapshot', read);
  }
}
