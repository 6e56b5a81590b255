CREATE INDEX CONCURRENTLY ix_referral_responses_newest ON referral_responses (referral_id, created_at, id);
CREATE INDEX CONCURRENTLY ix_referral_responses_user_newest ON referral_responses (user_id, created_at, id)
  WHERE user_id IS NOT NULL;
CREATE INDEX CONCURRENTLY ix_referral_responses_visitor_newest ON referral_responses (visitor_id, created_at, id)
  WHERE user_id IS NULL;
CREATE INDEX CONCURRENTLY ix_referral_responses_action ON referral_responses (referral_id, action, id)
  WHERE action <> 'RESPONDED';
CREATE INDEX CONCURRENTLY ix_referral_responses_target ON referral_responses (referral_id, target_type, target_id, id)
  WHERE target_type IS NOT NULL;
CREATE INDEX CONCURRENTLY ix_referral_purchases_reference ON referral_purchases (reference);
CREATE INDEX CONCURRENTLY ix_referral_commissions_paid_by ON referral_commissions (earn_out_id, user_id)
  WHERE earn_out_id IS NOT NULL;
