import type { Request, Response } from 'express';

/** The last part of the script's path. Codes do not contain a dot, so it can't be the link of a referral. */
export const scriptName = 'create-link.js';

/**
 * The script is a string, because `tsc` does not copy `.js` files, and a bundler would not include a file that is read
 * at run time.
 */
const script = `// Shows a new referral link next to the form that created it, instead of on a page of its own.
(() => {
  'use strict';

  document.addEventListener('submit', (event) => {
    const form = event.target;
    if (event.defaultPrevented || !form.matches('form.referral-create')) return;
    event.preventDefault();
    createLink(form);
  });

  async function createLink(form) {
    const output = outputAfter(form);
    output.textContent = 'One moment …';
    try {
      const response = await fetch(form.action, {
        method: 'POST',
        headers: { Accept: 'application/json' },
        body: new URLSearchParams(new FormData(form)),
      });
      const result = await response.json();
      output.replaceChildren(response.ok ? linkTo(result.url) : messageOf(result));
    } catch {
      output.textContent = 'That did not work. Please try again.';
    }
  }

  function outputAfter(form) {
    if (form.nextElementSibling?.matches('output.new-link')) return form.nextElementSibling;
    const output = document.createElement('output');
    output.className = 'new-link';
    form.after(output);
    return output;
  }

  function linkTo(url) {
    const link = document.createElement('a');
    link.className = 'referral-link';
    link.href = url;
    link.textContent = url;
    return link;
  }

  /** An error response is { detail }, or { <field>: [{ message }] }. */
  function messageOf(result) {
    if (typeof result.detail === 'string') return result.detail;
    return Object.values(result)
      .flat()
      .map(({ message }) => message)
      .join(' ');
  }
})();
`;

/**
 * Sends the script for `GET` and `HEAD`. Express adds an ETag and responds with 304 to a browser that has the script.
 * Only browsers may cache it: the host's session and the package's middleware can set cookies on this response, which a
 * shared cache would send to other visitors.
 */
export function sendScript(_req: Request, res: Response): void {
  res
    .set({
      'Content-Type': 'text/javascript; charset=utf-8',
      'Cache-Control': 'private, max-age=3600',
      'X-Content-Type-Options': 'nosniff',
    })
    .send(script);
}
