#!/bin/sh
# First start of the store: the role of the dashboards, which reads every table of today and tomorrow and writes none.
set -eu
psql -v ON_ERROR_STOP=1 -X -q -U "$POSTGRES_USER" -d "$POSTGRES_DB" -v password="$(cat /run/secrets-db/reader_password)" <<'SQL'
CREATE ROLE reader LOGIN PASSWORD :'password' CONNECTION LIMIT 10;
ALTER ROLE reader SET default_transaction_read_only = on;
ALTER ROLE reader SET statement_timeout = '30s';
GRANT USAGE ON SCHEMA public TO reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO reader;
SQL
