#!/usr/bin/env bash
# Many pictures, with the command line and YAML: on this machine, or on Azure ML where three variables name a workspace:
#   SUBSCRIPTION_ID=... RESOURCE_GROUP=... WORKSPACE_NAME=... ./text-to-image-inpainting-batch-endpoint.sh
set -euo pipefail
cd "$(dirname "$0")"

# The YAML of endpoint and deployment, the scripts, the environment and the model (--model for another one).
[ -d inpainting-azure ] || retouch package azure --output inpainting-azure
python samples.py tables tables

if [ -n "${WORKSPACE_NAME:-}" ]; then
    az account set --subscription "$SUBSCRIPTION_ID"
    az configure --defaults group="$RESOURCE_GROUP" workspace="$WORKSPACE_NAME"
    az ml compute show --name gpu-cluster ||
        az ml compute create --name gpu-cluster --type AmlCompute --size STANDARD_NC4AS_T4_V3 --min-instances 0 --max-instances 2
    endpoint="inpainting-batch-$(date +%s)"  # names are unique in a region
    trap 'az ml batch-endpoint delete --name "$endpoint" --yes' EXIT
    az ml batch-endpoint create --name "$endpoint" --file inpainting-azure/batch-endpoint.yml
    az ml batch-deployment create --endpoint-name "$endpoint" --file inpainting-azure/batch-deployment.yml --set-default
    job=$(az ml batch-endpoint invoke --name "$endpoint" --input tables --input-type uri_folder --query name -o tsv)
    az ml job stream --name "$job"
    az ml job download --name "$job" --output-name score --download-path generated
    predictions=$(find generated -name predictions.csv)
else
    retouch batch run tables --output generated --deployment inpainting-azure/batch-deployment.yml
    predictions=generated/predictions.csv
fi

python samples.py save "$predictions" pictures
