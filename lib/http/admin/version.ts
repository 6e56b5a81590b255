import { readFileSync } from 'node:fs';
import path from 'node:path';

/** The version of the package. Its `package.json` is above `lib` in the sources, and above `dist/lib` in the build. */
export const version: string = versionAbove(__dirname);

function versionAbove(folder: string): string {
  for (let above = folder; above !== path.dirname(above); above = path.dirname(above)) {
    try {
      const { name, version: found } = JSON.parse(readFileSync(path.join(above, 'package.json'), 'utf8')) as {
        name?: string;
        version?: string;
      };
      if (name === 'express-referrals' && found) return found;
    } catch {
      // There is none in this folder.
    }
  }
  return '';
}
