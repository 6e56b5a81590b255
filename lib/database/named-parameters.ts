/** A statement and its values, in the order of `$1`, `$2`, …: what `pg` takes. */
export interface Query {
  readonly text: string;
  readonly values: readonly unknown[];
  /** The name of the prepared statement. Without one, the statement is planned each time. */
  readonly name?: string;
}

/** The placeholder of each parameter: `$.buyer` is `$1` if `buyer` is the first. */
export type Placeholders<P> = Readonly<Record<keyof P & string, string>>;

/** A statement whose text is built once, and which takes the values of its parameters with each use. */
export interface Statement<P extends object> {
  readonly text: string;
  /** The values of the parameters, in the order of `$1`, `$2`, … */
  readonly valuesOf: (parameters: P) => unknown[];
  readonly with: (parameters: P) => Query;
}

/**
 * Builds a statement with named parameters. Their order in `names` is the order of `$1`, `$2`, …
 *
 * @example
 * const byUser = statement<{ user: string; now: Date | null }>(
 *   { user: true, now: true },
 *   ($) => `SELECT id FROM credits WHERE user_id = ${$.user} AND start_date <= ${$.now}`,
 * );
 * await database.query<{ id: string }>(byUser.with({ user: '7', now }));
 */
export function statement<P extends object>(
  names: Record<keyof P & string, true>,
  write: ($: Placeholders<P>) => string,
): Statement<P> {
  const order = Object.keys(names) as (keyof P & string)[];
  const text = write(placeholdersOf<P>(order));
  const valuesOf = (parameters: P): unknown[] => order.map((name) => parameters[name]);
  return { text, valuesOf, with: (parameters) => ({ text, values: valuesOf(parameters) }) };
}

/** Builds a statement for one use, from its parameters with their values and the text that names them. */
export function sql<P extends object>(parameters: P, write: ($: Placeholders<P>) => string): Query {
  return { text: write(placeholdersOf<P>(Object.keys(parameters))), values: Object.values(parameters) };
}

function placeholdersOf<P>(order: readonly string[]): Placeholders<P> {
  return Object.fromEntries(order.map((name, index) => [name, `$${index + 1}`])) as Placeholders<P>;
}
