import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';

/** What the processes of a measurement do. */
export type Role = 'app' | 'load' | 'database';

/** The cores of each role, as `taskset` takes them. */
export type Cores = Record<Role, string>;

/** Linux counts CPU time for programs in hundredths of a second, whatever its own clock does. */
const microsecondsPerTick = 10_000;

/**
 * Gives the measured app a core of its own, because its CPU time and throughput are what is compared. With two cores, load
 * and PostgreSQL share the other one; with more, PostgreSQL has the rest. Returns null where processes can't be pinned.
 */
export function coresOfRoles(): Cores | null {
  const cores = allowedCores();
  if (cores.length < 2) return null;
  const [app, load, ...rest] = cores.map(String) as [string, string, ...string[]];
  return { app, load, database: rest.length > 0 ? rest.join(',') : load };
}

/** The cores that this process may use: in a container, not always the first ones. */
function allowedCores(): number[] {
  let answer: string;
  try {
    answer = execFileSync('taskset', ['-cp', String(process.pid)], { encoding: 'utf8', stdio: 'pipe' });
  } catch {
    return []; // not on this system
  }
  const list = answer.slice(answer.lastIndexOf(':') + 1).trim(); // such as 0,4-7
  return list.split(',').flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number) as [number, number?];
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

/** Pins a process with all its threads. What it starts later inherits the cores. */
export function pin(pid: number, role: Role, cores: Cores | null): void {
  if (cores) execFileSync('taskset', ['-acp', cores[role], String(pid)], { stdio: 'pipe' });
}

/** The processes of a PostgreSQL server, with the one that started the others. */
export function processesOf(postmaster: number): number[] {
  if (!existsSync('/proc/self/stat')) return [postmaster];
  const others = readdirSync('/proc').filter(
    (name) => /^\d+$/.test(name) && statOf(Number(name))?.parent === postmaster,
  );
  return [postmaster, ...others.map(Number)];
}

/**
 * The CPU time of a PostgreSQL server in microseconds, with that of its processes that have ended; null where the system
 * does not tell, without `/proc`.
 */
export function cpuOfPostgres(postmaster: number): number | null {
  const own = statOf(postmaster);
  if (!own) return null;
  const processes = processesOf(postmaster).map((pid) => statOf(pid)?.ticks ?? 0);
  return (processes.reduce((sum, ticks) => sum + ticks, 0) + own.ticksOfEnded) * microsecondsPerTick;
}

/** What `/proc/<pid>/stat` says; null if the process has ended. */
function statOf(pid: number): { parent: number; ticks: number; ticksOfEnded: number } | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return null;
  }
  // Behind the name, which may contain spaces: state, parent, …
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const [user, system, userOfEnded, systemOfEnded] = fields.slice(11, 15) as [number, number, number, number];
  return { parent: fields[1]!, ticks: user + system, ticksOfEnded: userOfEnded + systemOfEnded };
}

/** How many files and sockets a process of ours may have open. Node raises its limit as far as it may when it starts. */
export function openFilesLimit(): number {
  const answer =
    process.platform === 'win32' ? 'unlimited' : execFileSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' });
  return answer.trim() === 'unlimited' ? Infinity : Number(answer);
}
