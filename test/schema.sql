-- The schema after all migrations. Written by `npm run schema`, and compared by test/schema.test.ts.

CREATE TABLE referral_account_totals (
  user_id character varying(128) NOT NULL,
  channel_id bigint NOT NULL,
  mode character varying(8) NOT NULL,
  commissions integer DEFAULT 0 NOT NULL,
  reverted integer DEFAULT 0 NOT NULL,
  amount numeric(28,4) DEFAULT 0 NOT NULL,
  matured integer DEFAULT 0 NOT NULL,
  matured_amount numeric(28,4) DEFAULT 0 NOT NULL,
  matured_until timestamp with time zone NOT NULL,
  redemptions integer DEFAULT 0 NOT NULL,
  revenue numeric(28,4) DEFAULT 0 NOT NULL,
  due_at timestamp with time zone,
  due_terms integer DEFAULT 0 NOT NULL,
  most_commissions integer,
  CONSTRAINT pk_referral_account_totals PRIMARY KEY (user_id, channel_id, mode),
  CONSTRAINT ck_referral_account_totals_finite CHECK (abs(amount) < 'Infinity'::numeric AND abs(matured_amount) < 'Infinity'::numeric AND abs(revenue) < 'Infinity'::numeric),
  CONSTRAINT ck_referral_account_totals_suspended CHECK (commissions <= most_commissions)
) WITH (fillfactor=50);
CREATE INDEX ix_referral_account_totals_due ON referral_account_totals USING btree (due_terms, due_at, user_id);

CREATE TABLE referral_accounts (
  user_id character varying(128) NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  mode character varying(8) DEFAULT 'credits'::character varying NOT NULL,
  payout_email character varying(254),
  referral_id bigint,
  users_referred integer DEFAULT 0 NOT NULL,
  users_upgraded integer DEFAULT 0 NOT NULL,
  credits_paid numeric(28,4) DEFAULT 0 NOT NULL,
  payouts_paid numeric(28,4) DEFAULT 0 NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  updated_at timestamp with time zone DEFAULT now() NOT NULL,
  earn_outs integer DEFAULT 0 NOT NULL,
  commission_amount numeric(20,4),
  commission_months integer,
  commission_purchases integer,
  commission_signup numeric(20,4),
  commission_qualify boolean,
  commission_max_per_referrer numeric(20,4),
  commission_period character varying(8),
  commission_ratio numeric(20,4),
  commission_max_per_referee numeric(20,4),
  suspended_at timestamp with time zone,
  banned_at timestamp with time zone,
  suspensions integer DEFAULT 0 NOT NULL,
  minimum numeric(20,4),
  payout_email_changed_at timestamp with time zone,
  held_for text[] DEFAULT '{}'::text[] NOT NULL,
  CONSTRAINT pk_referral_accounts PRIMARY KEY (user_id),
  CONSTRAINT ck_referral_accounts_commission CHECK (commission_amount > 0::numeric AND commission_signup >= 0::numeric AND commission_max_per_referrer > 0::numeric AND commission_months >= 1 AND commission_months <= 1200 AND commission_purchases > 0 AND (commission_qualify IS NULL OR commission_signup IS NOT NULL) AND (commission_max_per_referrer IS NULL) = (commission_period IS NULL) AND (commission_period::text = ANY (ARRAY['month'::character varying, 'quarter'::character varying, 'year'::character varying, 'all'::character varying]::text[])) AND commission_ratio >= 0::numeric AND commission_ratio <= 1::numeric AND commission_max_per_referee > 0::numeric AND num_nonnulls(commission_ratio, commission_amount) >= (num_nonnulls(commission_months, commission_purchases, commission_max_per_referee) > 0)::integer AND num_nonnulls(commission_ratio, commission_amount) <= 1),
  CONSTRAINT ck_referral_accounts_counts CHECK (users_upgraded >= 0 AND users_upgraded <= users_referred),
  CONSTRAINT ck_referral_accounts_finite CHECK (abs(credits_paid) < 'Infinity'::numeric AND abs(payouts_paid) < 'Infinity'::numeric AND abs(commission_ratio) < 'Infinity'::numeric AND abs(commission_max_per_referee) < 'Infinity'::numeric AND abs(commission_amount) < 'Infinity'::numeric AND abs(commission_signup) < 'Infinity'::numeric AND abs(commission_max_per_referrer) < 'Infinity'::numeric AND abs(minimum) < 'Infinity'::numeric),
  CONSTRAINT ck_referral_accounts_minimum CHECK (minimum > 0::numeric),
  CONSTRAINT ck_referral_accounts_mode CHECK (mode::text = 'credits'::text OR mode::text = 'payout'::text AND payout_email IS NOT NULL),
  CONSTRAINT ck_referral_accounts_suspended CHECK ((suspended_at IS NULL OR suspensions > 0) AND (banned_at IS NULL OR suspended_at IS NOT NULL))
) WITH (fillfactor=70);
CREATE INDEX ix_referral_accounts_address ON referral_accounts USING btree (lower(payout_email::text COLLATE "C"));
CREATE INDEX ix_referral_accounts_id ON referral_accounts USING btree (id);
CREATE INDEX ix_referral_accounts_payout_email ON referral_accounts USING btree (lower(payout_email::text COLLATE "C")) WHERE payout_email IS NOT NULL;
CREATE INDEX ix_referral_accounts_referral ON referral_accounts USING btree (referral_id);
CREATE INDEX ix_referral_accounts_suspended ON referral_accounts USING btree (id) WHERE suspended_at IS NOT NULL;

CREATE TABLE referral_adjustments (
  user_id character varying(128) NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  reference character varying(255) NOT NULL,
  mode character varying(8) NOT NULL,
  amount numeric(20,4) NOT NULL,
  reason character varying(500) NOT NULL,
  earn_out_id bigint,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  CONSTRAINT pk_referral_adjustments PRIMARY KEY (user_id, id),
  CONSTRAINT ck_referral_adjustments_amount CHECK (amount <> 0::numeric),
  CONSTRAINT ck_referral_adjustments_finite CHECK (abs(amount) < 'Infinity'::numeric),
  CONSTRAINT ck_referral_adjustments_mode CHECK (mode::text = ANY (ARRAY['credits'::character varying, 'payout'::character varying]::text[]))
);
CREATE INDEX ix_referral_adjustments_day ON referral_adjustments USING btree (user_id, created_at);
CREATE INDEX ix_referral_adjustments_earn_out ON referral_adjustments USING btree (earn_out_id, user_id) WHERE earn_out_id IS NOT NULL;
CREATE INDEX ix_referral_adjustments_id ON referral_adjustments USING btree (id);
CREATE INDEX ix_referral_adjustments_reference ON referral_adjustments USING btree (reference);
CREATE INDEX ix_referral_adjustments_unpaid ON referral_adjustments USING btree (user_id) WHERE earn_out_id IS NULL;
CREATE UNIQUE INDEX uq_referral_adjustments_reference ON referral_adjustments USING btree (user_id, reference);

CREATE TABLE referral_aliases (
  code character varying(100) NOT NULL,
  referral_id bigint NOT NULL,
  CONSTRAINT pk_referral_aliases PRIMARY KEY (code)
);

