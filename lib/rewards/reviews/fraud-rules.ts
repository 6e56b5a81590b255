import { LRUCache } from 'lru-cache';
import type { EntityManager } from 'typeorm';
import type { Database } from '../../database/database';
import { folded } from '../../database/folding';
import { sql } from '../../database/named-parameters';
import type { ReferralPurchase } from '../../entities/referral-purchase';
import type { ReferralReview } from '../../entities/referral-review';
import type { ReferralSignup } from '../../entities/referral-signup';
import { dayMs, lengths } from '../../limits';
import type { Settings } from '../../options';
import type { ManyClicks } from '../../tracking/click-limit';
import type { PurchaseFacts, SignupFacts } from '../../types/reviews';
import type { Finding, Findings } from './findings';

/** What the rules know of a sign-up from its request, and from the host's own rule. */
export interface SignupEvidence {
  readonly ipAddress: string | null;
  readonly userAgent: string | null;
  /** The sentence of the host's rule; null if it found nothing. */
  readonly sentence: string | null;
}

/**
 * SQL: whether the accounts of two users have the same payout address. No text of `FROM` may have the aliases `ours` and
 * `theirs`.
 */
export function sharesAddress({ accounts }: Database['tables'], user: string, other: string): string {
  return `EXISTS (SELECT FROM ${accounts} ours JOIN ${accounts} theirs
    ON ${folded('theirs.payout_email')} = ${folded('ours.payout_email')}
    WHERE ours.user_id = ${user} AND theirs.user_id = ${other} AND ours.user_id <> theirs.user_id)`;
}

/**
 * The rules of the option `fraud`. A rule that holds runs in the transaction that makes what is held, so that there is no
 * moment in which it could be paid; one that only flags runs after the commit. A call about which no rule says anything
 * costs nothing more.
 */
export class FraudRules {
  readonly #database: Database;
  readonly #settings: Settings['fraud'];
  readonly #onError: Settings['onError'];
  readonly #findings: Findings;
  /**
   * The referrals whose owners have a review for `clicksOfVisitor`, so that each further click of a visitor does not ask
   * the database. Another process, or this one after a restart, finds the review there.
   */
  readonly #clickedOften = new LRUCache<number, true>({ max: 10_000 });

  constructor(database: Database, { fraud, onError }: Settings, findings: Findings) {
    this.#database = database;
    this.#settings = fraud;
    this.#onError = onError;
    this.#findings = findings;
  }

  /** Whether sign-ups keep their address and user agent, for later ones to be compared with. */
  get keepsRequests(): boolean {
    return this.#settings.sameDevice !== 'off' || this.#settings.signupsFromAddress.do !== 'off';
  }

  /** Whether sign-ups and purchases that make a pair look for a shared payout address. */
  get comparesAddresses(): boolean {
    return this.#settings.sharedPayoutAddress !== 'off';
  }

  /** Whether each new sign-up is looked at, and not only one of a pair with a shared payout address. */
  get looksAtSignups(): boolean {
    const { fastSignup, rule } = this.#settings;
    return this.keepsRequests || fastSignup.do !== 'off' || rule.do !== 'off';
  }

  /** Whether a rule can hold a sign-up. Its credits are then granted after the rules have run. */
  get mayHoldSignups(): boolean {
    const { sharedPayoutAddress, sameDevice, signupsFromAddress, fastSignup, rule } = this.#settings;
    return [sharedPayoutAddress, sameDevice, signupsFromAddress.do, fastSignup.do, rule.do].includes('hold');
  }

