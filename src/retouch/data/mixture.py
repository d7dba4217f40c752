"""What scenes are made of: shares, sizes, shapes."""

from dataclasses import dataclass, replace
from typing import Literal

MixtureName = Literal["full", "plain", "centred", "ground", "varied", "several"]


@dataclass(frozen=True, slots=True)
class Mixture:
    """How scenes are drawn.

    Attributes:
        around_object, full_mask: shares of the kinds of example; the rest is background only.
        recoloured, mirrored: shares of the objects.
        turn_deg: deviation of their angle.
        sprites: how many pictures of a concept are used; None is all.
        main_style: share of the pictures in the concept's first style, where it has others; None draws all alike.
        side: longer side of an object, as a share of the picture's.
        drift: how far objects stray from the middle, as a share of the room there is.
        margin: room of the hole around its object, as a share of the object's longer side.
        loose: share of the holes that leave an object much more room, along one side or both.
        repainted: share of the places whose light and colours are changed: so one place becomes many.
        told_apart: a concept's pictures are those that captions have words for (`VARIANTS`), each with its own.
        silent: share of the scenes without an object whose caption is empty: nothing asked, the ground goes on.
        unnamed: share of the scenes with an object whose caption names another one. They are for models that are
            told by sketches what to paint, and bring a portrait: any picture of the data, mirrored, in other hues.
    """

    around_object: float = 0.65
    full_mask: float = 0.25
    recoloured: float = 0.65
    mirrored: float = 0.5
    turn_deg: float = 4.0
    sprites: int | None = None
    main_style: float | None = None
    side: tuple[float, float] = (0.35, 0.85)
    drift: float = 0.96
    margin: tuple[float, float] = (0.04, 0.13)
    loose: float = 0.0
    repainted: float = 0.0
    silent: float = 0.0
    told_apart: bool = False
    unnamed: float = 0.0


PLAIN = Mixture(
    around_object=0.82, full_mask=0.12, mirrored=0.0, turn_deg=0.0, sprites=1, side=(0.58, 0.85), drift=0.8
)
CENTRED = replace(PLAIN, side=(0.66, 0.66), drift=0.0, margin=(0.03, 0.09))
MIXTURES: dict[MixtureName, Mixture] = {
    "full": Mixture(),
    "plain": PLAIN,
    "centred": CENTRED,
    "ground": replace(CENTRED, around_object=0.42, full_mask=0.03, repainted=0.7, silent=0.3),
    "several": replace(CENTRED, told_apart=True, unnamed=0.6),
    "varied": Mixture(
        around_object=0.5,
        full_mask=0.08,
        recoloured=0.55,
        turn_deg=5.0,
        main_style=0.65,
        side=(0.34, 0.70),
        drift=0.25,
        margin=(0.03, 0.11),
        loose=0.3,
        repainted=0.7,
        silent=0.3,
    ),
}
"""`plain` has one upright picture of each concept, about as large as a crop around its hole shows it; `centred`
has it in the middle, at one size, as a crop around the hole and its context shows it (`plan_region`). `ground` has
the same objects in fewer scenes than places to continue, in many lights and colours. `varied` has
several pictures of a concept in holes of many shapes, and as much ground to continue as objects to paint.
`several` is `centred` with up to three pictures of a concept, each of which captions have a word for. More than
half of its objects are unnamed: a model that has seen none but those with names, in their colours, learns them by
heart instead of painting what a sketch shows.

A convolution knows where it is by the picture's border alone: a shape that may stand anywhere, in any size,
takes it many times as long to learn.
"""
