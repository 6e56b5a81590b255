/** Which commissions a call is about: some by their ids, those of a referrer, or those of a referrer's one referee. */
export type Chosen = { readonly ids: readonly number[] } | { readonly referrer: string; readonly referee?: string };

/** SQL: whether a commission `c` is among those that were chosen. Its fields are parameters of the statement. */
export function isChosen(chosen: Chosen, $: Readonly<Record<string, string>>): string {
  if ('ids' in chosen) return `c.id = ANY (${$.ids}::bigint[])`;
  const ofReferrer = `c.user_id = ${$.referrer}`;
  return chosen.referee === undefined ? ofReferrer : `${ofReferrer} AND c.referee_id = ${$.referee}`;
}
