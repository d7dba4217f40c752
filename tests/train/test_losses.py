"""Losses against slow, obvious loops."""

import pytest
import torch

from retouch.train.losses import hole_errors, min_snr_weights, row_errors


@pytest.fixture
def tensors() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    prediction, target = (torch.randn(3, 4, 5, 6, generator=generator) for _ in range(2))
    hole = (torch.rand(3, 1, 5, 6, generator=generator) < 0.4).float()
    return prediction, target, hole


def test_row_errors_weigh_the_hole_as_a_loop_over_cells_does(tensors: tuple[torch.Tensor, ...]) -> None:
    prediction, target, hole = tensors
    found = row_errors(prediction, target, hole, hole_weight=3.0)
    for row in range(3):
        total, weights = 0.0, 0.0
        for y in range(5):
            for x in range(6):
                weight = 3.0 if hole[row, 0, y, x] else 1.0
                squares = [float(prediction[row, c, y, x] - target[row, c, y, x]) ** 2 for c in range(4)]
                total += weight * sum(squares) / 4
                weights += weight
        assert float(found[row]) == pytest.approx(total / weights, rel=1e-5)


def test_detail_is_what_differs_from_the_mean_error_of_four_by_four_cells(
    tensors: tuple[torch.Tensor, ...],
) -> None:
    prediction, target, hole = tensors  # 5 x 6 cells: the last squares are cut
    errors = prediction - target
    broad = torch.empty_like(errors)
    for rows in (slice(0, 4), slice(4, 5)):
        for columns in (slice(0, 4), slice(4, 6)):
            broad[..., rows, columns] = errors[..., rows, columns].mean(dim=(-2, -1), keepdim=True)
    detail = errors - broad
    # Over whole squares the two are orthogonal.
    found = row_errors(prediction, target, detail_weight=9.0)
    torch.testing.assert_close(found, (broad.square() + 9.0 * detail.square()).mean(dim=(1, 2, 3)))
    in_hole = row_errors(prediction, target, hole, hole_weight=2.0, detail_weight=9.0)
    cells = (errors.square() + 8.0 * detail.square()).mean(dim=1, keepdim=True) * (1.0 + hole)
    torch.testing.assert_close(in_hole, cells.sum(dim=(1, 2, 3)) / (1.0 + hole).sum(dim=(1, 2, 3)))


def test_row_errors_without_extra_weight_are_the_mean_squared_error(tensors: tuple[torch.Tensor, ...]) -> None:
    prediction, target, hole = tensors
    plain = torch.nn.functional.mse_loss(prediction, target)
    torch.testing.assert_close(row_errors(prediction, target, hole).mean(), plain)


def test_hole_errors_see_only_the_hole(tensors: tuple[torch.Tensor, ...]) -> None:
    prediction, target, hole = tensors
    elsewhere = prediction + 100.0 * (1.0 - hole)
    torch.testing.assert_close(hole_errors(elsewhere, target, hole), hole_errors(prediction, target, hole))


def test_row_without_a_hole_has_no_hole_error(tensors: tuple[torch.Tensor, ...]) -> None:
    prediction, target, hole = tensors
    assert torch.equal(hole_errors(prediction, target, torch.zeros_like(hole)), torch.zeros(3))


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_min_snr_weight_equals_the_clamped_weight_on_the_error_of_the_clean_latents(kind: str) -> None:
    # One scalar latent: an error d in the prediction is an error of known size in z_0.
    for snr in (0.01, 1.0, 4.9, 5.1, 300.0):
        alpha = snr / (1.0 + snr)
        # epsilon: z_0 = (z_t - sqrt(1-a) e) / sqrt(a);  v: z_0 = sqrt(a) z_t - sqrt(1-a) v
        slope = (1 - alpha) ** 0.5 / alpha**0.5 if kind == "epsilon" else (1 - alpha) ** 0.5
        weight = float(min_snr_weights(torch.tensor([snr]), 5.0, kind))  # type: ignore[arg-type]
        assert weight == pytest.approx(min(snr, 5.0) * slope**2, rel=1e-4)


def test_pure_noise_weighs_in_noise_as_much_as_any_hard_row_and_is_a_number() -> None:
    snr = torch.tensor([0.0, 1e-6, 1.0])
    assert min_snr_weights(snr, 5.0, "epsilon").tolist() == [1.0, 1.0, 1.0]
    assert min_snr_weights(snr, 5.0, "v_prediction")[0] == 0.0