CREATE TABLE referral_audit (
  id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  call character varying(100) NOT NULL,
  subject character varying(100) NOT NULL,
  subject_id character varying(128) NOT NULL,
  user_id character varying(128),
  before jsonb,
  after jsonb,
  actor character varying(8) NOT NULL,
  by character varying(128),
  reason character varying(500),
  request_id character varying(255),
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  CONSTRAINT pk_referral_audit PRIMARY KEY (id)
);
CREATE INDEX ix_referral_audit_by ON referral_audit USING btree (by, id) WHERE by IS NOT NULL;
CREATE INDEX ix_referral_audit_call ON referral_audit USING btree (call, id);
CREATE INDEX ix_referral_audit_subject ON referral_audit USING btree (subject, subject_id, id);
CREATE INDEX ix_referral_audit_user ON referral_audit USING btree (user_id, id) WHERE user_id IS NOT NULL;

CREATE TABLE referral_buyers (
  user_id character varying(128) NOT NULL,
  first_purchase_at timestamp with time zone,
  channel_id bigint,
  is_redeemed boolean DEFAULT false NOT NULL,
  version integer DEFAULT 0 NOT NULL,
  applied_at timestamp with time zone,
  last_channel_id bigint,
  purchase_count integer DEFAULT 0 NOT NULL,
  purchased numeric(28,4) DEFAULT 0 NOT NULL,
  is_own_channel boolean DEFAULT false NOT NULL,
  is_own_last_channel boolean DEFAULT false NOT NULL,
  reassigned_at timestamp with time zone,
  CONSTRAINT pk_referral_buyers PRIMARY KEY (user_id),
  CONSTRAINT ck_referral_buyers_finite CHECK (abs(purchased) < 'Infinity'::numeric)
) WITH (fillfactor=80);
CREATE INDEX ix_referral_buyers_channel ON referral_buyers USING btree (channel_id) WHERE channel_id IS NOT NULL;

CREATE TABLE referral_channels (
  id bigint NOT NULL,
  description character varying(500) DEFAULT ''::character varying NOT NULL,
  promo_type character varying(16) NOT NULL,
  promo_value numeric(20,4) NOT NULL,
  is_active boolean DEFAULT true NOT NULL,
  is_recurring boolean DEFAULT false NOT NULL,
  start_date timestamp with time zone NOT NULL,
  end_date timestamp with time zone,
  initial_rate numeric(20,4) NOT NULL,
  ongoing_rate numeric(20,4) NOT NULL,
  initial_rate_period_days integer NOT NULL,
  max_earnings_per_referred numeric(20,4),
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  commission_amount numeric(20,4),
  commission_months integer,
  commission_purchases integer,
  commission_signup numeric(20,4),
  commission_qualify boolean,
  commission_max_per_referrer numeric(20,4),
  commission_period character varying(8),
  minimum_amount numeric(20,4),
  first_purchase_only boolean DEFAULT false NOT NULL,
  products text[] DEFAULT '{}'::text[] NOT NULL,
  restore_on_refund boolean DEFAULT false NOT NULL,
  CONSTRAINT pk_referral_channels PRIMARY KEY (id),
  CONSTRAINT ck_referral_channels_commission CHECK (commission_amount > 0::numeric AND commission_signup >= 0::numeric AND commission_max_per_referrer > 0::numeric AND commission_months >= 1 AND commission_months <= 1200 AND commission_purchases > 0 AND (commission_qualify IS NULL OR commission_signup IS NOT NULL) AND (commission_max_per_referrer IS NULL) = (commission_period IS NULL) AND (commission_period::text = ANY (ARRAY['month'::character varying, 'quarter'::character varying, 'year'::character varying, 'all'::character varying]::text[]))),
  CONSTRAINT ck_referral_channels_dates CHECK (end_date > start_date),
  CONSTRAINT ck_referral_channels_finite CHECK (abs(promo_value) < 'Infinity'::numeric AND abs(initial_rate) < 'Infinity'::numeric AND abs(ongoing_rate) < 'Infinity'::numeric AND abs(max_earnings_per_referred) < 'Infinity'::numeric AND abs(commission_amount) < 'Infinity'::numeric AND abs(commission_signup) < 'Infinity'::numeric AND abs(commission_max_per_referrer) < 'Infinity'::numeric AND abs(minimum_amount) < 'Infinity'::numeric),
  CONSTRAINT ck_referral_channels_minimum CHECK (minimum_amount > 0::numeric),
  CONSTRAINT ck_referral_channels_promo CHECK (promo_value >= 0::numeric AND (promo_type::text <> 'percent_off'::text OR promo_value <= 1::numeric)),
  CONSTRAINT ck_referral_channels_rates CHECK (initial_rate >= 0::numeric AND initial_rate <= 1::numeric AND ongoing_rate >= 0::numeric AND ongoing_rate <= 1::numeric AND initial_rate_period_days >= 0 AND max_earnings_per_referred > 0::numeric)
);

CREATE TABLE referral_closed_days (
  user_id character varying(128) NOT NULL,
  until date,
  closing_until date,
  closing_xid bigint,
  CONSTRAINT pk_referral_closed_days PRIMARY KEY (user_id)
);

CREATE TABLE referral_commission_entries (
  user_id character varying(128) NOT NULL,
  commission_id bigint NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  amount numeric(28,4) NOT NULL,
  refund character varying(255) NOT NULL,
  earn_out_id bigint,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  kind character varying(8) DEFAULT 'refund'::character varying NOT NULL,
  taken_back numeric(28,4) DEFAULT 0 NOT NULL,
  CONSTRAINT pk_referral_commission_entries PRIMARY KEY (user_id, commission_id, id),
  CONSTRAINT ck_referral_commission_entries_amount CHECK (
CASE
    WHEN kind::text = ANY (ARRAY['refund'::character varying, 'reject'::character varying]::text[]) THEN amount < 0::numeric
    WHEN kind::text = 'undo'::text THEN amount > 0::numeric
    ELSE amount <> 0::numeric
END),
  CONSTRAINT ck_referral_commission_entries_finite CHECK (abs(amount) < 'Infinity'::numeric AND abs(taken_back) < 'Infinity'::numeric),
  CONSTRAINT ck_referral_commission_entries_kind CHECK (kind::text = ANY (ARRAY['refund'::character varying, 'undo'::character varying, 'reject'::character varying, 'move'::character varying]::text[])),
  CONSTRAINT ck_referral_commission_entries_taken_back CHECK (taken_back >= 0::numeric AND taken_back <= GREATEST(- amount, 0::numeric))
);
CREATE INDEX ix_referral_commission_entries_day ON referral_commission_entries USING btree (user_id, created_at);
CREATE INDEX ix_referral_commission_entries_earn_out ON referral_commission_entries USING btree (user_id, earn_out_id) WHERE earn_out_id IS NOT NULL;
CREATE INDEX ix_referral_commission_entries_unpaid ON referral_commission_entries USING btree (user_id, commission_id) WHERE earn_out_id IS NULL;
CREATE UNIQUE INDEX uq_referral_commission_entries_refund ON referral_commission_entries USING btree (user_id, commission_id, refund, kind);

