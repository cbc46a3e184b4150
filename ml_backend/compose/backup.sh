#!/bin/sh
# Everything that the compose stack keeps, as one archive per volume:  ml_backend/compose/backup.sh FOLDER
# The stack is down meanwhile: a copy of running databases would not be worth having. The archives hold passwords.
set -eu
cd "$(dirname "$0")/../.."
. ml_backend/compose/volumes.sh
mkdir -p "$1"
folder=$(cd "$1" && pwd)
docker compose down
for volume in $volumes; do
    echo "saving $volume"
    in_volume "$volume:/v:ro" "umask 077; tar -C /v -cpf /b/.$volume.tar . && mv /b/.$volume.tar /b/$volume.tar"
done
docker compose up --detach --wait
