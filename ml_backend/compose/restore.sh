#!/bin/sh
# Puts back what backup.sh has saved; what the stack holds now is gone:  ml_backend/compose/restore.sh FOLDER
set -eu
folder=$(cd "${1:?name the folder that holds the archives}" && pwd)
cd "$(dirname "$0")/../.."
. ml_backend/compose/volumes.sh
# All archives are read to their end before anything is deleted.
for volume in $volumes; do
    docker run --rm --user root --network none --volume "$folder:/b:ro" "$image" tar -tf "/b/$volume.tar" >/dev/null ||
        { echo "$folder/$volume.tar cannot be read: nothing was changed" >&2; exit 1; }
done
docker compose down --volumes
docker compose create
for volume in $volumes; do
    echo "restoring $volume"
    in_volume "$volume:/v" "find /v -mindepth 1 -delete && tar -C /v -xpf /b/$volume.tar"
done
docker compose up --detach --wait