CREATE TABLE referral_commissions (
  user_id character varying(128) NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  referee_id character varying(128) NOT NULL,
  purchase character varying(255) NOT NULL,
  referral_id bigint NOT NULL,
  channel_id bigint,
  mode character varying(8) NOT NULL,
  rate numeric(20,4),
  max_per_referee numeric(20,4),
  earned numeric(28,4) NOT NULL,
  amount numeric(28,4) NOT NULL,
  available_at timestamp with time zone NOT NULL,
  reverted_at timestamp with time zone,
  earn_out_id bigint,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  updated_at timestamp with time zone DEFAULT now() NOT NULL,
  room numeric(28,4),
  pending_days integer DEFAULT 0 NOT NULL,
  is_self_referral boolean DEFAULT false NOT NULL,
  held_for text[] DEFAULT '{}'::text[] NOT NULL,
  held_from timestamp with time zone,
  rejected_at timestamp with time zone,
  kind character varying(8) DEFAULT 'purchase'::character varying NOT NULL,
  signup_id bigint DEFAULT 0 NOT NULL,
  flat_amount numeric(20,4),
  terms_from character varying(8),
  months integer,
  purchases integer,
  max_per_referrer numeric(20,4),
  period character varying(8),
  referrer_room numeric(28,4),
  moved_at timestamp with time zone,
  moved_from bigint,
  slot bigint DEFAULT 0 NOT NULL,
  CONSTRAINT pk_referral_commissions PRIMARY KEY (user_id, id),
  CONSTRAINT ck_referral_commissions_amounts CHECK (earned > 0::numeric AND amount >= 0::numeric AND amount <= earned),
  CONSTRAINT ck_referral_commissions_finite CHECK (abs(rate) < 'Infinity'::numeric AND abs(flat_amount) < 'Infinity'::numeric AND abs(max_per_referee) < 'Infinity'::numeric AND abs(room) < 'Infinity'::numeric AND abs(max_per_referrer) < 'Infinity'::numeric AND abs(referrer_room) < 'Infinity'::numeric AND abs(earned) < 'Infinity'::numeric AND abs(amount) < 'Infinity'::numeric),
  CONSTRAINT ck_referral_commissions_held CHECK ((held_for = '{}'::text[]) = (held_from IS NULL) AND (held_from IS NOT NULL) = (available_at = 'infinity'::timestamp with time zone)),
  CONSTRAINT ck_referral_commissions_kind CHECK ((kind::text = ANY (ARRAY['purchase'::character varying, 'sign-up'::character varying]::text[])) AND (kind::text = 'sign-up'::text) = (signup_id > 0)),
  CONSTRAINT ck_referral_commissions_mode CHECK (mode::text = ANY (ARRAY['credits'::character varying, 'payout'::character varying]::text[])),
  CONSTRAINT ck_referral_commissions_moved CHECK (slot =
CASE
    WHEN moved_at IS NULL THEN 0::bigint
    ELSE id
END AND (moved_at IS NULL OR amount = 0::numeric AND reverted_at IS NOT NULL AND held_from IS NULL AND rejected_at IS NULL)),
  CONSTRAINT ck_referral_commissions_rejected CHECK (rejected_at IS NULL OR amount = 0::numeric AND reverted_at IS NOT NULL AND held_from IS NULL)
) WITH (fillfactor=80);
CREATE INDEX ix_referral_commissions_amount ON referral_commissions USING btree (user_id, amount DESC, id) INCLUDE (available_at, reverted_at, mode, channel_id);
CREATE INDEX ix_referral_commissions_available ON referral_commissions USING btree (user_id, COALESCE(channel_id, 0::bigint), mode, available_at) INCLUDE (amount, reverted_at, channel_id);
CREATE INDEX ix_referral_commissions_created ON referral_commissions USING btree (user_id, created_at DESC, id) INCLUDE (available_at, reverted_at, mode, channel_id);
CREATE INDEX ix_referral_commissions_days ON referral_commissions USING brin (created_at) WITH (pages_per_range='32', autosummarize='on');
CREATE INDEX ix_referral_commissions_held ON referral_commissions USING btree (id) WHERE available_at = 'infinity'::timestamp with time zone;
CREATE INDEX ix_referral_commissions_id ON referral_commissions USING btree (id);
CREATE INDEX ix_referral_commissions_paid_by ON referral_commissions USING btree (earn_out_id, user_id) WHERE earn_out_id IS NOT NULL;
CREATE INDEX ix_referral_commissions_referral ON referral_commissions USING btree (referral_id);
CREATE INDEX ix_referral_commissions_rejected ON referral_commissions USING btree (id) WHERE rejected_at IS NOT NULL;
CREATE INDEX ix_referral_commissions_reverted ON referral_commissions USING btree (id) WHERE reverted_at IS NOT NULL;
CREATE INDEX ix_referral_commissions_unpaid ON referral_commissions USING btree (user_id, mode, available_at) WHERE earn_out_id IS NULL;
CREATE UNIQUE INDEX uq_referral_commissions_moved_from ON referral_commissions USING btree (moved_from) WHERE moved_from IS NOT NULL;
CREATE UNIQUE INDEX uq_referral_commissions_purchase ON referral_commissions USING btree (referee_id, user_id, purchase, kind, signup_id, slot);

CREATE TABLE referral_credit_refunds (
  user_id character varying(128) NOT NULL,
  reference character varying(255) NOT NULL,
  refund_reference character varying(255) NOT NULL,
  amount numeric(20,4),
  given numeric(20,4) NOT NULL,
  expired numeric(20,4) DEFAULT 0 NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  CONSTRAINT pk_referral_credit_refunds PRIMARY KEY (user_id, reference, refund_reference),
  CONSTRAINT ck_referral_credit_refunds_amounts CHECK (amount > 0::numeric AND given >= 0::numeric AND expired >= 0::numeric AND expired <= given),
  CONSTRAINT ck_referral_credit_refunds_finite CHECK (abs(amount) < 'Infinity'::numeric AND abs(given) < 'Infinity'::numeric AND abs(expired) < 'Infinity'::numeric)
);

CREATE TABLE referral_credit_spends (
  user_id character varying(128) NOT NULL,
  reference character varying(255) NOT NULL,
  kind character varying(8) NOT NULL,
  amount numeric(20,4) NOT NULL,
  covered numeric(20,4) NOT NULL,
  captured numeric(20,4),
  refunded numeric(20,4),
  description character varying(500) DEFAULT ''::character varying NOT NULL,
  product character varying(100),
  product_category character varying(100),
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  is_partial boolean DEFAULT false NOT NULL,
  captured_at timestamp with time zone,
  refunded_at timestamp with time zone,
  expires_at timestamp with time zone,
  refunds integer DEFAULT 0 NOT NULL,
  CONSTRAINT pk_referral_credit_spends PRIMARY KEY (user_id, reference),
  CONSTRAINT ck_referral_credit_spends_amounts CHECK (amount > 0::numeric AND covered >= 0::numeric AND covered <= amount AND captured >= 0::numeric AND captured <= covered AND refunded >= 0::numeric AND refunded <= captured),
  CONSTRAINT ck_referral_credit_spends_expiry CHECK (expires_at > created_at),
  CONSTRAINT ck_referral_credit_spends_finite CHECK (abs(amount) < 'Infinity'::numeric AND abs(covered) < 'Infinity'::numeric AND abs(captured) < 'Infinity'::numeric AND abs(refunded) < 'Infinity'::numeric)
) WITH (fillfactor=90);
CREATE INDEX ix_referral_credit_spends_expiring ON referral_credit_spends USING btree (user_id, expires_at) WHERE captured IS NULL AND expires_at IS NOT NULL;
CREATE INDEX ix_referral_credit_spends_open ON referral_credit_spends USING btree (user_id, created_at) WHERE captured IS NULL;
CREATE INDEX ix_referral_credit_spends_reference ON referral_credit_spends USING btree (reference);

