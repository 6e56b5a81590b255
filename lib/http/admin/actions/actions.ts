import { accountActions } from './account-actions';
import type { Action } from './action';
import { codeActions } from './code-actions';
import { commissionActions } from './commission-actions';
import { creditActions } from './credit-actions';
import { payoutActions } from './payout-actions';
import { programActions } from './program-actions';
import { reviewActions } from './review-actions';
import { signupActions } from './signup-actions';

/** Everything that staff do, by its name. */
export const actions: ReadonlyMap<string, Action> = new Map(
  [
    ...commissionActions,
    ...accountActions,
    ...signupActions,
    ...creditActions,
    ...payoutActions,
    ...reviewActions,
    ...programActions,
    ...codeActions,
  ].map((action) => [action.name, action]),
);
