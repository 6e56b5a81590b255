import type { EntityManager } from 'typeorm';
import type { AccountTotals } from '../../types/earn-outs';
import type { CreditManager } from '../credits/credit-manager';
import type { AccountManager } from '../earn-outs/account-manager';

const summed = ['creditsEarned', 'payoutsEarned', 'totalCreditsEarned', 'totalPayoutsEarned'] as const;

/** What a user has: decimal strings, as `accounts.totals` and `credits.balance` return them. */
export interface UserFigures extends Pick<AccountTotals, (typeof summed)[number]> {
  readonly user: string;
  /** The credit that can be spent now. */
  readonly credit: string;
}

/** Reads what users have, in the transaction of a manager. A user without an account has earned nothing, and gets none. */
export async function userFigures(
  users: readonly string[],
  { accounts, credits }: { readonly accounts: AccountManager; readonly credits: CreditManager },
  nothing: string,
  manager: EntityManager,
): Promise<UserFigures[]> {
  const figures: UserFigures[] = [];
  for (const user of users) {
    const credit = await credits.balance(user, { manager });
    const [account] = await accounts.search({ where: { userId: user }, take: 1, manager });
    const totals = account ? await accounts.totalsOf(account, manager) : null;
    const earned = Object.fromEntries(summed.map((name) => [name, totals?.[name] ?? nothing]));
    figures.push({ user, credit, ...(earned as Pick<AccountTotals, (typeof summed)[number]>) });
  }
  return figures;
}
