"""The folder of Azure ML's CLI: endpoints and deployments as YAML, scripts, environment, model and a request."""

import base64
import io
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retouch.models.options import DEFAULT_OPTIONS, LoadOptions
from retouch.package.contents import requirements
from retouch.package.mlflow_model import SCRIPTS, conda, new_folder, write_mlflow_model, write_yaml

SCHEMAS = "https://azuremlschemas.azureedge.net/latest"
IMAGE = "mcr.microsoft.com/azureml/openmpi4.1.0-cuda11.8-cudnn8-ubuntu22.04:latest"
_INSTANCE = "STANDARD_NC4AS_T4_V3"
_ENDPOINT, _BATCH, _DEPLOYMENT, _SAFE = "inpainting", "inpainting-batch", "inpainting-deploy", "inpainting-safe"
_CONTENT_SAFETY = {
    "CONTENT_SAFETY_ENDPOINT": "https://ACCOUNT.cognitiveservices.azure.com",
    "CONTENT_SAFETY_THRESHOLD": "2",
    "UAI_CLIENT_ID": "CLIENT_ID_OF_THE_IDENTITY",
}
_IDENTITY = {
    "type": "user_assigned",
    "user_assigned_identities": [{"resource_id": "RESOURCE_ID_OF_THE_IDENTITY"}],
}
_LIVENESS = {"initial_delay": 180, "period": 180, "timeout": 299, "success_threshold": 1, "failure_threshold": 49}
_READINESS = {"initial_delay": 10, "period": 10, "timeout": 10, "success_threshold": 1, "failure_threshold": 10}


def write_azure_folder(output: Path, model: str | None = None, options: LoadOptions = DEFAULT_OPTIONS) -> Path:
    """Write everything that deploys a checkpoint on Azure ML into a new folder; return it.

    Raises:
        ModelError, BadInput: as `write_mlflow_model`.
    """
    new_folder(output)
    write_mlflow_model(output / "model", model, options)
    (output / "code").mkdir()
    for script in ("score_online.py", "score_batch.py"):
        shutil.copyfile(SCRIPTS / script, output / "code" / script)
    # So Azure's driver appends rows as its own sample does: with commas, and the row's number in its file.
    appended = {"append_row": {"pandas.DataFrame.to_csv": {"sep": ",", "index": True}}}
    _write_json(output / "code" / "parallel_run_step.settings.json", appended)
    (output / "environment").mkdir()
    needed = ["azureml-inference-server-http", "azureml-dataset-runtime", "pandas", *requirements()]
    write_yaml(output / "environment" / "conda.yaml", conda(needed))
    for name, document in documents().items():
        write_yaml(output / name, document)
    _write_json(output / "sample_request.json", _sample_request())
    return output


def documents() -> dict[str, Mapping[str, Any]]:
    """Return the YAML files by name: the card's online and batch samples, each without and with content safety."""
    return {
        "online-endpoint.yml": _document("managedOnlineEndpoint", name=_ENDPOINT, auth_mode="key"),
        "online-endpoint-safe.yml": _document(
            "managedOnlineEndpoint", name=f"{_ENDPOINT}-safe", auth_mode="key", identity=_IDENTITY
        ),
        "online-deployment.yml": _online(_ENDPOINT, _DEPLOYMENT, {}),
        "online-deployment-safe.yml": _online(
            f"{_ENDPOINT}-safe", _SAFE, {**_CONTENT_SAFETY, "RETOUCH_ERROR_PROFILE": "azure"}
        ),
        "batch-endpoint.yml": _document("batchEndpoint", name=_BATCH, auth_mode="aad_token"),
        "batch-deployment.yml": _batch(_DEPLOYMENT, {}),
        "batch-deployment-safe.yml": _batch(_SAFE, _CONTENT_SAFETY),
    }


def _document(schema: str, **content: Any) -> dict[str, Any]:
    return {"$schema": f"{SCHEMAS}/{schema}.schema.json", **content}


def _shared(script: str) -> dict[str, Any]:
    """What online and batch deployments have in common."""
    return {
        # As files and not as an MLflow model: the script decides what a request is.
        "model": {"name": "retouch-inpainting", "version": "1", "path": "model", "type": "custom_model"},
        "code_configuration": {"code": "code", "scoring_script": script},
        "environment": {
            "name": "retouch", "version": "1", "image": IMAGE, "conda_file": "environment/conda.yaml",
        },
    }  # fmt: skip


def _online(endpoint: str, name: str, variables: Mapping[str, str]) -> dict[str, Any]:
    return _document(
        "managedOnlineDeployment",
        name=name,
        endpoint_name=endpoint,
        **_shared("score_online.py"),
        environment_variables={"WORKER_COUNT": "1", **variables},
        instance_type=_INSTANCE,
        instance_count=1,
        request_settings={"request_timeout_ms": 90_000, "max_concurrent_requests_per_instance": 1},
        liveness_probe=_LIVENESS,
        readiness_probe=_READINESS,
    )


def _batch(name: str, variables: Mapping[str, str]) -> dict[str, Any]:
    settings = {
        "max_concurrency_per_instance": 1,
        "mini_batch_size": 1,
        "output_action": "append_row",
        "output_file_name": "predictions.csv",
        "retry_settings": {"max_retries": 2, "timeout": 9999},
        "error_threshold": 0,
        "logging_level": "info",
    }
    return _document(
        "modelBatchDeployment",
        name=name,
        endpoint_name=_BATCH,
        type="model",
        **_shared("score_batch.py"),
        compute="azureml:gpu-cluster",
        resources={"instance_count": 1},
        settings=settings | ({"environment_variables": dict(variables)} if variables else {}),
    )


def _sample_request() -> dict[str, Any]:
    """The notebook's request, with a picture of one colour and a square to repaint."""
    from PIL import Image

    def text(picture: Image.Image) -> str:
        file = io.BytesIO()
        picture.save(file, "PNG")
        return base64.b64encode(file.getvalue()).decode("ascii")

    mask = Image.new("L", (256, 256), 0)
    mask.paste(255, (64, 64, 192, 192))
    row = {"image": text(Image.new("RGB", (256, 256), (120, 140, 110))), "mask_image": text(mask)}
    row["prompt"] = "a red apple"
    return {"input_data": {"columns": list(row), "index": [0], "data": [row]}}


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
