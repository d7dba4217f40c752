"""Stages: one call for a group of trajectories, and what each of them takes from it."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from functools import partial

import torch

from retouch.engine.calls import ModelCalls, finite_rows
from retouch.engine.conditioning import Conditioning
from retouch.engine.scheduler import Stage
from retouch.engine.trajectory import Trajectory
from retouch.errors import GenerationFailed, NonFinite, RetouchError
from retouch.prompts import Prompt


class PromptMemory:
    """What the latest prompts tell the UNet. Used by the engine's thread alone."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._known: OrderedDict[tuple[Hashable, Prompt], Conditioning] = OrderedDict()

    def recall(self, trajectory: Trajectory) -> list[Conditioning] | None:
        """Return the conditioning of each of a trajectory's prompts, if all are remembered."""
        keys = [(trajectory.plan.batch_key, prompt) for prompt in trajectory.prompts]
        if any(key not in self._known for key in keys):
            return None
        for key in keys:
            self._known.move_to_end(key)
        return [self._known[key] for key in keys]

    def remember(self, batch_key: Hashable, prompt: Prompt, conditioning: Conditioning) -> None:
        """Keep a prompt's conditioning, and forget those that were not asked for the longest."""
        self._known[batch_key, prompt] = conditioning
        while len(self._known) > self._size:
            self._known.popitem(last=False)


class PictureMemory:
    """Posteriors of the latest pictures, by their content: variants, and requests over one picture, share them.

    Used by the engine's thread alone.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._known: OrderedDict[Hashable, torch.Tensor] = OrderedDict()

    def recall(self, key: Hashable) -> torch.Tensor | None:
        """Return the posteriors of pictures, if they were encoded before."""
        if key not in self._known:
            return None
        self._known.move_to_end(key)
        return self._known[key]

    def remember(self, key: Hashable, posteriors: torch.Tensor) -> None:
        """Keep (pictures, 2 C, h, w) posteriors, and forget those that were not asked for the longest."""
        self._known[key] = posteriors
        while len(self._known) > self._size:
            self._known.popitem(last=False)


class Stages:
    """The four stages over one bundle's models.

    Each gathers rows, makes the call, and only then changes trajectories: a call that raises leaves them as they
    were, so that it can be tried again in smaller parts.
    """

    def __init__(
        self, calls: ModelCalls, memory: PromptMemory, pictures: PictureMemory, *, rows_per_call: int
    ) -> None:
        self._calls = calls
        self._memory = memory
        self._pictures = pictures
        self._rows_per_call = rows_per_call
        self._stages: dict[Stage, Callable[[Sequence[Trajectory]], None]] = {
            Stage.TEXT: self._encode_text,
            Stage.PICTURES: self._encode_pictures,
            Stage.STEP: self._step,
            Stage.DECODE: self._decode,
        }

    def run(self, group: Sequence[Trajectory]) -> None:
        """Make the call that the whole group waits for.

        Raises:
            Exception: whatever the model raised; no trajectory has changed then.
        """
        self._stages[group[0].kind](group)

    def recall(self, trajectory: Trajectory) -> None:
        """Spare a trajectory the call for its text, if its prompts came before."""
        if (known := self._memory.recall(trajectory)) is not None:
            trajectory.take_conditioning(known)

    def _encode_text(self, group: Sequence[Trajectory]) -> None:
        prompts = list(dict.fromkeys(prompt for one in group for prompt in one.prompts))
        rows = self._calls.embed(prompts)
        known = dict(zip(prompts, rows))
        sums = [row.flat().sum(dim=1, keepdim=True, dtype=torch.float32) for row in rows]
        finite = dict(zip(prompts, finite_rows(torch.cat(sums))))
        for one in group:
            for prompt in one.prompts:
                if finite[prompt]:
                    self._memory.remember(one.plan.batch_key, prompt, known[prompt])
            own = [known[prompt] for prompt in one.prompts]
            self._apply(one, [finite[prompt] for prompt in one.prompts], partial(one.take_conditioning, own))

    def _encode_pictures(self, group: Sequence[Trajectory]) -> None:
        recalled = {one.pictures_key: self._pictures.recall(one.pictures_key) for one in group}
        known = {key: posteriors for key, posteriors in recalled.items() if posteriors is not None}
        new = {one.pictures_key: one for one in group if one.pictures_key not in known}
        finite = {key: [True] for key in known}
        if new:
            pictures = {key: one.pictures() for key, one in new.items()}
            posteriors = self._calls.encode([picture for own in pictures.values() for picture in own])
            flags, start = finite_rows(posteriors), 0
            for key, own in pictures.items():
                part = slice(start, start + len(own))
                known[key], finite[key] = posteriors[part].clone(), flags[part]
                start = part.stop
                if all(finite[key]):
                    self._pictures.remember(key, known[key])
        for one in group:
            self._apply(one, finite[one.pictures_key], partial(one.take_posteriors, known[one.pictures_key]))

    def _step(self, group: Sequence[Trajectory]) -> None:
        rows = [one.unet_rows_now() for one in group]
        is_guided = any(one.unet_rows > 1 for one in group)
        predictions = self._calls.predict([row for own in rows for row in own], is_guided=is_guided)
        finite, start = finite_rows(predictions), 0
        for one, own in zip(group, rows):
            part = slice(start, start + len(own))
            self._apply(one, finite[part], partial(one.take_predictions, own, predictions[part]))
            start = part.stop

    def _decode(self, group: Sequence[Trajectory]) -> None:
        kept = [(one.plan.image, one.plan.mask) for one in group]
        images = self._calls.decode([one.final_latents() for one in group], kept)
        for one, image, finite in zip(group, images, finite_rows(images)):
            take = partial(one.take_image, image, rows_per_call=self._rows_per_call)
            self._apply(one, [finite], take)

    def _apply(self, trajectory: Trajectory, finite: Sequence[bool], take: Callable[[], None]) -> None:
        if not all(finite):
            trajectory.failure = NonFinite(
                f"the model gave NaN or infinity ({trajectory.kind.value})",
                hint="try another scheduler or a dtype of more range",
            )
            return
        try:
            take()
        except RetouchError as error:
            trajectory.failure = error
        except Exception as error:  # noqa: BLE001 - a trajectory's border: its failure ends it alone
            trajectory.failure = failed(error)


def failed(error: Exception) -> GenerationFailed:
    """Return our error for one that came out of the models or a scheduler."""
    failure = GenerationFailed(f"{type(error).__name__}: {error}")
    failure.__cause__ = error
    return failure
