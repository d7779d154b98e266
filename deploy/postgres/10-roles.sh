#!/usr/bin/env bash
# Who owns what in PostgreSQL: Temporal and the ledger each have a role, and neither can read the other's data.
#
# The postgres image runs this once, on an empty volume. It may be run again, also against a managed server:
# it creates what is missing and sets both passwords.
set -euo pipefail
: "${TEMPORAL_DB_PASSWORD:?the password of the role temporal}" "${LEDGER_DB_PASSWORD:?the password of the role ledger}"

# \getenv keeps the passwords out of the process list, and :'...' quotes them whatever is in them.
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 \
    --username="${POSTGRES_USER:-postgres}" --dbname="${POSTGRES_DB:-postgres}" <<'SQL'
\getenv temporal_password TEMPORAL_DB_PASSWORD
\getenv ledger_password LEDGER_DB_PASSWORD

-- CREATEDB: temporal-sql-tool creates Temporal's two databases itself.
SELECT 'CREATE ROLE temporal' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'temporal') \gexec
ALTER ROLE temporal WITH LOGIN CREATEDB NOSUPERUSER NOCREATEROLE PASSWORD :'temporal_password';

SELECT 'CREATE ROLE ledger' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'ledger') \gexec
ALTER ROLE ledger WITH LOGIN NOCREATEDB NOSUPERUSER NOCREATEROLE PASSWORD :'ledger_password';

-- Locale C compares text by bytes: an upgrade of the system's C library cannot reorder the indexes.
SELECT $$CREATE DATABASE ledger OWNER ledger TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'$$
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'ledger') \gexec
REVOKE ALL ON DATABASE ledger FROM PUBLIC;
SQL
