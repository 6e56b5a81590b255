import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Request, Response } from 'express';

/** The files that a browser loads for one frame: one style and one script, with names that change with their content. */
export interface Assets {
  /** The last parts of their addresses, such as `'pages.1a2b3c4d5e.css'`. */
  readonly css: string;
  readonly js: string;
  /** Sends the file of this name. Returns whether there is one. */
  send(name: string, req: Request, res: Response): boolean;
}

const types = { css: 'text/css; charset=utf-8', js: 'text/javascript; charset=utf-8' };

/**
 * Joins the files of a frame. They lie beside this module, as the build copies them.
 *
 * @param more CSS that is put after that of the files, such as the host's colours.
 */
export function assetsOf(frame: string, files: Readonly<Record<'css' | 'js', readonly string[]>>, more = ''): Assets {
  const read = (name: string): string => readFileSync(path.join(__dirname, 'assets', name), 'utf8');
  const css = [...files.css.map(read), more].join('\n');
  const js = files.js.map(read).join('\n');
  const sent = new Map([
    [nameOf(frame, 'css', css), { type: types.css, text: css }],
    [nameOf(frame, 'js', js), { type: types.js, text: js }],
  ]);
  return {
    css: nameOf(frame, 'css', css),
    js: nameOf(frame, 'js', js),
    send(name, _req, res) {
      const file = sent.get(name);
      if (!file) return false;
      // Of browsers alone: the host's session may set a cookie on this response, which a shared cache would give to others.
      res.set({
        'Content-Type': file.type,
        'Cache-Control': 'public, max-age=31536000, immutable',
        'X-Content-Type-Options': 'nosniff',
      });
      res.send(file.text);
      return true;
    },
  };
}

function nameOf(frame: string, kind: 'css' | 'js', text: string): string {
  return `${frame}.${createHash('sha256').update(text).digest('hex').slice(0, 10)}.${kind}`;
}