CREATE TABLE referral_credit_transactions (
  user_id character varying(128) NOT NULL,
  credit_id bigint NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  kind character varying(16) NOT NULL,
  value numeric(20,4) NOT NULL,
  description character varying(500) DEFAULT ''::character varying NOT NULL,
  reference character varying(255),
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  CONSTRAINT pk_referral_credit_transactions PRIMARY KEY (user_id, credit_id, id),
  CONSTRAINT ck_referral_credit_transactions_finite CHECK (abs(value) < 'Infinity'::numeric),
  CONSTRAINT ck_referral_credit_transactions_value CHECK (value <> 0::numeric)
);
CREATE INDEX ix_referral_credit_transactions_id ON referral_credit_transactions USING btree (id);
CREATE INDEX ix_referral_credit_transactions_reference ON referral_credit_transactions USING btree (user_id, reference) WHERE reference IS NOT NULL;
CREATE UNIQUE INDEX uq_referral_credit_transactions_adjustment ON referral_credit_transactions USING btree (user_id, credit_id, reference) WHERE kind::text = 'adjustment'::text;

CREATE TABLE referral_credit_types (
  id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  name character varying(100) NOT NULL,
  product character varying(100),
  refundable boolean DEFAULT false NOT NULL,
  only_for_products text[] DEFAULT '{}'::text[] NOT NULL,
  only_for_product_categories text[] DEFAULT '{}'::text[] NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  was_refundable boolean DEFAULT false NOT NULL,
  CONSTRAINT pk_referral_credit_types PRIMARY KEY (id),
  CONSTRAINT ck_referral_credit_types_scope CHECK (cardinality(only_for_products) = 0 OR cardinality(only_for_product_categories) = 0)
);
CREATE UNIQUE INDEX uq_referral_credit_types_name ON referral_credit_types USING btree (name);

CREATE TABLE referral_credits (
  user_id character varying(128) NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  kind character varying(16) NOT NULL,
  name character varying(300) NOT NULL,
  type_id bigint NOT NULL,
  initial_balance numeric(20,4) NOT NULL,
  current_balance numeric(20,4) NOT NULL,
  start_date timestamp with time zone NOT NULL,
  expiry_date timestamp with time zone NOT NULL,
  referee_id character varying(128),
  voucher_code character varying(100),
  reference character varying(255),
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  is_used_up boolean DEFAULT false NOT NULL,
  entries integer DEFAULT 1 NOT NULL,
  CONSTRAINT pk_referral_credits PRIMARY KEY (user_id, id),
  CONSTRAINT ck_referral_credits_balance CHECK (initial_balance > 0::numeric AND current_balance >= 0::numeric),
  CONSTRAINT ck_referral_credits_dates CHECK (expiry_date > start_date),
  CONSTRAINT ck_referral_credits_finite CHECK (abs(initial_balance) < 'Infinity'::numeric AND abs(current_balance) < 'Infinity'::numeric),
  CONSTRAINT ck_referral_credits_used_up CHECK (is_used_up = (current_balance = 0::numeric))
) WITH (fillfactor=70);
CREATE INDEX ix_referral_credits_by_reference ON referral_credits USING btree (reference) WHERE reference IS NOT NULL;
CREATE INDEX ix_referral_credits_id ON referral_credits USING btree (id);
CREATE INDEX ix_referral_credits_name ON referral_credits USING btree (name, id);
CREATE INDEX ix_referral_credits_reward_day ON referral_credits USING btree (user_id, created_at) WHERE kind::text = 'reward'::text;
CREATE INDEX ix_referral_credits_spendable ON referral_credits USING btree (user_id, expiry_date, id) WHERE NOT is_used_up;
CREATE UNIQUE INDEX uq_referral_credits_reference ON referral_credits USING btree (user_id, reference) WHERE reference IS NOT NULL;
CREATE UNIQUE INDEX uq_referral_credits_side ON referral_credits USING btree (referee_id, kind, user_id) WHERE referee_id IS NOT NULL;

CREATE TABLE referral_daily_counts (
  referral_id bigint NOT NULL,
  day date NOT NULL,
  clicks bigint NOT NULL,
  visitors bigint DEFAULT 0 NOT NULL,
  CONSTRAINT pk_referral_daily_counts PRIMARY KEY (referral_id, day)
) WITH (fillfactor=50);
CREATE INDEX ix_referral_daily_counts_days ON referral_daily_counts USING brin (day) WITH (pages_per_range='32', autosummarize='on');

CREATE TABLE referral_earn_out_entries (
  user_id character varying(128) NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  payment_id bigint NOT NULL,
  amount numeric(28,4) NOT NULL,
  earn_out_id bigint,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  CONSTRAINT pk_referral_earn_out_entries PRIMARY KEY (user_id, id),
  CONSTRAINT ck_referral_earn_out_entries_amount CHECK (amount <> 0::numeric),
  CONSTRAINT ck_referral_earn_out_entries_finite CHECK (abs(amount) < 'Infinity'::numeric)
);
CREATE INDEX ix_referral_earn_out_entries_earn_out ON referral_earn_out_entries USING btree (user_id, earn_out_id) WHERE earn_out_id IS NOT NULL;
CREATE INDEX ix_referral_earn_out_entries_payment ON referral_earn_out_entries USING btree (user_id, payment_id);
CREATE INDEX ix_referral_earn_out_entries_unpaid ON referral_earn_out_entries USING btree (user_id) WHERE earn_out_id IS NULL;

