// For the Jest project "Citus": its tests use the cluster, whose tables of clicks `openDataSource` distributes.
process.env['TEST_DATABASE_URL'] = process.env['CITUS_URL']!;