  /** Whether a rule can hold a purchase. */
  get mayHoldPurchases(): boolean {
    return [this.#settings.sharedPayoutAddress, this.#settings.rule.do].includes('hold');
  }

  get hasRule(): boolean {
    return this.#settings.rule.do !== 'off';
  }

  /**
   * Asks the host's rule. It must not run in a transaction of our own. What it throws is reported, and flags nothing, as
   * does what is no text.
   */
  async ask(facts: SignupFacts | PurchaseFacts): Promise<string | null> {
    const { rule } = this.#settings;
    if (rule.do === 'off') return null;
    try {
      const sentence = await rule.find(facts);
      return typeof sentence === 'string' && sentence !== '' ? shortened(sentence) : null;
    } catch (error) {
      this.#onError(error);
      return null;
    }
  }

  /** Opens the reviews of a new sign-up. */
  async lookAtSignup(
    signup: ReferralSignup,
    evidence: SignupEvidence,
    manager: EntityManager | undefined,
  ): Promise<ReferralReview[]> {
    const { referrerId: referrer, userId: referee, referralId } = signup;
    const subject = { referrer, referee, ...(referralId !== null && { referralId }) };
    const found = [
      await this.#sharedBy(referrer, referee, manager),
      await this.#sameDevice(signup, evidence, manager),
      await this.#fromAddress(signup, evidence, manager),
      this.#fast(signup),
      this.#said(evidence.sentence),
    ];
    const findings = found.filter((one) => one !== null).map((one): Finding => ({ ...one, subject }));
    return this.#findings.open(findings, manager);
  }

  /** Opens the reviews of a new purchase, or of one that has got a referrer. */
  async lookAtPurchase(
    { referrerId: referrer, userId: referee, reference }: Pick<ReferralPurchase, 'referrerId' | 'userId' | 'reference'>,
    isShared: boolean,
    sentence: string | null,
    manager: EntityManager | undefined,
  ): Promise<ReferralReview[]> {
    const subject = { referrer, referee };
    const found = [
      isShared ? await this.#sharedBy(referrer, referee, manager) : null,
      this.#said(sentence, { purchase: reference }),
    ];
    const findings = found.filter((one) => one !== null).map((one): Finding => ({ ...one, subject }));
    return this.#findings.open(findings, manager);
  }

  /** Makes the accounts that take a payout address at the same time wait for each other. */
  async takeAddress(address: string, within: EntityManager): Promise<void> {
    if (!this.comparesAddresses) return;
    const key = sql(
      { address },
      ($) => `SELECT pg_advisory_xact_lock(hashtextextended(${folded(`${$.address}::text`)}, 816))`,
    );
    await this.#database.query(key, within);
  }

  /** Opens the reviews of an account whose payout address has changed: its own, and those of its pairs. */
  async lookAtAddress(account: string, within: EntityManager): Promise<void> {
    const mode = this.#settings.sharedPayoutAddress;
    if (mode === 'off') return;
    const { accounts, referees } = this.#database.tables;
    const query = sql(
      { account },
      ($) => `
      SELECT theirs.user_id AS other,
        EXISTS (SELECT FROM ${referees} e WHERE e.user_id = theirs.user_id AND e.referee_id = ${$.account}) AS "isReferrer",
        EXISTS (SELECT FROM ${referees} e WHERE e.user_id = ${$.account} AND e.referee_id = theirs.user_id) AS "isReferee"
      FROM ${accounts} ours JOIN ${accounts} theirs
        ON ${folded('theirs.payout_email')} = ${folded('ours.payout_email')} AND theirs.user_id <> ours.user_id
      WHERE ours.user_id = ${$.account} ORDER BY theirs.user_id LIMIT ${maxShared}`,
    );
    const others = await this.#database.query<{ other: string; isReferrer: boolean; isReferee: boolean }>(
      query,
      within,
    );
    if (others.length === 0) return;
    const rule = { rule: 'sharedPayoutAddress', mode } as const;
    const pairs = others.flatMap(({ other, isReferrer, isReferee }) => [
      ...(isReferrer ? [{ referrer: other, referee: account }] : []),
      ...(isReferee ? [{ referrer: account, referee: other }] : []),
    ]);
    const evidence = { sharedWith: others.map(({ other }) => other) };
    await this.#findings.open(
      [{ ...rule, subject: { account }, evidence }, ...pairs.map((subject) => ({ ...rule, subject, evidence: {} }))],
      within,
    );
  }

  /**
   * Opens the reviews of those of some accounts that share a payout address which no call has looked at: they have had it
   * since before this rule, or while it was off. Of such accounts, the oldest is not flagged.
   */
  async lookAtAddressesOf(users: readonly string[]): Promise<void> {
    if (!this.comparesAddresses) return;
    const { accounts, reviews } = this.#database.tables;
    const query = sql(
      { users },
      ($) => `
      SELECT ours.user_id AS user FROM ${accounts} ours
      WHERE ours.user_id = ANY(${$.users}::varchar[]) AND ours.payout_email IS NOT NULL AND ${isUnreviewed(reviews, 'ours')}
        AND EXISTS (
          SELECT FROM ${accounts} theirs WHERE ${folded('theirs.payout_email')} = ${folded('ours.payout_email')}
            AND theirs.id < ours.id AND ${isUnreviewed(reviews, 'theirs')}
        )
      ORDER BY ours.user_id`,
    );
    for (const { user } of await this.#database.query<{ user: string }>(query))
      await this.#database.transaction((within) => this.lookAtAddress(user, within));
  }

  /** Opens the reviews of accounts whose referrals a visitor has clicked on too often. */
  async lookAtClicks(many: readonly ManyClicks[]): Promise<void> {
    const { do: mode, max } = this.#settings.clicksOfVisitor;
    const news = many.filter(({ referralId }) => !this.#clickedOften.has(referralId));
    if (mode === 'off' || news.length === 0) return;
    const query = sql(
      { ids: news.map(({ referralId }) => referralId) },
      ($) => `SELECT id, user_id AS owner FROM ${this.#database.tables.referrals}
        WHERE id = ANY(${$.ids}::bigint[]) AND user_id IS NOT NULL`,
    );
    const rows = await this.#database.query<{ id: string; owner: string }>(query);
    const owners = new Map(rows.map(({ id, owner }) => [Number(id), owner]));
    const findings = news.flatMap(({ referralId: referral, visitorId, day }): Finding[] => {
      const account = owners.get(referral);
      const evidence = { referral, visitorId, day, moreThan: max };
      return account === undefined ? [] : [{ rule: 'clicksOfVisitor', mode, subject: { account }, evidence }];
    });
    // Each in a transaction of its own: together, they could lock accounts in another order than other calls.
    for (const finding of findings) await this.#findings.open([finding], undefined);
    for (const { referralId } of news) this.#clickedOften.set(referralId, true);
  }

  async #sharedBy(referrer: string | null, referee: string, manager: EntityManager | undefined): Promise<Found | null> {
    const mode = this.#settings.sharedPayoutAddress;
    if (mode === 'off' || referrer === null) return null;
    const query = sql(
      { referrer, referee },
      ($) => `SELECT WHERE ${sharesAddress(this.#database.tables, $.referrer, $.referee)}`,
    );
    const isShared = (await this.#database.query(query, manager)).length > 0;
    return isShared ? { rule: 'sharedPayoutAddress', mode, evidence: {} } : null;
  }

  /** Whether the referrer has signed up, clicked or responded from the same address with the same user agent. */
  async #sameDevice(
    { referrerId: referrer, createdAt }: ReferralSignup,
    { ipAddress, userAgent }: SignupEvidence,
    manager: EntityManager | undefined,
  ): Promise<Found | null> {
    const mode = this.#settings.sameDevice;
    if (mode === 'off' || referrer === null || ipAddress === null || userAgent === null) return null;
    const { signups, responses } = this.#database.tables;
    const seenIn = async (table: string): Promise<boolean> => {
      const parameters = { referrer, ipAddress, userAgent, since: new Date(createdAt.getTime() - dayMs) };
      const query = sql(
        parameters,
        ($) => `SELECT FROM ${table} WHERE user_id = ${$.referrer} AND created_at >= ${$.since}
          AND ip_address = ${$.ipAddress} AND user_agent = ${$.userAgent} LIMIT 1`,
      );
      return (await this.#database.query(query, manager)).length > 0;
    };
    const isSame = (await seenIn(signups)) || (await seenIn(responses));
    return isSame ? { rule: 'sameDevice', mode, evidence: { ipAddress, userAgent } } : null;
  }

  /** Counts what is committed and the sign-up itself: those through one referral wait for each other at its row. */
  async #fromAddress(
    { referralId, createdAt }: ReferralSignup,
    { ipAddress }: SignupEvidence,
    manager: EntityManager | undefined,
  ): Promise<Found | null> {
    const { do: mode, max } = this.#settings.signupsFromAddress;
    if (mode === 'off' || ipAddress === null) return null;
    const parameters = { referralId, ipAddress, since: new Date(createdAt.getTime() - dayMs), limit: max + 1 };
    const query = sql(
      parameters,
      ($) => `SELECT FROM ${this.#database.tables.signups} WHERE referral_id = ${$.referralId}
        AND ip_address = ${$.ipAddress} AND created_at > ${$.since} LIMIT ${$.limit}`,
    );
    const count = (await this.#database.query(query, manager)).length;
    return count > max ? { rule: 'signupsFromAddress', mode, evidence: { ipAddress, moreThan: max } } : null;
  }

  #fast({ touchedAt, createdAt }: ReferralSignup): Found | null {
    const { do: mode, seconds: limit } = this.#settings.fastSignup;
    if (mode === 'off' || touchedAt === null) return null;
    const seconds = Math.max(0, (createdAt.getTime() - touchedAt.getTime()) / 1000);
    return seconds < limit ? { rule: 'fastSignup', mode, evidence: { seconds, clickedAt: touchedAt } } : null;
  }

  #said(sentence: string | null, more: object = {}): Found | null {
    return sentence === null ? null : { rule: 'rule', mode: this.#settings.rule.do, evidence: { sentence, ...more } };
  }
}

type Found = Omit<Finding, 'subject'>;

/** How many other accounts with the same payout address a review names. */
const maxShared = 100;

/** SQL: whether an account has no review for a shared payout address, decided or not. */
const isUnreviewed = (reviews: string, account: string): string =>
  `NOT EXISTS (SELECT FROM ${reviews} v WHERE v.subject = 'account ' || ${account}.user_id AND v.rule = 'sharedPayoutAddress')`;

/** A sentence as PostgreSQL can store it. */
function shortened(sentence: string): string {
  return sentence.slice(0, lengths.description).replace(/\0|\p{Surrogate}/gu, '\ufffd');
}
