"""What tells one order from another, and a table by its beginning."""

from dataclasses import replace

import pytest

from retouch.errors import UnsupportedMedia
from retouch.serve.batches.order import BatchOrder, Sent, kind_of, recipe_of

ORDER = BatchOrder(Sent("csv", b"image\n"), {"prompt": "a cat"}, seed=7)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        *((b"image,prompt\n", "csv"), (b"", "csv"), (b'"{x}",a\n', "csv")),
        *((b'{"image": 1}', "jsonl"), (b"\xef\xbb\xbf \n{}", "jsonl"), (bytes(257) + b"ustar\x0000", "tar")),
    ],
)
def test_a_table_is_known_by_its_beginning(data: bytes, kind: str) -> None:
    assert kind_of(data) == kind


@pytest.mark.parametrize(
    "data", [b"PAR1", b"PK\x03\x04", b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"]
)
def test_what_is_packed_is_refused(data: bytes) -> None:
    with pytest.raises(UnsupportedMedia):
        kind_of(data)


@pytest.mark.parametrize(
    "other",
    [
        *({"input": Sent("csv", b"image \n")}, {"input": Sent("tsv", b"image\n")}, {"input": "image"}),
        *({"fields": {"prompt": "a dog"}}, {"mask_image": b"x"}, {"seed": 8}, {"keep_extra": True}),
        *({"max_failures": 0}, {"format": "WEBP"}, {"quality": 5}),
    ],
)
def test_orders_that_differ_have_other_fingerprints(other: dict[str, object]) -> None:
    assert replace(ORDER, **other).fingerprint() != ORDER.fingerprint()
    assert replace(ORDER).fingerprint() == ORDER.fingerprint()


def test_a_recipe_is_made_of_what_was_kept() -> None:
    recipe = recipe_of(replace(ORDER, keep_extra=True, format="WEBP", quality=5).told(), b"mask")
    assert (recipe.fields, recipe.mask_image, recipe.seed) == ({"prompt": "a cat"}, b"mask", 7)
    assert (recipe.columns.keep_extra, recipe.format, recipe.quality) == (True, "WEBP", 5)
