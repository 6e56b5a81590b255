import express, { type Express, type Request } from 'express';
import supertest, { type Response } from 'supertest';
import type { DataSource } from 'typeorm';
import type { ReferralsOptions } from '../../lib';
import { attach } from '../../lib/database/attachment';
import { registry } from '../../lib/entities/instance';
import { admin } from '../../lib/http/admin/admin';
import { textsByLanguage } from '../../lib/http/views/texts/texts';
import { settingsOf } from '../../lib/options';
import { type Rewards, wireRewards } from '../../lib/rewards/rewards';
import { type Tracking, wireTracking } from '../../lib/tracking/tracking';
import { baseUrl, openDataSource, patient, secret, TestClock } from './host';

export const mount = '/admin/referrals';

/** A host whose staff say who they are in the header `x-staff`. */
export interface StaffHost {
  readonly app: Express;
  readonly dataSource: DataSource;
  readonly rewards: Rewards;
  readonly tracking: Tracking;
  readonly clock: TestClock;
  readonly errors: unknown[];
  close(): Promise<void>;
}

const staffOf = (req: Request): { id: string } | null => {
  const id = req.get('x-staff');
  return id === undefined ? null : { id };
};

/** The pages of staff, beside what they are wired with. */
export async function startStaff(
  options: Partial<ReferralsOptions> = {},
  source: Parameters<typeof openDataSource>[0] = {},
): Promise<StaffHost> {
  const dataSource = options.dataSource ?? (await openDataSource(source));
  const clock = new TestClock();
  const errors: unknown[] = [];
  const settings = settingsOf({
    ...{
      dataSource,
      baseUrl,
      secret,
      user: () => null,
      staff: staffOf,
      clock: clock.read,
      onError: (error) => errors.push(error),
    },
    ...patient(),
    ...options,
  });
  const tracking = wireTracking(settings);
  const rewards = wireRewards(settings, tracking);
  registry.add(dataSource, {
    ...{ referrals: tracking.calls, signups: rewards.signups, records: rewards.records, clock: tracking.clock },
  });
  const detach = attach(dataSource, [tracking.events.subscriber]);
  const router = admin(tracking, rewards, textsByLanguage({}));
  const app = express();
  app.set('trust proxy', true);
  app.use(mount, router);
  app.use(((error, _req, res, _next) => {
    errors.push(error);
    res.status(500).send('the host’s error page');
  }) as express.ErrorRequestHandler);
  const close = async (): Promise<void> => {
    await Promise.all([tracking.close(), rewards.close()]);
    detach();
    registry.remove(dataSource);
  };
  return { app, dataSource, rewards, tracking, clock, errors, close };
}

export type Fields = Readonly<Record<string, string | readonly string[]>>;

/** A form of a page: where it is sent, and the fields that it has without being filled in. */
export interface PageForm {
  readonly action: string;
  readonly fields: Record<string, string>;
}

/** One of the staff, with a browser that can send forms. */
export class StaffBrowser {
  constructor(
    readonly host: Pick<StaffHost, 'app'>,
    readonly staff: string | null = 'sue',
  ) {}

  get(path: string): Promise<Response> {
    const asked = supertest(this.host.app).get(`${mount}${path}`);
    return Promise.resolve(this.staff === null ? asked : asked.set('x-staff', this.staff));
  }

  /** Sends a form. `site` is what the browser says of the page that sends it. */
  send(path: string, fields: Fields, site = 'same-origin'): Promise<Response> {
    const asked = supertest(this.host.app).post(path).set('Sec-Fetch-Site', site).type('form').send(fields);
    return Promise.resolve(this.staff === null ? asked : asked.set('x-staff', this.staff));
  }

  /** Opens the form of an action, fills it in, and asks for the preview. */
  async preview(name: string, query: Record<string, string>, filled: Fields): Promise<Response> {
    const form = await this.form(name, query);
    return this.send(form.action, { ...form.fields, ...filled });
  }

  async form(name: string, query: Record<string, string> = {}): Promise<PageForm> {
    const page = await this.get(`/actions/${name}?${new URLSearchParams(query).toString()}`);
    const form = formsOf(page).find(({ action }) => action.endsWith('/preview'));
    if (!form) throw new Error(`the page has no form for a preview: ${page.status} ${page.text}`);
    return form;
  }
}

/** The form by which a preview is confirmed. */
export function confirmationOf(page: Response): PageForm {
  const form = formsOf(page).find(({ action }) => !action.endsWith('/preview'));
  if (!form) throw new Error(`the page is no preview: ${page.status} ${textOf(page)}`);
  return form;
}

/** The forms of the method post, as a browser reads them. */
export function formsOf({ text }: Response): PageForm[] {
  return [...text.matchAll(/<form [^>]*method="post"[^>]*action="([^"]*)"[^>]*>(.*?)<\/form>/gs)].map(
    ([, action, inside]) => ({ action: unescaped(action!), fields: fieldsOf(inside!) }),
  );
}

function fieldsOf(html: string): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const [tag] of html.matchAll(/<input (?:[^>"]|"[^"]*")*>/g)) {
    const of = (name: string): string | undefined => new RegExp(`\\s${name}="([^"]*)"`).exec(tag)?.[1];
    const isChecked = /\schecked/.test(tag) || !/type="(checkbox|radio)"/.test(tag);
    if (isChecked && of('name') !== undefined) fields[unescaped(of('name')!)] = unescaped(of('value') ?? '');
  }
  for (const [, name, value] of html.matchAll(/<textarea [^>]*?name="([^"]*)"[^>]*>([^<]*)<\/textarea>/g))
    fields[name!] = unescaped(value!);
  for (const [, name, inside] of html.matchAll(/<select [^>]*?name="([^"]*)"[^>]*>(.*?)<\/select>/gs))
    fields[name!] = unescaped(
      /<option [^>]*selected[^>]*value="([^"]*)"|<option [^>]*value="([^"]*)"[^>]*selected/
        .exec(inside!)
        ?.slice(1)
        .find((one) => one !== undefined) ?? '',
    );
  return fields;
}

/** What a reader sees of a page. */
export function textOf({ text }: Response): string {
  const shown = text.replace(/<(head|script|style).*?<\/\1>/gs, ' ').replace(/<[^>]*>/g, ' ');
  return unescaped(shown).replace(/\s+/g, ' ');
}

const entities: Record<string, string> = { 'amp': '&', 'lt': '<', 'gt': '>', 'quot': '"', '#39': "'" };

function unescaped(html: string): string {
  return html.replace(/&(amp|lt|gt|quot|#39);/g, (_all, name: string) => entities[name]!);
}
