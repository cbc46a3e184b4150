# Sourced by backup.sh and restore.sh: the names as compose reads them, from .env or the shell.
project=$(docker compose config | sed -n 's/^name: *//p')
image=$(docker compose config --images secrets | head -n 1)
volumes="postgres label-studio ale mlflow secrets-postgres secrets-label-studio secrets-ale" # all but the queue

in_volume() { # VOLUME:PATH[:ro] COMMAND; the backup's folder is /b. Root reads what each service's own user wrote.
    docker run --rm --user root --network none --volume "${project}_$1" --volume "$folder:/b" "$image" sh -ec "$2"
}
