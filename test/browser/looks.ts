import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Page } from 'playwright-core';

const pictures = path.join(__dirname, '..', '..', '.pictures');
const axe = `${readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8')}; undefined`;

/** What axe finds on the page as it is. */
export async function findings(page: Page, where: string): Promise<string[]> {
  if (!(await page.evaluate<boolean>(`typeof axe === 'object'`))) await page.evaluate(axe);
  const { violations } = await page.evaluate<{
    violations: { id: string; impact: string; nodes: { html: string; failureSummary: string }[] }[];
  }>(`axe.run(document, { resultTypes: ['violations'] })`);
  return violations.map(
    ({ id, impact, nodes }) => `${where}: ${id} (${impact}): ${nodes[0]!.html} ${nodes[0]!.failureSummary}`,
  );
}

/** By how many pixels the page scrolls sideways. */
export const sideways = (page: Page): Promise<number> =>
  page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');

/** Keeps a picture of the page, for people to look at. */
export const picture = (page: Page, name: string): Promise<unknown> =>
  page.screenshot({ path: path.join(pictures, `${name}.png`), fullPage: true });
