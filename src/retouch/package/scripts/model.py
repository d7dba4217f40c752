"""The model as MLflow loads it: from this code, with no pickle."""

from typing import Any

from mlflow.exceptions import INVALID_PARAMETER_VALUE, MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

from retouch.errors import RetouchError
from retouch.package.frames import FramePainter


class InpaintingModel(PythonModel):  # type: ignore[misc]
    """Repaints the masked part of each row's picture."""

    def load_context(self, context: Any) -> None:
        self._painter = FramePainter.load(context.artifacts["checkpoint"])

    # Without types: MLflow would take them for a signature.
    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # noqa: ARG002
        try:
            return self._painter.predict(model_input, params)
        except RetouchError as error:  # of others its server tells nothing
            raise MlflowException(str(error), error_code=INVALID_PARAMETER_VALUE) from error


set_model(InpaintingModel())
