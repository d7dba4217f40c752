"""From the options of `retouch batch run` to what paints its rows: a model here, or many on a Ray cluster."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from retouch.cli.limits import limits
from retouch.cli.loading import Checkpoint
from retouch.cli.safeguards import Safeguards
from retouch.errors import BadInput
from retouch.request import Limits

if TYPE_CHECKING:
    from retouch.batch.job import Batch, Engaged
    from retouch.batch.painter import Recipe
    from retouch.batch.pictures import Roots
    from retouch.inpainter import Inpainter


@dataclass(frozen=True, slots=True)
class Model:
    """A model with all that it needs: plain values, for this process or another.

    Attributes:
        checkpoint, safeguards, limits: as this machine's options and environment have them.
    """

    checkpoint: Checkpoint
    safeguards: Safeguards
    limits: Limits

    def inpainter(self) -> "Inpainter":
        """Load it, with calls as full as the device likes them."""
        guarded = self.safeguards.arguments()
        bundle = self.checkpoint.load_bundle()
        from retouch.batch.engage import inpainter_for_many

        return inpainter_for_many(
            bundle, rows_per_call=self.checkpoint.rows_per_call, limits=self.limits, **guarded
        )

    @contextmanager
    def engaged(
        self, recipe: "Recipe", roots: "Roots", *, attempts: int | None = None, hands: int | None = None
    ) -> Iterator["Engaged"]:
        """Give a painter that uses it."""
        inpainter = self.inpainter()
        from retouch.batch.engage import engaged

        with engaged(inpainter, recipe, roots, attempts=attempts, hands=hands) as ready:
            yield ready


@dataclass(frozen=True, slots=True)
class Models:
    """Who paints the rows of a batch.

    Attributes:
        model: what paints.
        ray: the address of a cluster; None is this process.
        actors: how many on the cluster; None are as many as it has room for.
        attempts: how often a row is tried whose failure may pass; None leaves it to the painter.
    """

    model: Model
    ray: str | None = None
    actors: int | None = None
    attempts: int | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """Read a command's options, and refuse what can be refused before any work.

        Raises:
            BadInput: they contradict each other, or the address is none.
        """
        safeguards = Safeguards.of(**{name: given[name] for name in ("screen_input", "content_safety", "safety")})
        if given["ray"] is not None:
            from retouch.batch.remote.cluster import check_address

            check_address(given["ray"])
        elif given["ray_actors"] is not None:
            raise BadInput("--ray-actors has no effect without --ray", hint="leave one out, or name both")
        model = Model(Checkpoint.of(given), safeguards, limits())
        return cls(model, given["ray"], given["ray_actors"], given["attempts"])

    def engaged(self, batch: "Batch") -> AbstractContextManager["Engaged"]:
        """Give the painter of a batch."""
        if self.ray is None:
            return self.model.engaged(batch.recipe, batch.roots, attempts=self.attempts)
        return self._on_ray(self.ray, batch)

    @contextmanager
    def _on_ray(self, address: str, batch: "Batch") -> Iterator["Engaged"]:
        from retouch.batch.pictures import carry
        from retouch.batch.remote.cluster import joined, needs_of, places_for
        from retouch.batch.remote.engage import engaged_actors

        model = self.model
        with joined(address):
            needs = needs_of(model.checkpoint.device, model.checkpoint.threads)
            device, threads = ("cuda", model.checkpoint.threads) if needs.gpus else ("cpu", needs.cpus)
            there = replace(model, checkpoint=replace(model.checkpoint, device=device, threads=threads))
            engage = partial(there.engaged, batch.recipe, batch.roots, attempts=self.attempts, hands=threads)
            with engaged_actors(
                engage,
                needs,
                self.actors or places_for(needs),
                prepare=partial(carry, roots=batch.roots, limits=model.limits),
                columns=batch.recipe.columns,
            ) as ready:
                yield ready
