import type { VNode } from 'preact';
import { type NavItem, Page, type PageProps } from '../views/components';
import type { Reader } from '../views/page-router';
import type { View } from '../views/view';
import { doneNotice } from './actions/done-notice';
import { lists } from './lists/lists';

/** The parts of a page of staff that the page itself says. */
export type StaffPage = Pick<PageProps, 'title' | 'children' | 'notice' | 'aside'>;

/** Puts what staff have around a page. */
export type StaffFrame = (page: StaffPage, call: { readonly view: View }) => VNode;

export const staffFrame: StaffFrame = (page, { view }) => {
  const { admin } = view.texts;
  const notice = page.notice ?? doneNotice(view);
  return <Page {...page} notice={notice} frame="staff" name={admin.title} nav={navOf(view)} />;
};

/** The page of an error; without places to go to for who is not of the staff. */
export function staffFailure(
  view: View,
  { title, text }: { title: string; text: string },
  reader: Reader | null,
): VNode {
  const nav = reader === null ? [] : navOf(view);
  return (
    <Page title={title} frame="staff" name={view.texts.admin.title} nav={nav}>
      <p class="rf-lead">{text}</p>
    </Page>
  );
}

function navOf({ texts: { admin } }: View): NavItem[] {
  const { nav } = admin;
  const at = (list: keyof typeof lists, title: string): NavItem => ({ path: lists[list].path, title });
  return [
    { path: '/', title: nav.start },
    { path: '/search', title: nav.search },
    at('reviews', nav.reviews),
    at('earnOuts', nav.payouts),
    at('commissions', nav.commissions),
    at('signups', nav.signups),
    at('purchases', nav.purchases),
    at('referralCodes', nav.referrals),
    at('channels', nav.channels),
    at('responses', nav.responses),
    at('programs', nav.programs),
    at('creditTypes', nav.creditTypes),
    at('credits', nav.credits),
    at('creditTransactions', nav.creditEntries),
    at('adjustments', nav.adjustments),
    at('accounts', nav.accounts),
    { path: '/leaders', title: nav.leaders },
    at('audit', nav.audit),
    { path: '/health', title: nav.health },
  ];
}