CREATE TABLE referral_earn_outs (
  user_id character varying(128) NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  mode character varying(8) NOT NULL,
  payout_email character varying(254),
  amount numeric(28,4) NOT NULL,
  commissions integer NOT NULL,
  status character varying(16) DEFAULT 'processing'::character varying NOT NULL,
  error_reason character varying(500),
  idempotency_key character varying(36) NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  updated_at timestamp with time zone DEFAULT now() NOT NULL,
  reference character varying(255),
  attempts integer DEFAULT 0 NOT NULL,
  claimed_by character varying(128),
  claimed_until timestamp with time zone,
  next_attempt_at timestamp with time zone,
  submitted_at timestamp with time zone,
  settled_at timestamp with time zone,
  refused_at timestamp with time zone,
  refusals integer DEFAULT 0 NOT NULL,
  completions integer DEFAULT 0 NOT NULL,
  awaits_approval boolean DEFAULT false NOT NULL,
  asked_at timestamp with time zone,
  CONSTRAINT pk_referral_earn_outs PRIMARY KEY (user_id, id),
  CONSTRAINT ck_referral_earn_outs_amount CHECK (amount > 0::numeric),
  CONSTRAINT ck_referral_earn_outs_approval CHECK (NOT awaits_approval OR mode::text = 'payout'::text AND status::text = 'processing'::text AND next_attempt_at IS NULL AND attempts = 0 AND claimed_by IS NULL AND submitted_at IS NULL),
  CONSTRAINT ck_referral_earn_outs_claim CHECK ((claimed_by IS NULL) = (claimed_until IS NULL)),
  CONSTRAINT ck_referral_earn_outs_finite CHECK (abs(amount) < 'Infinity'::numeric),
  CONSTRAINT ck_referral_earn_outs_mode CHECK (mode::text = ANY (ARRAY['credits'::character varying, 'payout'::character varying]::text[])),
  CONSTRAINT ck_referral_earn_outs_settled CHECK ((status::text = 'processing'::text) = (settled_at IS NULL)),
  CONSTRAINT ck_referral_earn_outs_status CHECK (status::text = ANY (ARRAY['processing'::character varying, 'completed'::character varying, 'failed'::character varying, 'returned'::character varying]::text[]))
) WITH (fillfactor=90);
CREATE INDEX ix_referral_earn_outs_approval ON referral_earn_outs USING btree (id) WHERE awaits_approval;
CREATE INDEX ix_referral_earn_outs_id ON referral_earn_outs USING btree (id);
CREATE INDEX ix_referral_earn_outs_next_attempt ON referral_earn_outs USING btree (next_attempt_at, user_id, id) WHERE status::text = 'processing'::text AND next_attempt_at IS NOT NULL;
CREATE INDEX ix_referral_earn_outs_reference ON referral_earn_outs USING btree (reference) WHERE reference IS NOT NULL;
CREATE INDEX ix_referral_earn_outs_refused ON referral_earn_outs USING btree (user_id, mode, id) WHERE refused_at IS NOT NULL;
CREATE INDEX ix_referral_earn_outs_status ON referral_earn_outs USING btree (status, id);
CREATE UNIQUE INDEX uq_referral_earn_outs_key ON referral_earn_outs USING btree (idempotency_key);
CREATE UNIQUE INDEX uq_referral_earn_outs_processing ON referral_earn_outs USING btree (mode, user_id) WHERE status::text = 'processing'::text;

CREATE TABLE referral_late_attributions (
  user_id character varying(128) NOT NULL,
  purchase character varying(255) NOT NULL,
  source character varying(16),
  referral_id bigint,
  channel_id bigint,
  referrer_id character varying(128),
  mode character varying(8),
  rate numeric(20,4),
  room numeric(28,4),
  is_revenue boolean NOT NULL,
  no_commission character varying(16),
  decided_at timestamp with time zone NOT NULL,
  flat_amount numeric(20,4),
  terms_from character varying(8),
  referrer_room numeric(28,4),
  purchases_left integer,
  term_until timestamp with time zone,
  is_moved boolean DEFAULT false NOT NULL,
  CONSTRAINT pk_referral_late_attributions PRIMARY KEY (user_id, purchase),
  CONSTRAINT ck_referral_late_attributions_finite CHECK (abs(rate) < 'Infinity'::numeric AND abs(room) < 'Infinity'::numeric AND abs(flat_amount) < 'Infinity'::numeric AND abs(referrer_room) < 'Infinity'::numeric)
);

CREATE TABLE referral_programs (
  id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  name character varying(100) NOT NULL,
  referral_credit_amount numeric(20,4),
  referral_credit_duration integer,
  referral_credit_type_id bigint,
  before_reward_usage_threshold numeric(20,4) DEFAULT 0 NOT NULL,
  reward_credit_amount numeric(20,4),
  reward_credit_duration integer,
  reward_credit_type_id bigint,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  commission_ratio numeric(20,4),
  commission_max_per_referee numeric(20,4),
  commission_amount numeric(20,4),
  commission_months integer,
  commission_purchases integer,
  commission_signup numeric(20,4),
  commission_qualify boolean,
  commission_max_per_referrer numeric(20,4),
  commission_period character varying(8),
  reward_limit_count integer,
  reward_limit_period character varying(8),
  CONSTRAINT pk_referral_programs PRIMARY KEY (id),
  CONSTRAINT ck_referral_programs_commission CHECK (commission_amount > 0::numeric AND commission_signup >= 0::numeric AND commission_max_per_referrer > 0::numeric AND commission_months >= 1 AND commission_months <= 1200 AND commission_purchases > 0 AND (commission_qualify IS NULL OR commission_signup IS NOT NULL) AND (commission_max_per_referrer IS NULL) = (commission_period IS NULL) AND (commission_period::text = ANY (ARRAY['month'::character varying, 'quarter'::character varying, 'year'::character varying, 'all'::character varying]::text[])) AND commission_ratio >= 0::numeric AND commission_ratio <= 1::numeric AND commission_max_per_referee > 0::numeric AND num_nonnulls(commission_ratio, commission_amount) >= (num_nonnulls(commission_months, commission_purchases, commission_max_per_referee) > 0)::integer AND num_nonnulls(commission_ratio, commission_amount) <= 1),
  CONSTRAINT ck_referral_programs_finite CHECK (abs(referral_credit_amount) < 'Infinity'::numeric AND abs(before_reward_usage_threshold) < 'Infinity'::numeric AND abs(reward_credit_amount) < 'Infinity'::numeric AND abs(commission_ratio) < 'Infinity'::numeric AND abs(commission_max_per_referee) < 'Infinity'::numeric AND abs(commission_amount) < 'Infinity'::numeric AND abs(commission_signup) < 'Infinity'::numeric AND abs(commission_max_per_referrer) < 'Infinity'::numeric),
  CONSTRAINT ck_referral_programs_referral_credit CHECK ((num_nonnulls(referral_credit_amount, referral_credit_duration, referral_credit_type_id) = ANY (ARRAY[0, 3])) AND referral_credit_amount > 0::numeric AND referral_credit_duration > 0),
  CONSTRAINT ck_referral_programs_reward_credit CHECK ((num_nonnulls(reward_credit_amount, reward_credit_duration, reward_credit_type_id) = ANY (ARRAY[0, 3])) AND reward_credit_amount > 0::numeric AND reward_credit_duration > 0),
  CONSTRAINT ck_referral_programs_reward_limit CHECK ((num_nonnulls(reward_limit_count, reward_limit_period) = ANY (ARRAY[0, 2])) AND reward_limit_count > 0 AND (reward_limit_period::text = ANY (ARRAY['month'::character varying, 'quarter'::character varying, 'year'::character varying, 'all'::character varying]::text[]))),
  CONSTRAINT ck_referral_programs_threshold CHECK (before_reward_usage_threshold >= 0::numeric)
);
CREATE UNIQUE INDEX uq_referral_programs_name ON referral_programs USING btree (name);

