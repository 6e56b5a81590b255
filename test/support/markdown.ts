import { readFileSync } from 'node:fs';

/** A Markdown file, as far as tests look at it. */
export interface Markdown {
  text: string;
  /** The headings, each with the anchor that GitHub and npm give it. */
  headings: { level: number; text: string; anchor: string }[];
  /** Where links and images lead. */
  links: string[];
  /** Each table as rows of cells; the first row is the header. */
  tables: string[][][];
  codeBlocks: { language: string; code: string }[];
}

const fence = /^```(\w*)\n([\s\S]*?)^```$/gm;

export function readMarkdown(file: string): Markdown {
  const text = readFileSync(file, 'utf8');
  const codeBlocks = [...text.matchAll(fence)].map(([, language, code]) => ({ language: language!, code: code! }));
  const prose = text.replace(fence, '');
  const taken = new Map<string, number>();
  const headings = [...prose.matchAll(/^(#+) (.+)$/gm)].map(([, marks, words]) => {
    const base = anchorOf(words!);
    const count = taken.get(base) ?? 0;
    taken.set(base, count + 1);
    return { level: marks!.length, text: words!, anchor: count === 0 ? base : `${base}-${count}` };
  });
  const links = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!);
  const tables = (prose.match(/(^\|.*\|\n)+/gm) ?? []).map((table) =>
    table
      .trim()
      .split('\n')
      .filter((_, index) => index !== 1)
      .map((row) =>
        row
          .slice(1, -1)
          .split('|')
          .map((cell) => cell.trim()),
      ),
  );
  return { text, headings, links, tables, codeBlocks };
}

function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(' ', '-');
}

/** What stands in backticks. */
export function codesIn(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, code]) => code!);
}
