#!/bin/sh
# First start: a cluster, the user's password, the user's database, then the scripts of the init folder.
# The server of that phase has no port, as in the official image, so nobody takes it for ready.
set -eu
if [ "$1" = postgres ] && [ ! -s "$PGDATA/PG_VERSION" ]; then
    password=$(cat "$POSTGRES_PASSWORD_FILE")
    draft=$(mktemp); printf '%s' "$password" > "$draft"
    initdb --username="$POSTGRES_USER" --pwfile="$draft" --auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8 > /dev/null
    rm "$draft"
    echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
    pg_ctl -w start -o "-c listen_addresses=''" > /dev/null
    export PGUSER="$POSTGRES_USER"
    [ "${POSTGRES_DB:-$POSTGRES_USER}" = postgres ] || createdb "${POSTGRES_DB:-$POSTGRES_USER}"
    export PGDATABASE="${POSTGRES_DB:-$POSTGRES_USER}" POSTGRES_DB="${POSTGRES_DB:-$POSTGRES_USER}"
    for script in /docker-entrypoint-initdb.d/*.sh; do
        [ -e "$script" ] && . "$script"
    done
    pg_ctl -w -m fast stop > /dev/null
fi
[ "$1" = postgres ] && set -- "$@" -c "listen_addresses=*"
exec "$@"
