CREATE INDEX CONCURRENTLY ix_referral_signups_referrer_day ON referral_signups (referrer_id, created_at)
  WHERE referrer_id IS NOT NULL;
CREATE INDEX CONCURRENTLY ix_referral_referees_newest ON referral_referees (user_id, created_at);
CREATE INDEX CONCURRENTLY ix_referral_referees_upgraded ON referral_referees (user_id, upgraded_at)
  WHERE upgraded_at IS NOT NULL;
CREATE INDEX CONCURRENTLY ix_referral_commission_entries_day ON referral_commission_entries (user_id, created_at);
CREATE INDEX CONCURRENTLY ix_referral_adjustments_day ON referral_adjustments (user_id, created_at);
CREATE INDEX CONCURRENTLY ix_referral_credits_reward_day ON referral_credits (user_id, created_at)
  WHERE kind = 'reward';
CREATE INDEX CONCURRENTLY ix_referrals_owner ON referrals (user_id, id);
