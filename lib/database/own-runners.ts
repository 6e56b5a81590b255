import type { QueryRunner } from 'typeorm';

/** The query runners of our own, each with the functions of the host's that wait for its release. */
const waiting = new WeakMap<QueryRunner, (() => void)[]>();

/** Marks a query runner as one of our own. Its owner calls {@link released} afterwards. */
export function own(runner: QueryRunner): void {
  waiting.set(runner, []);
}

/** Whether a query runner is one of our own, and in use. */
export function isOwn(runner: QueryRunner): boolean {
  return waiting.has(runner);
}

/** Must be called once a query runner of our own is released. */
export function released(runner: QueryRunner): void {
  const calls = waiting.get(runner) ?? [];
  waiting.delete(runner);
  for (const call of calls) call();
}

/**
 * Calls a function of the host's. If the query runner is one of our own, it waits until that is released, because no
 * code of the host's runs while we hold a connection. In a transaction of the host's, it is called at once.
 */
export function callHost(call: () => void, runner: QueryRunner | undefined): void {
  const calls = runner && waiting.get(runner);
  if (calls) calls.push(call);
  else call();
}
