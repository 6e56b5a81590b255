/**
 * Returns the address of the form of an action, with its fields filled: `actionUrl(view, 'commissions.hold', { id: 7 })`.
 * Actions are named like the calls that they make. A field that is null or undefined is left out; a list fills a field once
 * for each of its values.
 */
export function actionUrl(
  { base }: { readonly base: string },
  name: string,
  params: Readonly<Record<string, Filling | readonly Filling[]>> = {},
): string {
  const query = new URLSearchParams();
  for (const [field, value] of Object.entries(params))
    for (const one of Array.isArray(value) ? (value as readonly Filling[]) : [value as Filling])
      if (one !== null && one !== undefined) query.append(field, String(one));
  const filled = query.toString();
  return `${base}/actions/${encodeURIComponent(name)}${filled === '' ? '' : `?${filled}`}`;
}

type Filling = string | number | bigint | boolean | null | undefined;
