import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { invalid, referralError } from '../../errors';
import { type FieldsOf, isNothing, objectOf, recordIdOf, someUserIdOf } from '../../input';
import { dayMs } from '../../limits';
import type { Settings } from '../../options';
import type { UserRef } from '../../types/common';
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
  OwnCredits,
  OwnPayout,
  OwnSettings,
  Rows,
  RowsAsked,
  StatementKind,
  Statements,
} from '../../types/figures';
import type { CreditManager } from '../credits/credit-manager';
import type { AccountManager } from '../earn-outs/account-manager';
import { couponReader } from './coupons';
import { creditReader, entryReader, heldCredit } from './credits';
import { DayClosing } from './day-closing';
import { adjustmentReader, commissionReader, commissionsAsked, payoutReader } from './earnings';
import { friendReader } from './friends';
import { linkReader } from './links';
import { OfferedTermsReader, type OfferingLink } from './offered-terms';
import { type Reader, rowsFields, wantedOf } from './rows';
import { UserDays } from './user-days';

const periods: readonly unknown[] = [7, 30, 90, null] satisfies FigureDays[];
const commissionsFields: FieldsOf<RowsAsked & { status?: CommissionsAsked | null }> = { status: true, ...rowsFields };
const entriesFields: FieldsOf<RowsAsked & { credit: number }> = { credit: true, ...rowsFields };

/** A statement is read in pieces of so many rows. */
const pieceLength = 1000;

/**
 * What the pages of a signed-in user show: each call is a page, of at most five statements, whose time does not grow with
 * what the user has. Figures are those of UTC days, which end by the clock of the program.
 */
export class Figures {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #settings: Settings;
  readonly #accounts: AccountManager;
  readonly #credits: CreditManager;
  readonly #terms: OfferedTermsReader;
  readonly #days: UserDays;
  readonly #readers: { [Kind in StatementKind]: Reader<Statements[Kind]> };

