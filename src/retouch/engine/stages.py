"""Stages: one call for a group of trajectories, and what each of them takes from it."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, MutableMapping, Sequence
from functools import partial

import torch
from torch.utils.weak import WeakTensorKeyDictionary

from retouch.engine.batcher import Kind
from retouch.engine.calls import ModelCalls, finite_rows
from retouch.engine.trajectory import Trajectory
from retouch.errors import GenerationFailed, NonFinite, RetouchError


class PromptMemory:
    """Embeddings of the latest prompts. Used by the engine's thread alone."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._embeds: OrderedDict[tuple[Hashable, str], torch.Tensor] = OrderedDict()

    def recall(self, trajectory: Trajectory) -> list[torch.Tensor] | None:
        """Return the embeddings of a trajectory's prompts, if all are remembered."""
        keys = [(trajectory.plan.batch_key, prompt) for prompt in trajectory.prompts]
        if any(key not in self._embeds for key in keys):
            return None
        for key in keys:
            self._embeds.move_to_end(key)
        return [self._embeds[key] for key in keys]

    def remember(self, batch_key: Hashable, prompt: str, embeds: torch.Tensor) -> None:
        """Keep (T, D) embeddings, and forget those that were not asked for the longest."""
        self._embeds[batch_key, prompt] = embeds
        while len(self._embeds) > self._size:
            self._embeds.popitem(last=False)


class PictureMemory:
    """Posteriors of pictures whose tensors are still in use: the variants of a request bring the very same.

    Used by the engine's thread alone.
    """

    def __init__(self) -> None:
        # Beside the moments stands the mask, not the plan: that holds the image, which would never be forgotten.
        self._moments: MutableMapping[torch.Tensor, tuple[Hashable, torch.Tensor, torch.Tensor]]
        self._moments = WeakTensorKeyDictionary()

    def recall(self, trajectory: Trajectory) -> torch.Tensor | None:
        """Return the posteriors of a trajectory's pictures, if they were encoded before."""
        key, _, moments = self._moments.get(trajectory.plan.image, (None, None, None))
        return moments if key == trajectory.pictures_key else None

    def remember(self, trajectory: Trajectory, moments: torch.Tensor) -> None:
        """Keep (pictures, 2 C, h, w) posteriors for as long as the plan's image lives."""
        plan = trajectory.plan
        self._moments[plan.image] = (trajectory.pictures_key, plan.mask, moments)


class Stages:
    """The four stages over one bundle's models.

    Each gathers rows, makes the call, and only then changes trajectories: a call that raises leaves them as they
    were, so that it can be tried again in smaller parts.
    """

    def __init__(self, calls: ModelCalls, memory: PromptMemory, *, rows_per_call: int) -> None:
        self._calls = calls
        self._memory = memory
        self._pictures = PictureMemory()
        self._rows_per_call = rows_per_call
        self._stages: dict[Kind, Callable[[Sequence[Trajectory]], None]] = {
            Kind.TEXT: self._encode_text,
            Kind.PICTURES: self._encode_pictures,
            Kind.STEP: self._step,
            Kind.DECODE: self._decode,
        }

    def run(self, group: Sequence[Trajectory]) -> None:
        """Make the call that the whole group waits for.

        Raises:
            Exception: whatever the model raised; no trajectory has changed then.
        """
        self._stages[group[0].kind](group)

    def _encode_text(self, group: Sequence[Trajectory]) -> None:
        prompts = list(dict.fromkeys(prompt for one in group for prompt in one.prompts))
        embeds = self._calls.embed(prompts)
        known = {prompt: row.clone() for prompt, row in zip(prompts, embeds)}
        finite = dict(zip(prompts, finite_rows(embeds)))
        for one in group:
            for prompt in one.prompts:
                if finite[prompt]:
                    self._memory.remember(one.plan.batch_key, prompt, known[prompt])
            own = [known[prompt] for prompt in one.prompts]
            self._apply(one, [finite[prompt] for prompt in one.prompts], partial(one.take_embeds, own))

    def _encode_pictures(self, group: Sequence[Trajectory]) -> None:
        recalled = {one.pictures_key: self._pictures.recall(one) for one in group}
        known = {key: moments for key, moments in recalled.items() if moments is not None}
        new = {one.pictures_key: one for one in group if one.pictures_key not in known}
        finite = {key: [True] for key in known}
        if new:
            pictures = {key: one.pictures() for key, one in new.items()}
            moments = self._calls.encode([picture for own in pictures.values() for picture in own])
            flags, start = finite_rows(moments), 0
            for key, own in pictures.items():
                part = slice(start, start + len(own))
                known[key], finite[key] = moments[part].clone(), flags[part]
                start = part.stop
                if all(finite[key]):
                    self._pictures.remember(new[key], known[key])
        for one in group:
            self._apply(one, finite[one.pictures_key], partial(one.take_moments, known[one.pictures_key]))

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