CREATE TABLE referral_purchases (
  user_id character varying(128) NOT NULL,
  reference character varying(255) NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  amount numeric(20,4) NOT NULL,
  refunded numeric(20,4) DEFAULT 0 NOT NULL,
  purchased_at timestamp with time zone NOT NULL,
  source character varying(16),
  referral_id bigint,
  channel_id bigint,
  referrer_id character varying(128),
  mode character varying(8),
  is_revenue boolean DEFAULT false NOT NULL,
  no_commission character varying(16),
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  rate numeric(20,4),
  room numeric(28,4),
  refund_count integer DEFAULT 0 NOT NULL,
  currency character varying(3),
  original_amount numeric(20,4),
  original_refunded numeric(20,4),
  exchange_rate numeric(38,20),
  flat_amount numeric(20,4),
  terms_from character varying(8),
  referrer_room numeric(28,4),
  purchases_left integer,
  term_until timestamp with time zone,
  CONSTRAINT pk_referral_purchases PRIMARY KEY (user_id, reference),
  CONSTRAINT ck_referral_purchases_amounts CHECK (amount >= 0::numeric AND refunded >= 0::numeric AND refunded <= amount),
  CONSTRAINT ck_referral_purchases_currency CHECK ((num_nulls(currency, original_amount, original_refunded, exchange_rate) = ANY (ARRAY[0, 4])) AND original_refunded >= 0::numeric AND original_refunded <= original_amount AND exchange_rate > 0::numeric),
  CONSTRAINT ck_referral_purchases_finite CHECK (abs(amount) < 'Infinity'::numeric AND abs(refunded) < 'Infinity'::numeric AND abs(rate) < 'Infinity'::numeric AND abs(room) < 'Infinity'::numeric AND abs(original_amount) < 'Infinity'::numeric AND abs(original_refunded) < 'Infinity'::numeric AND abs(exchange_rate) < 'Infinity'::numeric AND abs(flat_amount) < 'Infinity'::numeric AND abs(referrer_room) < 'Infinity'::numeric)
) WITH (fillfactor=90);
CREATE INDEX ix_referral_purchases_days ON referral_purchases USING brin (created_at) WITH (pages_per_range='32', autosummarize='on');
CREATE INDEX ix_referral_purchases_id ON referral_purchases USING btree (id);
CREATE INDEX ix_referral_purchases_reference ON referral_purchases USING btree (reference);
CREATE INDEX ix_referral_purchases_referrer ON referral_purchases USING btree (referrer_id, id) WHERE referrer_id IS NOT NULL;
CREATE INDEX ix_referral_purchases_waiting ON referral_purchases USING btree (user_id, purchased_at, id) WHERE no_commission::text = ANY (ARRAY['no-referrer'::character varying, 'own-referral'::character varying]::text[]);

CREATE TABLE referral_redemptions (
  user_id character varying(128) NOT NULL,
  channel_id bigint NOT NULL,
  reference character varying(255) NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  is_kept boolean DEFAULT false NOT NULL,
  given_back_at timestamp with time zone,
  is_restored boolean DEFAULT false NOT NULL,
  CONSTRAINT pk_referral_redemptions PRIMARY KEY (user_id, channel_id)
);
CREATE INDEX ix_referral_redemptions_channel ON referral_redemptions USING btree (channel_id);

CREATE TABLE referral_referees (
  user_id character varying(128) NOT NULL,
  referee_id character varying(128) NOT NULL,
  met_by character varying(8) DEFAULT 'sign-up'::character varying NOT NULL,
  earned numeric(28,4) DEFAULT 0 NOT NULL,
  upgraded_at timestamp with time zone,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  purchases integer DEFAULT 0 NOT NULL,
  first_purchase_at timestamp with time zone,
  merged_at timestamp with time zone,
  held_for text[] DEFAULT '{}'::text[] NOT NULL,
  CONSTRAINT pk_referral_referees PRIMARY KEY (user_id, referee_id),
  CONSTRAINT ck_referral_referees_earned CHECK (earned >= 0::numeric),
  CONSTRAINT ck_referral_referees_finite CHECK (abs(earned) < 'Infinity'::numeric)
) WITH (fillfactor=80);
CREATE INDEX ix_referral_referees_newest ON referral_referees USING btree (user_id, created_at);
CREATE INDEX ix_referral_referees_upgraded ON referral_referees USING btree (user_id, upgraded_at) WHERE upgraded_at IS NOT NULL;

CREATE TABLE referral_referrer_periods (
  user_id character varying(128) NOT NULL,
  period character varying(8) NOT NULL,
  earned numeric(28,4) DEFAULT 0 NOT NULL,
  CONSTRAINT pk_referral_referrer_periods PRIMARY KEY (user_id, period),
  CONSTRAINT ck_referral_referrer_periods_earned CHECK (earned >= 0::numeric),
  CONSTRAINT ck_referral_referrer_periods_finite CHECK (abs(earned) < 'Infinity'::numeric)
);

CREATE TABLE referral_refunds (
  user_id character varying(128) NOT NULL,
  reference character varying(255) NOT NULL,
  purchase character varying(255) NOT NULL,
  amount numeric(20,4) NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  undone_at timestamp with time zone,
  currency character varying(3),
  original_amount numeric(20,4),
  CONSTRAINT pk_referral_refunds PRIMARY KEY (user_id, reference),
  CONSTRAINT ck_referral_refunds_amount CHECK (amount > 0::numeric OR amount = 0::numeric AND currency IS NOT NULL),
  CONSTRAINT ck_referral_refunds_currency CHECK ((currency IS NULL) = (original_amount IS NULL) AND original_amount > 0::numeric),
  CONSTRAINT ck_referral_refunds_finite CHECK (abs(amount) < 'Infinity'::numeric AND abs(original_amount) < 'Infinity'::numeric)
);
CREATE INDEX ix_referral_refunds_purchase ON referral_refunds USING btree (user_id, purchase);
CREATE INDEX ix_referral_refunds_reference ON referral_refunds USING btree (reference);

CREATE TABLE referral_responses (
  referral_id bigint NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  visitor_id uuid,
  user_id character varying(128),
  ip_address character varying(45),
  user_agent character varying(1024),
  http_referrer character varying(1024),
  action character varying(128) NOT NULL,
  target_type character varying(128),
  target_id character varying(128),
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  touched_at timestamp with time zone DEFAULT now() NOT NULL,
  is_new_visitor boolean DEFAULT false NOT NULL,
  is_counted boolean DEFAULT true NOT NULL,
  CONSTRAINT pk_referral_responses PRIMARY KEY (referral_id, id)
);
CREATE INDEX ix_referral_responses_action ON referral_responses USING btree (referral_id, action, id) WHERE action::text <> 'RESPONDED'::text;
CREATE INDEX ix_referral_responses_days ON referral_responses USING brin (created_at) WITH (pages_per_range='32', autosummarize='on');
CREATE INDEX ix_referral_responses_newest ON referral_responses USING btree (referral_id, created_at, id);
CREATE INDEX ix_referral_responses_target ON referral_responses USING btree (referral_id, target_type, target_id, id) WHERE target_type IS NOT NULL;
CREATE INDEX ix_referral_responses_user ON referral_responses USING btree (user_id, touched_at, id) WHERE user_id IS NOT NULL;
CREATE INDEX ix_referral_responses_user_newest ON referral_responses USING btree (user_id, created_at, id) WHERE user_id IS NOT NULL;
CREATE INDEX ix_referral_responses_visitor_newest ON referral_responses USING btree (visitor_id, created_at, id) WHERE user_id IS NULL;

