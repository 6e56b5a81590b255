-- A superuser runs this once on the coordinator, after the migrations, with the search_path of the application's tables.
SET citus.shard_count = 4;
SELECT create_distributed_table('referral_responses', 'referral_id');
SELECT create_distributed_table('referral_daily_counts', 'referral_id', colocate_with => 'referral_responses');
-- Frees what the tables took on the coordinator.
SELECT truncate_local_data_after_distributing_table('referral_responses');
SELECT truncate_local_data_after_distributing_table('referral_daily_counts');
