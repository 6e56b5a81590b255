import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

const answerTimeoutMs = 5000;

/** The data folder belongs to this process as long as it lives. */
export interface Claim {
  /** What another process that wants the folder is told. */
  status: string;
  release(): Promise<void>;
}

/** Another live process works with the data folder; the message is that process's status. */
export class FolderInUseError extends Error {}

/**
 * Takes a data folder for this process, or throws {@link FolderInUseError}. The claim is a local socket, which answers
 * with the status. It ends with the process, however that ends, and a process id that was given away again can't
 * be mistaken for it.
 */
export async function claimFolder(folder: string, status: string): Promise<Claim> {
  const claim = { status, release: () => new Promise<void>((resolve) => server.close(() => resolve())) };
  const server = createServer((socket) => {
    socket.on('error', () => undefined); // whoever asked went away
    socket.end(`${claim.status} (process ${process.pid})`);
  });
  const place = socketOf(folder);
  try {
    await listen(server, place);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    const answer = await ask(place);
    if (answer !== null) throw new FolderInUseError(answer);
    rmSync(place, { force: true }); // of a process that was killed
    await listen(server, place);
  }
  server.unref();
  return claim;
}

/** In the folder for temporary files, because the path of a socket has to be short. */
function socketOf(folder: string): string {
  const name = `express-referrals-${createHash('sha256').update(path.resolve(folder)).digest('hex').slice(0, 16)}`;
  return process.platform === 'win32' ? `\\\\.\\pipe\\${name}` : path.join(tmpdir(), `${name}.sock`);
}

function listen(server: Server, place: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(place, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** The status of the process that listens there; null if there is none. */
function ask(place: string): Promise<string | null> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(place);
    socket.setEncoding('utf8');
    socket.setTimeout(answerTimeoutMs, () => {
      socket.destroy();
      resolve('Another process uses the data folder, but does not answer; it may be suspended');
    });
    socket.on('data', (text: string) => (answer += text));
    socket.once('end', () => resolve(answer));
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') resolve(null);
      else reject(error);
    });
  });
}
