import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { entities, migrations } from '../lib';
import { readMarkdown } from './support/markdown';

const run = promisify(execFile);
const root = path.join(__dirname, '..');
const { devDependencies } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
  devDependencies: Record<string, string>;
};
let folder: string;
let tarball: string;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'express-referrals-package-'));
  // Without scripts: `npm test` has built the package already.
  const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], {
    cwd: root,
  });
  const packed = JSON.parse(stdout) as Record<string, { filename: string }>;
  tarball = path.join(folder, Object.values(packed)[0]!.filename);
  expect(existsSync(tarball)).toBe(true);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A project of somebody else's, with the tarball and its peers installed as npm installs them. */
async function consumer(
  name: string,
  manifest: object,
  files: Record<string, string>,
  more: string[] = [],
): Promise<string> {
  const project = path.join(folder, name);
  mkdirSync(project);
  writeFileSync(path.join(project, 'package.json'), JSON.stringify({ name, private: true, ...manifest }));
  for (const [file, text] of Object.entries(files)) writeFileSync(path.join(project, file), text);
  const wanted = ['express', 'express-session', 'typeorm', 'pg', ...more].map((dependency) => {
    const range = devDependencies[dependency];
    return range ? `${dependency}@${range}` : dependency;
  });
  await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', tarball, ...wanted], { cwd: project });
  return project;
}

const expected = `function function true true function ${entities.length} ${migrations.length}\n`;

test('a CommonJS project', async () => {
  const project = await consumer(
    'cjs',
    { type: 'commonjs' },
    {
      'index.js': `
      const required = require('express-referrals');
      import('express-referrals').then((imported) => console.log(
        typeof required.createReferrals, typeof required.Referral.create, required.Referral === imported.Referral,
        require('express-referrals/package.json').name === 'express-referrals',
        typeof required.runMigrations, required.entities.length, required.migrations.length));`,
    },
  );
  expect((await run('node', ['index.js'], { cwd: project })).stdout).toBe(expected);
});

test('an ES module project', async () => {
  const project = await consumer(
    'esm',
    { type: 'module' },
    {
      'index.js': `
      import { createRequire } from 'node:module';
      import { createReferrals, entities, migrations, Referral, ReferralError, runMigrations } from 'express-referrals';
      const required = createRequire(import.meta.url)('express-referrals');
      console.log(typeof createReferrals, typeof Referral.create, Referral === required.Referral,
        ReferralError === required.ReferralError, typeof runMigrations, entities.length, migrations.length);`,
    },
  );
  expect((await run('node', ['index.js'], { cwd: project })).stdout).toBe(expected);
});

test('a TypeScript project, with strict types and none of ours skipped', async () => {
  const project = await consumer(
    'typescript',
    { type: 'module' },
    {
      'tsconfig.json': JSON.stringify({
        compilerOptions: { strict: true, module: 'nodenext', target: 'es2023', types: ['node'], skipLibCheck: false },
        files: ['index.ts'],
      }),
      'index.ts': `
        import { createRequire } from 'node:module';
        import express from 'express';
        import { DataSource, MoreThan } from 'typeorm';
        import {
          createReferrals, entities, migrations, Referral, type ReferralCode, type ReferralResponse, type ReferralsOptions,
          runMigrations,
        } from 'express-referrals';

        export function wire(url: string): express.Express {
          const dataSource = new DataSource({ type: 'postgres', url, entities: [...entities], migrations: [...migrations] });
          const options: ReferralsOptions = { dataSource, baseUrl: 'https://shop.example', secret: [url], user: (req) => req.get('x') };
          const referrals = createReferrals(options);
          referrals.on('response', ({ action }) => void action.toLowerCase());
          // @ts-expect-error there is no such event
          referrals.on('responded', () => undefined);
          // @ts-expect-error a referral leads somewhere
          void Referral.create({ user: 1 });
          const app = express();
          app.use(referrals.middleware);
          app.use('/r', referrals.router);
          app.get('/', async (req, res) => {
            const referral: Referral | null = await req.referralForRequest();
            const response: ReferralResponse | null = await Referral.recordResponse(req, 'SEEN', { target: { type: 'a', id: 1n } });
            res.json([referral?.url, response?.createdAt.getTime(), referral?.userId?.length]);
          });
          app.post('/', async (req, res) => {
            const code: ReferralCode | null = await referrals.referralCodes.getByCode('A', { optional: true });
            // @ts-expect-error it may be missing
            await (await referrals.referralCodes.get(1, { optional: true })).refresh();
            const rich = await referrals.credits.search({ where: { currentBalance: MoreThan('0') }, order: { expiryDate: 'ASC' } });
            const [plain] = await referrals.signups.search({ where: [{ userId: 'a' }, { referrerId: null }], plain: true });
            // @ts-expect-error a code has no such field
            await referrals.referralCodes.search({ fields: ['codes'] });
            const flag: boolean = Date.now() > 0;
            // @ts-expect-error it may be missing
            await (await referrals.programs.get(1, { optional: flag })).refresh();
            // @ts-expect-error a plain object has no methods
            void plain.credits;
            // @ts-expect-error amounts are not Dates
            await referrals.credits.spend('a', { amount: new Date(), reference: 'b' });
            await referrals.programs.update(code!.programId!, { rewardCredit: { amount: '5' }, beforeRewardUsageThreshold: 0 });
            res.json([code?.rewardCreditAmount, rich.map(({ isExpired }) => isExpired), plain?.recordedUsage]);
          });
          return app;
        }
        const required = createRequire(import.meta.url)('express-referrals');
        console.log(typeof createReferrals, typeof Referral.create, Referral === required.Referral, true,
          typeof runMigrations, entities.length, migrations.length);`,
    },
    ['typescript', '@types/node', '@types/express', '@types/express-session', '@types/pg'],
  );
  const tsc = await run('npx', ['tsc'], { cwd: project }).catch((error: { stdout: string }) => error);
  expect(
    tsc.stdout.split('\n').filter((line) => line.includes('express-referrals') || line.startsWith('index.ts')),
  ).toEqual([]);
  expect((await run('node', ['index.js'], { cwd: project })).stdout).toBe(expected);
});

