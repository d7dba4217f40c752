"""Which painters stand in a report beside the model under test."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from retouch.evaluate.baselines import (
    DiffusionFreePainter,
    GreyPainter,
    RingPainter,
    RoundTripPainter,
    SpreadPainter,
    TruthPainter,
)
from retouch.evaluate.painters import DEFAULT_SAMPLING, EnginePainter, Painter, Sampling, StockPainter
from retouch.evaluate.paste import PastePainter
from retouch.models.components import read_notes
from retouch.models.locate import locate
from retouch.models.options import DEFAULT_OPTIONS, LoadOptions


@dataclass(frozen=True, slots=True)
class Lineup:
    """What is to be compared.

    Attributes:
        model: a folder, a file or a hub id; None is the embedded model.
        options: where and in which precision it runs.
        rows_per_call: rows of every call of our engine.
        with_stock: also run stock diffusers on the same checkpoint.
        with_baselines: also run the painters that need no prompt.
        with_truth: also show the truth and its round trip through the VAE.
        data: a folder made by `retouch data build`, whose sprites the lookup among the baselines pastes.
    """

    model: str | None = None
    options: LoadOptions = DEFAULT_OPTIONS
    rows_per_call: int = 16
    sampling: Sampling = DEFAULT_SAMPLING
    with_stock: bool = False
    with_baselines: bool = True
    with_truth: bool = True
    data: Path | None = None


def assemble(lineup: Lineup, stack: ExitStack) -> list[Painter]:
    """Load the painters, the model under test first; `stack` closes the engine.

    Stock diffusers loads folders alone: without one, it does not come.
    """
    from retouch.engine.settings import EngineSettings
    from retouch.inpainter import Inpainter

    options = lineup.options
    settings = EngineSettings(rows_per_call=lineup.rows_per_call)
    inpainter = stack.enter_context(Inpainter.load(lineup.model, options=options, settings=settings))
    # A removal, too, is the model's own work here; what a checkpoint advises in its place stands in a row below.
    painters: list[Painter] = [EnginePainter(inpainter, lineup.sampling, strength=1.0)]
    folder = _folder(lineup.model, options)
    if lineup.with_stock and folder is not None:
        device = str(inpainter.bundle.device)
        painters.append(StockPainter(folder, lineup.sampling, device=device))
    if lineup.with_baselines:
        painters += [] if lineup.data is None else [PastePainter(lineup.data)]
        painters += [EnginePainter(inpainter, name="retouch without a model (strength 0)", prompt="", strength=0)]
        painters += [GreyPainter(), RingPainter(), SpreadPainter()]
        painters += [DiffusionFreePainter("telea"), DiffusionFreePainter("navier-stokes")]
    if lineup.with_truth:
        painters += [RoundTripPainter(inpainter.bundle), TruthPainter()]
    return painters


def known_words(lineup: Lineup) -> frozenset[str] | None:
    """Return the words that a small model's folder lists as its own; None where any may be asked for."""
    folder = _folder(lineup.model, lineup.options)
    return None if folder is None else read_notes(folder).vocabulary


def _folder(model: str | None, options: LoadOptions) -> Path | None:
    source = locate(model, options)
    return None if source.is_file else source.path
