import { createServer } from 'node:http';
import type { Page } from 'playwright-core';
import { Bank } from '../../examples/shop/bank';
import { freePort } from '../postgres/free-port';
import { TestClock } from '../support/host';
import { closeShops, createDatabase, type OpenedShop, openShop } from '../support/shop';

const [partnerPassword, staffPassword] = ['the partner in a browser', 'the staff in a browser'];

/** A demo shop that answers at an address, with a clock to set. */
export interface RunningShop extends OpenedShop {
  readonly url: string;
  readonly clock: TestClock;
}

export async function startShop(): Promise<RunningShop> {
  const port = await freePort();
  const url = `http://localhost:${port}`;
  const clock = new TestClock();
  const options = { clock: clock.read, bank: new Bank(), partnerPassword, staffPassword, baseUrl: url };
  const shop = await openShop(await createDatabase(), options);
  const server = createServer((req, res) => void shop.app(req, res));
  await new Promise<void>((resolve) => server.listen(port, 'localhost', resolve));
  async function close(): Promise<void> {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await closeShops();
  }
  return { ...shop, url, clock, close };
}

/** Registers, and stays signed in. */
export async function register(page: Page, name: string): Promise<void> {
  await page.goto('/register');
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('E-mail').fill(`${name.toLowerCase().replaceAll(' ', '.')}@example.com`);
  await page.getByLabel('Password').fill('long enough');
  await Promise.all([page.waitForURL('/'), page.getByRole('button', { name: 'Register' }).click()]);
}

async function logIn(page: Page, email: string, password: string): Promise<void> {
  await page.goto('/login');
  await page.getByLabel('E-mail').fill(email);
  await page.getByLabel('Password').fill(password);
  await Promise.all([page.waitForURL('/'), page.getByRole('button', { name: 'Log in' }).click()]);
}

export const logInAsStaff = (page: Page): Promise<void> => logIn(page, 'staff@shop.example', staffPassword);
export const logInAsPartner = (page: Page): Promise<void> => logIn(page, 'partner@shop.example', partnerPassword);