/** The files of the tarball, without its top folder. */
async function packed(): Promise<string[]> {
  const { stdout } = await run('tar', ['-tzf', tarball]);
  return stdout
    .trim()
    .split('\n')
    .map((file) => file.slice(file.indexOf('/') + 1));
}

test('the tarball holds the build, its sources and the guides, and nothing that is not for users', async () => {
  const files = await packed();
  const guides = ['quickstart', 'links', 'credits', 'commissions', 'api', 'hosting', 'testing'];
  const tops = new Set(files.map((file) => /^(dist|examples)\/[^/]*|[^/]*/.exec(file)![0]));
  expect([...tops].sort()).toEqual(
    [
      ...['CHANGELOG.md', 'LICENSE', 'README.md', 'SECURITY.md', 'package.json', 'dist/lib', 'dist/migrations'],
      ...['lib', 'migrations'],
      ...['shop', ...guides].map((name) => `examples/${name}`),
    ].sort(),
  );
  // The pictures of the README.
  const pictures = ['examples/shop/referrer.webp', 'examples/shop/staff.webp'];
  expect(files.filter((file) => file.startsWith('examples/shop/')).sort()).toEqual(pictures);
  for (const picture of pictures) expect(statSync(path.join(root, picture)).size).toBeLessThan(60_000);

  const documents = ['README.md', ...guides.map((name) => `examples/${name}/README.md`)];
  const missing = documents.flatMap((document) =>
    readMarkdown(path.join(root, document))
      .links.filter((link) => !/^(https?:|#)/.test(link))
      .map((link) => path.posix.join(path.posix.dirname(document), link.replace(/#.*/, '')))
      .filter((target) => !files.includes(target)),
  );
  expect([...new Set(missing)]).toEqual([]);
});

test('each file of the build has a map to a source that is in the tarball', async () => {
  const files = new Set(await packed());
  // The scripts of the pages are copied as they are.
  const built = [...files].filter((file) => /^dist\/(?!.*\/assets\/).*\.(js|d\.ts)$/.test(file));
  expect(built.length).toBeGreaterThan(100);
  for (const file of built) {
    const { sources } = JSON.parse(readFileSync(path.join(root, `${file}.map`), 'utf8')) as { sources: string[] };
    expect(files).toContain(`${file}.map`);
    expect(sources).toHaveLength(1);
    expect(files).toContain(path.posix.join(path.posix.dirname(file), sources[0]!));
  }
});

test('with source maps a stack trace shows the sources', async () => {
  const project = await consumer(
    'maps',
    { type: 'commonjs' },
    { 'index.js': "const { createReferrals } = require('express-referrals');\ncreateReferrals({});" },
  );
  const { stderr } = await run('node', ['--enable-source-maps', 'index.js'], { cwd: project }).catch(
    (error: { stderr: string }) => error,
  );
  expect(stderr).toMatch(/express-referrals[/\\]lib[/\\]create-referrals\.ts:\d+/);
});
