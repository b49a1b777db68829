#!/bin/sh
# Every Secret of the house as YAML, from a folder that keeps them: `deploy/k8s/secrets.sh FOLDER | kubectl apply -f -`.
# What is missing in FOLDER is made, what is there stays. A store elsewhere: put its URL into FOLDER/database/url.
# Credentials of venues: a file each in FOLDER/venues, named like its variable (DERIV_TOKEN, BINANCE_API_KEY).
set -eu
folder=${1:?the folder that keeps the secrets, outside of the repository}
here=$(cd "$(dirname "$0")/../.." && pwd)
umask 077
mkdir -p "$folder/database" "$folder/venues"
folder=$(cd "$folder" && pwd)

cd "$here"
"${PYTHON:-.venv/bin/python}" -m libs.common.provision "$folder" >&2
[ -e "$folder/database/url" ] || printf %s postgresql://conclave@timescaledb:5432/conclave > "$folder/database/url"

secret() {
  echo ---
  kubectl create secret generic "conclave-$1" --namespace conclave --from-file="$2" --dry-run=client --output=yaml
}

for name in ingest features predict risk execute train operator nats db simulator risk-keys train-keys database; do
  secret "$name" "$folder/$name"
done
secret execute-keys "$folder/execute-keys/public"
secret predict-keys "$folder/predict-keys/public"
[ -z "$(ls "$folder/venues")" ] || secret venues "$folder/venues"
