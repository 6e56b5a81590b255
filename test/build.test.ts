import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const root = path.join(__dirname, '..');
const clone = mkdtempSync(path.join(tmpdir(), 'express-referrals-build-'));

afterAll(() => rmSync(clone, { recursive: true, force: true }));

async function build(): Promise<string> {
  const script = path.join(root, 'test', 'support', 'build.ts');
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', script], { cwd: clone });
  return stdout;
}

test('npm start builds what has changed, and only then', async () => {
  for (const file of ['package.json', 'tsconfig.json', 'tsconfig.build.json'])
    cpSync(path.join(root, file), path.join(clone, file));
  symlinkSync(path.join(root, 'node_modules'), path.join(clone, 'node_modules'), 'junction');
  for (const folder of ['lib', 'migrations']) mkdirSync(path.join(clone, folder));
  const source = path.join(clone, 'lib', 'index.ts');
  const built = (): string => readFileSync(path.join(clone, 'dist', 'lib', 'index.js'), 'utf8');
  writeFileSync(path.join(clone, 'migrations', 'index.ts'), 'export const migrations = [];\n');

  writeFileSync(source, "export const word = 'first';\n");
  expect(await build()).toBe('Building the package…\n');
  expect(built()).toContain("'first'");
  expect(await build()).toBe('');

  writeFileSync(source, "export const word = 'second';\n");
  expect(await build()).toBe('Building the package…\n');
  expect(built()).toContain("'second'");
  expect(await build()).toBe('');

  rmSync(path.join(clone, 'dist'), { recursive: true });
  expect(await build()).toBe('Building the package…\n');
  expect(built()).toContain("'second'");
});
