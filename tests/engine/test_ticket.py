"""What the engine gives for a plan."""

from concurrent.futures import Future

import torch

from retouch.engine.ticket import Progress, Ticket


def test_preview_is_the_linear_picture_of_x0() -> None:
    matrix = torch.tensor([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.5, -3.0]])
    x0 = torch.full((4, 2, 3), 0.25)
    preview = Progress(1, 4, lambda: x0, lambda: matrix).preview()
    assert preview is not None
    torch.testing.assert_close(preview[:, 0, 0], torch.tensor([0.75, 0.875, 0.0]))
    assert preview.shape == (3, 2, 3)


def test_preview_is_computed_only_when_asked() -> None:
    asked: list[bool] = []

    def x0() -> torch.Tensor:
        asked.append(True)
        return torch.zeros(4, 1, 1)

    progress = Progress(1, 2, x0, lambda: torch.zeros(5, 3))
    assert asked == []
    progress.preview()
    assert asked == [True]


def test_there_is_no_preview_before_the_first_step() -> None:
    assert Progress(0, 4).preview() is None


def test_a_ticket_passes_on_to_its_trajectory() -> None:
    cancelled: list[bool] = []
    ticket = Ticket(Future(), lambda: cancelled.append(True), lambda: Progress(3, 4))
    ticket.cancel()
    assert cancelled == [True]
    assert ticket.progress.step == 3
