import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { NpmStart } from './support/npm-start';

jest.setTimeout(600_000);

const parent = mkdtempSync(path.join(tmpdir(), 'express-referrals-start-'));
const folder = path.join(parent, 'shop');
const started: NpmStart[] = [];

function start(variables: Record<string, string | undefined> = {}): NpmStart {
  const shop = new NpmStart({ DATA_FOLDER: folder, PORT: '0', ...variables });
  started.push(shop);
  return shop;
}

const opened = /The shop is open at (http:\S+);/;

afterEach(async () => {
  for (const shop of started.splice(0)) {
    shop.signal('SIGINT');
    await shop.ended;
  }
});

afterAll(() => rmSync(parent, { recursive: true, force: true }));

test('npm start says what it does and where, and stops on Ctrl-C', async () => {
  const shop = start();
  const [, address] = await shop.says(opened);
  const order = [
    `Making a new database in ${folder}…`,
    `Starting PostgreSQL, with its data in ${folder}…`,
    'Running migrations…',
    'Ran CreateReferrals',
    'The shop is open at',
  ];
  const places = order.map((line) => shop.output.indexOf(line));
  expect(places).not.toContain(-1);
  expect(places).toEqual([...places].sort((a, b) => a - b));
  expect((await fetch(address!)).status).toBe(200);

  shop.signal('SIGINT');
  await shop.ended;
  expect(shop.output).toMatch(/Closing the shop…\nStopping PostgreSQL…\n$/);
  expect(existsSync(path.join(folder, 'postmaster.pid'))).toBe(false);
});

test('a second npm start says that the shop is running and where, and leaves it alone', async () => {
  const first = start();
  const [, address] = await first.says(opened);
  const second = start();
  await second.says(new RegExp(`The shop is already running at ${address}`));
  expect(await second.ended).toBe(0);
  expect(second.output).not.toMatch(/lock file|Starting PostgreSQL/);
  expect((await fetch(address!)).status).toBe(200);
});

test('npm start works after the shop was killed, and PostgreSQL still runs', async () => {
  const killed = start();
  await killed.says(opened);
  const [, id] = await start().says(/already running at \S+ \(process (\d+)\)/);
  process.kill(Number(id), 'SIGKILL');
  await killed.ended;
  const [, address] = await start().says(opened);
  expect(started.at(-1)!.output).toContain('Stopping the PostgreSQL that a killed process left running');
  expect((await fetch(address!)).status).toBe(200);
});

test('npm start works after all its processes were killed, PostgreSQL too', async () => {
  const killed = start();
  await killed.says(opened);
  killed.signal('SIGKILL');
  await killed.ended;
  const [, address] = await start().says(opened);
  expect((await fetch(address!)).status).toBe(200);
});

test('npm start says why it takes another port than 3000, and refuses another than PORT names', async () => {
  const other = createServer();
  // Where 3000 is in use already, that serves as well.
  await new Promise<void>((resolve) => other.once('error', () => resolve()).listen(3000, () => resolve()));
  try {
    const shop = start({ PORT: undefined });
    const [, port] = await shop.says(/Port 3000 is in use; using (\d+)/);
    await shop.says(new RegExp(`The shop is open at http://localhost:${port};`));
    shop.signal('SIGINT');
    await shop.ended;

    const refused = start({ PORT: '3000' });
    await refused.says(/Port 3000, which PORT names, is in use/);
    expect(await refused.ended).not.toBe(0);
  } finally {
    await new Promise((resolve) => other.close(resolve));
  }
});

test('npm start leaves a build alone that is up to date', async () => {
  const file = path.join(__dirname, '..', 'dist', 'lib', 'index.js');
  await start().says(opened); // it builds where nothing was built yet
  const { mtimeMs } = statSync(file);
  started[0]!.signal('SIGINT');
  await started[0]!.ended;
  const again = start();
  await again.says(opened);
  expect(again.output).not.toContain('Building the package');
  expect(statSync(file).mtimeMs).toBe(mtimeMs);
});
