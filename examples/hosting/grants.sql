-- A superuser runs this once, in the database of the application.
CREATE ROLE shop_migrator LOGIN;
CREATE ROLE shop_runtime LOGIN;
CREATE SCHEMA shop AUTHORIZATION shop_migrator;

-- The runtime role can read and write rows. It can't create, alter or drop tables.
GRANT USAGE ON SCHEMA shop TO shop_runtime;
ALTER DEFAULT PRIVILEGES FOR ROLE shop_migrator IN SCHEMA shop
  GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO shop_runtime;

-- Ends statements and transactions that a process no longer waits for.
ALTER ROLE shop_runtime SET statement_timeout = '60s';
ALTER ROLE shop_runtime SET idle_in_transaction_session_timeout = '60s';
