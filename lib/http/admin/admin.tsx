import type { RequestHandler } from 'express';
import { referralError } from '../../errors';
import { hostIdOf, isNothing } from '../../input';
import { refused } from '../../option-checks';
import type { Rewards } from '../../rewards/rewards';
import type { Lists } from '../../rewards/stories/lists';
import type { Tracking } from '../../tracking/tracking';
import type { StaffMember } from '../../types/pages';
import { HttpError } from '../http-error';
import { assetsOf } from '../views/assets';
import { colorsCss } from '../views/colors';
import { CsrfTokens } from '../views/csrf';
import { type Answer, type PageCall, pageRouter, type Reader, type Route } from '../views/page-router';
import type { Texts } from '../views/texts/texts';
import { actionRoutes } from './actions/action-routes';
import { readFilters } from './lists/filter';
import type { List } from './lists/list';
import { csvColumnsOf, csvRowsOf } from './lists/list-csv';
import { listPage } from './lists/list-page';
import { lists } from './lists/lists';
import { staffFailure, staffFrame } from './staff-frame';
import { healthPage } from './stories/health-page';
import { leadersPage } from './stories/leaders-page';
import { referralPage } from './stories/referral-page';
import { searchPage } from './stories/search-page';
import { startPage } from './stories/start-page';
import { userPage } from './stories/user-page';
import { verifyPage } from './stories/verify-page';

/**
 * The pages of staff: `referrals.admin`. Everybody for whom the option `staff` returns null gets 403, whatever the path.
 *
 * @throws ReferralError `STAFF_MISSING` without the option.
 */
export function admin(tracking: Tracking, rewards: Rewards, texts: ReadonlyMap<string, Texts>): RequestHandler {
  const { settings, clock } = tracking;
  const { staff } = settings;
  if (!staff) throw referralError('STAFF_MISSING');
  return pageRouter({
    settings,
    texts,
    tokens: new CsrfTokens(settings.secrets, 'admin'),
    assets: assetsOf('admin', { css: ['views.css', 'admin.css'], js: ['views.js'] }, colorsCss(settings.pages.colors)),
    // Staff type times into forms and filters, which the server reads in the zone that it knows: all others are shown in it too.
    followsBrowser: false,
    now: () => clock.now(),
    reader: async (req) => readerOf(await staff(req)),
    refuse: (view) => ({ status: 403, page: staffFailure(view, view.texts.admin.refused, null) }),
    failurePage: (view, failure, reader) => ({ page: staffFailure(view, failure, reader) }),
    routes: routesOf(tracking, rewards),
  });
}

/** @throws ReferralError `INVALID_OPTION` for what is neither somebody with an id nor nobody: that lets nobody in. */
function readerOf(given: unknown): Reader | null {
  if (isNothing(given)) return null;
  try {
    const { id, name } = given as StaffMember;
    return { id: hostIdOf('id', id), ...(typeof name === 'string' && { name }) };
  } catch {
    throw refused('staff', 'a function that returns { id }, or null for who is not of the staff', given);
  }
}

function routesOf({ settings }: Tracking, rewards: Rewards): Route[] {
  const { stories } = rewards;
  return [
    { path: '/', get: (call) => startPage(stories, call, staffFrame) },
    { path: '/search', get: (call) => searchPage(stories, call, staffFrame) },
    { path: '/leaders', get: (call) => leadersPage(stories, call, staffFrame) },
    { path: '/health', get: (call) => healthPage(stories, call, staffFrame) },
    { path: '/health/verify', post: (call) => verifyPage(stories, settings.onError, call, staffFrame) },
    { path: '/referrals/:id', get: (call) => referralPage(stories, call, staffFrame) },
    { path: '/users/:user', get: (call) => userPage(stories, call, staffFrame) },
    ...actionRoutes({ rewards, settings, frame: staffFrame }),
    // The story of a referral has a path of its own below that of the list; Express takes the first that matches.
    ...Object.values(lists).flatMap((list) => routesOfList(rewards, list)),
  ];
}

function routesOfList({ stories }: Rewards, list: List): Route[] {
  return [
    { path: `${list.path}.csv`, get: (call) => listCsv(stories.lists, list, call) },
    { path: list.path, get: (call) => listPage(stories.lists, list, call, staffFrame) },
  ];
}

/** @throws HttpError 400 for filters without a meaning: a file with other rows would be taken for the one that was meant. */
function listCsv(from: Lists, list: List, { view }: PageCall): Answer {
  const { conditions, wrong } = readFilters(list.filters, view);
  if (wrong.size > 0) throw new HttpError(400, { detail: 'A filter has no meaning.' });
  return { csv: { name: list.path.slice(1), columns: csvColumnsOf(list), rows: csvRowsOf(from, list, conditions) } };
}
