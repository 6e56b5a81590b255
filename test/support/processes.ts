import { type ChildProcess, fork } from 'node:child_process';
import path from 'node:path';
import { databaseUrl } from './migrated-databases';

export interface Process {
  child: ChildProcess;
}

interface Started<T> extends Process {
  /** The first thing that it said: it says it once it is ready. */
  said: T;
}

/** Starts a script of this folder in a process of its own, on the database of its `SCHEMA`, and waits until it is ready. */
export async function startProcess<T>(
  script: string,
  { args = [], env = {}, execArgv = [] }: { args?: string[]; env?: NodeJS.ProcessEnv; execArgv?: string[] } = {},
): Promise<Started<T>> {
  const own = { ...process.env, TEST_DATABASE_URL: databaseUrl(env['SCHEMA']), ...env };
  const child = fork(path.join(__dirname, script), args, { env: own, execArgv });
  const said = await new Promise<T>((resolve, reject) => {
    child.once('message', (message) => resolve(message as T));
    child.once('exit', (code, signal) => reject(new Error(`${script} ended with ${code ?? signal}`)));
  });
  return { child, said };
}

/** A process that answers each of its tasks, and says 'done' after the last. */
export interface Worker<Answer> extends Process {
  /** Gives it tasks. Returns its answers: all of them, or those it gave before it died. */
  ask: (tasks: object, onAnswer?: (answer: Answer) => void) => Promise<Answer[]>;
}

export async function startWorker<Answer>(script: string, env: NodeJS.ProcessEnv): Promise<Worker<Answer>> {
  const { child, said } = await startProcess(script, { env });
  expect(said).toBe('ready');
  return {
    child,
    ask: (tasks, onAnswer) =>
      new Promise((resolve) => {
        const answers: Answer[] = [];
        const listener = (answer: Answer | 'done'): void => {
          if (answer === 'done') {
            child.off('message', listener);
            return resolve(answers);
          }
          answers.push(answer);
          onAnswer?.(answer);
        };
        child.on('message', listener);
        child.once('exit', () => resolve(answers));
        child.send(tasks);
      }),
  };
}

/** Runs the work on so many workers, and lets them end afterwards. */
export async function inProcesses<W extends Process, T>(
  count: number,
  start: () => Promise<W>,
  work: (workers: W[]) => Promise<T>,
): Promise<T> {
  const workers = await Promise.all(Array.from({ length: count }, start));
  try {
    return await work(workers);
  } finally {
    for (const { child } of workers) if (child.connected) child.disconnect();
  }
}

/** A function that acts at its `count`th call: what is waited for is so much work, never the passing of time. */
export function after(count: number, act: () => void): () => void {
  let calls = 0;
  return () => {
    if (++calls === count) act();
  };
}

/**
 * A function to call for each task that is acknowledged: at the `count`th call the processes are killed. The tasks that they run
 * beside that one are at any statement then.
 */
export function killAfter(count: number, processes: readonly Process[]): () => void {
  return after(count, () => processes.forEach(({ child }) => child.kill('SIGKILL')));
}
