"""Scoring script of a batch deployment: Azure's driver calls `init` once and `run` for each mini batch."""

import os
import sys
from pathlib import Path
from typing import Any

[MODEL] = Path(os.environ["AZUREML_MODEL_DIR"]).glob("**/MLmodel")
sys.path.append(str(MODEL.parent / "code"))  # an installed retouch comes first

batch: Any = None


def init() -> None:
    """Load the model."""
    from retouch.package.batch import Batch

    global batch  # noqa: PLW0603 - the driver knows two functions
    batch = Batch.load(MODEL.parent / "artifacts" / "checkpoint")


def run(mini_batch: list[str]) -> Any:
    """Paint the rows of some files; return a data frame with a line for each."""
    return batch.run(mini_batch)
