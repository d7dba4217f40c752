"""LoRAs change what they should, textual inversions add their tokens, strangers' files are refused."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tests.factories import make_checkpoint

from retouch.errors import InvalidField, ModelNotFound, ModelUnsafe, ModelUnsupported
from retouch.models.adapters import expand_tokens, parse_embedding, parse_lora
from retouch.models.bundle import ModelBundle
from retouch.models.load import load_model
from retouch.models.options import LoadOptions

LAYER = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_checkpoint(tmp_path / "model")


def write_lora(path: Path, width: int = 16, rank: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    down, up = torch.randn(rank, width, generator=generator), torch.randn(width, rank, generator=generator)
    save_file({f"unet.{LAYER}.lora_A.weight": down, f"unet.{LAYER}.lora_B.weight": up}, path)
    return down, up


def query(bundle: ModelBundle) -> torch.Tensor:
    return bundle.unet.get_submodule(LAYER).weight


def load(folder: Path, **options: tuple[str, ...]) -> ModelBundle:
    return load_model(folder, LoadOptions(device="cpu", **options))  # type: ignore[arg-type]


@pytest.mark.parametrize("scale", [1.0, 0.5, -0.25])
def test_lora_adds_its_product_times_the_scale(folder: Path, tmp_path: Path, scale: float) -> None:
    down, up = write_lora(tmp_path / "style.safetensors")
    plain, adapted = load(folder), load(folder, loras=(f"{tmp_path}/style.safetensors:{scale}",))
    assert torch.allclose(query(adapted), query(plain) + scale * up @ down, atol=1e-5)
    changed = [
        name
        for name, weight in adapted.unet.state_dict().items()
        if not weight.equal(plain.unet.state_dict()[name])
    ]
    assert changed == [f"{LAYER}.weight"]


def test_several_loras_add_up_and_are_recorded(folder: Path, tmp_path: Path) -> None:
    down, up = write_lora(tmp_path / "style.safetensors")
    path = str(tmp_path / "style.safetensors")
    bundle = load(folder, loras=(path, f"{path}:0.5"))
    assert torch.allclose(query(bundle), query(load(folder)) + 1.5 * up @ down, atol=1e-5)
    assert [adapter.split("@")[0] for adapter in bundle.adapters] == ["style.safetensors"] * 2
    assert [adapter.split(":")[1] for adapter in bundle.adapters] == ["1", "0.5"]


def test_lora_of_another_family_is_refused(folder: Path, tmp_path: Path) -> None:
    write_lora(tmp_path / "wide.safetensors", width=24)
    with pytest.raises(ModelUnsupported, match="wide"):
        load(folder, loras=(str(tmp_path / "wide.safetensors"),))


def test_file_that_is_no_lora_is_refused(folder: Path, tmp_path: Path) -> None:
    save_file({"a": torch.ones(2)}, tmp_path / "other.safetensors")
    with pytest.raises(ModelUnsupported, match="not a LoRA"):
        load(folder, loras=(str(tmp_path / "other.safetensors"),))


def test_pickled_adapters_need_leave(folder: Path, tmp_path: Path) -> None:
    torch.save({"string_to_param": {"*": torch.ones(1, 32)}}, tmp_path / "style.pt")
    with pytest.raises(ModelUnsafe, match="pickle"):
        load(folder, embeddings=(str(tmp_path / "style.pt"),))
    bundle = load_model(
        folder, LoadOptions(device="cpu", allow_pickle=True, embeddings=(str(tmp_path / "style.pt"),))
    )
    assert bundle.adapters[0].startswith("<style>@")


def test_embedding_is_one_token_with_its_vector(folder: Path, tmp_path: Path) -> None:
    vector = torch.full((32,), 0.5)
    save_file({"emb_params": vector}, tmp_path / "my.safetensors")
    bundle = load(folder, embeddings=(f"<my-cat>={tmp_path}/my.safetensors",))
    ids = bundle.tokenizer("a <my-cat>", add_special_tokens=False).input_ids
    assert len(ids) == 2
    assert torch.equal(bundle.text_encoder.get_input_embeddings().weight[ids[1]], vector)


def test_embedding_of_several_vectors_is_spelled_out(folder: Path, tmp_path: Path) -> None:
    save_file({"emb_params": torch.randn(3, 32)}, tmp_path / "my.safetensors")
    bundle = load(folder, embeddings=(str(tmp_path / "my.safetensors"),))
    assert expand_tokens("a <my> on the bench", bundle.tokenizer) == "a <my> <my>_1 <my>_2 on the bench"
    assert expand_tokens("a cat", bundle.tokenizer) == "a cat"


def test_embedding_of_another_width_or_with_a_known_token_is_refused(folder: Path, tmp_path: Path) -> None:
    save_file({"emb_params": torch.ones(1, 768)}, tmp_path / "wide.safetensors")
    with pytest.raises(ModelUnsupported, match="textual inversion"):
        load(folder, embeddings=(str(tmp_path / "wide.safetensors"),))
    save_file({"emb_params": torch.ones(1, 32)}, tmp_path / "my.safetensors")
    with pytest.raises(InvalidField, match="already"):
        load(folder, embeddings=(f"cat</w>={tmp_path}/my.safetensors",))


def test_adding_adapters_leaves_the_global_random_state_alone(folder: Path, tmp_path: Path) -> None:
    save_file({"emb_params": torch.ones(1, 32)}, tmp_path / "my.safetensors")
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    load(folder, embeddings=(str(tmp_path / "my.safetensors"),))
    assert torch.equal(torch.rand(1), expected)


def test_paths_and_scales_are_told_apart(tmp_path: Path) -> None:
    for name in ("style.safetensors", "odd:2"):
        (tmp_path / name).write_bytes(b"")
    assert parse_lora(f"{tmp_path}/style.safetensors") == (tmp_path / "style.safetensors", 1.0)
    assert parse_lora(f"{tmp_path}/style.safetensors:.5") == (tmp_path / "style.safetensors", 0.5)
    assert parse_lora(f"{tmp_path}/odd:2") == (tmp_path / "odd:2", 1.0)
    with pytest.raises(ModelNotFound):
        parse_lora(f"{tmp_path}/nothing:1")
    with pytest.raises(InvalidField, match="scale"):
        parse_lora(f"{tmp_path}/style.safetensors:99")
    with pytest.raises(InvalidField, match="token"):
        parse_embedding(f"two words={tmp_path}/style.safetensors")
    with pytest.raises(ModelNotFound):
        parse_embedding("token=nothing")
