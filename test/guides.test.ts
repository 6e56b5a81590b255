import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { getMetadataArgsStorage } from 'typeorm';
import { entities, ReferralError, type ReferralErrorCode } from '../lib';
import { codesIn, type Markdown, readMarkdown } from './support/markdown';
import { PublicTypes } from './support/public-types';

const root = path.join(__dirname, '..');
const guideNames = ['quickstart', 'links', 'credits', 'commissions', 'api', 'hosting', 'testing'];
const guideOf = (name: string): string => path.join(root, 'examples', name, 'README.md');
const guides = new Map(guideNames.map((name) => [name, readMarkdown(guideOf(name))]));
const readme = readMarkdown(path.join(root, 'README.md'));
const types = new PublicTypes();

/** The tables of a guide whose header begins with these words. */
function tablesOf(guide: string, ...header: string[]): string[][][] {
  const found = guides.get(guide)!.tables.filter(([first]) => header.every((cell, index) => first![index] === cell));
  return found.map(([, ...rows]) => rows);
}

/** Each row of the only such table, by what stands in backticks in its first cell. */
function rowsOf(guide: string, ...header: string[]): Record<string, string[]> {
  const tables = tablesOf(guide, ...header);
  expect(tables).toHaveLength(1);
  return Object.fromEntries(tables[0]!.flatMap(([first, ...rest]) => codesIn(first!).map((name) => [name, rest])));
}

describe('the guides list each field once, as the types have it', () => {
  /** Which fields of a type the tables list, and whether they are required. */
  const listed = [...guides].flatMap(([guide, { tables }]) =>
    tables
      .filter(([header]) => header![0] === 'field')
      .flatMap(([header, ...rows]) =>
        header!.flatMap((cell, column) => {
          const [, type] = /^`([\w.]+)`$/.exec(cell) ?? [];
          if (!type) return [];
          const fields = rows
            .filter((row) => row[column] !== '–')
            .map((row) => [codesIn(row[0]!)[0]!, row[column]!] as const);
          return [{ type, guide, fields }];
        }),
      ),
  );

  test.each(listed)('$type in the guide $guide', ({ type, fields }) => {
    expect(Object.fromEntries(fields)).toEqual(types.fields(type));
    expect(fields).toHaveLength(Object.keys(types.fields(type)).length);
  });

  test('every type that a call takes', () => {
    const isInput = (name: string): boolean =>
      /(Input|Changes|Options)$/.test(name) && name !== 'ReferralsOptions' && name !== 'WithManager';
    const expected = [
      ...types.names.filter(isInput),
      ...[
        'CreditTerms',
        'CommissionTerms',
        'Purpose',
        'RewardLimit',
        'Search',
        'coupons.apply',
        'EarnOutReport',
        'ProviderPayment',
      ],
    ];
    expect(listed.map(({ type }) => type).sort()).toEqual(expected.sort());
  });
});

describe('the quickstart lists', () => {
  test('all options, and which are required', () => {
    const rows = rowsOf('quickstart', 'option');
    const presence = ([given]: string[]): string => (given === 'required' ? 'required' : 'optional');
    const listed = Object.entries(rows).map(([name, row]) => [name, presence(row)]);
    expect(Object.fromEntries(listed)).toEqual(types.options('ReferralsOptions'));
  });

  test('all errors, with their status', () => {
    const rows = rowsOf('quickstart', 'code', 'status');
    const status = (code: string): number => new ReferralError(code as ReferralErrorCode, '').status;
    expect(Object.fromEntries(Object.entries(rows).map(([code, row]) => [code, Number(row[0])]))).toEqual(
      Object.fromEntries(types.members('ReferralErrorCode').map((code) => [code, status(code)])),
    );
  });

  test('all that createReferrals returns', () => {
    expect(Object.keys(rowsOf('quickstart', 'member')).sort()).toEqual(Object.keys(types.fields('Referrals')).sort());
  });
});

