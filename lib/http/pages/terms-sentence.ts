import type { OfferedTerms } from '../../types/figures';
import { formatShare, formatShortMoney } from '../views/formats';
import type { View } from '../views/view';

/** Says in one sentence what a friend gets and what the user gets; null if the terms promise neither. */
export function termsSentence(view: View, terms: OfferedTerms): string | null {
  const { terms: words } = view.texts;
  const yours = words.both(yourParts(view, terms));
  const friends = terms.friend && words.friendGets(formatShortMoney(view, terms.friend.amount));
  if (friends !== null && yours !== '') return words.sentence(friends, words.youGet(yours));
  if (friends !== null) return words.friendAlone(friends);
  return yours === '' ? null : words.youAlone(yours);
}

function yourParts(view: View, { reward, signup, purchase }: OfferedTerms): string[] {
  const { terms: words } = view.texts;
  const money = (amount: string): string => formatShortMoney(view, amount);
  const parts: string[] = [];
  if (signup) parts.push(words.signup(money(signup.amount), signup.isLater));
  if (reward)
    parts.push(words.reward(money(reward.amount), Number(reward.afterUsage) > 0 ? money(reward.afterUsage) : null));
  if (purchase?.amount) parts.push(words.purchaseAmount(money(purchase.amount)));
  else if (purchase?.ratio) parts.push(words.purchaseShare(formatShare(view, Number(purchase.ratio))));
  return parts;
}

/** What limits the sentence, each as a sentence of its own. */
export function termsDetails(view: View, { friend, reward, purchase, limit }: OfferedTerms): string[] {
  const { terms: words } = view.texts;
  const money = (amount: string): string => formatShortMoney(view, amount);
  return [
    friend && words.friendLasts(friend.durationDays),
    purchase?.months ? words.months(purchase.months) : null,
    purchase?.purchases ? words.purchases(purchase.purchases) : null,
    purchase?.maxPerReferee ? words.maxPerFriend(money(purchase.maxPerReferee)) : null,
    reward?.limit ? words.rewardLimit(reward.limit.count, reward.limit.period) : null,
    limit && words.limit(money(String(limit.amount)), limit.period),
  ].filter((detail) => detail !== null);
}
