import type { MigrationInterface, QueryRunner } from 'typeorm';
import { inSchemaOf, once } from './once';

/** The added columns, by table. */
const columns = {
  referral_purchases: ['rate', 'room', 'refund_count'],
  referral_commissions: ['room', 'pending_days'],
  referral_buyers: ['purchase_count', 'purchased'],
  referral_redemptions: ['is_kept'],
};

/**
 * Keeps with purchases, commissions and buyers what proves them later: on which terms a purchase was decided, and how
 * many refunds and purchases there must be. Adds indexes for searches of commissions by referee and of purchases by
 * referrer.
 */
export class CountCommissionHistory1794000000000 implements MigrationInterface {
  readonly name = 'CountCommissionHistory1794000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    await once(queryRunner, this.name, [
      `ALTER TABLE ${table('referral_purchases')}
        ADD COLUMN "rate" numeric(20,4),
        ADD COLUMN "room" numeric(28,4),
        ADD COLUMN "refund_count" integer NOT NULL DEFAULT 0`,
      `ALTER TABLE ${table('referral_commissions')}
        ADD COLUMN "room" numeric(28,4),
        ADD COLUMN "pending_days" integer NOT NULL DEFAULT 0`,
      `ALTER TABLE ${table('referral_buyers')}
        ADD COLUMN "purchase_count" integer NOT NULL DEFAULT 0,
        ADD COLUMN "purchased" numeric(28,4) NOT NULL DEFAULT 0`,
      `ALTER TABLE ${table('referral_redemptions')} ADD COLUMN "is_kept" boolean NOT NULL DEFAULT false`,

      // Of earlier commissions, the room is known only if it was less than the share of the purchase.
      `UPDATE ${table('referral_commissions')} c
        SET pending_days = round(extract(epoch FROM c.available_at - p.purchased_at) / 86400),
          room = CASE WHEN c.earned < round(c.rate * p.amount, 2) THEN c.earned END
        FROM ${table('referral_purchases')} p WHERE p.user_id = c.referee_id AND p.reference = c.purchase`,
      // Of earlier purchases without a commission, the rate is known only if it was 0.
      `UPDATE ${table('referral_purchases')} p SET rate = c.rate, room = c.room
        FROM ${table('referral_commissions')} c WHERE p.user_id = c.referee_id AND p.reference = c.purchase`,
      `UPDATE ${table('referral_purchases')} SET rate = 0 WHERE no_commission = 'no-rate'`,
      `UPDATE ${table('referral_purchases')} p SET refund_count = r.count
        FROM (SELECT user_id, purchase, count(*) FROM ${table('referral_refunds')} GROUP BY 1, 2) r
        WHERE p.user_id = r.user_id AND p.reference = r.purchase`,
      `UPDATE ${table('referral_buyers')} b SET purchase_count = p.count, purchased = p.amount
        FROM (SELECT user_id, count(*), sum(amount) AS amount FROM ${table('referral_purchases')} GROUP BY 1) p
        WHERE b.user_id = p.user_id`,
      `UPDATE ${table('referral_redemptions')} r SET is_kept = true
        FROM ${table('referral_buyers')} b WHERE b.user_id = r.user_id AND b.channel_id = r.channel_id AND b.is_redeemed`,

      // The referee first, so that the unique index serves searches by referee too. Look-ups give all three columns.
      `DROP INDEX ${table('uq_referral_commissions_purchase')}`,
      `CREATE UNIQUE INDEX "uq_referral_commissions_purchase"
        ON ${table('referral_commissions')} ("referee_id", "user_id", "purchase")`,
      `CREATE INDEX "ix_referral_purchases_referrer" ON ${table('referral_purchases')} ("referrer_id", "id")
        WHERE "referrer_id" IS NOT NULL`,
    ]);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    await queryRunner.query(`DROP INDEX ${table('ix_referral_purchases_referrer')}`);
    await queryRunner.query(`DROP INDEX ${table('uq_referral_commissions_purchase')}`);
    await queryRunner.query(
      `CREATE UNIQUE INDEX "uq_referral_commissions_purchase"
        ON ${table('referral_commissions')} ("user_id", "referee_id", "purchase")`,
    );
    for (const [name, added] of Object.entries(columns))
      for (const column of added) await queryRunner.query(`ALTER TABLE ${table(name)} DROP COLUMN "${column}"`);
  }
}
