import type { RequestHandler } from 'express';
import type { Rewards } from '../../rewards/rewards';
import { idOf, signedInUser } from '../../tracking/signed-in-user';
import type { Tracking } from '../../tracking/tracking';
import { assetsOf } from '../views/assets';
import { colorsCss } from '../views/colors';
import { Code, Page, Section } from '../views/components';
import { CsrfTokens } from '../views/csrf';
import { pageRouter } from '../views/page-router';
import type { Texts } from '../views/texts/texts';

/** The users' own pages. */
export function pages(tracking: Tracking, rewards: Rewards, texts: ReadonlyMap<string, Texts>): RequestHandler {
  const { settings, visitorClock } = tracking;
  return pageRouter({
    settings,
    texts,
    tokens: new CsrfTokens(settings.secrets, 'pages'),
    assets: assetsOf('pages', { css: ['views.css'], js: ['views.js'] }, colorsCss(settings.pages.colors)),
    now: () => visitorClock.now(),
    async reader(req) {
      const id = idOf(await signedInUser(settings, req, settings.onError));
      return id === null ? null : { id };
    },
    refuse: (view) => ({
      status: 401,
      page: (
        <Page title={view.texts.signIn.title} name={view.texts.name} frame="user" nav={[]}>
          <p class="rf-lead">{view.texts.signIn.text}</p>
        </Page>
      ),
    }),
    failurePage: (view, { title, text }) => (
      <Page title={title} name={view.texts.name} frame="user" nav={[]}>
        <p class="rf-lead">{text}</p>
      </Page>
    ),
    routes: [
      {
        path: '/',
        async get({ view, reader }) {
          const { referralId } = await rewards.managers.accounts.of(reader.id);
          return {
            page: (
              <Page title={view.texts.overview.title} name={view.texts.name} frame="user" nav={[]}>
                <Section>
                  <Code>{referralId}</Code>
                </Section>
              </Page>
            ),
          };
        },
      },
    ],
  });
}
