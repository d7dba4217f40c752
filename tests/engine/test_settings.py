"""Settings of the engine."""

from dataclasses import FrozenInstanceError

import pytest

from retouch.engine.settings import EngineSettings


def test_free_calls_are_the_default_and_settings_do_not_change() -> None:
    settings = EngineSettings()
    assert settings.rows_per_call == 0
    with pytest.raises(FrozenInstanceError):
        settings.rows_per_call = 4  # type: ignore[misc]
