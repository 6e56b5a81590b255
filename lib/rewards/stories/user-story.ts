import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import type { CreditManager } from '../credits/credit-manager';
import type { Explanations } from '../explain/explain';
import type { Explanation } from '../explain/explanation';
import type { ListName, ListPage, ListRecords, Lists } from './lists';
import { newest } from './referral-story';
import { hasRowsOfUser } from './user-rows';

/** The lists of what belongs to a user. */
export const userLists = [
  ...(['referralCodes', 'channels', 'commissions', 'earnOuts', 'adjustments', 'credits', 'purchases'] as const),
  ...(['responses', 'audit'] as const),
] as const satisfies readonly ListName[];

/** All that staff need to know of one user. Lists hold the newest records. */
export interface UserStory {
  userId: string;
  explanation: Explanation;
  /** The credit that the user can spend now, as a decimal string. */
  balance: string;
  lists: { readonly [L in (typeof userLists)[number]]: ListPage<ListRecords[L]> };
}

interface Parts {
  readonly database: Database;
  readonly lists: Lists;
  readonly explanations: Explanations;
  readonly credits: CreditManager;
}

/** Returns the story of a user; null if nothing is known of the user. */
export async function userStory(
  { database, lists, explanations, credits }: Parts,
  userId: string,
): Promise<UserStory | null> {
  const known = sql({ userId }, ($) => `SELECT ${hasRowsOfUser(database, `${$.userId}::text`)} AS "isKnown"`);
  const [row] = await database.query<{ isKnown: boolean }>(known);
  if (!row!.isKnown) return null;
  const explanation = await explanations.explain(userId);
  const balance = await credits.balance(userId);
  const pages: Partial<Record<ListName, unknown>> = {};
  for (const list of userLists)
    pages[list] = await lists.page(list, [{ field: 'userId', is: 'equal', value: userId }], {
      take: newest,
      after: null,
    });
  return { userId, explanation, balance, lists: pages as UserStory['lists'] };
}
