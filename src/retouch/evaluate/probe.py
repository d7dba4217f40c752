"""A linear probe: names the object in a crop from the features of a network that never saw our data."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from retouch.errors import MissingExtra

F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """Scaling and multinomial logistic regression.

    Attributes:
        classes: the K names it tells apart.
        centre: (D,) subtracted from the features.
        scale: (D,) they are divided by.
        weights: (K, D).
        bias: (K,).
    """

    classes: tuple[str, ...]
    centre: F32
    scale: F32
    weights: F32
    bias: F32

    @classmethod
    def fit(cls, features: F32, labels: list[str], *, inverse_penalty: float = 0.01) -> Self:
        """Train on features (N, D) with a name each; `inverse_penalty` is scikit-learn's C.

        Raises:
            MissingExtra: scikit-learn is not installed.
            ValueError: fewer than two names.
        """
        try:
            from sklearn.linear_model import LogisticRegression
        except ImportError as error:
            raise MissingExtra("the probe needs scikit-learn", hint="pip install 'retouch[evaluate]'") from error
        classes = tuple(sorted(set(labels)))
        if len(classes) < 2:
            raise ValueError("a probe needs at least two names to tell apart")
        centre = features.mean(axis=0)
        scale = features.std(axis=0) + np.float32(1e-6)
        model = LogisticRegression(C=inverse_penalty, max_iter=300)
        model.fit((features - centre) / scale, [classes.index(label) for label in labels])
        weights, bias = model.coef_, model.intercept_
        if len(classes) == 2:  # scikit-learn keeps one row for two classes
            weights, bias = np.concatenate([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
        return cls(classes, centre, scale, weights.astype(np.float32), bias.astype(np.float32))

    def probabilities(self, features: F32) -> F32:
        """Return (N, K) probabilities of features (N, D)."""
        logits = (features - self.centre) / self.scale @ self.weights.T + self.bias
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)

    def ranking(self, features: F32) -> list[tuple[str, ...]]:
        """Return every class for each row of features, likeliest first."""
        order = np.argsort(-self.probabilities(features), axis=1, kind="stable")
        return [tuple(self.classes[int(k)] for k in row) for row in order]

    def save(self, path: Path) -> None:
        """Write an `.npz` without pickle; a reader never sees half a file."""
        part = path.with_suffix(".part.npz")
        path.parent.mkdir(parents=True, exist_ok=True)
        names = np.frombuffer(json.dumps(self.classes).encode(), dtype=np.uint8)
        arrays = {"centre": self.centre, "scale": self.scale, "weights": self.weights, "bias": self.bias}
        np.savez(part, classes=names, allow_pickle=False, **arrays)
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            classes = tuple(json.loads(stored["classes"].tobytes()))
            return cls(classes, *(stored[name] for name in ("centre", "scale", "weights", "bias")))
