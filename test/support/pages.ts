import type { Express } from 'express';
import type request from 'supertest';
import type { ReferralsOptions } from '../../lib';
import type { browserOf } from './browser';
import { baseUrl, type Host, startHost, TestClock } from './host';

export interface PagesHost extends Host {
  clock: TestClock;
}

type Routes = (app: Express, host: () => PagesHost) => void;

/** The pages at `/referrals`, as most hosts mount them. */
export const mounted: Routes = (app, host) =>
  app.use('/referrals', (req, res, next) => host().referrals.pages(req, res, next));

/**
 * A host whose pages are mounted, with a clock to set: referrers earn a fifth of what their friends pay, as credit or as money.
 */
export async function startPages(
  options: Partial<ReferralsOptions> = {},
  routes: Routes = mounted,
): Promise<PagesHost> {
  const clock = new TestClock();
  const host: PagesHost = {
    clock,
    ...(await startHost(
      {
        clock: clock.read,
        currency: 'EUR',
        commission: { ratio: '0.2' },
        earnOuts: { payout: () => undefined },
        bots: () => false,
        ...options,
      },
      (app) => routes(app, () => host),
    )),
  };
  return host;
}

export type Browser = ReturnType<typeof browserOf>;

/** A browser in which a user is signed in. */
export async function signedIn(host: Host, user: string): Promise<Browser> {
  const browser = host.browser();
  await browser.post(`/login/${encodeURIComponent(user)}`).expect(204);
  return browser;
}

/** The fields of the first form of the method post in a page, as a browser sends them. */
export function formIn(html: string): Record<string, string> {
  const form = /<form[^>]*method="post"[^]*?<\/form>/.exec(html)![0];
  const inputs = [...form.matchAll(/<input[^>]*>/g)].map(([input]) => input);
  const attribute = (input: string, name: string): string =>
    new RegExp(` ${name}="([^"]*)"`).exec(input)?.[1]?.replaceAll('&amp;', '&') ?? '';
  return Object.fromEntries(
    inputs
      .filter((input) => attribute(input, 'type') !== 'radio' || / checked/.test(input))
      .map((input) => [attribute(input, 'name'), attribute(input, 'value')]),
  );
}

/** Sends a form as a page of the site does. */
export function send(browser: Browser, path: string, fields: Record<string, string>): request.Test {
  return browser.post(path).set('Origin', baseUrl).type('form').send(fields);
}
