"""Fields that several domains share."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field


def _pattern_with_one_group(pattern: str) -> str:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    if groups != 1:
        raise ValueError(f"needs exactly one (group), has {groups}")
    return pattern


GroupPattern = Annotated[
    Annotated[str, AfterValidator(_pattern_with_one_group)] | None,
    Field(
        description="Regular expression over the case name whose one (group) is the patient, scene or slide; "
        "null: each case is its own."
    ),
]
OnError = Annotated[
    Literal["fail", "skip"],
    Field(description="A case that cannot be used: fail lists all of them and stops; skip names them and goes on."),
]
OtherLabels = Annotated[Literal["error", "ignore"], Field(description="What a label value not named in labels means.")]
MinObjectPixels = Annotated[int, Field(ge=1, description="Smaller objects are left out (pixels of the image).")]
MaxImagePixels = Annotated[int, Field(ge=1, description="Larger images are refused before decoding.")]
TileSize = Annotated[int, Field(ge=32, description="Side of a tile, pixels; smaller images stay whole.")]
TileOverlap = Annotated[int, Field(ge=0, description="Pixels that neighbouring tiles share, at least.")]
CutObjects = Annotated[
    Literal["keep", "drop"],
    Field(description="Objects that the border of a tile cuts: keep the part inside, or drop them."),
]
MaxVoxels = Annotated[int, Field(ge=1, description="Larger volumes are refused before decoding.")]
LabelValue = Annotated[int, Field(ge=1)]
LabelKind = Literal["instances", "classes"]


def values_differ(labels: dict[str, int]) -> dict[str, int]:
    """The names and values, of which no two are the same.

    Raises:
        ValueError: two names share a value.
    """
    shared = [f"{name}: {value}" for name, value in labels.items() if list(labels.values()).count(value) > 1]
    if shared:
        raise ValueError(f"two names share a value ({', '.join(shared)}); give each its own")
    return labels


Labels = Annotated[
    dict[str, LabelValue],
    AfterValidator(values_differ),
    Field(description="With label_kind classes: name and value of each class; 0 is background."),
]
Objects = Annotated[
    Literal["component", "label"],
    Field(description="With classes: an object is each connected region of a label, or the label as a whole."),
]


def check_labels_are_named(label_kind: str, labels: dict[str, int]) -> None:
    """Check that classes, and only they, have names.

    Raises:
        ValueError: names are missing, or would not be read.
    """
    if label_kind == "classes" and not labels:
        raise ValueError("label_kind classes needs labels: {name: value}")
    if label_kind != "classes" and labels:
        raise ValueError("labels is read with label_kind classes only; for instances set category")


def check_tiles(tile_size: int, tile_overlap: int) -> None:
    """Check that tiles go on along a side.

    Raises:
        ValueError: the overlap is as long as a tile.
    """
    if tile_overlap >= tile_size:
        raise ValueError(f"tile_overlap ({tile_overlap}) must be below tile_size ({tile_size})")


def check_range(low: float, high: float) -> None:
    """Check that a range of values, or of percentiles, rises.

    Raises:
        ValueError: it does not.
    """
    if low >= high:
        raise ValueError(f"low ({low}) must be below high ({high})")
