"""The folder that `mlflow.pyfunc.load_model` reads: model from code, safetensors, signature, environment."""

import json
import platform
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from retouch.errors import BadInput
from retouch.models.options import DEFAULT_OPTIONS, LoadOptions
from retouch.models.registry import Description, describe
from retouch.package.contents import copy_checkpoint, copy_code, find_checkpoint, requirements
from retouch.serve.dialects.row_requests import parameter_types

MLFLOW = "3.17.2"
"""The version of MLflow whose format this is, and with which it is tested."""

SCRIPTS = Path(__file__).parent / "scripts"
CARD_NAME = "runwayml/stable-diffusion-inpainting"
_INPUTS = (("string", "prompt", True), ("binary", "image", True), ("binary", "mask_image", True),
           ("string", "negative_prompt", False))  # fmt: skip
_OUTPUTS = (("string", "prompt", True), ("binary", "generated_image", True),
            ("boolean", "nsfw_content_detected", False))  # fmt: skip
_KINDS = {bool: "boolean", int: "long", float: "double"}


def write_mlflow_model(output: Path, model: str | None = None, options: LoadOptions = DEFAULT_OPTIONS) -> Path:
    """Write the model of a checkpoint into a new folder; return it.

    Args:
        output: must not be there, or be empty.
        model: as for `load_model`; None is the embedded model.
    Raises:
        ModelError: there is no such checkpoint, or it is not safe.
        BadInput: it is a single file, or the output holds something.
    """
    folder = find_checkpoint(model, options)
    described = describe(folder, options)
    new_folder(output)
    copy_checkpoint(folder, output / "artifacts" / "checkpoint", options)
    (output / "code").mkdir()
    copy_code(output / "code")
    shutil.copyfile(SCRIPTS / "model.py", output / "model.py")
    needed = [f"mlflow=={MLFLOW}", *requirements()]
    (output / "requirements.txt").write_text("\n".join([*needed, ""]), encoding="utf-8")
    write_yaml(output / "conda.yaml", conda(needed))
    build = {"python": platform.python_version(), "build_dependencies": ["pip"]}
    write_yaml(output / "python_env.yaml", build | {"dependencies": ["-r requirements.txt"]})
    write_yaml(output / "MLmodel", _mlmodel(described))
    (output / "README.md").write_text(_card(described, model), encoding="utf-8")
    return output


def new_folder(output: Path) -> None:
    """Make a folder.

    Raises:
        BadInput: there is something in it, or in its place.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise BadInput(f"{output} is there already", hint="name a folder that is empty, or is not there")
    output.mkdir(parents=True, exist_ok=True)


def conda(needed: list[str]) -> Mapping[str, Any]:
    """Return an environment of conda with packages from pip."""
    python = f"python={platform.python_version()}"
    return {"name": "retouch", "channels": ["conda-forge"], "dependencies": [python, "pip", {"pip": needed}]}


def write_yaml(path: Path, content: Mapping[str, Any]) -> None:
    """Write a document, its keys in their order."""
    text = yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True, width=115)
    path.write_text(text, encoding="utf-8")


def _mlmodel(described: Description) -> dict[str, Any]:
    return {
        "flavors": {
            "python_function": {
                "artifacts": {"checkpoint": {"path": "artifacts/checkpoint", "uri": "artifacts/checkpoint"}},
                "code": "code",
                "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
                "loader_module": "mlflow.pyfunc.model",
                "model_code_path": "model.py",
                "python_version": platform.python_version(),
                "streamable": False,
            }
        },
        "metadata": {
            "base_model_name": CARD_NAME,
            "base_model_task": "text-to-image-inpainting",
            "model_type": "stable-diffusion",
            "checkpoint": described.path.name,
            "checkpoint_sha256": described.content_hash,
            "licence": described.licence or "see artifacts/checkpoint",
        },
        "mlflow_version": MLFLOW,
        # The same checkpoint is the same model.
        "model_uuid": uuid.uuid5(uuid.NAMESPACE_OID, described.content_hash).hex,
        "signature": {
            "inputs": _schema(_INPUTS),
            "outputs": _schema(_OUTPUTS),
            "params": json.dumps([_parameter(name, kind) for name, kind in parameter_types().items()]),
        },
    }


def _schema(columns: tuple[tuple[str, str, bool], ...]) -> str:
    return json.dumps([{"type": kind, "name": name, "required": needed} for kind, name, needed in columns])


def _parameter(name: str, kind: type) -> dict[str, Any]:
    return {"name": name, "type": _KINDS.get(kind, "string"), "default": None, "shape": None}


def _card(described: Description, model: str | None) -> str:
    return f"""# {model or described.path.name}, packed by retouch

A checkpoint for text-guided inpainting, with the code that runs it.

| | |
|---|---|
| checkpoint | `artifacts/checkpoint`, SHA-256 of its weights {described.content_hash} |
| kind, native size | {described.kind}, {described.native_size} px |
| licence of the weights | {described.licence or "as its makers say: artifacts/checkpoint"} |
| licence of the code | Apache-2.0 |

White pixels of a mask are repainted; the others come back as they were. Each picture is judged by a safety
checker, and a refused one comes back black. What the weights are good for, and what they must not be used for, is
in their own card: `artifacts/checkpoint/README.md`, where it is there.

```bash
mlflow models serve --model-uri . --env-manager local --port 5001
```
"""
