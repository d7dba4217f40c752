import numpy as np
import pytest
import torch
from torch import Tensor, nn

from retouch.errors import BadInput, ModelNotFound, ModelUnsupported
from retouch.evaluate.weights import ScriptedFeatures, find_file, is_torchscript, load_state_dict, load_torchscript


class Means(nn.Module):
    """A tiny network: channel means and maxima."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([images.mean(dim=(2, 3)), images.amax(dim=(2, 3))], dim=1)


class Inception(nn.Module):
    """Takes bytes and a switch, as NVIDIA's network does."""

    def forward(self, images: Tensor, return_features: bool = False) -> Tensor:
        assert images.dtype == torch.uint8
        flat = images.float().mean(dim=(2, 3))
        return flat if return_features else flat.argmax(dim=1)


def _scripted(module, path):
    torch.jit.script(module).save(str(path))
    return path


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (12, 12, 3), dtype=np.uint8) for _ in range(5)]


def test_features_of_a_scripted_network_are_its_own(tmp_path, pictures):
    extractor = ScriptedFeatures(_scripted(Means(), tmp_path / "means.pt"), batch=2)
    features = extractor.extract(pictures)
    expected = [np.concatenate([p.mean((0, 1)), p.max((0, 1))]) for p in pictures]
    np.testing.assert_allclose(features, expected, rtol=1e-5)
    assert (extractor.name, extractor.width) == ("means.pt", 6)


def test_a_network_that_can_return_features_is_asked_for_them(tmp_path, pictures):
    features = ScriptedFeatures(_scripted(Inception(), tmp_path / "inception.pt")).extract(pictures)
    np.testing.assert_allclose(features, [p.mean((0, 1)) for p in pictures], rtol=1e-5)


def test_torchscript_is_told_from_a_state_dict_without_running_it(tmp_path):
    script = _scripted(Means(), tmp_path / "a.pt")
    torch.save({"x": torch.zeros(1)}, tmp_path / "b.pt")
    (tmp_path / "c.pt").write_bytes(b"no archive")
    assert [is_torchscript(tmp_path / name) for name in ("a.pt", "b.pt", "c.pt")] == [True, False, False]
    assert script.exists()
    with pytest.raises(ModelUnsupported, match="not a TorchScript"):
        load_torchscript(tmp_path / "b.pt")


def test_state_dicts_load_from_both_formats(tmp_path):
    from safetensors.torch import save_file

    tensors = {"lin": torch.arange(3.0)}
    save_file(tensors, tmp_path / "a.safetensors")
    torch.save(tensors, tmp_path / "a.pth")
    for name in ("a.safetensors", "a.pth"):
        assert torch.equal(load_state_dict(tmp_path / name)["lin"], tensors["lin"])
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ModelUnsupported, match="state dict"):
        load_state_dict(tmp_path / "list.pth")


def test_files_are_found_by_path_or_refused(tmp_path):
    (tmp_path / "w.pt").write_bytes(b"")
    assert find_file(str(tmp_path / "w.pt")) == tmp_path / "w.pt"
    with pytest.raises(ModelNotFound, match="no file"):
        find_file(str(tmp_path / "absent.pt"))
    with pytest.raises(BadInput, match="no file on the hub"):
        find_file("hf://owner/name")


def test_an_offline_hub_is_an_error_that_says_what_to_do(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelNotFound, match="cannot be had") as caught:
        find_file("hf://nobody/nothing/file.pt")
    assert "download" in caught.value.hint