describe('the other guides list', () => {
  const withColumns = getMetadataArgsStorage();

  test('all calls of referrals and responses', () => {
    const calls = tablesOf('links', 'call').flat();
    const named = calls.map(([call]) => codesIn(call!)[0]!.replace(/\(.*/, ''));
    expect(named.filter((call) => !/^(referral\.url|req\.)/.test(call)).sort()).toEqual(
      [
        ...types.statics('Referral').map((name) => `Referral.${name}`),
        ...types.methods('Referral').map((name) => `referral.${name}`),
        ...types.methods('ReferralResponse').map((name) => `response.${name}`),
      ].sort(),
    );
  });

  test('the fields of referrals, responses and daily counts', () => {
    for (const [entity, [fields]] of Object.entries(rowsOf('links', 'entity'))) {
      const columns = withColumns.columns.filter(
        ({ target, options }) => (target as { name: string }).name === entity && options.select !== false,
      );
      expect(codesIn(fields!).sort()).toEqual(columns.map(({ propertyName }) => propertyName).sort());
    }
  });

  test('all events', () => {
    expect(Object.keys(rowsOf('links', 'event')).sort()).toEqual(Object.keys(types.fields('ReferralEvents')).sort());
  });

  test('the methods of all records', () => {
    const rows = rowsOf('credits', 'record');
    const names = (cell: string): string[] => codesIn(cell).map((call) => call.replace('()', ''));
    for (const [record, [methods]] of Object.entries(rows))
      expect([record, names(methods!).sort()]).toEqual([record, types.methods(record).sort()]);
  });

  test('why a sign-up refers nobody, and a purchase earns nothing; every status', () => {
    expect(Object.keys(rowsOf('credits', 'reason')).sort()).toEqual(types.members('SignupRefusal').sort());
    expect(Object.keys(rowsOf('commissions', 'value')).sort()).toEqual(types.members('NoCommission').sort());
    expect(Object.keys(rowsOf('commissions', 'status')).sort()).toEqual(types.members('CommissionStatus').sort());
    expect(Object.keys(rowsOf('commissions', 'status of an earn-out')).sort()).toEqual(
      types.members('EarnOutStatus').sort(),
    );
    expect(Object.keys(rowsOf('commissions', 'total')).sort()).toEqual(
      Object.keys(types.fields('AccountTotals')).sort(),
    );
  });

  test('all tables', () => {
    const tables = withColumns.tables.filter(({ target }) => (entities as unknown[]).includes(target));
    expect(tables).toHaveLength(entities.length);
    expect(Object.keys(rowsOf('hosting', 'table')).sort()).toEqual(tables.map(({ name }) => name).sort());
  });
});

describe('what the guides show is what runs', () => {
  const isCode = ({ language }: { language: string }): boolean => language !== 'sh';
  const filesIn = (folder: string): string[] =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
      (file) => file !== 'README.md' && statSync(path.join(folder, file)).isFile(),
    );

  test.each(guideNames)('every file of examples/%s, whole, and no other code', (name) => {
    const folder = path.dirname(guideOf(name));
    const shown = guides
      .get(name)!
      .codeBlocks.filter(isCode)
      .map(({ code }) => code);
    expect(shown.sort()).toEqual(
      filesIn(folder)
        .map((file) => readFileSync(path.join(folder, file), 'utf8'))
        .sort(),
    );
  });

  test('the README shows ten lines, which the quickstart has, and two for the pages', () => {
    const server = readFileSync(path.join(root, 'examples', 'quickstart', 'server.mjs'), 'utf8');
    const known = new Set(server.split('\n').map((line) => line.trim()));
    const [program, pages, ...others] = readme.codeBlocks.filter(isCode).map(({ code }) => code.trimEnd().split('\n'));
    expect(others).toEqual([]);
    expect(program).toHaveLength(10);
    expect(program!.filter((line) => line !== '' && !line.startsWith('//') && !known.has(line))).toEqual([]);
    // The demo shop mounts them, on a router.
    const shop = readFileSync(path.join(root, 'examples', 'shop', 'routes', 'pages.ts'), 'utf8');
    const mounted = pages!.map((line) => line.replace(/^app/, 'router').replace(/;.*/, ';'));
    expect(mounted).toHaveLength(2);
    for (const line of mounted) expect(shop).toContain(line);
  });
});

describe('every reader finds the way', () => {
  const files = ['README.md', 'CHANGELOG.md', 'SECURITY.md', 'examples/shop/README.md']
    .map((file) => path.join(root, file))
    .concat(guideNames.map(guideOf));

  test.each(files.map((file) => [path.relative(root, file), file] as const))('relative links of %s', (_name, file) => {
    const broken = readMarkdown(file).links.filter((link) => {
      if (/^https?:/.test(link)) return false;
      const [to = '', anchor] = link.split('#');
      const target = to === '' ? file : path.resolve(path.dirname(file), to);
      if (!existsSync(target)) return true;
      return anchor !== undefined && !readMarkdown(target).headings.some((heading) => heading.anchor === anchor);
    });
    expect(broken).toEqual([]);
  });

  test.each(guideNames)('the table of contents of %s', (name) => {
    const { headings, text } = guides.get(name) as Markdown;
    const contents = [...text.matchAll(/^- \[(.+)\]\(#(.+)\)$/gm)].map(([, words, anchor]) => [words, anchor]);
    expect(contents).toEqual(
      headings.filter(({ level }) => level === 2).map(({ text: words, anchor }) => [words, anchor]),
    );
  });

  test('the README is short, and leads to every guide', () => {
    expect(Buffer.byteLength(readme.text)).toBeLessThan(9000);
    const guidesLinked = readme.links.filter((link) => /^examples\/\w+\/README\.md$/.test(link));
    expect([...new Set(guidesLinked)].sort()).toEqual(guideNames.map((name) => `examples/${name}/README.md`).sort());
  });
});
