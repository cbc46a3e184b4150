#!/bin/sh
# Run once by Postgres, when its volume is empty: a role and a database each for ALE and Label Studio.
set -eu
psql --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
    --set ale="$(cat /run/secrets/ale/ALE_POSTGRES_PASSWORD)" \
    --set label_studio="$(cat /run/secrets/ale/POSTGRE_PASSWORD)" <<'SQL'
CREATE ROLE ale LOGIN PASSWORD :'ale';
CREATE ROLE label_studio LOGIN PASSWORD :'label_studio';
CREATE DATABASE ale OWNER ale;
CREATE DATABASE label_studio OWNER label_studio;
REVOKE ALL ON DATABASE ale, label_studio FROM PUBLIC;
SQL
