import type { MigrationInterface, QueryRunner } from 'typeorm';
import { inSchemaOf, once } from './once';

/** Terms that channels have too. */
const terms = {
  commission_amount: 'numeric(20,4)',
  commission_months: 'integer',
  commission_purchases: 'integer',
  commission_signup: 'numeric(20,4)',
  commission_qualify: 'boolean',
  commission_max_per_referrer: 'numeric(20,4)',
  commission_period: 'character varying(8)',
};

/** What was decided about a purchase. */
const facts = {
  flat_amount: 'numeric(20,4)',
  terms_from: 'character varying(8)',
  referrer_room: 'numeric(28,4)',
  purchases_left: 'integer',
  term_until: 'TIMESTAMP WITH TIME ZONE',
};

/** The added columns, by table. */
const columns = {
  referral_programs: terms,
  referral_signups: {
    ...terms,
    qualified_at: 'TIMESTAMP WITH TIME ZONE',
    qualification: 'character varying(255)',
    no_commission: 'character varying(16)',
  },
  referral_channels: terms,
  referral_accounts: {
    ...terms,
    commission_ratio: 'numeric(20,4)',
    commission_max_per_referee: 'numeric(20,4)',
  },
  referral_referees: {
    purchases: 'integer NOT NULL DEFAULT 0',
    first_purchase_at: 'TIMESTAMP WITH TIME ZONE',
  },
  referral_purchases: facts,
  referral_late_attributions: facts,
  referral_commissions: {
    kind: `character varying(8) NOT NULL DEFAULT 'purchase'`,
    signup_id: 'bigint NOT NULL DEFAULT 0',
    flat_amount: 'numeric(20,4)',
    terms_from: 'character varying(8)',
    months: 'integer',
    purchases: 'integer',
    max_per_referrer: 'numeric(20,4)',
    period: 'character varying(8)',
    referrer_room: 'numeric(28,4)',
  },
};

const isFinite = (...names: readonly string[]): string =>
  names.map((name) => `abs("${name}") < 'Infinity'`).join(' AND ');

const commission = `"commission_amount" > 0 AND "commission_signup" >= 0 AND "commission_max_per_referrer" > 0
  AND "commission_months" BETWEEN 1 AND 1200 AND "commission_purchases" > 0
  AND ("commission_qualify" IS NULL OR "commission_signup" IS NOT NULL)
  AND ("commission_max_per_referrer" IS NULL) = ("commission_period" IS NULL)
  AND "commission_period" IN ('month', 'quarter', 'year', 'all')`;
const ratedCommission = `${commission}
  AND "commission_ratio" BETWEEN 0 AND 1 AND "commission_max_per_referee" > 0
  AND num_nonnulls("commission_ratio", "commission_amount") BETWEEN
    (num_nonnulls("commission_months", "commission_purchases", "commission_max_per_referee") > 0)::integer AND 1`;

const creditAmounts = ['referral_credit_amount', 'before_reward_usage_threshold', 'reward_credit_amount'];
const amounts = ['commission_amount', 'commission_signup', 'commission_max_per_referrer'];
const purchaseAmounts = [
  ...['amount', 'refunded', 'rate', 'room', 'original_amount', 'original_refunded', 'exchange_rate'],
];
const ratedAmounts = ['commission_ratio', 'commission_max_per_referee', ...amounts];

/** The constraints that are new or replace one, by table: the condition, and that of the one before. */
const checks: Record<string, Record<string, readonly [now: string, before: string | null]>> = {
  referral_programs: {
    commission: [
      ratedCommission,
      `("commission_ratio" IS NULL) <= ("commission_max_per_referee" IS NULL)
  AND "commission_ratio" BETWEEN 0 AND 1 AND "commission_max_per_referee" > 0`,
    ],
    finite: [
      isFinite(...creditAmounts, ...ratedAmounts),
      isFinite(...creditAmounts, 'commission_ratio', 'commission_max_per_referee'),
    ],
  },
  referral_signups: {
    commission: [ratedCommission, null],
    finite: [
      isFinite(...creditAmounts, ...ratedAmounts, 'recorded_usage'),
      isFinite(...creditAmounts, 'commission_ratio', 'commission_max_per_referee', 'recorded_usage'),
    ],
  },
  referral_channels: {
    commission: [commission, null],
    finite: [
      isFinite('promo_value', 'initial_rate', 'ongoing_rate', 'max_earnings_per_referred', ...amounts),
      isFinite('promo_value', 'initial_rate', 'ongoing_rate', 'max_earnings_per_referred'),
    ],
  },
  referral_accounts: {
    commission: [ratedCommission, null],
    finite: [isFinite('credits_paid', 'payouts_paid', ...ratedAmounts), isFinite('credits_paid', 'payouts_paid')],
  },
  referral_purchases: {
    finite: [isFinite(...purchaseAmounts, 'flat_amount', 'referrer_room'), isFinite(...purchaseAmounts)],
  },
  referral_late_attributions: {
    finite: [isFinite('rate', 'room', 'flat_amount', 'referrer_room'), isFinite('rate', 'room')],
  },
  referral_commissions: {
    kind: [`"kind" IN ('purchase', 'sign-up') AND ("kind" = 'sign-up') = ("signup_id" > 0)`, null],
    finite: [
      isFinite(
        'rate',
        'flat_amount',
        'max_per_referee',
        'room',
        'max_per_referrer',
        'referrer_room',
        'earned',
        'amount',
      ),
      isFinite('rate', 'max_per_referee', 'room', 'earned', 'amount'),
    ],
  },
};

