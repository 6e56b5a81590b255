import { type Request, type RequestHandler, Router } from 'express';
import { isAway } from '../../database/unavailable';
import { invitationOf } from '../../rewards/figures/invitation';
import { theUser } from '../../rewards/records/audit';
import type { Rewards } from '../../rewards/rewards';
import { idOf, signedInUser } from '../../tracking/signed-in-user';
import type { Tracking } from '../../tracking/tracking';
import type { PagesData } from '../../types/pages';
import { notFound } from '../http-error';
import { assetsOf } from '../views/assets';
import { colorsCss } from '../views/colors';
import { Frame, Links } from '../views/components';
import { CsrfTokens } from '../views/csrf';
import { type Answer, pageRouter, type Route } from '../views/page-router';
import { renderPart } from '../views/render';
import type { Texts } from '../views/texts/texts';
import type { View } from '../views/view';
import { viewOf } from '../views/view-maker';
import { Banner } from './banner';
import { commissions } from './commissions';
import { coupons } from './coupons';
import { creditEntries, credits } from './credits';
import { Documents } from './document';
import { friends } from './friends';
import { links } from './links';
import { overview } from './overview';
import { linkUrl, pagesData, userNames } from './pages-data';
import { payouts } from './payouts';
import { qrFile } from './qr';
import type { PagesReader, Screen } from './screen';
import { settings as settingsScreen } from './settings';
import { statementFile, statementKinds } from './statements';

/** `referrals.pages`: the router, and the data for a host that renders its own pages. */
export interface Pages extends RequestHandler {
  /**
   * Returns what the pages show to the user who is signed in; null for nobody.
   *
   * @example
   * const data = await referrals.pages.data(req);
   * res.render('earnings', { overview: await data.overview(30) });
   */
  readonly data: (req: Request) => Promise<PagesData | null>;
}

/** The users' own pages, and the parts of them for pages of the host's. */
export interface UserPages {
  readonly pages: Pages;
  readonly embed: (req: Request) => Promise<string>;
  readonly banner: (req: Request) => Promise<string>;
}

export function userPages(tracking: Tracking, rewards: Rewards, texts: ReadonlyMap<string, Texts>): UserPages {
  const { settings, visitorClock, calls } = tracking;
  const { figures, managers } = rewards;
  const { templates, signInPath } = settings.pages;
  const assets = assetsOf(
    'pages',
    { css: ['views.css', 'pages.css'], js: ['views.js'] },
    colorsCss(settings.pages.colors),
  );
  const parts = { settings, texts, tokens: new CsrfTokens(settings.secrets, 'pages'), assets };
  const now = (): Date => visitorClock.now();

  const screens: readonly Screen<unknown>[] = [
    overview,
    links((user, input) => calls.createReferral({ user, ...input }, {})),
    coupons,
    friends,
    credits,
    creditEntries,
    commissions,
    payouts,
    settingsScreen((user, account, changes) => managers.accounts.updateBy(theUser(user), account, changes)),
  ];

  async function reader(req: Request): Promise<PagesReader | null> {
    const id = idOf(await signedInUser(settings, req, settings.onError));
    return id === null ? null : { id, data: pagesData(figures, settings, id, req) };
  }

  function router(frame: 'user' | 'none'): RequestHandler {
    const documents = new Documents(templates, frame);
    const isFramed = frame === 'none';
    return pageRouter<PagesReader>({
      ...parts,
      ...{ now, reader, framing: isFramed ? 'same-origin' : 'nobody' },
      refuse: (view) =>
        signInPath === null || isFramed ? documents.signIn(view) : { goTo: settings.sitePath + signInPath },
      failurePage: (view, failure) => documents.failure(view, failure),
      routes: [...screens.map((one) => routeOf(one, documents)), qrRoute, ...statementRoutes],
    });
  }

  /** The QR code of one of the user's links. */
  const qrRoute: Route<PagesReader> = {
    path: '/qr.svg',
    async get({ view, reader: { id } }) {
      const code = view.query.get('code') ?? '';
      const link = await tracking.lookup.find(code);
      if (link?.referral.userId !== id) throw notFound();
      return {
        file: qrFile(linkUrl(settings, link.referral.code)),
        name: `${link.referral.code}.svg`,
        type: 'image/svg+xml',
      };
    },
  };

  const statementRoutes = statementKinds.map((kind): Route<PagesReader> => ({
    path: `/${kind}.csv`,
    get: ({ req, reader: { id }, view }) => ({
      csv: statementFile({ figures, settings }, kind, id, userNames(settings, req), view.texts),
    }),
  }));

  /** The view of a part of a page of the host's. */
  const partView = (req: Request, id: string): View =>
    viewOf(parts, req, req.res!, {
      ...{ mount: settings.pages.path, path: '/', query: new URLSearchParams() },
      ...{ id, now: now() },
    });

  async function embed(req: Request): Promise<string> {
    const who = await reader(req);
    if (!who) return '';
    const view = partView(req, who.id);
    const data = await who.data.overview();
    const title = view.texts.overview.title;
    const content = await new Documents(templates, 'part').part(view, { ...overview, title }, data);
    return renderPart(
      view,
      <>
        <Links view={view} />
        <div class="rf rf-embed" lang={view.locale}>
          <Frame title={title} name={view.texts.name} frame="part" nav={[]}>
            {content}
          </Frame>
        </div>
      </>,
    );
  }

  /** A landing page is of more use without its banner than not at all. */
  async function banner(req: Request): Promise<string> {
    try {
      return await bannerOf(req);
    } catch (error) {
      if (!isAway(error)) throw error;
      settings.onError(error);
      return '';
    }
  }

  async function bannerOf(req: Request): Promise<string> {
    const referral = await calls.referralForRequest(req, {});
    if (!referral) return '';
    const user = idOf(await signedInUser(settings, req, settings.onError));
    const invitation = await invitationOf(tracking.database, referral.id, user);
    if (!invitation || (invitation.inviter === null && invitation.friend === null)) return '';
    const { inviter, friend } = invitation;
    const view = partView(req, user ?? '');
    // Strangers see it, and to them an id is no name, masked or not.
    const name = inviter === null ? null : await userNames(settings, req, () => null)(inviter);
    const data = { inviter: name, amount: friend?.amount ?? null, isPersonal: inviter !== null };
    const content = { name: 'banner' as const, title: view.texts.banner.label, Body: Banner };
    return renderPart(
      view,
      <>
        <link rel="stylesheet" href={view.assets.css} />
        {await new Documents(templates, 'part').part(view, content, data)}
      </>,
    );
  }

  const both = Router();
  both.use('/embed', router('none'));
  both.use(router('user'));
  const data = async (req: Request): Promise<PagesData | null> => (await reader(req))?.data ?? null;
  return { pages: Object.assign(both, { data }), embed, banner };
}

/** The route of a screen: its page, and its form, which shows the page again if something in it is wrong. */
function routeOf(screen: Screen<unknown>, documents: Documents): Route<PagesReader> {
  const show = async (
    call: Parameters<NonNullable<Route<PagesReader>['get']>>[0],
    refused: Parameters<typeof screen.load>[1],
  ): Promise<Answer> => {
    const title = screen.title(call.view.texts);
    return documents.page(call.view, { ...screen, title }, await screen.load(call, refused), refused ? 400 : 200);
  };
  const { submit } = screen;
  return {
    path: screen.path,
    get: (call) => show(call, null),
    ...(submit && {
      async post(call) {
        const result = await submit(call);
        return 'goTo' in result ? result : show(call, result);
      },
    }),
  };
}
