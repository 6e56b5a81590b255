-- Once, by a superuser, in the database of the application.
CREATE ROLE shop_migrator LOGIN;
CREATE ROLE shop_runtime LOGIN;
CREATE SCHEMA shop AUTHORIZATION shop_migrator;

-- The runtime role reads and writes rows. It creates, alters and drops nothing.
GRANT USAGE ON SCHEMA shop TO shop_runtime;
ALTER DEFAULT PRIVILEGES FOR ROLE shop_migrator IN SCHEMA shop
  GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO shop_runtime;

-- Statements that a process gave up must not go on for long on the server.
ALTER ROLE shop_runtime SET statement_timeout = '60s';
ALTER ROLE shop_runtime SET idle_in_transaction_session_timeout = '60s';
