import type {
  CommissionsAsked,
  CouponFigures,
  CreditEntry,
  FigureDays,
  Friend,
  LinkFigures,
  Overview,
  OwnAdjustment,
  OwnCommission,
  OwnCredit,
  OwnCredits,
  OwnLink,
  OwnPayout,
  OwnSettings,
  Rows,
  RowsAsked,
} from './figures';

/** Who of the staff is signed in. */
export interface StaffMember {
  /** The id that the audit names as `by`, up to 255 characters. */
  readonly id: string | number | bigint;
  /** How the pages name them. Default: the id. */
  readonly name?: string;
}

/** A colour, `'#rrggbb'`: for both looks, or for each. */
export type PageColor = string | { readonly light: string; readonly dark: string };

/** The option `pages.colors`. */
export interface PageColors {
  /** Words and lines. */
  readonly ink?: PageColor;
  /** What words stand on. */
  readonly paper?: PageColor;
  /** Buttons, links and charts. */
  readonly accent?: PageColor;
}

/** A link with its address. */
export type WithUrl<L extends OwnLink> = L & { readonly url: string };

/** A row about a friend, with the name by which the user knows them in the place of the id; null for none. */
export type Named<Row> = Omit<Row, 'friendId'> & { readonly friend: string | null };

/** What the page of the user's link shows. */
export interface OverviewData extends Overview {
  readonly link: WithUrl<OwnLink>;
}

/** A page of the user's credits, and what can be spent. */
export interface CreditsData extends Omit<OwnCredits, 'rows'> {
  readonly rows: Named<OwnCredit>[];
}

/**
 * What the pages show to a signed-in user, as `referrals.pages.data(req)` returns it to a host that renders its own. Each call is
 * one page, in at most five statements. Amounts are decimal strings of the program's currency, and times are Dates. Friends are
 * named by the option `pages.userName`, else by their ids, masked.
 *
 * All throw ReferralError `INVALID_INPUT` naming the field, and `DATABASE_UNAVAILABLE`.
 */
export interface PagesData {
  readonly userId: string;
  /** The user's link, its terms, and the figures of the last so many days; null for all time. Default 30. */
  overview(days?: FigureDays): Promise<OverviewData>;
  links(page?: RowsAsked): Promise<Rows<WithUrl<LinkFigures>>>;
  coupons(page?: RowsAsked): Promise<Rows<CouponFigures>>;
  friends(page?: RowsAsked): Promise<Rows<Omit<Friend, 'id'> & { friend: string | null }>>;
  credits(page?: RowsAsked): Promise<CreditsData>;
  /** The entries of one of the user's credits; none if it is another's. */
  entries(asked: RowsAsked & { credit: number }): Promise<Rows<CreditEntry>>;
  commissions(asked?: RowsAsked & { status?: CommissionsAsked | null }): Promise<Rows<Named<OwnCommission>>>;
  adjustments(page?: RowsAsked): Promise<Rows<OwnAdjustment>>;
  payouts(page?: RowsAsked): Promise<Rows<OwnPayout>>;
  settings(): Promise<OwnSettings>;
}

/** The parts that a host can render itself: the document around all pages, each page, and the banner. */
export const templateNames = [
  ...(['frame', 'overview', 'links', 'coupons', 'friends', 'credits', 'credit', 'commissions', 'payouts'] as const),
  ...(['settings', 'banner'] as const),
] as const;

export type TemplateName = (typeof templateNames)[number];

/** What a template of the host's is given besides the data. */
export interface TemplatePage {
  /** The heading. */
  readonly title: string;
  /** The HTML that ships: of the page's content; for `frame`, of all that is in the body. */
  readonly html: string;
  /** The elements of the document's head that load our style and script. */
  readonly head: string;
  /** Inputs as HTML that each form of the method post must contain. */
  readonly hidden: string;
  /** The locale in which the page is, such as `'de-AT'`. */
  readonly locale: string;
}

/**
 * The option `pages.templates`. The data is what the call of {@link PagesData} with the same name returns, with a few facts of the
 * page, such as what was typed into a form that was refused.
 */
export type PageTemplates = {
  readonly [Name in TemplateName]?: (data: unknown, page: TemplatePage) => string | Promise<string>;
};
