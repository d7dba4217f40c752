#!/usr/bin/env bash
# Real time, with the command line and YAML: on this machine, or on Azure ML where three variables name a workspace:
#   SUBSCRIPTION_ID=... RESOURCE_GROUP=... WORKSPACE_NAME=... ./text-to-image-inpainting-online-endpoint.sh
set -euo pipefail
cd "$(dirname "$0")"

# The YAML of endpoint and deployment, the scripts, the environment and the model (--model for another one).
[ -d inpainting-azure ] || retouch package azure --output inpainting-azure
python samples.py request request.json

if [ -n "${WORKSPACE_NAME:-}" ]; then
    az account set --subscription "$SUBSCRIPTION_ID"
    az configure --defaults group="$RESOURCE_GROUP" workspace="$WORKSPACE_NAME"
    endpoint="inpainting-$(date +%s)"  # names are unique in a region
    trap 'az ml online-endpoint delete --name "$endpoint" --yes' EXIT
    az ml online-endpoint create --name "$endpoint" --file inpainting-azure/online-endpoint.yml
    az ml online-deployment create --endpoint-name "$endpoint" --file inpainting-azure/online-deployment.yml --all-traffic
    az ml online-endpoint invoke --name "$endpoint" --request-file request.json -o json > answer.json
else
    port="${PORT:-8000}"
    retouch serve --deployment inpainting-azure/online-deployment.yml --port "$port" --jobs-folder jobs > server.log 2>&1 &
    trap 'kill %1; wait' EXIT
    curl --silent --fail --output ready.json --retry 200 --retry-delay 1 --retry-connrefused "http://127.0.0.1:$port/health/ready"
    curl --silent --show-error --fail-with-body --json @request.json --output answer.json "http://127.0.0.1:$port/score"
fi

python samples.py save answer.json pictures
