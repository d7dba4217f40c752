"""Options can be shared: nobody can change them."""

import dataclasses

import pytest

from retouch.models.options import DEFAULT_OPTIONS, LoadOptions


def test_defaults_allow_neither_pickles_nor_offload() -> None:
    assert LoadOptions() == DEFAULT_OPTIONS
    assert not DEFAULT_OPTIONS.allow_pickle
    assert not DEFAULT_OPTIONS.offload


def test_options_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        DEFAULT_OPTIONS.allow_pickle = True  # type: ignore[misc]
