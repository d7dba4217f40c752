"""A bundle is a value that several threads may read: nobody can change it."""

import dataclasses

import pytest

from retouch.models.bundle import ModelBundle, Recommended


def test_bundle_and_advice_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Recommended().scheduler = "DDIMScheduler"  # type: ignore[misc]
    assert ModelBundle.__dataclass_params__.frozen  # type: ignore[attr-defined]


def test_bundles_compare_by_identity_because_their_tensors_cannot() -> None:
    assert ModelBundle.__eq__ is object.__eq__
