import { execFile, execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { programsFolder } from './programs';

const stopTimeoutSeconds = 600;

/**
 * Stops the server of a data folder whose process was killed before it could stop the server itself. Removes a lock file that names
 * a process of something else, as after a restart of the machine, because PostgreSQL would not start. A lock file that
 * names no process is left to PostgreSQL, which replaces it. Call it with the folder claimed: then the server is nobody's.
 */
export async function stopLeftRunning(folder: string, say: (line: string) => void): Promise<void> {
  const lockFile = path.join(folder, 'postmaster.pid');
  if (!existsSync(lockFile)) return;
  const pid = Number(readFileSync(lockFile, 'utf8').split('\n')[0]);
  if (!isAlive(pid)) return;
  if (isServerOf(pid, folder)) {
    say(`Stopping the PostgreSQL that a killed process left running (process ${pid})…`);
    await runStop(folder);
  } else {
    rmSync(lockFile, { force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** On Windows the command of a process is not known; there `pg_ctl` refuses to stop what is not a PostgreSQL. */
function isServerOf(pid: number, folder: string): boolean {
  if (process.platform === 'win32') return true;
  const command = commandOf(pid);
  return command.includes('postgres') && command.includes(folder);
}

function commandOf(pid: number): string {
  try {
    return existsSync('/proc/self/cmdline')
      ? readFileSync(`/proc/${pid}/cmdline`, 'utf8')
      : execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' });
  } catch {
    return ''; // it has ended meanwhile
  }
}

/** PostgreSQL's own program, which waits until the server is gone. */
async function runStop(folder: string): Promise<void> {
  const program = path.join(programsFolder() ?? '', 'native', 'bin', 'pg_ctl');
  const { uid, gid } = statSync(folder);
  await promisify(execFile)(
    program,
    ['stop', '-D', folder, '-m', 'fast', '-w', '-t', String(stopTimeoutSeconds)],
    process.getuid?.() === 0 ? { uid, gid } : {}, // it refuses to run as root
  );
}
