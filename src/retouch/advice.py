"""What a person should know of a request that can be run, but will hardly give what was meant."""

import re
from collections.abc import Iterator

import numpy as np

from retouch.imaging.morphology import Mask, bounding_box
from retouch.models.bundle import ModelBundle
from retouch.models.vocabulary import cut_off_warnings, prompt_warnings
from retouch.prompts import Prompt
from retouch.request import InpaintRequest

_WEIGHT = re.compile(r"\([^()]+:\s*\d*\.?\d+\s*\)")
_NETWORK = re.compile(r"<(?:lora|lyco|hypernet):[^<>]+>")
_REMOVE = re.compile(r"\s*(remove|erase|delete)\s+\w", re.IGNORECASE)
_MOSTLY = 0.5
"""Share of a hole below which it is told that only so much of it is the object's."""
_RAGGED = 0.4
"""Share of the square around a hole below which it is no place for one object: a box of 5 to 2 fills as much."""


def request_warnings(request: InpaintRequest, mask: Mask, bundle: ModelBundle, *, hole: Mask) -> tuple[str, ...]:
    """Return what is likely to disappoint, as sentences.

    Args:
        request: a settled one.
        mask: (H, W), True = repaint.
        hole: what of it the model paints, the same or a part.
    """
    if not request.asks_model:
        return tuple(_about_no_model(request, mask, bundle))
    return (
        *_about_words(request, bundle),
        *_about_place(request, mask, bundle, hole=hole),
        *_about_padding(request, mask, bundle),
    )


def _about_no_model(request: InpaintRequest, mask: Mask, bundle: ModelBundle) -> Iterator[str]:
    if not bundle.recommended.is_removal(Prompt(request.prompt, request.prompt_syntax)):
        yield "the prompt has no effect at strength 0: the hole is filled out of what surrounds it"
    if mask.all():
        yield "everything is marked: there is nothing that the picture could be filled out of"
    if request.num_images_per_prompt > 1:
        yield "the variants hardly differ, for without a model there is little to choose from"


def _about_words(request: InpaintRequest, bundle: ModelBundle) -> tuple[str, ...]:
    prompt, negative = (Prompt(text, request.prompt_syntax) for text in (request.prompt, request.negative_prompt))
    advised = bundle.recommended.prompt_tokens
    found = list(prompt_warnings(prompt, bundle.tokenizer, bundle.vocabulary, prompt_tokens=advised))
    found += cut_off_warnings(negative, bundle.tokenizer, name="negative prompt")
    # A small model whose words include the empty one was taught what to do without any.
    if bundle.recommended.is_removal(prompt) and bundle.vocabulary is not None and "" not in bundle.vocabulary:
        found.append(
            "the prompt asks for nothing, and this model cannot remove things: it paints something of its own; "
            "say what shall be there, or let strength be 0, which fills the hole out of its surroundings"
        )
    elif _REMOVE.match(prompt.words):
        found.append(
            "a prompt says what shall be there, so this one asks for the thing that it wants removed; "
            "leave it empty and let strength be 0, which fills the hole out of its surroundings"
        )
    if prompt.syntax == "plain":
        found += _about_syntax(f"{prompt.text} {negative.text}")
    elif advised is not None and (prompt.is_weighed or negative.is_weighed):
        # What its encoder puts behind the words says the same, and weighs what it always does.
        found.append("this model hardly heeds weights of words")
    return tuple(found)


def _about_syntax(text: str) -> Iterator[str]:
    """Warn of what other tools would not read as words."""
    if weight := _WEIGHT.search(text):
        read = f"{weight[0]!r} is read as it stands, brackets and all"
        yield f"weights of words have no effect: {read} (`prompt_syntax=a1111` weighs them)"
    if network := _NETWORK.search(text):
        yield f"a prompt loads no networks: {network[0]!r} is read as it stands (the checkpoint's are `loras`)"


def _about_place(request: InpaintRequest, mask: Mask, bundle: ModelBundle, *, hole: Mask) -> tuple[str, ...]:
    """Warn models that learnt holes in the middle of their pictures of what lies elsewhere, or is no such hole."""
    if bundle.recommended.context is None:
        return ()
    found = []
    if request.region == "whole":
        found.append(
            "this model wants a crop around the hole: with `region=whole` it will hardly know what to paint"
        )
    if hole is not mask:
        share = int(np.count_nonzero(hole)) / int(np.count_nonzero(mask))
        if share < _MOSTLY:
            found.append(
                f"the hole is long or ragged, and this model paints one object: that has the {share:.0%} of it "
                "with most room, and the rest is filled from around it; a hole for each object gives larger ones"
            )
    elif (share := _share_of_square(mask)) < _RAGGED:
        found.append(
            f"the hole is long or ragged: it fills {share:.0%} of the square around it, where this model paints "
            "one object in the middle; a hole of the object's shape, or one for each part, gives a clearer one"
        )
    return tuple(found)


def _about_padding(request: InpaintRequest, mask: Mask, bundle: ModelBundle) -> Iterator[str]:
    height, width = mask.shape
    multiple = bundle.size_multiple
    if request.reference and (height % multiple or width % multiple):
        yield (
            f"the picture is padded, for {width}x{height} does not divide by {multiple}; diffusers pads nothing, "
            "and its numbers are others"
        )


def _share_of_square(mask: Mask) -> float:
    box = bounding_box(mask)
    assert box is not None
    return float(np.count_nonzero(mask)) / max(box[2] - box[0], box[3] - box[1]) ** 2