CREATE TABLE referral_reviews (
  id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  rule character varying(32) NOT NULL,
  subject text NOT NULL,
  user_id character varying(128),
  referee_id character varying(128),
  referral_id bigint,
  evidence jsonb NOT NULL,
  is_holding boolean NOT NULL,
  status character varying(8) DEFAULT 'open'::character varying NOT NULL,
  decided_by character varying(128),
  decided_reason character varying(500),
  decided_at timestamp with time zone,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  CONSTRAINT pk_referral_reviews PRIMARY KEY (id),
  CONSTRAINT ck_referral_reviews_decided CHECK ((status::text = 'open'::text) = (decided_at IS NULL)),
  CONSTRAINT ck_referral_reviews_status CHECK (status::text = ANY (ARRAY['open'::character varying, 'allowed'::character varying, 'refused'::character varying]::text[]))
);
CREATE INDEX ix_referral_reviews_open ON referral_reviews USING btree (id) WHERE status::text = 'open'::text;
CREATE INDEX ix_referral_reviews_referee ON referral_reviews USING btree (referee_id, id) WHERE referee_id IS NOT NULL;
CREATE INDEX ix_referral_reviews_referral ON referral_reviews USING btree (referral_id, id) WHERE referral_id IS NOT NULL;
CREATE INDEX ix_referral_reviews_user ON referral_reviews USING btree (user_id, id) WHERE user_id IS NOT NULL;
CREATE UNIQUE INDEX uq_referral_reviews_subject ON referral_reviews USING btree (subject, rule);

CREATE TABLE referral_reward_counts (
  user_id character varying(128) NOT NULL,
  program_id bigint NOT NULL,
  period character varying(8) NOT NULL,
  rewards integer NOT NULL,
  departed integer DEFAULT 0 NOT NULL,
  CONSTRAINT pk_referral_reward_counts PRIMARY KEY (user_id, program_id, period)
);

CREATE TABLE referral_signup_refusals (
  user_id character varying(128) NOT NULL,
  reason character varying(32) NOT NULL,
  weighed jsonb NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  CONSTRAINT pk_referral_signup_refusals PRIMARY KEY (user_id)
);

CREATE TABLE referral_signups (
  user_id character varying(128) NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  referral_id bigint,
  referrer_id character varying(128),
  program_id bigint,
  referral_credit_amount numeric(20,4),
  referral_credit_duration integer,
  referral_credit_type_id bigint,
  before_reward_usage_threshold numeric(20,4) DEFAULT 0 NOT NULL,
  reward_credit_amount numeric(20,4),
  reward_credit_duration integer,
  reward_credit_type_id bigint,
  recorded_usage numeric(28,4) DEFAULT 0 NOT NULL,
  threshold_reached_at timestamp with time zone,
  source character varying(16) NOT NULL,
  touched_at timestamp with time zone,
  is_self_referral boolean DEFAULT false NOT NULL,
  weighed jsonb NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  commission_ratio numeric(20,4),
  commission_max_per_referee numeric(20,4),
  usages integer DEFAULT 0 NOT NULL,
  commission_amount numeric(20,4),
  commission_months integer,
  commission_purchases integer,
  commission_signup numeric(20,4),
  commission_qualify boolean,
  commission_max_per_referrer numeric(20,4),
  commission_period character varying(8),
  qualified_at timestamp with time zone,
  qualification character varying(255),
  no_commission character varying(16),
  no_reward character varying(16),
  was_rewarded boolean DEFAULT false NOT NULL,
  held_for text[] DEFAULT '{}'::text[] NOT NULL,
  ip_address character varying(45),
  user_agent character varying(1024),
  reward_limit_count integer,
  reward_limit_period character varying(8),
  CONSTRAINT pk_referral_signups PRIMARY KEY (user_id),
  CONSTRAINT ck_referral_signups_commission CHECK (commission_amount > 0::numeric AND commission_signup >= 0::numeric AND commission_max_per_referrer > 0::numeric AND commission_months >= 1 AND commission_months <= 1200 AND commission_purchases > 0 AND (commission_qualify IS NULL OR commission_signup IS NOT NULL) AND (commission_max_per_referrer IS NULL) = (commission_period IS NULL) AND (commission_period::text = ANY (ARRAY['month'::character varying, 'quarter'::character varying, 'year'::character varying, 'all'::character varying]::text[])) AND commission_ratio >= 0::numeric AND commission_ratio <= 1::numeric AND commission_max_per_referee > 0::numeric AND num_nonnulls(commission_ratio, commission_amount) >= (num_nonnulls(commission_months, commission_purchases, commission_max_per_referee) > 0)::integer AND num_nonnulls(commission_ratio, commission_amount) <= 1),
  CONSTRAINT ck_referral_signups_finite CHECK (abs(referral_credit_amount) < 'Infinity'::numeric AND abs(before_reward_usage_threshold) < 'Infinity'::numeric AND abs(reward_credit_amount) < 'Infinity'::numeric AND abs(commission_ratio) < 'Infinity'::numeric AND abs(commission_max_per_referee) < 'Infinity'::numeric AND abs(commission_amount) < 'Infinity'::numeric AND abs(commission_signup) < 'Infinity'::numeric AND abs(commission_max_per_referrer) < 'Infinity'::numeric AND abs(recorded_usage) < 'Infinity'::numeric),
  CONSTRAINT ck_referral_signups_reward_limit CHECK ((num_nonnulls(reward_limit_count, reward_limit_period) = ANY (ARRAY[0, 2])) AND reward_limit_count > 0 AND (reward_limit_period::text = ANY (ARRAY['month'::character varying, 'quarter'::character varying, 'year'::character varying, 'all'::character varying]::text[])))
) WITH (fillfactor=80);
CREATE INDEX ix_referral_signups_address ON referral_signups USING btree (referral_id, ip_address, created_at) WHERE ip_address IS NOT NULL;
CREATE INDEX ix_referral_signups_days ON referral_signups USING brin (created_at) WITH (pages_per_range='32', autosummarize='on');
CREATE INDEX ix_referral_signups_id ON referral_signups USING btree (id);
CREATE INDEX ix_referral_signups_ip ON referral_signups USING btree (ip_address, id) WHERE ip_address IS NOT NULL;
CREATE INDEX ix_referral_signups_referral ON referral_signups USING btree (referral_id, id);
CREATE INDEX ix_referral_signups_referrer ON referral_signups USING btree (referrer_id, id) WHERE referrer_id IS NOT NULL;
CREATE INDEX ix_referral_signups_referrer_day ON referral_signups USING btree (referrer_id, created_at) WHERE referrer_id IS NOT NULL;

CREATE TABLE referral_usages (
  user_id character varying(128) NOT NULL,
  reference character varying(255) NOT NULL,
  amount numeric(20,4) NOT NULL,
  is_counted boolean NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  currency character varying(3),
  original_amount numeric(20,4),
  exchange_rate numeric(38,20),
  CONSTRAINT pk_referral_usages PRIMARY KEY (user_id, reference),
  CONSTRAINT ck_referral_usages_currency CHECK ((num_nulls(currency, original_amount, exchange_rate) = ANY (ARRAY[0, 3])) AND exchange_rate > 0::numeric),
  CONSTRAINT ck_referral_usages_finite CHECK (abs(amount) < 'Infinity'::numeric AND abs(original_amount) < 'Infinity'::numeric AND abs(exchange_rate) < 'Infinity'::numeric)
);
CREATE INDEX ix_referral_usages_reference ON referral_usages USING btree (reference);

