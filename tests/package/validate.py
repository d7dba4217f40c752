"""Load every YAML file of a folder with the real classes of Azure's SDK, and print what they are as JSON."""

import json
import sys
from pathlib import Path

from azure.ai.ml import (
    load_batch_endpoint,
    load_online_deployment,
    load_online_endpoint,
)
from azure.ai.ml.entities._load_functions import load_model_batch_deployment

LOADERS = {
    "online-endpoint": load_online_endpoint,
    "online-deployment": load_online_deployment,
    "batch-endpoint": load_batch_endpoint,
    "batch-deployment": load_model_batch_deployment,
}
found = {}
for path in sorted(Path(sys.argv[1]).glob("*.yml")):
    made = LOADERS[path.stem.removesuffix("-safe")](str(path))
    found[path.name] = [type(made).__name__, made.name]
print(json.dumps(found))
