#!/bin/sh
# Puts back what backup.sh has saved; what the stack holds now is gone:  ml_backend/compose/restore.sh FOLDER
set -eu
folder=$(cd "${1:?name the folder that holds the archives}" && pwd)
cd "$(dirname "$0")/../.."
. ml_backend/compose/volumes.sh
# Before anything is deleted. By their sums: tar lists an archive that was cut off inside a large file without a word.
for volume in $volumes; do
    docker run --rm --user root --network none --volume "$folder:/b:ro" --workdir /b "$image" \
        sha256sum --check --quiet "$volume.tar.sha256" >&2 ||
        { echo "$folder/$volume.tar is missing or not what backup.sh wrote: nothing was changed" >&2; exit 1; }
done
docker compose down --volumes
docker compose create
for volume in $volumes; do
    echo "restoring $volume"
    in_volume "$volume:/v" "find /v -mindepth 1 -delete && tar -C /v -xpf /b/$volume.tar"
done
docker compose up --detach --wait