/**
 * Commissions on more terms: flat amounts, for a time or a number of purchases, for sign-ups, and limits for each referrer
 * and period; of programs, channels and single accounts.
 */
export class CommissionTerms1813000000000 implements MigrationInterface {
  readonly name = 'CommissionTerms1813000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    await once(queryRunner, this.name, [
      ...Object.entries(columns).map(([name, added]) => {
        const parts = Object.entries(added).map(([column, type]) => `ADD COLUMN "${column}" ${type}`);
        return `ALTER TABLE ${table(name)} ${parts.join(', ')}`;
      }),
      `ALTER TABLE ${table('referral_late_attributions')} ALTER COLUMN "rate" DROP NOT NULL`,
      `ALTER TABLE ${table('referral_commissions')} ALTER COLUMN "rate" DROP NOT NULL`,
      ...Object.entries(checks).flatMap(([name, ofTable]) =>
        Object.entries(ofTable).flatMap(([word, [now, before]]) => [
          ...(before === null ? [] : [`ALTER TABLE ${table(name)} DROP CONSTRAINT "ck_${name}_${word}"`]),
          `ALTER TABLE ${table(name)} ADD CONSTRAINT "ck_${name}_${word}" CHECK (${now})`,
        ]),
      ),
      // A second look replaces what was decided at first. The buyer's own link counts for nobody, nor does what was bought
      // during a suspension, which a later migration knows, and which is there if this one was undone and runs again.
      `UPDATE ${table('referral_referees')} e SET "purchases" = p.count, "first_purchase_at" = p.first_at
        FROM (
          SELECT coalesce(l."referrer_id", b."referrer_id") AS referrer_id, b."user_id", count(*),
            min(b."purchased_at") AS first_at
          FROM ${table('referral_purchases')} b LEFT JOIN ${table('referral_late_attributions')} l
            ON l."user_id" = b."user_id" AND l."purchase" = b."reference"
          WHERE b."amount" > 0 AND (l."user_id" IS NOT NULL
            OR coalesce(b."no_commission", '') NOT IN ('own-referral', 'suspended'))
          GROUP BY 1, 2
        ) p WHERE p.referrer_id = e."user_id" AND p."user_id" = e."referee_id"`,
      `DROP INDEX ${table('uq_referral_commissions_purchase')}`,
      `CREATE UNIQUE INDEX "uq_referral_commissions_purchase"
        ON ${table('referral_commissions')} ("referee_id", "user_id", "purchase", "kind", "signup_id")`,
      `CREATE TABLE ${table('referral_referrer_periods')} (
        "user_id" character varying(128) NOT NULL,
        "period" character varying(8) NOT NULL,
        "earned" numeric(28,4) NOT NULL DEFAULT 0,
        CONSTRAINT "ck_referral_referrer_periods_earned" CHECK ("earned" >= 0),
        CONSTRAINT "ck_referral_referrer_periods_finite" CHECK (${isFinite('earned')}),
        CONSTRAINT "pk_referral_referrer_periods" PRIMARY KEY ("user_id", "period")
      )`,
    ]);
  }

  /** Fails while there are commissions that the schema before can't hold: of sign-ups, or of flat amounts. */
  async down(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    const run = async (sql: string): Promise<void> => void (await queryRunner.query(sql));
    await run(`DROP TABLE ${table('referral_referrer_periods')}`);
    await run(`DROP INDEX ${table('uq_referral_commissions_purchase')}`);
    await run(`CREATE UNIQUE INDEX "uq_referral_commissions_purchase"
      ON ${table('referral_commissions')} ("referee_id", "user_id", "purchase")`);
    for (const [name, ofTable] of Object.entries(checks))
      for (const [word, [, before]] of Object.entries(ofTable)) {
        await run(`ALTER TABLE ${table(name)} DROP CONSTRAINT "ck_${name}_${word}"`);
        if (before !== null)
          await run(`ALTER TABLE ${table(name)} ADD CONSTRAINT "ck_${name}_${word}" CHECK (${before})`);
      }
    for (const name of ['referral_late_attributions', 'referral_commissions'])
      await run(`ALTER TABLE ${table(name)} ALTER COLUMN "rate" SET NOT NULL`);
    for (const [name, added] of Object.entries(columns))
      for (const column of Object.keys(added)) await run(`ALTER TABLE ${table(name)} DROP COLUMN "${column}"`);
  }
}
