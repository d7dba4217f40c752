"""Scoring script of an online deployment: Azure's server calls `init` once and `run` for each request."""

import os
import sys
from pathlib import Path
from typing import Any

from azureml_inference_server_http.api.aml_response import AMLResponse

[MODEL] = Path(os.environ["AZUREML_MODEL_DIR"]).glob("**/MLmodel")
sys.path.append(str(MODEL.parent / "code"))  # an installed retouch comes first

online: Any = None


def init() -> None:
    """Load the model."""
    from retouch.package.online import Online

    global online  # noqa: PLW0603 - the server knows two functions
    online = Online.load(MODEL.parent / "artifacts" / "checkpoint")


def run(raw_data: str) -> Any:
    """Answer a request's body."""
    body, status = online.score(raw_data)
    return AMLResponse(body, status, json_str=True, run_function_failed=status >= 500)
