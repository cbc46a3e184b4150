#!/bin/sh
# Run by Postgres when its volume is new: a role and a database each for ALE and Label Studio. What is there stays,
# so that it can be run again by hand.
set -eu
psql --quiet --no-align --tuples-only --set ON_ERROR_STOP=1 --username postgres --dbname postgres \
    --set ale="$(cat /run/secrets/ale/ALE_POSTGRES_PASSWORD)" \
    --set label_studio="$(cat /run/secrets/ale/POSTGRE_PASSWORD)" <<'SQL'
SELECT 'CREATE ROLE ' || name || ' LOGIN' FROM (VALUES ('ale'), ('label_studio')) AS wanted (name)
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec
ALTER ROLE ale PASSWORD :'ale';
ALTER ROLE label_studio PASSWORD :'label_studio';
SELECT 'CREATE DATABASE ' || name || ' OWNER ' || name FROM (VALUES ('ale'), ('label_studio')) AS wanted (name)
    WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = name) \gexec
REVOKE ALL ON DATABASE ale, label_studio, postgres, template1 FROM PUBLIC;
SQL
