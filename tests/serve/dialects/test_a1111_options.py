"""Options can be set to what they are, and to nothing else."""

from typing import Any

import pytest
from tests.serve.dialects.asking_a1111 import CHECKPOINT

from retouch.errors import InvalidField
from retouch.serve.dialects.a1111_options import Checkpoint, check_unchanged, options_of


def test_what_was_read_may_be_written_back() -> None:
    check_unchanged(options_of(CHECKPOINT), CHECKPOINT)
    check_unchanged({}, CHECKPOINT)
    check_unchanged(dict.fromkeys(options_of(CHECKPOINT)), CHECKPOINT)


@pytest.mark.parametrize(
    "name",
    ["tiny", "Tiny.safetensors", "tiny.ckpt", "tiny.safetensors [0123456789]", "tiny [0123456789]", "0123456789"],
)
def test_the_checkpoint_may_be_chosen_that_is_there(name: str) -> None:
    check_unchanged({"sd_model_checkpoint": name}, CHECKPOINT)


@pytest.mark.parametrize("name", ["tin", "tiny [999]", "", "v1-5-inpainting.ckpt", 7, ["tiny"]])
def test_no_other_checkpoint_can_be_chosen(name: Any) -> None:
    with pytest.raises(InvalidField, match="cannot be changed") as refused:
        check_unchanged({"sd_model_checkpoint": name}, CHECKPOINT)
    assert "--model" in refused.value.hint


@pytest.mark.parametrize(
    "options", [{"sd_vae": "x.pt"}, {"CLIP_stop_at_last_layers": 2}, {"s_churn": 0.1}, {"outdir_samples": "/tmp"}]
)
def test_what_would_change_or_is_not_known_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidField) as refused:
        check_unchanged(options, CHECKPOINT)
    assert refused.value.field in options


def test_a_checkpoint_without_a_name_of_a_file_is_known_by_its_own() -> None:
    pocket = Checkpoint("pocket", "f" * 64, sees_the_mask=True)
    assert pocket.title == "pocket [ffffffffff]"
    assert pocket.is_called("pocket.safetensors [ffffffffff]")
    assert not pocket.is_called("pocket2")
