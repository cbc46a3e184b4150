#!/bin/sh
# Everything that the compose stack keeps, as one archive per volume:  ml_backend/compose/backup.sh FOLDER
# The stack is down meanwhile: a copy of running databases would not be worth having. The archives hold passwords.
set -eu
mkdir -p "${1:?name the folder that takes the archives}"
folder=$(cd "$1" && pwd)
cd "$(dirname "$0")/../.."
. ml_backend/compose/volumes.sh
trap 'docker compose up --detach --wait' EXIT # also when a disk is full: people go on labelling
docker compose down
for volume in $volumes; do
    echo "saving $volume"
    in_volume "$volume:/v:ro" "umask 077; cd /b; tar -C /v -cpf .$volume.tar .; mv .$volume.tar $volume.tar
        sha256sum $volume.tar >$volume.tar.sha256"
done
echo "all is in $folder"
