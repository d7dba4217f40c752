"""Let `AzureML` of the examples deploy with Azure's own classes, and print which operations it asked for.

The operations are the SDK's by their signatures, so that a wrong argument is an error; none is sent anywhere.

python recorded.py FOLDER_OF_THE_EXAMPLES, in a folder with the YAML
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import create_autospec

import azure.ai.ml
from azure.ai.ml import operations
from azure.core.exceptions import ResourceNotFoundError

sys.path.insert(0, sys.argv[1])
asked: list[str] = []


def recording(group: str, kind: type) -> Any:
    made = create_autospec(kind, instance=True)

    def note(name: str, result: Any) -> Any:
        def called(*args: Any, **kwargs: Any) -> Any:
            asked.append(f"{group}.{name}")
            if isinstance(result, Exception):
                raise result
            return result

        return called

    answers = {
        "get": ResourceNotFoundError("there is none"),
        "invoke": "[]" if group == "online_endpoints" else SimpleNamespace(name="job"),
        "list": iter([SimpleNamespace(name="child")]),
        "begin_create_or_update": SimpleNamespace(result=lambda: None),
        "begin_delete": SimpleNamespace(result=lambda: None),
        **dict.fromkeys(("stream", "download")),
    }
    for name, answer in answers.items():
        if hasattr(made, name):
            getattr(made, name).side_effect = note(name, answer)
    return made


client = SimpleNamespace(
    online_endpoints=recording("online_endpoints", operations.OnlineEndpointOperations),
    online_deployments=recording("online_deployments", operations.OnlineDeploymentOperations),
    batch_endpoints=recording("batch_endpoints", operations.BatchEndpointOperations),
    batch_deployments=recording("batch_deployments", operations.BatchDeploymentOperations),
    compute=recording("compute", operations.ComputeOperations),
    jobs=recording("jobs", operations.JobOperations),
)
azure.ai.ml.MLClient = lambda *given: client

from workspace import AzureML  # noqa: E402 - it is beside the notebooks

workspace = AzureML("s", "g", "w")
workspace.deploy_online(Path("online-endpoint.yml"), Path("online-deployment.yml"))
assert workspace.score(Path("request.json")) == "[]"
workspace.delete()
workspace.deploy_batch(Path("batch-endpoint.yml"), Path("batch-deployment.yml"))
workspace.run_batch(Path(), Path("generated"))
workspace.delete()
print(json.dumps(asked))
