import { fork } from 'node:child_process';
import path from 'node:path';

/** The apps that are measured, each in a process of its own. */
export type Variant = 'bare redirect' | 'select and insert' | 'click' | 'bare page' | 'page';

export interface ServerOptions {
  variant: Variant;
  databaseUrl: string;
  schema: string;
}

/** A measured app in its own process. */
export interface MeasuredServer {
  url: string;
  /** Asks the process to run something of its own many times; answers the median of one run, in milliseconds. */
  time(what: 'referralForRequest' | 'responseCount', argument: string): Promise<number>;
  /** How many statements our package has run in this process. */
  statements(): Promise<number>;
  stop(): Promise<void>;
}

export async function startServer(options: ServerOptions): Promise<MeasuredServer> {
  const child = fork(path.join(__dirname, 'server.ts'), {
    // BENCH_PROFILE=folder leaves a CPU profile of each server there, to see where the time goes.
    execArgv: [
      '--import',
      'tsx',
      ...(process.env['BENCH_PROFILE'] ? ['--cpu-prof', `--cpu-prof-dir=${process.env['BENCH_PROFILE']}`] : []),
    ],
    env: { ...process.env, NODE_ENV: 'production', BENCH: JSON.stringify(options) },
  });
  const ask = <T>(question: object): Promise<T> =>
    new Promise((resolve, reject) => {
      const ended = (code: number | null): void =>
        reject(new Error(`the server of "${options.variant}" ended with ${code}`));
      child.once('exit', ended);
      child.once('message', (answer) => {
        child.off('exit', ended);
        resolve(answer as T);
      });
      child.send(question);
    });
  const { url } = await new Promise<{ url: string }>((resolve, reject) => {
    child.once('message', (message) => resolve(message as { url: string }));
    child.once('exit', (code) => reject(new Error(`the server of "${options.variant}" did not start: ${code}`)));
  });
  return {
    url,
    time: async (what, argument) => (await ask<{ ms: number }>({ what, argument })).ms,
    statements: async () => (await ask<{ statements: number }>({ what: 'statements' })).statements,
    stop: () =>
      new Promise((resolve) => {
        child.removeAllListeners('exit');
        child.once('exit', () => resolve());
        child.kill();
      }),
  };
}
