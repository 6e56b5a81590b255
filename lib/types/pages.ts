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

/** The parts that a host can render itself. */
export const templateNames = [
  ...(['frame', 'overview', 'links', 'coupons', 'friends', 'credits', 'commissions', 'payouts', 'settings'] as const),
  'banner',
] as const;

export type TemplateName = (typeof templateNames)[number];

/** What a template of the host's is given besides the data. */
export interface TemplatePage {
  /** The heading. */
  readonly title: string;
  /** The HTML that ships: of the page's content; for `frame`, of all that is in the body. */
  readonly html: string;
  /** For `frame`: the elements for the document's head that load our style and script. */
  readonly head: string;
  /** Inputs as HTML that each form of the method post must contain. */
  readonly hidden: string;
  /** The locale in which the page is, such as `'de-AT'`. */
  readonly locale: string;
}

/** The option `pages.templates`. */
export type PageTemplates = {
  readonly [Name in TemplateName]?: (data: unknown, page: TemplatePage) => string | Promise<string>;
};
