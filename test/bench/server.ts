import type { AddressInfo } from 'node:net';
import { type AppName, startApp } from './app';
import { answerQuestions, given, tell } from './child';

/** What a server is started with. */
export interface ServerOptions {
  app: AppName;
  databaseUrl: string;
  schema: string;
}

/** What a server's process has used so far. */
export interface Usage {
  /** In microseconds. */
  cpu: number;
  /** In bytes, at most. */
  memory: number;
  /** That our package has run. */
  statements: number;
}

async function main(): Promise<void> {
  const { app, databaseUrl, schema } = given<ServerOptions>();
  const { server, statements } = await startApp(app, databaseUrl, schema);
  answerQuestions((): Usage => {
    const { user, system } = process.cpuUsage();
    return { cpu: user + system, memory: process.resourceUsage().maxRSS * 1024, statements: statements() };
  });
  tell({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
}

void main();