CREATE TABLE referral_user_counts (
  user_id character varying(128) NOT NULL,
  grants integer DEFAULT 0 NOT NULL,
  granted numeric(28,4) DEFAULT 0 NOT NULL,
  empty_spends integer DEFAULT 0 NOT NULL,
  uncounted_usages integer DEFAULT 0 NOT NULL,
  uncounted_usage numeric(28,4) DEFAULT 0 NOT NULL,
  CONSTRAINT pk_referral_user_counts PRIMARY KEY (user_id),
  CONSTRAINT ck_referral_user_counts_finite CHECK (abs(granted) < 'Infinity'::numeric AND abs(uncounted_usage) < 'Infinity'::numeric)
) WITH (fillfactor=80);

CREATE TABLE referral_user_days (
  user_id character varying(128) NOT NULL,
  day date NOT NULL,
  clicks bigint DEFAULT 0 NOT NULL,
  visitors bigint DEFAULT 0 NOT NULL,
  signups integer DEFAULT 0 NOT NULL,
  customers integer DEFAULT 0 NOT NULL,
  earned numeric(28,4) DEFAULT 0 NOT NULL,
  CONSTRAINT pk_referral_user_days PRIMARY KEY (user_id, day),
  CONSTRAINT ck_referral_user_days_finite CHECK (abs(earned) < 'Infinity'::numeric)
);

CREATE TABLE referral_user_links (
  user_id character varying(128) NOT NULL,
  referral_id bigint NOT NULL,
  clicks bigint NOT NULL,
  visitors bigint NOT NULL,
  CONSTRAINT pk_referral_user_links PRIMARY KEY (user_id, referral_id)
);

CREATE TABLE referral_visitor_clicks (
  referral_id bigint NOT NULL,
  visitor uuid NOT NULL,
  day date NOT NULL,
  clicks bigint NOT NULL,
  CONSTRAINT pk_referral_visitor_clicks PRIMARY KEY (referral_id, visitor, day)
);

CREATE TABLE referral_visitors (
  visitor_id uuid NOT NULL,
  user_id character varying(128) NOT NULL,
  CONSTRAINT pk_referral_visitors PRIMARY KEY (visitor_id)
);

CREATE TABLE referrals (
  id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  user_id character varying(128),
  label character varying(100) DEFAULT ''::character varying NOT NULL,
  code character varying(100) NOT NULL,
  redirect_to character varying(2048) NOT NULL,
  target_type character varying(128),
  target_id character varying(128),
  expired_at timestamp with time zone,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  program_id bigint,
  allowed_uses integer DEFAULT '-1'::integer NOT NULL,
  uses integer DEFAULT 0 NOT NULL,
  redemptions integer DEFAULT 0 NOT NULL,
  max_redemptions integer,
  CONSTRAINT pk_referrals PRIMARY KEY (id),
  CONSTRAINT ck_referrals_uses CHECK (uses >= 0 AND (allowed_uses = '-1'::integer OR uses <= allowed_uses))
);
CREATE INDEX ix_referrals_label ON referrals USING btree (lower(label::text COLLATE "C"));
CREATE INDEX ix_referrals_owner ON referrals USING btree (user_id, id);
CREATE INDEX ix_referrals_program ON referrals USING btree (program_id) WHERE program_id IS NOT NULL;
CREATE UNIQUE INDEX uq_referrals_code ON referrals USING btree (lower(code::text COLLATE "C"));
CREATE UNIQUE INDEX uq_referrals_identity ON referrals USING btree (COALESCE(user_id, ''::character varying), label, COALESCE(target_type, ''::character varying), COALESCE(target_id, ''::character varying), md5(redirect_to::text));

ALTER TABLE referral_accounts ADD CONSTRAINT fk_referral_accounts_referral
  FOREIGN KEY (referral_id) REFERENCES referrals(id);
ALTER TABLE referral_buyers ADD CONSTRAINT fk_referral_buyers_channel
  FOREIGN KEY (channel_id) REFERENCES referral_channels(id) ON DELETE SET NULL;
ALTER TABLE referral_channels ADD CONSTRAINT fk_referral_channels_referral
  FOREIGN KEY (id) REFERENCES referrals(id);
ALTER TABLE referral_commission_entries ADD CONSTRAINT fk_referral_commission_entries_commission
  FOREIGN KEY (user_id, commission_id) REFERENCES referral_commissions(user_id, id);
ALTER TABLE referral_commissions ADD CONSTRAINT fk_referral_commissions_referral
  FOREIGN KEY (referral_id) REFERENCES referrals(id);
ALTER TABLE referral_credit_refunds ADD CONSTRAINT fk_referral_credit_refunds_spend
  FOREIGN KEY (user_id, reference) REFERENCES referral_credit_spends(user_id, reference);
ALTER TABLE referral_credit_transactions ADD CONSTRAINT fk_referral_credit_transactions_credit
  FOREIGN KEY (user_id, credit_id) REFERENCES referral_credits(user_id, id);
ALTER TABLE referral_credits ADD CONSTRAINT fk_referral_credits_type
  FOREIGN KEY (type_id) REFERENCES referral_credit_types(id);
ALTER TABLE referral_earn_out_entries ADD CONSTRAINT fk_referral_earn_out_entries_payment
  FOREIGN KEY (user_id, payment_id) REFERENCES referral_earn_outs(user_id, id);
ALTER TABLE referral_late_attributions ADD CONSTRAINT fk_referral_late_attributions_purchase
  FOREIGN KEY (user_id, purchase) REFERENCES referral_purchases(user_id, reference);
ALTER TABLE referral_programs ADD CONSTRAINT fk_referral_programs_referral_type
  FOREIGN KEY (referral_credit_type_id) REFERENCES referral_credit_types(id);
ALTER TABLE referral_programs ADD CONSTRAINT fk_referral_programs_reward_type
  FOREIGN KEY (reward_credit_type_id) REFERENCES referral_credit_types(id);
ALTER TABLE referral_redemptions ADD CONSTRAINT fk_referral_redemptions_channel
  FOREIGN KEY (channel_id) REFERENCES referral_channels(id);
ALTER TABLE referral_refunds ADD CONSTRAINT fk_referral_refunds_purchase
  FOREIGN KEY (user_id, purchase) REFERENCES referral_purchases(user_id, reference);
ALTER TABLE referral_reward_counts ADD CONSTRAINT fk_referral_reward_counts_program
  FOREIGN KEY (program_id) REFERENCES referral_programs(id);
ALTER TABLE referral_signups ADD CONSTRAINT fk_referral_signups_program
  FOREIGN KEY (program_id) REFERENCES referral_programs(id);
ALTER TABLE referral_signups ADD CONSTRAINT fk_referral_signups_referral
  FOREIGN KEY (referral_id) REFERENCES referrals(id);
ALTER TABLE referral_signups ADD CONSTRAINT fk_referral_signups_referral_type
  FOREIGN KEY (referral_credit_type_id) REFERENCES referral_credit_types(id);
ALTER TABLE referral_signups ADD CONSTRAINT fk_referral_signups_reward_type
  FOREIGN KEY (reward_credit_type_id) REFERENCES referral_credit_types(id);
ALTER TABLE referrals ADD CONSTRAINT fk_referrals_program
  FOREIGN KEY (program_id) REFERENCES referral_programs(id);
