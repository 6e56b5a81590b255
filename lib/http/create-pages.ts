import { escapeHtml } from './html';
import type { ErrorDetail, FieldErrors } from './http-error';

// Pages for browsers that submit the form without its script. They have no style and no script, because the host's
// Content-Security-Policy can forbid both. The meta tag `color-scheme` gives them a dark mode.

/** The page that shows a new referral link. `back` is the address of the page to go back to. */
export function linkPage(url: string, back: string): string {
  const link = `<a class="referral-link" href="${escapeHtml(url)}">${breakable(url)}</a>`;
  return page('Your referral link', `<p>Copy this link and share it:</p>\n<p>${link}</p>`, back);
}

/** The page that says why no link was created. */
export function errorPage(body: ErrorDetail | FieldErrors, back: string): string {
  return page('No referral link was created', isDetail(body) ? paragraph(body.detail) : fieldList(body), back);
}

function page(title: string, content: string, back: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)}</title>
</head>
<body>
<main>
<h1>${escapeHtml(title)}</h1>
${content}
<p><a href="${escapeHtml(back)}">Go back</a></p>
</main>
</body>
</html>
`;
}

function fieldList(errors: FieldErrors): string {
  const items = Object.entries(errors).flatMap(([field, reasons]) =>
    reasons.map(({ message }) => `<li><strong>${escapeHtml(field)}</strong>: ${breakable(message)}</li>`),
  );
  return `<ul>\n${items.join('\n')}\n</ul>`;
}

function paragraph(text: string): string {
  return `<p>${breakable(text)}</p>`;
}

/** Escaped text whose long words can break on a narrow screen. A browser does not copy the `<wbr>` with the text. */
function breakable(text: string): string {
  const words = text.split(/(?<=\s)/);
  return words.map((word) => (word.match(/.{1,20}/gsu) ?? []).map(escapeHtml).join('<wbr>')).join('');
}

function isDetail(body: ErrorDetail | FieldErrors): body is ErrorDetail {
  return typeof body['detail'] === 'string';
}