  constructor(
    database: Database,
    clock: Clock,
    settings: Settings,
    { accounts, credits }: { accounts: AccountManager; credits: CreditManager },
  ) {
    this.#database = database;
    this.#clock = clock;
    this.#settings = settings;
    this.#accounts = accounts;
    this.#credits = credits;
    this.#terms = new OfferedTermsReader(database, clock, settings);
    const closing = new DayClosing(database, settings);
    this.#days = new UserDays(database, closing);
    this.#readers = {
      days: async (user) => ({ rows: await this.#days.all(user, clock.now()), next: null }),
      links: linkReader(database, clock, closing),
      coupons: couponReader(database, clock),
      friends: friendReader(database),
      credits: creditReader(database, clock),
      entries: entryReader(database),
      commissions: commissionReader(database, clock),
      adjustments: adjustmentReader(database),
      payouts: payoutReader(database),
    };
  }

  /**
   * Returns the link of a user's account with its terms, and the figures of a period. Creates the account if there is none.
   *
   * @throws ReferralError `INVALID_INPUT` naming the field; `DATABASE_UNAVAILABLE`.
   */
  async overview(user: UserRef, options: { days: FigureDays }): Promise<Overview> {
    const { days } = objectOf<{ days: FigureDays }>('overview', options, { days: true });
    if (!periods.includes(days)) throw invalid('days', '7, 30, 90 or null', days);
    const userId = someUserIdOf('user', user);
    const offering = (await this.#terms.of(userId)) ?? (await this.#firstOffering(userId));
    const figures = await this.#days.figures(userId, days, offering.now);
    const totals = await this.#accounts.totalsOf({ userId }, undefined);
    const { creditsEarned: credits, payoutsEarned: payout, nextEarnOutAt, blocked } = totals;
    return {
      ...{ ...offering, days, ...figures },
      earnings: { credits, payout, nextEarnOutAt, blocked },
    };
  }

  /** Creates the account of a user who has none. */
  async #firstOffering(user: string): Promise<OfferingLink> {
    const { referralId } = await this.#accounts.of(user);
    const offering = await this.#terms.of(user);
    // A referral can't be deleted while it is that of an account.
    if (!offering) throw referralError('NOT_FOUND', 'referral', 'id', [referralId!]);
    return offering;
  }

  /** Returns the user's links, newest first, without coupons. @throws ReferralError as {@link overview}. */
  links(user: UserRef, page: RowsAsked = {}): Promise<Rows<LinkFigures>> {
    return this.#page('links', user, page);
  }

  /** Returns the user's coupons, newest first. @throws ReferralError as {@link overview}. */
  coupons(user: UserRef, page: RowsAsked = {}): Promise<Rows<CouponFigures>> {
    return this.#page('coupons', user, page);
  }

  /** Returns who has signed up or bought through the user, newest first. @throws ReferralError as {@link overview}. */
  friends(user: UserRef, page: RowsAsked = {}): Promise<Rows<Friend>> {
    return this.#page('friends', user, page);
  }

  /** Returns the user's credits, newest first, and what can be spent. @throws ReferralError as {@link overview}. */
  async credits(user: UserRef, page: RowsAsked = {}): Promise<OwnCredits> {
    const credits = await this.#page('credits', user, page);
    const userId = someUserIdOf('user', user);
    const available = await this.#credits.balance(userId);
    return { ...credits, available, held: await heldCredit(this.#database, this.#clock, userId) };
  }

  /**
   * Returns the entries of one of the user's credits, newest first; none if the credit is another's.
   *
   * @throws ReferralError as {@link overview}.
   */
  async entries(user: UserRef, asked: RowsAsked & { credit: number }): Promise<Rows<CreditEntry>> {
    const { credit, ...page } = objectOf<RowsAsked & { credit: number }>('entries', asked, entriesFields);
    const read = entryReader(this.#database, recordIdOf('credit', credit));
    return read(someUserIdOf('user', user), wantedOf(page));
  }

  /** Returns the user's commissions, newest first: all, or those of a kind. @throws ReferralError as {@link overview}. */
  async commissions(
    user: UserRef,
    asked: RowsAsked & { status?: CommissionsAsked | null } = {},
  ): Promise<Rows<OwnCommission>> {
    const { status, ...page } = objectOf('commissions', asked, commissionsFields);
    if (isNothing(status)) return this.#page('commissions', user, page);
    if (!commissionsAsked.includes(status)) throw invalid('status', commissionsAsked.join(', '), status);
    const read = commissionReader(this.#database, this.#clock, status);
    return read(someUserIdOf('user', user), wantedOf(page));
  }

  /** Returns the bonuses and deductions of staff, newest first. @throws ReferralError as {@link overview}. */
  adjustments(user: UserRef, page: RowsAsked = {}): Promise<Rows<OwnAdjustment>> {
    return this.#page('adjustments', user, page);
  }

  /** Returns the payments to the user, newest first. @throws ReferralError as {@link overview}. */
  payouts(user: UserRef, page: RowsAsked = {}): Promise<Rows<OwnPayout>> {
    return this.#page('payouts', user, page);
  }

  /** Returns the user's settings. Creates the account if there is none. @throws ReferralError as {@link overview}. */
  async settings(user: UserRef): Promise<OwnSettings> {
    const { id: accountId, mode, payoutEmail, minimum, payoutEmailChangedAt } = await this.#accounts.of(user);
    const { payout, addressHoldMs, minimum: ofOption } = this.#settings.earnOuts;
    const until = payoutEmailChangedAt && new Date(payoutEmailChangedAt.getTime() + addressHoldMs);
    return {
      ...{ accountId, mode, payoutEmail, modes: payout === null ? ['credits'] : ['credits', 'payout'] },
      addressHeldUntil: until && payoutEmail !== null && until > this.#clock.now() ? until : null,
      addressHoldDays: addressHoldMs / dayMs,
      minimum: minimum ?? this.#database.shown(ofOption),
    };
  }

  /**
   * Reads a whole list of a user's, newest first, in pieces of a thousand: in the memory of one piece, and without a
   * connection between two of them. What is added or changed meanwhile may be in it or not.
   *
   * @throws ReferralError as {@link overview}.
   */
  async *statement<Kind extends StatementKind>(user: UserRef, kind: Kind): AsyncGenerator<Statements[Kind]> {
    const userId = someUserIdOf('user', user);
    for (let after: string | null = null; ;) {
      const { rows, next }: Rows<Statements[Kind]> = await this.#readers[kind](userId, { after, take: pieceLength });
      yield* rows;
      if (next === null) return;
      after = next;
    }
  }

  #page<Kind extends StatementKind>(kind: Kind, user: UserRef, page: RowsAsked): Promise<Rows<Statements[Kind]>> {
    return this.#readers[kind](someUserIdOf('user', user), wantedOf(page));
  }
}
