-- A superuser runs this once on the coordinator, after the migrations, in the schema of the package's tables.
SET citus.shard_count = 4;
SELECT create_distributed_table('referral_responses', 'referral_id');
SELECT create_distributed_table('referral_daily_counts', 'referral_id', colocate_with => 'referral_responses');
